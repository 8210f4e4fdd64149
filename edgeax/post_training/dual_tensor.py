"""A second tensor for the kernels that rounding hurts most."""

import math
import re
from collections.abc import Iterator

from edgeax.formats import (
    DualInteger,
    Integer,
    NumberFormat,
    ResidualTernary,
    Ternary,
    implements,
)
from edgeax.formats.integer_form import snr_db
from edgeax.formats.names import described
from edgeax.model.graph import is_nested
from edgeax.model.recipe import Recipe, Rule
from edgeax.model.wrapper import slot_of
from edgeax.post_training.case import Case, Correction
from edgeax.transforms.base import fresh
from edgeax.transforms.quantize import Quantize

_TEST = "tests/post_training/test_dual_tensor.py::"


@implements("CKYK19", test=_TEST + "test_ckyk19_the_worst_kernel_gets_two_tensors")
@implements("KBM17", test=_TEST + "test_kbm17_a_ternary_kernel_gets_residuals")
class DualTensor(Correction):
    """Gives a part of the kernels two tensors of the same width, which add up.

    Those whose ratio of signal to rounding noise is worst. Integers of up to 4 bits become
    `DualInteger` [CKYK19], ternary kernels `ResidualTernary` in groups [KBM17]; they take twice as
    many bits. A kernel in another format is left as it is, which is said.

    Args:
        fraction: Part of the kernels, rounded up, in (0, 1].

    Raises:
        ValueError: `fraction` is out of its range.
    """

    def __init__(self, fraction: float = 0.25) -> None:
        if not 0.0 < fraction <= 1.0:
            raise ValueError(f"`fraction` must lie in (0, 1]. Received: fraction={fraction}.")
        self.fraction = fraction

    def revise(self, case: Case) -> bool:
        """Adds a rule for each of the worst kernels."""
        if not is_nested(case.plain):
            case.skip("dual tensor", "the model has no graph in which paths stay the same")
            return False
        worst = sorted(self._kernels(case), key=lambda found: found[0])
        rules = [rule for _, rule in worst[: math.ceil(self.fraction * len(worst))]]
        case.recipe = Recipe([*case.recipe.rules, *rules], case.recipe.name)
        return bool(rules)

    def _kernels(self, case: Case) -> Iterator[tuple[float, Rule]]:
        """Yields each kernel that can be doubled: its signal-to-noise ratio in dB, and the rule."""
        for path, layer in case.layers.items():
            names = [weight.variable.name for weight in layer.weight_chains]
            for weight in layer.weight_chains:
                *before, last = weight.chain.transforms
                name = weight.variable.name
                if slot_of(name) != "kernel" or not isinstance(last, Quantize) or last.clustered:
                    continue
                format = doubled(last.number_format)
                if format is None or names.count(name) > 1:
                    why = f"there is none for {described(last.number_format)}"
                    why = why if format is None else f"several of its weights are called {name!r}"
                    case.skip(f"dual tensor of {path}", why)
                    continue
                value = weight.value()
                ratio = snr_db(value, weight.chain.freeze(value).decode())
                wider = Quantize.from_config({**last.get_config(), "format": format, "axis": None})
                members = [*map(fresh, before), wider]
                yield ratio, Rule(f"^{re.escape(path)}$", weights={name: members})


def doubled(format: NumberFormat) -> NumberFormat | None:
    """Returns the format of two tensors in a format, or None if there is none."""
    if isinstance(format, Integer) and format.bits <= 4:
        return DualInteger(format.bits, format.axis)
    return ResidualTernary() if isinstance(format, Ternary) else None

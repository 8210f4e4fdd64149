"""A second tensor for the kernels that rounding hurts most."""

import math
import re

import numpy as np

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
from edgeax.model.recipe import Recipe, Rule
from edgeax.post_training.case import Case, Correction, kernel_quantizer
from edgeax.transforms.quantize import Quantize

_TEST = "tests/post_training/test_dual_tensor.py::"


@implements("CKYK19", test=_TEST + "test_ckyk19_the_worst_kernel_gets_two_tensors")
@implements("KBM17", test=_TEST + "test_kbm17_a_ternary_kernel_gets_residuals")
class DualTensor(Correction):
    """Gives a part of the kernels two tensors of the same width, which add up.

    Those whose ratio of signal to rounding noise is worst. Integers of up to 4 bits become
    `DualInteger` [CKYK19], ternary kernels `ResidualTernary` in groups [KBM17]; they take twice as
    many bits. Where no kernel has such a format, nothing is done and said.

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
        worst = sorted(self._ratios(case).items(), key=lambda item: item[1])
        rules = []
        for path, _ in worst[: math.ceil(self.fraction * len(worst))]:
            quantizer = kernel_quantizer(case.layers[path])
            format = None if quantizer is None else doubled(quantizer.number_format)
            if format is not None:
                kernel = Quantize(format, range="calibrated")
                rules.append(Rule(f"^{re.escape(path)}$", kernel=kernel))
        case.recipe = Recipe([*case.recipe.rules, *rules], case.recipe.name)
        return bool(rules)

    def _ratios(self, case: Case) -> dict[str, float]:
        """Returns the signal-to-noise ratio of each kernel that can be doubled, in dB."""
        found = {}
        for path, layer in case.layers.items():
            quantizer = kernel_quantizer(layer)
            if quantizer is None:
                continue
            if doubled(quantizer.number_format) is None:
                name = described(quantizer.number_format)
                case.skip(f"dual tensor of {path}", f"there is none for {name}")
                continue
            for variable, layout, encoded in layer.freeze_weights():
                if variable.name == "kernel":
                    value = layout.to_canonical(np.asarray(variable, np.float32))
                    found[path] = snr_db(value, encoded.decode())
        return found


def doubled(format: NumberFormat) -> NumberFormat | None:
    """Returns the format of two tensors in a format, or None if there is none."""
    if isinstance(format, Integer) and format.bits <= 4:
        return DualInteger(format.bits, format.axis)
    return ResidualTernary() if isinstance(format, Ternary) else None

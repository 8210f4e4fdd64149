"""Names of quantizers: `"ste_sign"`, `"dorefa"`, `"lsq4"`; after them those of number formats."""

import difflib
import re
from collections.abc import Callable
from typing import Any

from edgeax.formats import NumberFormat, names
from edgeax.formats.fixed_point import FixedPoint
from edgeax.transforms.base import Transform, fresh
from edgeax.transforms.dorefa import DoReFa, DoReFaGradient
from edgeax.transforms.learned_basis import LearnedBasisQuantize
from edgeax.transforms.learned_clip import LearnedClip
from edgeax.transforms.learned_interval import LearnedInterval
from edgeax.transforms.learned_points import LearnedPoints
from edgeax.transforms.learned_step import LearnedStep
from edgeax.transforms.learned_ternary import LearnedTernary
from edgeax.transforms.outlier_cluster import OutlierCluster
from edgeax.transforms.quantize import Quantize
from edgeax.transforms.quantized_gradient import QuantizeGradient
from edgeax.transforms.recurrent_state import RecurrentState
from edgeax.transforms.sampled import SampledWeight
from edgeax.transforms.signs import Heaviside, Sign, Ternary
from edgeax.transforms.sums_of_signs import MultiStepSign, ShiftedSigns, TernaryActivation
from edgeax.transforms.wage import WAGE, WAGEError
from edgeax.transforms.wrpn import WRPN
from edgeax.transforms.xnor import XNORWeight

WEIGHT_SLOTS = ("kernel", "bias")
SLOTS = (*WEIGHT_SLOTS, "input", "output")


def _axis(slot: str) -> int | None:
    return -1 if slot == "kernel" else None


def _wage(slot: str) -> WAGE:
    return WAGE(2 if slot in WEIGHT_SLOTS else 8)


# What makes the transform of a name, of the slot.
_WORDS: dict[str, Callable[[str], Transform]] = {
    "ste_sign": lambda slot: Sign("ste_sign"),
    "approx_sign": lambda slot: Sign("approx_sign"),
    "swish_sign": lambda slot: Sign("swish_sign"),
    "magnitude_aware_sign": lambda slot: Sign(scale="mean_magnitude"),
    "ste_tern": lambda slot: Ternary(),
    "ste_heaviside": lambda slot: Heaviside(),
    "dorefa": lambda slot: DoReFa(),
    "dorefa_quantizer": lambda slot: DoReFa(),
    "xnor_weight": lambda slot: XNORWeight(),
    "bwn": lambda slot: XNORWeight(center=False),
    "ttq": lambda slot: LearnedTernary(),
    "wage": _wage,
    "wage_error": lambda slot: WAGEError(),
    "tbn": lambda slot: XNORWeight(False) if slot in WEIGHT_SLOTS else TernaryActivation(),
    "multi_step_sign": lambda slot: MultiStepSign(),
    "shifted_signs": lambda slot: ShiftedSigns(),
    "binary_connect": lambda slot: SampledWeight("binary"),
    "ternary_connect": lambda slot: SampledWeight("ternary"),
    "exponential_connect": lambda slot: SampledWeight("exponential"),
}

# The same for names that end with a number of bits.
_WITH_BITS: dict[str, Callable[[str, int], Transform]] = {
    "lsq": lambda slot, bits: LearnedStep(bits, axis=_axis(slot)),
    "pact": lambda slot, bits: LearnedClip(bits),
    "qil": lambda slot, bits: LearnedInterval(bits),
    "points": lambda slot, bits: LearnedPoints(bits),
    "gobo": lambda slot, bits: OutlierCluster(bits),
    "dorefa": lambda slot, bits: DoReFa(bits),
    "dorefa_gradient": lambda slot, bits: DoReFaGradient(bits),
    "wrpn": lambda slot, bits: WRPN(bits),
    "wage": lambda slot, bits: WAGE(bits),
    "qnn": lambda slot, bits: Quantize(FixedPoint(1, bits - 1), gradient="ste_sign"),
    "lq": lambda slot, bits: LearnedBasisQuantize(bits),
    "gate": lambda slot, bits: RecurrentState(bits, signed=False),
    "state": lambda slot, bits: RecurrentState(bits, signed=True),
}

# In front of the name of a number format: the gradient is rounded to it, and nothing else.
_GRADIENT = "gradient_"


def transform_of(name: str | Transform | NumberFormat, slot: str = "kernel") -> Transform:
    """Returns the transform that a word stands for.

    A name is looked for among the quantizers first, then among the number formats, which become a
    `Quantize`; kernels then get one scale per output channel, other tensors one in all.

    Args:
        name: E.g. `"ste_sign"`, `"lsq4"`, `"ternary"`; a number format; or a transform, of which a
            copy without state is returned.
        slot: `"kernel"`, `"bias"`, `"input"` or `"output"`.

    Raises:
        ValueError: There is no such name, its bits are out of range, or it does not suit the slot.
    """
    if slot not in SLOTS:
        raise ValueError(f"`slot` must be one of {SLOTS}. Received: slot={slot!r}.")
    if isinstance(name, Transform):
        return fresh(name)
    if isinstance(name, NumberFormat):
        return Quantize(name)
    return _suited(_made(str(name), slot), name, slot)


def quantizer_names() -> list[str]:
    """Returns names of quantizers that are worth suggesting, sorted."""
    return sorted([*_WORDS, *(f"{stem}4" for stem in _WITH_BITS), f"{_GRADIENT}fp8_e5m2"])


def _made(name: str, slot: str) -> Transform:
    if name in _WORDS:
        return _WORDS[name](slot)
    match = re.fullmatch(r"(.*?)(\d+)", name)
    if match and match[1] in _WITH_BITS:
        return _WITH_BITS[match[1]](slot, int(match[2]))
    if names.is_name(name):
        return Quantize(name, axis=_axis(slot))
    if name.startswith(_GRADIENT) and names.is_name(name.removeprefix(_GRADIENT)):
        return QuantizeGradient(name.removeprefix(_GRADIENT))
    known = sorted({*quantizer_names(), *names.names()})
    near = difflib.get_close_matches(name.lower(), known, n=4, cutoff=0.4) or known
    raise ValueError(
        "`name` must be that of a quantizer or of a number format. "
        f"Received: {name!r}. Did you mean one of {near}?"
    )


def _suited(made: Transform, name: Any, slot: str) -> Transform:
    is_weight = slot in WEIGHT_SLOTS
    if made.weights_only and not is_weight:
        raise ValueError(
            f"`{slot}` must not be given {name!r}, which is for weights. "
            f"Received: {slot}={name!r}. Use an activation quantizer such as 'ste_sign' or 'int8'."
        )
    if made.activations_only and is_weight:
        raise ValueError(
            f"`{slot}` must not be given {name!r}, which is for activations. "
            f"Received: {slot}={name!r}. Use a weight quantizer such as 'lsq4' or 'ternary'."
        )
    return made

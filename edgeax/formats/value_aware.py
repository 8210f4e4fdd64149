"""Value-aware quantization: few large values in 16 bits, all others in few bits."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.base import Params, finite_float32, optional_scale, signed_range
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format
from edgeax.formats.rounding import rounded_steps
from edgeax.formats.scales import largest_magnitude, nonzero, quotient
from edgeax.formats.sums import check_bits

_LARGEST_CODE = signed_range(16)[1]


@implements(
    "PYV18",
    test="tests/formats/test_value_aware.py::test_pyv18_steps_and_codes_are_those_worked_out_by_hand",
)
@dataclasses.dataclass(frozen=True)
class ValueAware(ArrayFormat):
    """The largest |x| in 16 bits with their places, all others linear in `bits` bits.

    The small values get a symmetric grid over the range that is left without the largest ones:
    `real = step * code`, codes `[-n, n]` with `n = 2**(bits - 1) - 1`. The large ones get a fine
    grid over the whole range and codes beyond: `real = large_step * (code -+ n)`, so that an int16
    code tells which it is. What is stored is dense small codes, and a 16-bit code and an index for
    each large value: `size_bits` counts that.

    Args:
        bits: Width of a small code, 2 to 8.
        large: Fraction of values kept large, in [0, 0.5).
    Raises:
        ValueError: An argument is out of its range.
    Source: [PYV18].
    """

    encode_only: ClassVar[tuple[str, ...]] = ("threshold",)
    channel_axes: ClassVar[Mapping[str, int]] = {"scale": 1}

    measure = "values"

    bits: int = 3
    large: float = 0.03

    def __post_init__(self) -> None:
        check_bits("bits", self.bits, 2, 8)
        if not 0 <= self.large < 0.5:
            raise ValueError(
                f"`large` must be in [0, 0.5). Received: {self.large}. Most values must be small."
            )

    @property
    def small_codes(self) -> int:
        """The largest code of a small value."""
        return signed_range(self.bits)[1]

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns `step`, `large_step` and `threshold`, the largest small |x|: float32 `()`."""
        ordered = ops.sort(ops.reshape(ops.abs(x), (-1,)))
        size = int(ordered.shape[0])
        threshold = ordered[size - 1 - int(self.large * size)]
        largest = largest_magnitude(x, None, ops)
        return {
            "step": nonzero(quotient(threshold, self.small_codes, ops), ops),
            "large_step": nonzero(quotient(largest, _LARGEST_CODE - self.small_codes, ops), ops),
            "threshold": threshold,
        }

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the nearest value of the grid of each, or a random one of both neighbors."""
        scale = params.get("scale")
        x = x if scale is None else x / scale
        is_large, small, large = self._codes(x, params, ops, noise)
        values = ops.where(is_large, params["large_step"] * large, params["step"] * small)
        return values if scale is None else scale * values

    def _codes(
        self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None
    ) -> tuple[Any, Any, Any]:
        """Returns which values are large, and the code of each in both grids, as float32."""
        top = _LARGEST_CODE - self.small_codes
        most = params["threshold"]
        within = ops.maximum(ops.minimum(x, most), -most)  # so that no quotient overflows
        small = _nearest(within / params["step"], self.small_codes, ops, noise)
        large = _nearest(x / params["large_step"], top, ops, noise)
        is_large = ops.logical_and(ops.abs(x) > params["threshold"], large != 0)
        return is_large, small, large

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the codes, int16.

        Raises:
            ValueError: `x` is not finite, or a scale has the wrong shape or is 0.
        """
        x = finite_float32(x)
        scale = optional_scale(params, x.shape, divides=True)
        with np.errstate(over="ignore"):
            is_large, small, large = self._codes(x / scale, params, arrays)
        beyond = large + np.copysign(np.float32(self.small_codes), large)
        return np.where(is_large, beyond, small).astype(np.int16)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns the float32 values of the codes.

        Raises:
            ValueError: A code is below -32767, or a scale has the wrong shape.
        """
        codes = np.asarray(codes)
        if codes.size and not -_LARGEST_CODE <= codes.min() <= codes.max() <= _LARGEST_CODE:
            raise ValueError(
                f"`codes` must lie in [-{_LARGEST_CODE}, {_LARGEST_CODE}]. Received: "
                f"min={codes.min()}, max={codes.max()}. Encode with the same format."
            )
        wide = codes.astype(np.float32)
        large = wide - np.copysign(np.float32(self.small_codes), wide)
        step, large_step = np.float32(params["step"]), np.float32(params["large_step"])
        values = np.where(np.abs(wide) > self.small_codes, large_step * large, step * wide)
        return optional_scale(params, codes.shape) * values

    def size_bits(self, codes: np.ndarray, params: Params) -> int:
        """Returns the bits of the dense small codes, the large ones with indices, the params."""
        large = int(np.sum(np.abs(codes.astype(np.int32)) > self.small_codes))
        index_bits = max(codes.size - 1, 0).bit_length()
        return super().size_bits(codes, params) + large * (16 + index_bits)

    def per_channel(self) -> "ValueAware":
        """Returns itself: a scale per channel comes on top of the steps."""
        return self


name_format(
    r"vquant(\d+)", lambda bits, axis=None: ValueAware(bits), [f"vquant{b}" for b in (3, 4)]
)


def _nearest(steps: Any, top: int, ops: Any, noise: Any) -> Any:
    """Returns whole steps in [-top, top], halves to even; random neighbors with noise."""
    return rounded_steps(ops.clip(steps, float(-top), float(top)), noise, ops)

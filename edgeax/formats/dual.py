"""DualInteger: a tensor as the sum of two integer tensors, the second of which mends the first."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.base import Params, check_whole, finite_float32, optional_scale, signed_range
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format
from edgeax.formats.scales import largest_magnitude, nonzero, quotient, reduced_axes
from edgeax.formats.sums import check_axis

# Scales that are tried, as parts of that which reaches the largest value.
_PARTS = tuple(float(part) for part in np.linspace(0.3, 1.0, 29)[::-1])
_TEST = "tests/formats/test_dual.py::test_ckyk19_two_tensors_err_less_than_one"


@implements("CKYK19", test=_TEST)
@dataclasses.dataclass(frozen=True)
class DualInteger(ArrayFormat):
    """`real = step[0] * first + step[1] * second`, two symmetric integer codes of `width` bits.

    The second step is that of least squared error of a line search for what the first leaves over,
    the first that of a line search for the tensor, or the one that reaches the largest value:
    whichever leaves less in the end. A code holds both, the first in the higher bits.
    Source: [CKYK19].

    Args:
        width: Bits of each of both codes, 2 to 4.
        axis: None for one pair of steps per tensor, -1 for one per output channel.
    Raises:
        ValueError: An argument is out of its range.
    """

    channel_axes: ClassVar[Mapping[str, int]] = {"scale": 1, "step": 2}
    measure = "values"

    width: int = 4
    axis: int | None = None

    def __post_init__(self) -> None:
        check_whole(width=self.width)
        if not 2 <= self.width <= 4:
            raise ValueError(
                f"`width` must be in 2..4. Received: {self.width}. Two codes fill at most a byte."
            )
        check_axis(self.axis)

    @property
    def bits(self) -> int:
        """Width of a code that holds both: `2 * width`."""
        return 2 * self.width

    @property
    def _top(self) -> float:
        return float(signed_range(self.width)[1])

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns `step`, float32 `(2,)` or `(2, channels)`."""
        wide, error = self._second(x, self._widest(x, ops), ops)
        near, least = self._second(x, self._best(x, ops), ops)
        return {"step": ops.where(error <= least, wide, near)}

    def _second(self, x: Any, first: Any, ops: Any) -> tuple[Any, Any]:
        """Returns both steps, `(2,)` or `(2, channels)`, and the squared error that they leave."""
        rest = ops.cast(_rest(x, first, self._nearest(x, first, ops), ops), "float32")
        second = self._best(rest, ops)
        return ops.stack([first, second]), self._error(rest, second, ops)

    def _widest(self, x: Any, ops: Any) -> Any:
        return nonzero(quotient(largest_magnitude(x, self.axis, ops), self._top, ops), ops)

    def _best(self, x: Any, ops: Any) -> Any:
        """Returns the step of least squared error, `()` or `(channels,)`."""
        largest = largest_magnitude(x, self.axis, ops)
        best = self._widest(x, ops)
        least = self._error(x, best, ops)
        for part in _PARTS[1:]:
            step = nonzero(quotient(largest, self._top / part, ops), ops)
            error = self._error(x, step, ops)
            best = ops.where(error < least, step, best)
            least = ops.minimum(error, least)
        return best

    def _error(self, x: Any, step: Any, ops: Any) -> Any:
        error = _rest(x, step, self._nearest(x, step, ops), ops)
        return ops.sum(error * error, axis=reduced_axes(x, self.axis))

    def _nearest(self, x: Any, step: Any, ops: Any) -> Any:
        return ops.clip(ops.round(x / step), -self._top, self._top)

    def _pair(self, x: Any, step: Any, ops: Any, noise: Any = None) -> tuple[Any, Any]:
        """Returns both codes of values, as float32."""
        first = self._nearest(x, step[0], ops)
        rest = _rest(x, step[0], first, ops) / ops.cast(step[1], "float64")
        second = ops.round(rest) if noise is None else ops.floor(rest + ops.cast(noise, "float64"))
        return first, ops.cast(ops.clip(second, -self._top, self._top), "float32")

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the sum for each value; with noise the second code is drawn; see base."""
        scale, step = params.get("scale"), params["step"]
        first, second = self._pair(x if scale is None else x / scale, step, ops, noise)
        values = _sum(step, first, second, ops)
        return values if scale is None else scale * values

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns uint8 codes: `(first << width) + second`, both in two's complement.

        Raises:
            ValueError: `x` is not finite, or a scale has the wrong shape or is 0.
        """
        x = finite_float32(x)
        scale = optional_scale(params, x.shape, divides=True)
        first, second = self._pair(x / scale, np.asarray(params["step"]), arrays)
        mask = (1 << self.width) - 1
        high = np.asarray(first, np.int32) & mask
        return ((high << self.width) | (np.asarray(second, np.int32) & mask)).astype(np.uint8)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns float32 `scale * (step[0] * first + step[1] * second)`.

        Raises:
            ValueError: A code needs more bits, or a scale has the wrong shape.
        """
        codes = np.asarray(codes)
        if codes.size and not 0 <= codes.min() <= codes.max() < 1 << self.bits:
            raise ValueError(
                f"`codes` must lie in [0, {(1 << self.bits) - 1}]. Received: min={codes.min()}, "
                f"max={codes.max()}. Encode with the same format."
            )
        step = finite_float32(params["step"], "params['step']")
        wide, half = codes.astype(np.int32), 1 << (self.width - 1)
        fields = wide >> self.width, wide & ((1 << self.width) - 1)
        first, second = ((field ^ half) - half for field in fields)  # two's complement
        return optional_scale(params, codes.shape) * _sum(step, first, second, arrays)

    def for_activations(self) -> "DualInteger":
        """Raises ValueError: no operator takes two tensors for one activation."""
        raise ValueError(
            f"`format` of an activation must be one tensor. Received: {self}. "
            f"Use 'int{2 * self.width}'."
        )

    def per_channel(self) -> "DualInteger":
        """Returns the same format with axis=-1."""
        return dataclasses.replace(self, axis=-1)


def _rest(x: Any, step: Any, codes: Any, ops: Any) -> Any:
    """Returns `x - step * codes`, float64: the product is exact, so that compilers that fuse both
    operations round alike.
    """
    return ops.cast(x, "float64") - ops.cast(step, "float64") * ops.cast(codes, "float64")


def _sum(step: Any, first: Any, second: Any, ops: Any) -> Any:
    """Returns `step[0] * first + step[1] * second`, rounded once to float32."""
    products = [
        ops.cast(step[place], "float64") * ops.cast(codes, "float64")
        for place, codes in enumerate((first, second))
    ]
    return ops.cast(products[0] + products[1], "float32")


name_format(r"dual(\d+)", lambda width, axis=None: DualInteger(width, axis), ["dual2", "dual4"])

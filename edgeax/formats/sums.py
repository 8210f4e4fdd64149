"""Formats whose values are sums of signed gains: a binary code with a weight for every digit."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.base import Params, check_whole, finite_float32, optional_scale
from edgeax.formats.scales import reduced_axes

# Added to the diagonal of normal equations, whose entries are at most 1: equal columns share.
_RIDGE = 1e-8
# Values nearer to zero count as zero: TensorFlow takes subnormal numbers for zeros.
TINY = np.finfo(np.float32).tiny


@dataclasses.dataclass(frozen=True)
class SumOfSigns(ArrayFormat):
    """`real = sum_j gain[j] * digit[j]`, where bit j of a code says whether `digit[j]` is 1.

    Elsewhere it is `params["low"]`, -1 where there is none. `gain` is float32 `(bits,)`, or
    `(bits, channels)` with one set of gains per output channel.
    """

    encode_only: ClassVar[tuple[str, ...]] = ("threshold",)
    channel_axes: ClassVar[Mapping[str, int]] = {"scale": 1, "gain": 2, "threshold": 2}
    measure = "values"

    @abc.abstractmethod
    def digits(self, x: Any, params: dict[str, Any], ops: Any) -> list[Any]:
        """Returns the digits of values, `bits` arrays of 1 and low, float32, shape of `x`."""

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the sum for the digits of `x`; with noise a random one of the nearest two."""
        scale = params.get("scale")
        x = x if scale is None else x / scale
        if noise is None:
            values = _total(params["gain"], self.digits(x, params, ops))
        else:
            values = dithered(x, self._levels(params), noise, ops)
        return values if scale is None else scale * values

    def _levels(self, params: dict[str, Any]) -> list[Any]:
        """Returns the value of each code, of shape `()` or `(channels,)`."""
        low = params.get("low", np.float32(-1))
        return [
            _total(
                params["gain"],
                [np.float32(1) if code >> place & 1 else low for place in range(self.bits)],
            )
            for code in range(1 << self.bits)
        ]

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the codes, uint8, the digit of `gain[0]` in the lowest bit.

        Raises:
            ValueError: `x` is not finite, or a scale has the wrong shape or is 0.
        """
        x = finite_float32(x)
        scale = optional_scale(params, x.shape, divides=True)
        codes = np.zeros(x.shape, np.uint8)
        for place, digit in enumerate(self.digits(x / scale, params, arrays)):
            codes |= (digit > 0).astype(np.uint8) << np.uint8(place)
        return codes

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns float32 `scale * sum_j gain[j] * digit[j]`, added in the order of j.

        Raises:
            ValueError: A code has too many bits, or gains or scale have the wrong shape.
        """
        codes = np.asarray(codes)
        if codes.size and not 0 <= codes.min() <= codes.max() < 1 << self.bits:
            raise ValueError(
                f"`codes` must lie in [0, {(1 << self.bits) - 1}]. Received: min={codes.min()}, "
                f"max={codes.max()}. Encode with the same format."
            )
        gain = finite_float32(params["gain"], "params['gain']")
        if gain.shape not in ((self.bits,), (self.bits, *codes.shape[-1:])):
            raise ValueError(
                f"`params['gain']` must have shape ({self.bits},) or ({self.bits}, channels) for "
                f"codes of shape {codes.shape}. Received: {gain.shape}. Fit the same format."
            )
        low = np.float32(params.get("low", -1))
        bits = [codes >> place & 1 for place in range(self.bits)]
        values = _total(gain, [np.where(bit, np.float32(1), low) for bit in bits])
        return optional_scale(params, codes.shape) * values

    def per_channel(self) -> "SumOfSigns":
        """Returns itself: a scale per channel comes on top of the gains."""
        return self


def check_axis(axis: int | None) -> None:
    """Raises ValueError unless `axis` is None or -1."""
    if axis not in (None, -1):
        raise ValueError(
            "`axis` must be None (per tensor) or -1 (per output channel). Received: "
            f"{axis}. Transpose the tensor so that the channel axis comes last."
        )


def check_bits(name: str, bits: int, low: int, high: int) -> None:
    """Raises ValueError unless the argument `name` lies in low..high."""
    check_whole(**{name: bits})
    if not low <= bits <= high:
        raise ValueError(
            f"`{name}` must be in {low}..{high}. Received: {bits}. Choose one of them."
        )


def dithered(x: Any, levels: Sequence[Any], noise: Any, ops: Any) -> Any:
    """Returns the level below or above each value: above with the probability of the distance.

    Args:
        x: float32.
        levels: float32, each broadcastable to `x`, in any order.
        noise: Uniform in [0, 1), shape of `x`.
        ops: `formats.arrays` or `keras.ops`.
    """
    below = above = levels[0]
    for level in levels[1:]:
        below, above = ops.minimum(below, level), ops.maximum(above, level)
    below, above = below + ops.zeros_like(x), above + ops.zeros_like(x)
    for level in levels:
        below = ops.where(ops.logical_and(level <= x, level > below), level, below)
        above = ops.where(ops.logical_and(level >= x, level < above), level, above)
    return ops.where(noise * (above - below) < x - below, above, below)


def signs(x: Any, ops: Any) -> Any:
    """Returns 1 where x >= 0, else -1, as float32; subnormal numbers count as 0."""
    return ops.where(x > -TINY, np.float32(1), np.float32(-1))


def least_squares(
    columns: Sequence[Any], x: Any, former: Sequence[Any], axis: int | None, ops: Any
) -> list[Any]:
    """Returns the gains for which `sum_j gain[j] * columns[j]` is nearest to `x`.

    Where several are, as for equal columns, they are the ones nearest to `former`.

    Args:
        columns: At most 8 arrays of the shape of `x`, values in [-1, 1].
        x: float32.
        former: float32 gains, `()` or `(channels,)` each.
        axis: None, or -1 for gains per channel.
        ops: `formats.arrays` or `keras.ops`.
    Returns:
        float32 gains in the shape of `former`.
    """
    axes = reduced_axes(x, axis)
    wide = [ops.cast(column, "float64") for column in columns]
    start = [ops.cast(gain, "float64") for gain in former]
    rest = ops.cast(x, "float64") - _total(start, wide)
    matrix: list[list[Any]] = [[None] * len(wide) for _ in wide]
    for row, left in enumerate(wide):
        for column in range(row, len(wide)):
            product = ops.mean(left * wide[column], axis=axes)
            matrix[row][column] = matrix[column][row] = product
        matrix[row][row] = matrix[row][row] + _RIDGE
    steps = _solved(matrix, [ops.mean(column * rest, axis=axes) for column in wide])
    return [ops.cast(gain + step, "float32") for gain, step in zip(start, steps, strict=True)]


def _solved(matrix: list[list[Any]], right: list[Any]) -> list[Any]:
    """Solves a positive definite system by elimination, which needs no pivots there."""
    size = len(right)
    for pivot in range(size):
        for row in range(pivot + 1, size):
            factor = matrix[row][pivot] / matrix[pivot][pivot]
            for column in range(pivot, size):
                matrix[row][column] = matrix[row][column] - factor * matrix[pivot][column]
            right[row] = right[row] - factor * right[pivot]
    found: list[Any] = [None] * size
    for row in reversed(range(size)):
        rest = right[row]
        for column in range(row + 1, size):
            rest = rest - matrix[row][column] * found[column]
        found[row] = rest / matrix[row][row]
    return found


def _total(gain: Any, digits: Sequence[Any]) -> Any:
    """Returns sum_j gain[j] * digits[j], added in the order of j."""
    values = gain[0] * digits[0]
    for place in range(1, len(digits)):
        # Subtracted: TensorFlow's graph optimizer changes the order of additions.
        values = values - (-gain[place]) * digits[place]
    return values

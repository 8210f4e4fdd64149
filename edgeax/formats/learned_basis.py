"""Levels from a basis that is fitted to the tensor: quantization error minimization."""

import dataclasses
from typing import Any

import numpy as np

from edgeax.formats.methods import implements
from edgeax.formats.names import name_format
from edgeax.formats.scales import reduced_axes
from edgeax.formats.sums import SumOfSigns, check_axis, check_bits, least_squares

_TEST = "tests/formats/test_learned_basis.py::"
# Three quarters of normal values lie below it, in deviations: where the basis starts.
_QUARTILE = 0.6745


@implements("ZYYH18", test=_TEST + "test_zyyh18_the_squared_error_never_rises")
@dataclasses.dataclass(frozen=True)
class LearnedBasis(SumOfSigns):
    """`real = sum_j gain[j] * digit_j` with the gains (the basis) that suit a tensor best.

    Digits are -1 or 1, or 0 or 1 where no value is negative (LQ-Nets' weights and activations). In
    turn, values go to the nearest level and the basis is solved for by least squares; it starts at
    `0.6745 * deviation * 2**(j + 1 - bits)`. LQ-Nets does this once per batch and averages; this
    does it a fixed number of times, so that it runs in a graph. 1 bit is `Binary` with its gain.
    With noise, a value goes to one of the two nearest levels.

    Args:
        bits: Number of basis values, 1 to 4.
        axis: None for a basis per tensor, -1 for one per output channel (the last axis).
        nonnegative: Whether digits are 0 or 1; None for where no value is negative.
        iterations: How often codes and basis are solved for, 0 or more.
    Raises:
        ValueError: An argument is out of its range.
    Source: [ZYYH18].
    """

    measure = "values"

    bits: int = 2
    axis: int | None = None
    nonnegative: bool | None = None
    iterations: int = 10

    def __post_init__(self) -> None:
        check_bits("bits", self.bits, 1, 4)
        check_axis(self.axis)
        check_bits("iterations", self.iterations, 0, 1000)

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns `gain`, float32 `(bits,)` or `(bits, channels)`, and `low`, float32 `()`."""
        wide = ops.cast(x, "float64")
        deviation = ops.sqrt(ops.mean(wide * wide, axis=reduced_axes(x, self.axis)))
        gains = [
            ops.cast(deviation * (_QUARTILE * 2.0 ** (place + 1 - self.bits)), "float32")
            for place in range(self.bits)
        ]
        low = self._low(x, ops)

        def fitted(_: Any, gain: Any) -> Any:
            digits = self.digits(x, {"gain": gain, "low": low}, ops)
            former = [gain[place] for place in range(self.bits)]
            return ops.stack(least_squares(digits, x, former, self.axis, ops))

        gain = ops.fori_loop(0, self.iterations, fitted, ops.stack(gains))
        return {"gain": gain, "low": low}

    def _low(self, x: Any, ops: Any) -> Any:
        """Returns the other value of a digit, -1 or 0."""
        if self.nonnegative is None:
            return ops.where(ops.any(x < 0), np.float32(-1), np.float32(0))
        return ops.zeros_like(ops.max(x)) - (0 if self.nonnegative else 1)

    def digits(self, x: Any, params: dict[str, Any], ops: Any) -> list[Any]:
        """Returns the digits of the nearest level; in a tie, of the one with the lower code."""
        levels = [level * np.float32(0.5) for level in self._levels(params)]
        x = x * np.float32(0.5)  # so that no distance overflows
        best = ops.abs(x - levels[0])
        place = ops.zeros_like(x)
        for code, level in enumerate(levels[1:], 1):
            distance = ops.abs(x - level)
            closer = distance < best
            best = ops.where(closer, distance, best)
            place = ops.where(closer, np.float32(code), place)
        halves = [ops.floor(place * np.float32(0.5**bit)) for bit in range(self.bits + 1)]
        return [
            ops.where(half > 2 * upper, np.float32(1), params["low"])
            for half, upper in zip(halves[:-1], halves[1:], strict=True)
        ]


name_format(
    r"lq(\d+)", lambda bits, axis=None: LearnedBasis(bits, axis), [f"lq{b}" for b in (1, 2, 3, 4)]
)

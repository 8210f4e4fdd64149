"""Ranges in closed form, for values of a known distribution (ACIQ)."""

import functools
import math
from typing import Literal

import numpy as np

from edgeax.formats import NumberFormat, implements
from edgeax.post_training.calibration import (
    Calibration,
    Ends,
    MinMax,
    bits_of,
    clipped_to,
    is_symmetric,
)
from edgeax.post_training.seen import Seen

Distribution = Literal["laplace", "gauss"]

# E|x - mean| over the standard deviation: 0.707 of a Laplace, 0.798 of a normal distribution.
_BETWEEN = (math.sqrt(0.5) + math.sqrt(2.0 / math.pi)) / 2.0
_MOST_BITS = 16
_TEST = "tests/post_training/test_analytic.py::"


@implements("BNS19", test=_TEST + "test_bns19_optimal_limits_are_the_table")
class Analytic(Calibration):
    """Clips where clipping and rounding errors of a known distribution balance (ACIQ).

    The limit lies `optimal_limit(bits) * b` from the mean, b = E|x - mean|, or `* sigma` of normal
    values. Behind a ReLU it is counted from zero, with one bit more and b or sigma of the positive
    values. Source: [BNS19].

    Args:
        distribution: `"laplace"`, `"gauss"`, or `"auto"`: of these two that whose ratio of mean
            deviation to standard deviation is nearer.

    Raises:
        ValueError: There is no such distribution.
    """

    def __init__(self, distribution: str = "auto") -> None:
        if distribution not in ("auto", "laplace", "gauss"):
            raise ValueError(
                "`distribution` must be 'auto', 'laplace' or 'gauss'. "
                f"Received: distribution={distribution!r}."
            )
        self.distribution = distribution

    def ends(self, seen: Seen, format: NumberFormat) -> Ends:
        """See `Calibration.ends`."""
        bits = bits_of(format)
        if bits > _MOST_BITS:
            return MinMax().ends(seen, format)
        if not is_symmetric(format) and np.all(seen.low >= 0.0):
            limit = self._limit(_mirrored(seen), bits + 1)
            return clipped_to(seen, -limit, limit)
        mean = seen.mean(seen.values)
        limit = self._limit(seen, bits)
        if is_symmetric(format):
            limit = limit + np.abs(mean)
            return clipped_to(seen, -limit, limit)
        return clipped_to(seen, mean - limit, mean + limit)

    def _limit(self, seen: Seen, bits: float) -> np.ndarray:
        deviation = seen.values - seen.mean(seen.values)
        mean, root = seen.mean(np.abs(deviation)), np.sqrt(seen.mean(deviation**2))
        laplace = mean * optimal_limit(int(bits), "laplace")
        gauss = root * optimal_limit(int(bits), "gauss")
        if self.distribution == "auto":
            return np.where(mean < _BETWEEN * root, laplace, gauss)
        return laplace if self.distribution == "laplace" else gauss


@implements("BNS19", test=_TEST + "test_bns19_optimal_limits_are_the_table")
@functools.cache
def optimal_limit(bits: int, distribution: Distribution) -> float:
    """Returns where to clip values of mean 0 for the least error of clipping and rounding.

    In units of b = E|x| of a Laplace, of the standard deviation of a normal distribution.
    `E(error**2) = 2 integral_a^inf (x - a)**2 p(x) dx + a**2 / (3 * 4**bits)`. Source: [BNS19].

    Args:
        bits: Width of a code, 1 to 17.
        distribution: `"laplace"` or `"gauss"`.

    Raises:
        ValueError: `bits` is out of range.
    """
    if not 1 <= bits <= _MOST_BITS + 1:
        raise ValueError(f"`bits` must be in 1..{_MOST_BITS + 1}. Received: bits={bits}.")

    def falls(limit: float) -> bool:
        """Whether the error still falls at a limit: the sign of its derivative."""
        rounding = 2.0 * limit / (3.0 * 4.0**bits)
        if distribution == "laplace":
            return 2.0 * math.exp(-limit) > rounding
        tail = math.erfc(limit / math.sqrt(2.0)) / 2.0
        density = math.exp(-limit * limit / 2.0) / math.sqrt(2.0 * math.pi)
        return 4.0 * (density - limit * tail) > rounding

    low, high = 0.0, 64.0
    for _ in range(80):
        middle = (low + high) / 2.0
        low, high = (middle, high) if falls(middle) else (low, middle)
    return (low + high) / 2.0


def _mirrored(seen: Seen) -> Seen:
    """Returns the positive values of a rectified tensor together with their mirror images."""
    positive = seen.values > 0.0
    counts = np.broadcast_to(seen.counts, seen.values.shape) * positive
    both = np.concatenate([seen.values, -seen.values])
    return Seen(both, np.concatenate([counts, counts]), -seen.high, seen.high, seen.batches)

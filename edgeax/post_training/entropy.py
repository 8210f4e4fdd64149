"""Ranges that keep the most information: TensorRT's calibration by Kullback-Leibler divergence."""

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

_SMALLEST = 1e-12
_BINS_PER_LEVEL = 4
_VALUES_PER_BIN = 512


@implements(
    "TensorRT",
    test="tests/post_training/test_entropy.py::test_tensorrt_finds_the_threshold_beyond_which_are_outliers",
)
class Entropy(Calibration):
    """Takes the threshold at which the histogram of magnitudes loses least by rounding.

    For each threshold, P is the histogram up to it with the tail in its last bin, Q the same in
    as many levels as the format has, each spread over those of its bins that hold something; the
    least KL(P, Q) wins. An activation with both signs is cut alike on both sides. The noise of a
    histogram with few values in each bin looks like information: it has as many bins, a power of
    two, as hold 512 values on average. Where that is less than four for each level, as in most
    channels of kernels, all of the range is kept.

    Args:
        bins: Most bins of the histogram, at least 64.

    Raises:
        ValueError: `bins` is too few.
    """

    def __init__(self, bins: int = 2048) -> None:
        if bins < 64:
            raise ValueError(f"`bins` must be at least 64. Received: bins={bins}.")
        self.bins = bins

    def ends(self, seen: Seen, format: NumberFormat) -> Ends:
        """See `Calibration.ends`."""
        bits = bits_of(format)
        one_sided = not is_symmetric(format) and np.all(seen.low >= 0.0)
        levels = 2 ** (bits if one_sided else bits - 1)
        if levels * _BINS_PER_LEVEL > self.bins:
            return MinMax().ends(seen, format)
        counts = np.broadcast_to(seen.counts, seen.values.shape)
        columns = zip(np.abs(seen.values).T, counts.T, strict=True)
        limit = np.array([self._threshold(*column, int(levels)) for column in columns])
        return clipped_to(seen, -limit, limit)

    def _threshold(self, magnitudes: np.ndarray, counts: np.ndarray, levels: int) -> float:
        top = float(magnitudes.max(initial=0.0))
        held = magnitudes > 0.0  # zero is exact in every range
        bins = min(self.bins, int(counts[held].sum() / _VALUES_PER_BIN))
        if bins < levels * _BINS_PER_LEVEL:
            return top
        bins = 2 ** int(np.log2(bins))  # divides those of a histogram evenly
        histogram, edges = np.histogram(magnitudes[held], bins, (0.0, top), weights=counts[held])
        places = np.arange(levels, bins + 1, max(1, bins // 512))
        divergences = [kl_when_clipped(histogram, int(place), levels) for place in places]
        return float(edges[places[int(np.argmin(divergences))]])


def kl_when_clipped(histogram: np.ndarray, bins: int, levels: int) -> float:
    """Returns KL(P, Q) of a histogram that is clipped to its first bins and rounded to levels.

    Args:
        histogram: float64 `(all bins,)`: how much each bin holds.
        bins: How many bins stay; what lies beyond goes to the last of them.
        levels: Number of levels, at most `bins`.
    """
    kept = histogram[:bins]
    p = kept.copy()
    p[-1] += histogram[bins:].sum()
    level = np.arange(bins) * levels // bins
    held = p > 0.0
    total = np.bincount(level, weights=kept, minlength=levels)
    shared = np.bincount(level, weights=held, minlength=levels)
    q = np.where(held, (total / np.maximum(shared, 1.0))[level], 0.0)
    if not p.sum() or not q.sum():
        return float("inf")
    p, q = p[held] / p.sum(), q[held] / q.sum()
    return float(np.sum(p * np.log(p / np.maximum(q, _SMALLEST))))

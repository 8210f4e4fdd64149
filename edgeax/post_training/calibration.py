"""Calibration: how the range of a tensor is chosen from what was seen of it."""

import abc
import math

import numpy as np

from edgeax.formats import GroupedInteger, HybridBlockFloat, Integer, MixedInteger, NumberFormat
from edgeax.formats.array_format import ArrayFormat
from edgeax.post_training.seen import Seen

# Lowest and highest value of each channel, float64 `(channels,)`.
Ends = tuple[np.ndarray, np.ndarray]


class Calibration(abc.ABC):
    """Chooses ranges. A new one is a subclass with a name in `named.CALIBRATIONS`.

    Attributes:
        needs_importance: Whether it asks how much an error of each value matters.
    """

    needs_importance = False

    @abc.abstractmethod
    def ends(self, seen: Seen, format: NumberFormat) -> Ends:
        """Returns the range of each channel, which contains 0 and does not go beyond what was seen.

        Args:
            seen: What was seen of the tensor.
            format: Its number format; a symmetric one is for the farther of the two ends.
        """


class MinMax(Calibration):
    """Takes all that was seen."""

    def ends(self, seen: Seen, format: NumberFormat) -> Ends:
        """See `Calibration.ends`."""
        del format
        return np.minimum(seen.low, 0.0), np.maximum(seen.high, 0.0)


class MovingAverage(Calibration):
    """Takes the moving average of the ends of each batch [JKC18]; of a weight, all.

    Args:
        momentum: Weight of the former average, in [0, 1).

    Raises:
        ValueError: `momentum` is out of its range.
    """

    def __init__(self, momentum: float = 0.9) -> None:
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"`momentum` must lie in [0, 1). Received: momentum={momentum}.")
        self.momentum = momentum

    def ends(self, seen: Seen, format: NumberFormat) -> Ends:
        """See `Calibration.ends`."""
        if not len(seen.batches):
            return MinMax().ends(seen, format)
        average = seen.batches[0]
        for batch in seen.batches[1:]:
            average = self.momentum * average + (1.0 - self.momentum) * batch
        return np.minimum(average[:1], 0.0), np.maximum(average[1:], 0.0)


class Percentile(Calibration):
    """Leaves the farthest values out.

    Args:
        percent: How many of a hundred values stay inside, above 50, at most 100. Of an activation
            with both signs as many are left out at either end.

    Raises:
        ValueError: `percent` is out of its range.
    """

    def __init__(self, percent: float = 99.99) -> None:
        if not 50.0 < percent <= 100.0:
            raise ValueError(f"`percent` must lie in (50, 100]. Received: percent={percent}.")
        self.percent = percent

    def ends(self, seen: Seen, format: NumberFormat) -> Ends:
        """See `Calibration.ends`."""
        part = self.percent / 100.0
        if is_symmetric(format):
            limit = _quantile(np.abs(seen.values), seen.counts, part)
            return clipped_to(seen, -limit, limit)
        if np.all(seen.low < 0.0):
            part = (1.0 + part) / 2.0
        low = _quantile(-seen.values, seen.counts, part)
        return clipped_to(seen, -low, _quantile(seen.values, seen.counts, part))


def is_symmetric(format: NumberFormat) -> bool:
    """Returns whether a format has one limit for both signs."""
    return not isinstance(format, Integer) or format.symmetric


def has_groups(format: NumberFormat) -> bool:
    """Returns whether parts of a channel have steps of their own in a weight of a format: one range
    of the whole weight would only clip those with the largest values.
    """
    return isinstance(format, (GroupedInteger, HybridBlockFloat))


def clipped_to(seen: Seen, low: np.ndarray, high: np.ndarray) -> Ends:
    """Returns a range that contains 0 and goes no farther than what was seen. A range of nothing
    becomes all that was seen.
    """
    all_low, all_high = MinMax().ends(seen, Integer())
    low, high = np.clip(low, all_low, 0.0), np.clip(high, 0.0, all_high)
    is_empty = high - low <= 0.0
    return np.where(is_empty, all_low, low), np.where(is_empty, all_high, high)


def rounded(
    values: np.ndarray, low: np.ndarray, high: np.ndarray, format: NumberFormat
) -> np.ndarray:
    """Returns values as a format stores them in a range.

    Args:
        values: float64 `(count, channels)`.
        low: float64 `(channels,)`.
        high: float64 `(channels,)`.
        format: Of a weight or an activation; one scale per channel is taken as given by the range.
    """
    if isinstance(format, Integer):
        grid = Integer(format.bits, format.symmetric, -1, format.narrow)
        params = grid.fit(np.stack([low, high]))
        return grid.decode(grid.encode(values, params), params)
    inside = np.clip(values, low, high).astype(np.float32)
    of_range = isinstance(format, ArrayFormat) and format.measure == "range"
    params = format.fit(np.stack([low, high]) if of_range else inside)
    return format.decode(format.encode(inside, params), params)


def squared_error(
    seen: Seen, low: np.ndarray, high: np.ndarray, format: NumberFormat, weights: np.ndarray
) -> np.ndarray:
    """Returns the weighted sum of squared errors of each channel in a range, `(channels,)`."""
    error = seen.values - rounded(seen.values, low, high, format)
    return np.sum(weights * error * error, axis=0)


def _quantile(values: np.ndarray, counts: np.ndarray, part: float) -> np.ndarray:
    """Returns the least value of each column below or at which a part of all lies."""
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, 0)
    weights = np.take_along_axis(np.broadcast_to(counts, values.shape), order, 0)
    reached = np.cumsum(weights, axis=0)
    wanted = part * reached[-1:] * (1.0 - 1e-12)
    place = np.argmax(reached >= wanted, axis=0)
    return np.take_along_axis(ordered, place[None], 0)[0]


def bits_of(format: NumberFormat) -> float:
    """Returns the bits of a format whose values are evenly spaced; infinite of any other, for which
    formulas of such a grid say nothing.
    """
    if isinstance(format, MixedInteger):
        return format.width
    return format.bits if isinstance(format, Integer) else math.inf

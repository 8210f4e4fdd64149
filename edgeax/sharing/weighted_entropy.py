"""WeightedEntropy: groups that keep the most information, where large weights count more."""

from typing import Any

import numpy as np

from edgeax.formats.methods import implements
from edgeax.formats.weighted_values import WeightedValues, codes_of
from edgeax.sharing.grouping import Grouping, Groups

_TEST = "tests/sharing/test_weighted_entropy.py::"
_POWERS = (2, 0, 1, 4, -1)
_TRIED_AT_ONCE = 64
_MOST_SWEEPS = 100


@implements("PAY17", test=_TEST + "test_pay17_the_search_reaches_the_largest_entropy_there_is")
class WeightedEntropy(Grouping):
    """Groups of the largest weighted entropy `S = -sum I_n P_n log P_n`, with P_n the share of
    weights in a group and I_n their mean importance, which is the square of a weight. Each group
    stands for `sign * sqrt(I_n)`.

    Weights below and above 0 are grouped apart, with half of the groups each as far as there are so
    many different ones. Boundaries start at equal shares of the importance, where the entropy of
    many groups is largest, and at equal shares of other powers of the weights. Each moves in turn
    to where it is best between its neighbors; when none does, one moves to where it adds more. The
    best result is taken.

    Source: [PAY17], from memory: the halves, where boundaries start and the order in which they
    move are choices made here. Its activations, on a logarithmic grid, are left out.
    """

    keeps_codes = True

    def __init__(self) -> None:
        super().__init__()

    def grouped(
        self, values: np.ndarray, importance: np.ndarray | None, count: int, seed: int
    ) -> Groups:
        """See `Grouping.grouped`; the importance is that of the method itself."""
        del importance, seed
        is_negative = values < 0
        counts = _shared_out(values, is_negative, count)
        centroids: list[np.ndarray] = []
        codes = np.zeros(values.size, np.int32)
        for sign, chosen, number in ((-1, is_negative, counts[0]), (1, ~is_negative, counts[1])):
            if number:
                found = _of_one_sign(np.abs(values[chosen]), number)
                codes[chosen] = found.codes + sum(len(table) for table in centroids)
                centroids.append(sign * found.centroids)
        table = np.concatenate(centroids)
        order = np.argsort(table, kind="stable")
        return Groups(table[order], np.argsort(order).astype(np.int32)[codes])


def _shared_out(values: np.ndarray, is_negative: np.ndarray, count: int) -> tuple[int, int]:
    """Returns how many groups the negative values and the others get."""
    negative, others = (np.unique(values[chosen]).size for chosen in (is_negative, ~is_negative))
    if not negative or not others:
        return (count, 0) if negative else (0, count)
    first = min(max(count // 2, count - others), negative)
    return first, count - first


def _of_one_sign(magnitudes: np.ndarray, count: int) -> Groups:
    points, places = WeightedValues.of(magnitudes)
    entropy = Entropy(points)
    starts = [entropy.start(_running(points, power), count) for power in _POWERS]
    found = [entropy.searched(start) for start in starts]
    edges = max(found, key=entropy.of)
    squares, weights = (np.diff(sums[edges]) for sums in (entropy.squares, entropy.weights))
    return Groups(np.sqrt(squares / weights), codes_of(edges)[places])


def _running(points: WeightedValues, power: int) -> np.ndarray:
    """Returns the running sums of a power of magnitudes, those near 0 taken for larger ones."""
    largest = points.values[-1] or 1.0
    parts = points.weights * np.maximum(points.values / largest, 1e-3) ** power
    return np.concatenate([[0.0], np.cumsum(parts)])


class Entropy:
    """The weighted entropy of magnitudes cut into intervals.

    Args:
        points: The magnitudes.
    """

    def __init__(self, points: WeightedValues) -> None:
        squares = points.weights * np.square(points.values)
        self.weights = np.concatenate([[0.0], np.cumsum(points.weights)])
        self.squares = np.concatenate([[0.0], np.cumsum(squares)])

    def part(self, begin: Any, end: Any) -> Any:
        """Returns what an interval adds to the entropy, times the number of weights: minus the sum
        of its squares times the logarithm of its share.
        """
        share = (self.weights[end] - self.weights[begin]) / self.weights[-1]
        return -(self.squares[end] - self.squares[begin]) * np.log(share)

    def of(self, edges: np.ndarray) -> float:
        """Returns the entropy times the number of weights."""
        return float(np.sum(self.part(edges[:-1], edges[1:])))

    def start(self, running: np.ndarray, count: int) -> np.ndarray:
        """Returns the edges of `count` intervals with about equal shares of running sums, each with
        at least one value.
        """
        size = self.weights.size - 1
        shares = np.arange(1, count) / count * running[-1]
        inner = np.searchsorted(running, shares)
        # Room for one value each, from the left and from the right.
        inner = np.maximum.accumulate(inner - np.arange(count - 1)) + np.arange(count - 1)
        inner = np.clip(inner, np.arange(1, count), size - np.arange(count - 1, 0, -1))
        return np.concatenate([[0], inner, [size]]).astype(np.int64)

    def searched(self, edges: np.ndarray) -> np.ndarray:
        """Returns edges moved until no move of one edge makes the entropy larger, or 100 times:
        between its neighbors, or from where it is missed least to the middle of another interval.
        """
        for _ in range(_MOST_SWEEPS):
            edges, moved = self._swept(edges)
            if not moved:
                edges, moved = self._moved_away(edges)
            if not moved:
                break
        return edges

    def _swept(self, edges: np.ndarray) -> tuple[np.ndarray, bool]:
        """Returns edges of which each has moved in turn, and whether any did."""
        edges, before = edges.copy(), edges
        for place in range(1, edges.size - 1):
            low, now, high = edges[place - 1 : place + 2]
            best = self._best_between(low, high, now)
            if self._is_gain(self._at(low, best, high) - self._at(low, now, high)):
                edges[place] = best
        return edges, not np.array_equal(edges, before)

    def _moved_away(self, edges: np.ndarray) -> tuple[np.ndarray, bool]:
        """Returns edges of which one has moved to another interval, and whether one did."""
        low, now, high = edges[:-2], edges[1:-1], edges[2:]
        losses = self._at(low, now, high) - self.part(low, high)
        wide = np.flatnonzero(np.diff(edges) > 1)
        splits = np.array([self._best_between(edges[i], edges[i + 1]) for i in wide], np.int64)
        gains = self._at(edges[wide], splits, edges[wide + 1])
        gains = gains - self.part(edges[wide], edges[wide + 1])
        total = gains[:, np.newaxis] - losses
        # The edges at both ends of an interval cannot move into it: that is for `_swept`.
        is_own = (wide[:, np.newaxis] - np.arange(now.size)) // 2 == 0
        total = np.where(is_own, -np.inf, total)
        if not total.size or not self._is_gain(total.max()):
            return edges, False
        split, gone = np.unravel_index(np.argmax(total), total.shape)
        return np.sort(np.append(np.delete(edges, gone + 1), splits[split])), True

    def _best_between(self, low: int, high: int, now: int | None = None) -> int:
        """Returns the best edge between two others: of all where they are few, else around the best
        of evenly spaced ones and of the one that is there now.
        """
        first, last = low + 1, high - 1
        while True:
            step = max(1, -(-(last - first) // _TRIED_AT_ONCE))
            tried = np.arange(first, last + 1, step)
            tried = tried if now is None else np.append(tried, now)
            best = int(tried[np.argmax(self._at(low, tried, high))])
            if step == 1:
                return best
            first, last = max(low + 1, best - step), min(high - 1, best + step)

    def _at(self, low: Any, middle: Any, high: Any) -> Any:
        return self.part(low, middle) + self.part(middle, high)

    def _is_gain(self, change: float) -> bool:
        return change > 1e-12 * self.squares[-1]

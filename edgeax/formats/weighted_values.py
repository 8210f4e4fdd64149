"""Weighted values: sorted numbers with a weight each, and the centroids of their intervals."""

import dataclasses
from typing import Any

import numpy as np

_LEAST = 1e-9  # weight, where the largest is 1


@dataclasses.dataclass(frozen=True, eq=False)
class WeightedValues:
    """Different values in ascending order, each with a weight.

    A cluster of such values is an interval of them. What intervals sum to is taken from running
    sums, of values less a centre, so that the cost does not depend on how many values there are.

    Attributes:
        values: float64, `(n,)`, ascending, each once.
        weights: float64, `(n,)`, above 0.
        centre: The value that is taken off before anything is summed.
        sums: `(3, n + 1)`: weight, weight * value and weight * value**2 of all values before a
            place, centred.
    """

    values: np.ndarray
    weights: np.ndarray
    centre: float
    sums: np.ndarray

    @classmethod
    def of(cls, values: Any, importance: Any = None) -> tuple["WeightedValues", np.ndarray]:
        """Returns the different ones of values, with the sum of the weights of equal ones, and the
        place of each value among them.

        Args:
            values: Finite numbers, `(n,)`, n at least 1.
            importance: Weights, at least 0, `(n,)`, of which ratios count: they are divided by the
                largest, and those below 1e-9 raised to that, so that a value of weight 0 has a
                place too. None: all are 1.
        """
        different, places = np.unique(np.asarray(values, np.float64), return_inverse=True)
        if importance is None:
            return cls.sorted(different, np.bincount(places)), places
        parts = np.asarray(importance, np.float64)
        largest = parts.max()
        parts = np.maximum(parts / largest, _LEAST) if largest > 0 else np.ones_like(parts)
        return cls.sorted(different, np.bincount(places, parts)), places

    @classmethod
    def sorted(cls, values: np.ndarray, weights: np.ndarray) -> "WeightedValues":
        """Returns weighted values; for the arguments see the class."""
        values, weights = np.asarray(values, np.float64), np.asarray(weights, np.float64)
        centre = float(values[values.size // 2])
        sums = np.zeros((3, values.size + 1), np.longdouble)
        sums[0, 1:], sums[1, 1:] = weights, weights * (values - centre)
        sums[2, 1:] = sums[1, 1:] * (values - centre)
        return cls(values, weights, centre, np.cumsum(sums, axis=1))

    @property
    def size(self) -> int:
        """Number of values."""
        return self.values.size

    def edges_of(self, centroids: np.ndarray) -> np.ndarray:
        """Returns where the interval of each centroid begins, and the end: int `(k + 1,)`.

        Args:
            centroids: `(k,)`, ascending. Halfway between two, a value goes to the lower one.
        """
        midpoints = (centroids[:-1] + centroids[1:]) / 2
        inner = np.searchsorted(self.values, midpoints, side="right")
        return np.concatenate([[0], inner, [self.size]])

    def means(self, edges: np.ndarray, former: np.ndarray) -> np.ndarray:
        """Returns the weighted mean of each interval, `(k,)`; of an empty one, what was there.

        Args:
            edges: `(k + 1,)`, ascending.
            former: `(k,)`.
        """
        weights, first, _ = self._between(edges)
        means = self.centre + first / np.where(weights > 0, weights, 1)
        return np.where(weights > 0, means, former).astype(np.float64)

    def errors(self, edges: np.ndarray, centroids: np.ndarray) -> np.ndarray:
        """Returns `sum weight * (value - centroid)**2` of each interval, `(k,)`.

        Args:
            edges: `(k + 1,)`, ascending.
            centroids: `(k,)`.
        """
        weights, first, second = self._between(edges)
        away = np.asarray(centroids, np.longdouble) - self.centre
        return np.maximum(second - away * (2 * first - away * weights), 0).astype(np.float64)

    def _between(self, edges: np.ndarray) -> np.ndarray:
        at_edges = self.sums[:, edges]
        return at_edges[:, 1:] - at_edges[:, :-1]


def lloyd(points: WeightedValues, centroids: np.ndarray) -> np.ndarray:
    """Returns centroids moved to the weighted means of their nearest values until none changes.

    Source: [Llo82].

    Args:
        points: The values.
        centroids: float64, `(k,)`, ascending. One that no value is nearest to stays where it is.
    """
    edges = points.edges_of(centroids)
    while True:
        centroids = points.means(edges, centroids)
        former, edges = edges, points.edges_of(centroids)
        if np.array_equal(edges, former):
            return centroids


def codes_of(edges: np.ndarray) -> np.ndarray:
    """Returns the number of the interval of each value, int32.

    Args:
        edges: Where each interval begins, and the end: `(k + 1,)`.
    """
    return np.repeat(np.arange(edges.size - 1, dtype=np.int32), np.diff(edges))

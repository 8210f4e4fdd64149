"""Cells: which values go to which centroid where each centroid has a cost of its own."""

from typing import Protocol

import numpy as np

from edgeax.formats.weighted_values import WeightedValues, codes_of

_BUCKETS = 64


def cells_of(centroids: np.ndarray, costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the centroids for which `(value - centroid)**2 + cost` is least for some value, int
    `(m,)`, and the limits between their values, `(m - 1,)`, ascending.

    Args:
        centroids: `(k,)`, ascending.
        costs: `(k,)`.
    """
    tiny = np.finfo(np.float64).tiny
    kept: list[int] = []
    limits: list[float] = []
    table = [*zip(centroids.tolist(), costs.tolist(), strict=True)]
    for code, (centroid, cost) in enumerate(table):
        while kept:
            other, other_cost = table[kept[-1]]
            gap = max(centroid - other, tiny)
            limit = (centroid + other + (cost - other_cost) / gap) / 2
            if not limits or limit > limits[-1]:
                limits.append(limit)
                break
            kept.pop()
            limits.pop()
        kept.append(code)
    return np.array(kept), np.array(limits)


class Cells(Protocol):
    """Values that go to centroids."""

    def assigned(
        self, centroids: np.ndarray, costs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Sends each value where `weight * (value - centroid)**2 + cost` is least.

        Args:
            centroids: `(k,)`, ascending.
            costs: `(k,)`.

        Returns:
            How many values each centroid gets, `(k,)`, their weighted means, `(k,)`, and the
            weighted squared error that these have.
        """
        ...

    def codes(self, centroids: np.ndarray, costs: np.ndarray) -> np.ndarray:
        """Returns where each value goes, int32 `(n,)`; see `assigned`."""
        ...


class EqualCells:
    """Values that weigh the same: the cells are intervals of the sorted values.

    Args:
        values: `(n,)`.
    """

    def __init__(self, values: np.ndarray) -> None:
        self._points, self._places = WeightedValues.of(values)

    def assigned(
        self, centroids: np.ndarray, costs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """See `Cells.assigned`."""
        edges = self._edges(centroids, costs)
        means = self._points.means(edges, centroids)
        counts = np.diff(self._points.sums[0][edges]).astype(np.float64)
        return counts, means, float(self._points.errors(edges, means).sum())

    def codes(self, centroids: np.ndarray, costs: np.ndarray) -> np.ndarray:
        """See `Cells.codes`."""
        return codes_of(self._edges(centroids, costs))[self._places]

    def _edges(self, centroids: np.ndarray, costs: np.ndarray) -> np.ndarray:
        kept, limits = cells_of(centroids, costs)
        ends = np.append(np.searchsorted(self._points.values, limits, "right"), self._points.size)
        # A centroid that is not kept has an empty interval before the next one that is.
        begins = np.concatenate([[0], ends])[np.searchsorted(kept, np.arange(centroids.size))]
        return np.append(begins, self._points.size)


class WeightedCells:
    """Values of which each has its own weight: the less it is, the more the costs count.

    Values of similar weights are looked at together. Centroids that are never the best for the
    largest of their weights are not for lower ones either.

    Args:
        values: `(n,)`.
        weights: `(n,)`, at least 0.
    """

    def __init__(self, values: np.ndarray, weights: np.ndarray) -> None:
        self._values, self._weights = values, weights
        order = np.argsort(weights, kind="stable")
        self._buckets = [part for part in np.array_split(order, _BUCKETS) if part.size]

    def assigned(
        self, centroids: np.ndarray, costs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """See `Cells.assigned`."""
        codes = self.codes(centroids, costs)
        size, away = centroids.size, self._values - centroids[codes]
        mass = np.bincount(codes, self._weights, size)
        sums = np.bincount(codes, self._weights * away, size)
        moved = sums / np.where(mass > 0, mass, 1)
        error = float(np.sum(self._weights * np.square(away - moved[codes])))
        return np.bincount(codes, minlength=size).astype(np.float64), centroids + moved, error

    def codes(self, centroids: np.ndarray, costs: np.ndarray) -> np.ndarray:
        """See `Cells.codes`."""
        codes = np.zeros(self._values.size, np.int32)
        for bucket in self._buckets:
            values, weights = self._values[bucket], self._weights[bucket]
            largest = weights[-1]
            if largest > 0:
                kept, limits = cells_of(centroids, costs / largest)
                begin = np.searchsorted(limits, values)
                codes[bucket] = kept[_best(values, weights, begin, centroids[kept], costs[kept])]
            else:
                codes[bucket] = np.argmin(costs)
        return codes


def _best(
    values: np.ndarray,
    weights: np.ndarray,
    begin: np.ndarray,
    centroids: np.ndarray,
    costs: np.ndarray,
) -> np.ndarray:
    """Returns the code of least `weight * (value - centroid)**2 + cost` of each value.

    Codes are tried on both sides of where it begins, as long as their distance alone does not cost
    too much already.
    """
    codes = begin.copy()
    best = weights * np.square(values - centroids[codes]) + costs[codes]
    least = costs.min()
    for step in (-1, 1):
        tried, code = np.arange(values.size), begin
        while tried.size:
            code = code + step
            inside = (code >= 0) & (code < centroids.size)
            tried, code = tried[inside], code[inside]
            away = centroids[code] - values[tried]
            error = weights[tried] * np.square(away)
            reaches = (error + least < best[tried]) | (away * step < 0)
            tried, code, cost = tried[reaches], code[reaches], (error + costs[code])[reaches]
            wins = cost < best[tried]
            best[tried[wins]], codes[tried[wins]] = cost[wins], code[wins]
    return codes

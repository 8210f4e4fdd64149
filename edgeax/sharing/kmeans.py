"""KMeans: centroids at the means of their nearest values, from one of three starts."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeax.formats.weighted_values import WeightedValues, lloyd
from edgeax.sharing.grouping import Grouping, Groups, groups_at
from edgeax.sharing.importance import Importance
from edgeax.transforms.checks import checked_choice


def linear(points: WeightedValues, count: int, seed: int = 0) -> np.ndarray:
    """Returns centroids that lie evenly from the least to the largest value. Source: [SH16]."""
    del seed
    return np.linspace(points.values[0], points.values[-1], count)


def density(points: WeightedValues, count: int, seed: int = 0) -> np.ndarray:
    """Returns values in the middle of equal shares of the weight. Source: [SH16]."""
    del seed
    shares = (np.arange(count) + 0.5) / count
    return points.values[_places_of(points.sums[0], shares)]


def plus_plus(points: WeightedValues, count: int, seed: int = 0) -> np.ndarray:
    """Returns values that are drawn one after the other, in proportion to the weighted square of
    their distance from those drawn before.
    """
    draws = np.random.default_rng(seed).random((count, 2))
    first = points.values[_places_of(points.sums[0], draws[:1, 0])]
    return _drawn(points, np.sort(first), draws[1:])


def _drawn(points: WeightedValues, chosen: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Adds a value for each of the draws: one for the interval, one for the place in it."""
    for interval_draw, place_draw in draws:
        edges = points.edges_of(chosen)
        # An interval of one value has no error, one of more has some, be it lost to rounding.
        errors = np.maximum(points.errors(edges, chosen), np.finfo(np.float64).tiny)
        interval = _places_of(_running(np.where(np.diff(edges) > 1, errors, 0)), interval_draw)
        inside = slice(edges[interval], edges[interval + 1])
        away = np.square(points.values[inside] - chosen[interval]) * points.weights[inside]
        value = points.values[edges[interval] + _places_of(_running(away), place_draw)]
        chosen = np.sort(np.append(chosen, value))
    return chosen


def _running(parts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(parts)])


def _places_of(running: np.ndarray, shares: Any) -> Any:
    """Returns in which part shares of the whole fall, given the running sums of the parts."""
    places = np.searchsorted(running, shares * running[-1], side="right") - 1
    return np.minimum(places, running.size - 2)


INITIALIZATIONS: dict[str, Callable[[WeightedValues, int, int], np.ndarray]] = {
    "linear": linear,
    "density": density,
    "kmeans++": plus_plus,
}


class KMeans(Grouping):
    """Lloyd's k-means: centroids move to the weighted means of their nearest values until none
    moves. That is a minimum, not always the least one: see `Optimal`.

    Source: [SH16], [Llo82].

    Args:
        initialization: `"linear"`, `"density"` or `"kmeans++"`.
        importance: See `Grouping`.

    Raises:
        ValueError: An argument is none of these.
    """

    def __init__(
        self, initialization: str = "linear", importance: str | Importance | None = None
    ) -> None:
        super().__init__(importance)
        self.initialization = checked_choice("initialization", initialization, (*INITIALIZATIONS,))

    def grouped(
        self, values: np.ndarray, importance: np.ndarray | None, count: int, seed: int
    ) -> Groups:
        """See `Grouping.grouped`."""
        points, places = WeightedValues.of(values, importance)
        start = INITIALIZATIONS[self.initialization](points, count, seed)
        return groups_at(points, places, points.edges_of(lloyd(points, start)))

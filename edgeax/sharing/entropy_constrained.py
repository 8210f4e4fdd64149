"""EntropyConstrained: the squared error of centroids weighed against the bits of their codes."""

import numpy as np

from edgeax.formats.methods import implements
from edgeax.sharing.cells import EqualCells, WeightedCells
from edgeax.sharing.grouping import Grouping, Groups
from edgeax.sharing.importance import Importance
from edgeax.sharing.kmeans import KMeans
from edgeax.transforms.checks import checked_strength

_MOST_ROUNDS = 100
_LEAST_GAIN = 1e-4  # of the cost: a round that gains less is the last one
_TEST = "tests/sharing/test_entropy_constrained.py::"


@implements("CEL16", test=_TEST + "test_cel16_entropy_falls_as_a_bit_costs_more")
class EntropyConstrained(Grouping):
    """Scalar quantization under a limit of entropy: each value goes to the centroid of least
    `importance * (value - centroid)**2 + cost of a bit * length of its code`, centroids go to the
    weighted means of their values, and lengths to `-log2` of the share that each code has. Codes
    that no value takes any more are given up.

    It starts from the centroids of k-means and ends where a round gains less than a part in
    10,000, or after 100 rounds. With `strength=0` it is k-means.

    Source: [CEL16].

    Args:
        strength: What a bit of a code costs, at least 0, as a part of the weighted variance of the
            values. The least error falls by 1.4 of itself for each bit more, so 0.01 suits an error
            of 0.7 % of the variance, that of about 20 centroids.
        importance: See `Grouping`.

    Raises:
        ValueError: An argument is out of its range.
    """

    keeps_codes = True

    def __init__(self, strength: float = 0.01, importance: str | Importance | None = None) -> None:
        super().__init__(importance)
        self.strength = checked_strength(strength)

    def grouped(
        self, values: np.ndarray, importance: np.ndarray | None, count: int, seed: int
    ) -> Groups:
        """See `Grouping.grouped`."""
        weights = None if importance is None else importance / (np.mean(importance) or 1.0)
        cells = EqualCells(values) if weights is None else WeightedCells(values, weights)
        _, _, variance = cells.assigned(np.zeros(1), np.zeros(1))
        bit = self.strength * variance / values.size
        groups = KMeans().grouped(values, importance, count, seed)
        centroids, sizes = groups.centroids, np.bincount(groups.codes).astype(np.float64)
        before = np.inf
        for _ in range(_MOST_ROUNDS):
            sizes, centroids, error = cells.assigned(centroids, bit * _lengths(sizes))
            centroids, sizes = centroids[sizes > 0], sizes[sizes > 0]
            cost = error + bit * float(sizes @ _lengths(sizes))
            if cost >= before * (1 - _LEAST_GAIN):
                break
            before = cost
        order = np.argsort(centroids, kind="stable")
        centroids, sizes = centroids[order], sizes[order]
        return Groups(centroids, cells.codes(centroids, bit * _lengths(sizes)))


def _lengths(sizes: np.ndarray) -> np.ndarray:
    """Returns the bits of a code that so many of the values have."""
    return -np.log2(sizes / sizes.sum())

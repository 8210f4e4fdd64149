"""Optimal: the least squared error that so many centroids can have."""

import numpy as np

from edgeax.formats.methods import implements
from edgeax.formats.weighted_values import WeightedValues
from edgeax.sharing.grouping import Grouping, Groups, groups_at
from edgeax.sharing.partition import optimal_edges

_TEST = "tests/sharing/test_optimal.py::"


@implements("YYZ20", test=_TEST + "test_yyz20_it_is_as_good_as_the_best_of_all_partitions")
class Optimal(Grouping):
    """k-means whose result is the best there is: sorted values cut into intervals by dynamic
    programming.

    The paper's recurrence `D[i][k] = min_j D[j - 1][k - 1] + error(j .. i)` takes O(n**2 k). The
    same minimum is found in O(n log n) steps for each of a few Lagrangian penalties per interval:
    see tflite_kernels/core/partition.h.

    Source: [YYZ20], of which this is the clustering; details from memory. Its training, which pulls
    weights to their centroids and clusters again after each epoch, is `Cluster(penalty=...)`.

    Args:
        importance: See `Grouping`.
    """

    def grouped(
        self, values: np.ndarray, importance: np.ndarray | None, count: int, seed: int
    ) -> Groups:
        """See `Grouping.grouped`."""
        del seed
        points, places = WeightedValues.of(values, importance)
        largest = np.max(np.abs(points.values - points.centre)) or 1.0
        edges = optimal_edges((points.values - points.centre) / largest, points.weights, count)
        return groups_at(points, places, edges)

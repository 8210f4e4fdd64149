"""Uniform: bins of one width, each with the mean of its values."""

import numpy as np

from edgeax.formats.methods import implements
from edgeax.formats.weighted_values import WeightedValues
from edgeax.sharing.grouping import Grouping, Groups, groups_at


@implements(
    "CEL16", test="tests/sharing/test_uniform.py::test_cel16_bins_of_one_width_get_their_means"
)
class Uniform(Grouping):
    """Bins of one width between the least and the largest value, each with the weighted mean of its
    values. Those without any are left out.

    Values crowd in few bins, so that a variable-length code of them is short. In the paper one
    width serves all layers together: `scope="network"`.

    Source: [CEL16].

    Args:
        importance: See `Grouping`.
    """

    keeps_codes = True

    def grouped(
        self, values: np.ndarray, importance: np.ndarray | None, count: int, seed: int
    ) -> Groups:
        """See `Grouping.grouped`."""
        del seed
        points, places = WeightedValues.of(values, importance)
        limits = np.linspace(points.values[0], points.values[-1], count + 1)[1:-1]
        inner = np.searchsorted(points.values, limits, side="right")
        return groups_at(points, places, np.concatenate([[0], inner, [points.size]]))

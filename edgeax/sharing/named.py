"""Names of groupings: what `edgeax.cluster` takes as words."""

from collections.abc import Callable
from typing import Any

from edgeax.sharing.entropy_constrained import EntropyConstrained
from edgeax.sharing.grouping import Grouping
from edgeax.sharing.kmeans import KMeans
from edgeax.sharing.optimal import Optimal
from edgeax.sharing.uniform import Uniform
from edgeax.sharing.weighted_entropy import WeightedEntropy
from edgeax.transforms.checks import named_object

GROUPINGS: dict[str, Callable[[], Grouping]] = {
    "kmeans": KMeans,
    "density": lambda: KMeans("density"),
    "kmeans++": lambda: KMeans("kmeans++"),
    "optimal": Optimal,
    "hessian": lambda: KMeans(importance="hessian"),
    "optimizer": lambda: KMeans(importance="optimizer"),
    "uniform": Uniform,
    "entropy": EntropyConstrained,
    "weighted_entropy": WeightedEntropy,
}


def grouping_of(given: Any) -> Grouping:
    """Returns the grouping that a word or an object stands for.

    Raises:
        ValueError: There is no such grouping.
    """
    return named_object("grouping", given, GROUPINGS, (Grouping,))

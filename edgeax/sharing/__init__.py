"""Weight sharing: how few values are found that stand for many weights."""

from edgeax.sharing.api import cluster
from edgeax.sharing.entropy_constrained import EntropyConstrained
from edgeax.sharing.grouping import Grouping, Groups
from edgeax.sharing.importance import IMPORTANCES, Hessian, Importance, SecondMoment
from edgeax.sharing.kmeans import KMeans
from edgeax.sharing.named import GROUPINGS
from edgeax.sharing.optimal import Optimal
from edgeax.sharing.partition import optimal_edges
from edgeax.sharing.uniform import Uniform
from edgeax.sharing.weighted_entropy import WeightedEntropy

__all__ = [
    "GROUPINGS",
    "IMPORTANCES",
    "EntropyConstrained",
    "Grouping",
    "Groups",
    "Hessian",
    "Importance",
    "KMeans",
    "Optimal",
    "SecondMoment",
    "Uniform",
    "WeightedEntropy",
    "cluster",
    "optimal_edges",
]

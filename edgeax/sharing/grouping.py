"""Grouping: how many values become few, and the groups that come of it."""

import dataclasses
from typing import Any

import numpy as np

from edgeax.formats.weighted_values import WeightedValues, codes_of
from edgeax.sharing.importance import Importance, importance_of
from edgeax.transforms.checks import checked_count, checked_seed


@dataclasses.dataclass(frozen=True, eq=False)
class Groups:
    """Few values that stand for many.

    Attributes:
        centroids: float64, `(k,)`, ascending.
        codes: int32, in the shape of the values: the place of the centroid of each.
    """

    centroids: np.ndarray
    codes: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """What stands for each value, float64."""
        return self.centroids[self.codes]

    @property
    def entropy_bits(self) -> float:
        """Bits that a code needs on average, when each is as long as it is rare."""
        shares = np.bincount(self.codes.ravel()) / max(self.codes.size, 1)
        shares = shares[shares > 0]
        return float(-np.sum(shares * np.log2(shares)))

    def error(self, values: Any, importance: Any = None) -> float:
        """Returns `sum importance * (value - centroid)**2`.

        Args:
            values: What was grouped.
            importance: A weight for each; None: all are 1.
        """
        squares = np.square(np.asarray(values, np.float64) - self.values)
        return float(np.sum(squares if importance is None else importance * squares))


class Grouping:
    """Puts values into groups, each of which gets one centroid. A new one is a subclass with a name
    in `named.GROUPINGS`.

    Args:
        importance: How much the error of each weight counts: `"hessian"`, `"optimizer"`, an
            `Importance`, or None: all count alike.

    Attributes:
        keeps_codes: Whether values belong to other centroids than the nearest.
    """

    keeps_codes = False

    def __init__(self, importance: str | Importance | None = None) -> None:
        self.importance = importance_of(importance)

    @property
    def needs(self) -> tuple[str, ...]:
        """What it must be given, of `"samples"`, `"labels"` and `"loss"`."""
        return () if self.importance is None else self.importance.needs

    def group(self, values: Any, importance: Any = None, count: int = 16, seed: int = 0) -> Groups:
        """Returns the groups of values.

        Args:
            values: Finite numbers of any shape.
            importance: How much the error of each counts, at least 0, in their shape; None: all
                count alike.
            count: Number of groups, at least 1, at most as many as there are different values.
                There may come out fewer.
            seed: Of what is random.

        Raises:
            ValueError: An argument is unusable.
        """
        found, weights = checked_values(values, importance, checked_count("count", count))
        groups = self.grouped(found.ravel(), weights, count, checked_seed(seed))
        return Groups(groups.centroids, groups.codes.reshape(found.shape))

    def grouped(
        self, values: np.ndarray, importance: np.ndarray | None, count: int, seed: int
    ) -> Groups:
        """Returns the groups of checked values `(n,)`; see `group`."""
        raise NotImplementedError


def checked_values(
    values: Any, importance: Any, count: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns values as float64, and their importance as float64 `(n,)` or None.

    Raises:
        ValueError: There are none, they are not finite or all but fewer different ones than
            `count`, or the importance has another shape, is not finite or below 0.
    """
    found = np.asarray(values, np.float64)
    if not found.size:
        raise ValueError(
            f"`values` must hold a value. Received: an empty array of shape {found.shape}. Leave "
            "it out."
        )
    if not np.isfinite(found).all():
        raise ValueError(
            "`values` must be finite. Received: NaN or infinity. Train again with a smaller "
            "learning rate."
        )
    different = np.unique(found).size
    if different < count:
        raise ValueError(
            f"`count` must not exceed the number of different values. Received: count={count} for "
            f"{different} different ones. Use fewer clusters, or leave them as they are."
        )
    if importance is None:
        return found, None
    weights = np.asarray(importance, np.float64)
    if weights.shape != found.shape or not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError(
            "`importance` must be finite numbers of at least 0 in the shape of `values`, "
            f"{found.shape}. Received: shape {weights.shape}, least {np.min(weights, initial=0)}."
        )
    return found, weights.ravel()


def groups_at(points: WeightedValues, places: np.ndarray, edges: np.ndarray) -> Groups:
    """Returns the groups that intervals of weighted values are, those that hold any.

    Args:
        points: What `WeightedValues.of` returned.
        places: And where each value is among them.
        edges: Where each interval begins, and the end.
    """
    edges = np.unique(edges)
    centroids = points.means(edges, np.zeros(edges.size - 1))
    return Groups(centroids, codes_of(edges)[places])

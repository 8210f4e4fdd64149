"""Which units go: the order in which scores take them, and how far down that order to go."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from edgeax.pruning.channel_macs import ChannelMacs


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """Units to remove.

    Attributes:
        removed: The units of each group in the order in which they go, int, by the group's name.
        at_least: Names of the groups that were kept from losing more.
        complete: Whether what was asked for is reached.
    """

    removed: dict[str, np.ndarray]
    at_least: tuple[str, ...]
    complete: bool


def removal_order(scores: Mapping[str, np.ndarray], scope: str) -> list[tuple[str, int]]:
    """Returns all units in the order in which they should go, as (group, unit).

    Args:
        scores: float64 `(units,)` of each group; of equal ones the first goes first.
        scope: `"global"`: the lowest score of all goes first. `"layer"`: of each group the lowest,
            and all groups lose about the same share of their units.
    """
    keyed = []
    for place, (name, values) in enumerate(scores.items()):
        for rank, unit in enumerate(np.argsort(values, kind="stable").tolist()):
            key = float(values[unit]) if scope == "global" else (rank + 1) / len(values)
            keyed.append((key, place, rank, name, unit))
    return [(name, unit) for _, _, _, name, unit in sorted(keyed)]


def share_of_all(
    order: list[tuple[str, int]], sizes: Mapping[str, int], sparsity: float, min_units: int
) -> Choice:
    """Returns the first `round(sparsity * units)` units of an order.

    Args:
        order: What `removal_order` returns.
        sizes: Units of each group.
        sparsity: In [0, 1).
        min_units: What every group keeps; others go instead.
    """
    count = round(sparsity * len(order))
    taker = _Taker(sizes, min_units)
    for name, unit in order:
        if taker.count == count:
            break
        taker.take(name, unit)
    return taker.choice(complete=taker.count == count)


def share_of_each(
    order: list[tuple[str, int]],
    sizes: Mapping[str, int],
    sparsity: Mapping[str, float],
    min_units: int,
) -> Choice:
    """Returns the first `round(sparsity * size)` units of each group in an order.

    Args:
        order: What `removal_order` returns.
        sizes: Units of each group.
        sparsity: In [0, 1), of each group.
        min_units: What every group keeps.
    """
    taker = _Taker(sizes, min_units)
    counts = {name: round(sparsity[name] * size) for name, size in sizes.items()}
    complete = True
    for name, unit in order:
        if len(taker.removed[name]) < counts[name]:
            complete = taker.take(name, unit) and complete
    return taker.choice(complete)


def until_macs(
    order: list[tuple[str, int]],
    sizes: Mapping[str, int],
    macs: ChannelMacs,
    most: float,
    min_units: int,
) -> Choice:
    """Returns the units of an order that go one by one until few enough multiply-accumulates are
    left: one unit less would leave too many.

    Args:
        order: What `removal_order` returns.
        sizes: Units of each group.
        macs: Counts them; it is left as it is.
        most: How many may be left.
        min_units: What every group keeps; others go instead.
    """
    counter = macs.copy()
    taker = _Taker(sizes, min_units)
    for name, unit in order:
        if counter.total <= most:
            break
        if taker.take(name, unit):
            counter.remove(name, unit)
    return taker.choice(counter.total <= most)


class _Taker:
    """Takes units out of groups as long as enough are left."""

    def __init__(self, sizes: Mapping[str, int], min_units: int) -> None:
        self.removed: dict[str, list[int]] = {name: [] for name in sizes}
        self._sizes = sizes
        self._min_units = min_units
        self._held: dict[str, None] = {}

    @property
    def count(self) -> int:
        """How many units are taken."""
        return sum(map(len, self.removed.values()))

    def take(self, name: str, unit: int) -> bool:
        """Takes a unit, and returns whether it could."""
        if self._sizes[name] - len(self.removed[name]) <= self._min_units:
            self._held[name] = None
            return False
        self.removed[name].append(unit)
        return True

    def choice(self, complete: bool) -> Choice:
        """Returns what was taken."""
        removed = {name: np.array(units, int) for name, units in self.removed.items()}
        return Choice(removed, tuple(self._held), complete)

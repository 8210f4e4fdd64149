"""Which units go: the order in which scores take them, and how far down that order to go.

An order is a list of steps; a step is the name of a group and the units of it that go at once.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from edgeax.pruning.channel_macs import ChannelMacs

Step = tuple[str, tuple[int, ...]]
Order = list[Step]

_MOST_OVER = 0.02
"""Share of all multiply-accumulates that the last step may take too many."""


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelChoice:
    """Units to remove.

    Attributes:
        removed: The units of each group in the order in which they go, int, by the group's name.
        at_least: Names of the groups that were kept from losing more.
        complete: Whether what was asked for is reached.
    """

    removed: dict[str, np.ndarray]
    at_least: tuple[str, ...]
    complete: bool


def removal_order(scores: Mapping[str, np.ndarray], scope: str, multiple_of: int = 1) -> Order:
    """Returns all units in the order in which they should go.

    Args:
        scores: float64 `(units,)` of each group; of equal ones the first goes first.
        scope: `"global"`: the lowest score of all goes first. `"layer"`: of each group the lowest,
            and all groups lose about the same share of their units.
        multiple_of: How many units are left of a group is a multiple of this behind each step; a
            step waits for the last of its units.
    """
    keyed = []
    for place, (name, values) in enumerate(scores.items()):
        for rank, unit in enumerate(np.argsort(values, kind="stable").tolist()):
            key = float(values[unit]) if scope == "global" else (rank + 1) / len(values)
            keyed.append((key, place, rank, name, unit))
    order: Order = []
    left = {name: len(values) for name, values in scores.items()}
    waiting: dict[str, list[int]] = {name: [] for name in scores}
    for _, _, _, name, unit in sorted(keyed):
        waiting[name].append(unit)
        left[name] -= 1
        if left[name] % multiple_of == 0:
            order.append((name, tuple(waiting[name])))
            waiting[name] = []
    return order


def share_of_all(
    order: Order, sizes: Mapping[str, int], sparsity: float, min_units: int
) -> ChannelChoice:
    """Returns the first `round(sparsity * units)` units of an order, up to the end of a step.

    Args:
        order: What `removal_order` returns.
        sizes: Units of each group.
        sparsity: In [0, 1).
        min_units: What every group keeps; others go instead.
    """
    count = round(sparsity * sum(sizes.values()))
    taker = _Taker(sizes, min_units)
    for name, units in order:
        if taker.count >= count:
            break
        taker.take(name, units)
    return taker.choice(complete=taker.count >= count)


def share_of_each(
    order: Order,
    sizes: Mapping[str, int],
    sparsity: Mapping[str, float],
    min_units: int,
) -> ChannelChoice:
    """Returns the first `round(sparsity * size)` units of each group in an order, or fewer where a
    step would take more.

    Args:
        order: What `removal_order` returns.
        sizes: Units of each group.
        sparsity: In [0, 1), of each group.
        min_units: What every group keeps.
    """
    taker = _Taker(sizes, min_units)
    counts = {name: round(sparsity[name] * size) for name, size in sizes.items()}
    complete = True
    for name, units in order:
        if len(taker.removed[name]) + len(units) <= counts[name]:
            complete = taker.take(name, units) and complete
    return taker.choice(complete)


def until_macs(
    order: Order,
    sizes: Mapping[str, int],
    macs: ChannelMacs,
    most: float,
    min_units: int,
) -> ChannelChoice:
    """Returns the units of an order that go step by step until few enough multiply-accumulates are
    left.

    Where a step would take many more than that, a later one that takes fewer goes as the last.

    Args:
        order: What `removal_order` returns.
        sizes: Units of each group.
        macs: Counts them; it is left as it is.
        most: How many may be left.
        min_units: What every group keeps; others go instead.
    """
    counter = macs.copy()
    taker = _Taker(sizes, min_units)
    for place, step in enumerate(order):
        if counter.total <= most:
            break
        if most - _after(counter, step) > _MOST_OVER * macs.total:
            step = _closest(order[place:], counter, most, taker)
        if taker.take(*step):
            counter = _without(counter, step)
    return taker.choice(counter.total <= most)


def _closest(order: Order, counter: ChannelMacs, most: float, taker: "_Taker") -> Step:
    """Returns, of the first steps of each group that come to at most `most`, the one that leaves
    the most; the first of the order if there is none.
    """
    first: dict[str, Step] = {}
    for step in order:
        first.setdefault(step[0], step)
    left = {
        after: step
        for step in reversed(first.values())
        if taker.can_take(*step) and (after := _after(counter, step)) <= most
    }
    return left[max(left)] if left else order[0]


def _after(counter: ChannelMacs, step: Step) -> float:
    return _without(counter, step).total


def _without(counter: ChannelMacs, step: Step) -> ChannelMacs:
    """Returns what counts behind a step."""
    name, units = step
    counter = counter.copy()
    for unit in units:
        counter.remove(name, unit)
    return counter


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

    def take(self, name: str, units: Sequence[int]) -> bool:
        """Takes the units of a step, and returns whether it could."""
        if not self.can_take(name, units):
            self._held[name] = None
            return False
        self.removed[name] += units
        return True

    def can_take(self, name: str, units: Sequence[int]) -> bool:
        """Returns whether enough would be left behind a step."""
        return self._sizes[name] - len(self.removed[name]) - len(units) >= self._min_units

    def choice(self, complete: bool) -> ChannelChoice:
        """Returns what was taken."""
        removed = {name: np.array(units, int) for name, units in self.removed.items()}
        return ChannelChoice(removed, tuple(self._held), complete)

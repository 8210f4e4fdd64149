"""Static memory plans: addresses of blocks that live for a while, close to the least total.

Finding the least total is NP-hard. Orders that are known to do well are tried first; where they
miss the lower bound a branch-and-bound search, limited in nodes so that it ends soon and always in
the same way, looks for something better.
"""

import dataclasses
from collections.abc import Callable, Sequence

_MOST_NODES = 100


@dataclasses.dataclass(frozen=True)
class Block:
    """Memory that keeps its address while it lives.

    Attributes:
        first: The first step at which it lives.
        sizes: Its bytes at each step from then on. They differ where tensors of other sizes take
            over in place.
    """

    first: int
    sizes: tuple[int, ...]

    @property
    def last(self) -> int:
        """The last step at which it lives."""
        return self.first + len(self.sizes) - 1

    def size_at(self, step: int) -> int:
        """Returns its bytes at a step, 0 where it does not live."""
        return self.sizes[step - self.first] if self.first <= step <= self.last else 0


def lower_bound(blocks: Sequence[Block], alignment: int = 1) -> int:
    """Returns bytes that no plan can do without: the most that live at one step."""
    steps = range(max((block.last for block in blocks), default=-1) + 1)
    return max((sum(_up(b.size_at(step), alignment) for b in blocks) for step in steps), default=0)


def total(blocks: Sequence[Block], offsets: Sequence[int], alignment: int = 1) -> int:
    """Returns the bytes that blocks at these offsets take."""
    ends = (at + _up(max(b.sizes), alignment) for b, at in zip(blocks, offsets, strict=True))
    return max(ends, default=0)


def place(blocks: Sequence[Block], alignment: int = 1) -> tuple[int, ...]:
    """Returns an offset for each block, such that blocks that live at the same step lie apart.

    The same blocks always get the same offsets.

    Args:
        blocks: What to place; each lives at one step at least.
        alignment: What all offsets are multiples of.
    """
    rounded = [Block(b.first, tuple(_up(size, alignment) for size in b.sizes)) for b in blocks]
    least = lower_bound(rounded)
    apart = _distances(rounded)
    best: tuple[int, ...] = ()
    for key in _ORDERS:
        order = sorted(range(len(rounded)), key=lambda i, key=key: (key(rounded[i]), i))
        found = _first_fit(order, rounded, apart)
        if not best or total(rounded, found) < total(rounded, best):
            best = found
        if total(rounded, best) == least:
            return best
    return _Search(rounded, apart, least, best).run()


_ORDERS: tuple[Callable[[Block], tuple[int, ...]], ...] = (
    lambda block: (-max(block.sizes), block.first),
    lambda block: (-max(block.sizes) * len(block.sizes),),
    lambda block: (-len(block.sizes), -max(block.sizes)),
    lambda block: (block.first, -max(block.sizes)),
    lambda block: (-block.last, -max(block.sizes)),
)


def _up(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _distances(blocks: Sequence[Block]) -> list[list[int]]:
    """Returns how far above block `i` a block `j` must begin at least, if it lies above it."""

    def distance(low: Block, high: Block) -> int:
        steps = range(max(low.first, high.first), min(low.last, high.last) + 1)
        return max((low.size_at(step) for step in steps), default=0)

    return [[0 if i is j else distance(i, j) for j in blocks] for i in blocks]


def _first_fit(
    order: Sequence[int], blocks: Sequence[Block], apart: list[list[int]]
) -> tuple[int, ...]:
    """Places blocks one after the other, each at the lowest free offset."""
    offsets: dict[int, int] = {}
    for index in order:
        others = [(at, other) for other, at in offsets.items() if apart[index][other]]
        tops = sorted({0, *(at + apart[other][index] for at, other in others)})
        offsets[index] = next(
            top
            for top in tops
            if all(
                at + apart[other][index] <= top or top + apart[index][other] <= at
                for at, other in others
            )
        )
    return tuple(offsets[index] for index in range(len(blocks)))


class _Search:
    """Branch and bound over the orders in which blocks are stacked from the bottom.

    Every plan whose blocks are pushed down as far as they go is reached by stacking its blocks in
    the order of their offsets, each directly above those below it that live at the same time.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        apart: list[list[int]],
        least: int,
        best: tuple[int, ...],
    ) -> None:
        self._blocks = blocks
        self._apart = apart
        self._least = least
        self._best = best
        self._bytes = total(blocks, best)
        self._nodes = _MOST_NODES
        steps = range(max((block.last for block in blocks), default=-1) + 1)
        self._living = [[i for i, b in enumerate(blocks) if b.size_at(step)] for step in steps]

    def run(self) -> tuple[int, ...]:
        """Returns the best offsets that were found."""
        if self._bytes > self._least:
            self._stack({}, [0] * len(self._blocks), 0)
        return self._best

    def _stack(self, placed: dict[int, int], lowest: list[int], floor: int) -> None:
        """Tries all blocks that may come next.

        Args:
            placed: Offsets of the blocks so far.
            lowest: For each block the offset that those allow.
            floor: The offset of the block before; offsets only grow.
        """
        self._nodes -= 1
        if len(placed) == len(self._blocks):
            self._best = tuple(placed[index] for index in range(len(placed)))
            self._bytes = total(self._blocks, self._best)
            return
        ready = [i for i, at in enumerate(lowest) if i not in placed and at >= floor]
        for index in sorted(ready, key=lambda i: (lowest[i], -max(self._blocks[i].sizes), i)):
            if self._nodes <= 0 or self._bytes == self._least:
                return
            at = lowest[index]
            above = [
                max(other, at + self._apart[index][i]) if self._apart[index][i] else other
                for i, other in enumerate(lowest)
            ]
            placed[index] = at
            if self._bound(placed, above, at) < self._bytes:
                self._stack(placed, above, at)
            del placed[index]

    def _bound(self, placed: dict[int, int], lowest: list[int], floor: int) -> int:
        """Returns bytes that any way to go on takes at least."""
        bound = 0
        for step, living in enumerate(self._living):
            waiting = [index for index in living if index not in placed]
            if waiting:
                bottom = max(floor, min(lowest[index] for index in waiting))
                sizes = sum(self._blocks[index].size_at(step) for index in waiting)
                bound = max(bound, bottom + sizes)
        ends = (placed[index] + max(self._blocks[index].sizes) for index in placed)
        return max(bound, max(ends))

"""Static memory plans: addresses of blocks that live for a while, close to the least total.

Finding the least total is NP-hard. Orders that are known to do well are tried first; where they
miss the lower bound a branch-and-bound search, limited in nodes so that it ends soon and always in
the same way, looks for something better.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

_MOST_TRIES = 8000
_MOST_WORK = 20_000_000  # tries, times what one of them looks at
_MOST_REPAIRS = 60
_QUICK = 10  # how much shorter a short while is
_FAR = np.iinfo(np.int64).max

Offsets = tuple[int, ...]
Closer = Mapping[tuple[int, int, int], int]
"""Blocks that share memory: `(low, high, step)` to the bytes that block `high` must begin above
block `low` at that step, if it begins above it; without an entry all bytes of `low`."""


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


def lower_bound(blocks: Sequence[Block], alignment: int = 1, closer: Closer | None = None) -> int:
    """Returns bytes that no plan can do without: the most that live at one step."""
    rounded = [Block(b.first, tuple(_up(size, alignment) for size in b.sizes)) for b in blocks]
    saved = _saved(rounded, _rounded(closer, alignment))
    steps = range(max((block.last for block in blocks), default=-1) + 1)
    needed = (sum(b.size_at(step) for b in rounded) - saved.get(step, 0) for step in steps)
    return max(needed, default=0)


def total(blocks: Sequence[Block], offsets: Sequence[int], alignment: int = 1) -> int:
    """Returns the bytes that blocks at these offsets take."""
    ends = (at + _up(max(b.sizes), alignment) for b, at in zip(blocks, offsets, strict=True))
    return max(ends, default=0)


def place(
    blocks: Sequence[Block],
    alignment: int = 1,
    closer: Closer | None = None,
    quick: bool = False,
) -> Offsets:
    """Returns an offset for each block, such that blocks that live at the same step lie apart.

    The same blocks always get the same offsets.

    Args:
        blocks: What to place; each lives at one step at least.
        alignment: What all offsets are multiples of.
        closer: Blocks that may lie closer than their sizes say.
        quick: Whether to look for a short while only.
    """
    if not blocks:
        return ()
    rounded = [Block(b.first, tuple(_up(size, alignment) for size in b.sizes)) for b in blocks]
    closer = _rounded(closer, alignment)
    least = lower_bound(rounded, closer=closer)
    apart = _distances(rounded, closer)
    best: Offsets | None = None
    for order in _orders(rounded):
        found = _repaired(order, rounded, apart, least, quick)
        if best is None or total(rounded, found) < total(rounded, best):
            best = found
        if total(rounded, best) == least:
            return best
    return _Search(rounded, apart, closer, least, best or (), quick).run()


def _orders(blocks: Sequence[Block]) -> Iterator[list[int]]:
    """Yields orders in which placing blocks one by one does well."""
    for key in _KEYS:
        keys = [(*key(block), index) for index, block in enumerate(blocks)]
        yield sorted(range(len(blocks)), key=keys.__getitem__)


_KEYS: tuple[Callable[[Block], tuple[int, ...]], ...] = (
    lambda block: (-max(block.sizes), block.first),
    lambda block: (-max(block.sizes) * len(block.sizes),),
    lambda block: (-len(block.sizes), -max(block.sizes)),
    lambda block: (block.first, -max(block.sizes)),
    lambda block: (-block.last, -max(block.sizes)),
)


def _up(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _rounded(closer: Closer | None, alignment: int) -> dict[tuple[int, int, int], int]:
    return {pair: _up(distance, alignment) for pair, distance in (closer or {}).items()}


def _saved(blocks: Sequence[Block], closer: Closer) -> dict[int, int]:
    """Returns for each step the bytes that blocks can share at most."""
    by_step: dict[int, int] = {}
    for (low, high, step), distance in closer.items():
        sizes = blocks[low].size_at(step), blocks[high].size_at(step)
        shared = min(max(sizes[0] - distance, 0), sizes[1])
        by_step[step] = by_step.get(step, 0) + shared
    return by_step


def _distances(blocks: Sequence[Block], closer: Closer) -> list[list[int]]:
    """Returns how far above block `i` a block `j` must begin at least, if it lies above it."""

    def distance(low: int, high: int) -> int:
        one, other = blocks[low], blocks[high]
        steps = range(max(one.first, other.first), min(one.last, other.last) + 1)
        sizes = (closer.get((low, high, step), one.size_at(step)) for step in steps)
        return 0 if low == high else max(sizes, default=0)

    numbers = range(len(blocks))
    return [[distance(low, high) for high in numbers] for low in numbers]


def _repaired(
    order: list[int],
    blocks: Sequence[Block],
    apart: list[list[int]],
    least: int,
    quick: bool,
) -> Offsets:
    """Places blocks again and again, each time that first which came to lie highest."""
    best = found = _first_fit(order, blocks, apart)
    repairs = min(_MOST_REPAIRS, _MOST_WORK // 100 // len(blocks) ** 2)
    for _ in range(repairs // (_QUICK if quick else 1)):
        if total(blocks, best) == least:
            break
        ends = [at + max(block.sizes) for block, at in zip(blocks, found, strict=True)]
        highest = max(range(len(blocks)), key=ends.__getitem__)
        order = [highest, *(index for index in order if index != highest)]
        found = _first_fit(order, blocks, apart)
        best = min(best, found, key=lambda offsets: total(blocks, offsets))
    return best


def _first_fit(order: Sequence[int], blocks: Sequence[Block], apart: list[list[int]]) -> Offsets:
    """Places blocks one after the other, each at the lowest free offset."""
    offsets: dict[int, int] = {}
    for index in order:
        others = [
            (at, other)
            for other, at in offsets.items()
            if apart[index][other] or apart[other][index]
        ]
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
        closer: Closer,
        least: int,
        best: Offsets,
        quick: bool,
    ) -> None:
        steps = range(max((block.last for block in blocks), default=-1) + 1)
        self._blocks = blocks
        self._apart = np.array(apart)
        self._meets = (self._apart > 0) | (self._apart.T > 0)
        saved = _saved(blocks, closer)
        self._saved = np.array([saved.get(step, 0) for step in steps])
        self._sizes = np.array([[block.size_at(step) for block in blocks] for step in steps])
        self._largest = self._sizes.max(axis=0)
        self._least = least
        self._best = best
        self._bytes = total(blocks, best)
        self._tries = min(_MOST_TRIES, _MOST_WORK // self._sizes.size) // (_QUICK if quick else 1)

    def run(self) -> Offsets:
        """Returns the best offsets that were found."""
        count = len(self._blocks)
        offsets = np.zeros(count, np.int64)
        self._stack(offsets, offsets.copy(), np.ones(count, bool), 0, 0)
        return self._best

    def _stack(
        self, placed: np.ndarray, lowest: np.ndarray, waiting: np.ndarray, floor: int, top: int
    ) -> None:
        """Tries all blocks that may come next.

        Args:
            placed: Offsets of the blocks so far.
            lowest: For each block the offset that those allow.
            waiting: The blocks that are not placed yet.
            floor: The offset of the block before; offsets only grow.
            top: Bytes of the blocks so far.
        """
        if not waiting.any():
            self._best, self._bytes = tuple(map(int, placed)), top
            return
        ready = np.flatnonzero(waiting & (lowest >= floor))
        for index in ready[np.lexsort((ready, -self._largest[ready], lowest[ready]))]:
            if self._tries <= 0 or self._bytes == self._least:
                return
            self._tries -= 1
            at = int(lowest[index])
            others = waiting.copy()
            others[index] = False
            pushed = np.maximum(lowest, at + self._apart[index])
            above = np.where(self._meets[index], pushed, lowest)
            reached = max(top, at + int(self._largest[index]))
            if max(reached, self._bound(above, others, at)) < self._bytes:
                placed[index] = at
                self._stack(placed, above, others, at, reached)

    def _bound(self, lowest: np.ndarray, waiting: np.ndarray, floor: int) -> int:
        """Returns bytes that the blocks still waiting take at least, whatever their order."""
        sizes = self._sizes * waiting
        bottoms = np.where(sizes > 0, lowest, _FAR).min(axis=1)
        needed = np.maximum(bottoms, floor) + sizes.sum(axis=1) - self._saved
        return int(np.where(bottoms < _FAR, needed, 0).max())

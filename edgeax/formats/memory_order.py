"""The order of steps in which the fewest bytes live at once, where a graph leaves a choice."""

import dataclasses
import heapq
from collections.abc import Collection, Mapping, Sequence

_MOST_NODES = 2000


@dataclasses.dataclass(frozen=True)
class Task:
    """A step of which only memory counts.

    Attributes:
        reads: Numbers of the values it reads.
        writes: Numbers of the values it writes.
        scratch_bytes: Bytes it needs besides.
        in_place: Pairs of a value read and one written that may be one memory.
    """

    reads: tuple[int, ...]
    writes: tuple[int, ...]
    scratch_bytes: int = 0
    in_place: tuple[tuple[int, int], ...] = ()


def peak(
    tasks: Sequence[Task],
    sizes: Mapping[int, int],
    inputs: Collection[int],
    outputs: Collection[int],
) -> int:
    """Returns the most bytes that live at one task, in the order given.

    Args:
        tasks: What runs.
        sizes: Bytes of each value that counts; others are left out.
        inputs: Values that live from the beginning.
        outputs: Values that live to the end.
    """
    ledger = _Ledger(tasks, sizes, inputs, outputs)
    live, most, done = ledger.first_live, 0, 0
    for index in range(len(tasks)):
        during, live = ledger.after(index, live, done)
        most = max(most, during)
        done |= 1 << index
    return most


def best_order(
    tasks: Sequence[Task],
    sizes: Mapping[int, int],
    inputs: Collection[int],
    outputs: Collection[int],
    kept: Collection[int] = (),
) -> tuple[int, ...]:
    """Returns the numbers of the tasks in an order with the least peak.

    The order given is kept where it is as good, and where a graph is so wide that the search would
    take too long.

    Args:
        tasks: As for `peak`; each reads only what came before it.
        sizes: As for `peak`.
        inputs: As for `peak`.
        outputs: As for `peak`.
        kept: Values that several tasks may write: all tasks that use one keep their order.
    """
    given = tuple(range(len(tasks)))
    ledger = _Ledger(tasks, sizes, inputs, outputs)
    limit = peak(tasks, sizes, inputs, outputs)
    if limit == ledger.least:
        return given
    needs = _needs(tasks, kept)
    frugal = _frugal_order(ledger, needs)
    least = peak([tasks[index] for index in frugal], sizes, inputs, outputs)
    best, limit = (frugal, least) if least < limit else (given, limit)
    if limit == ledger.least:
        return best
    heap: list[tuple[int, int, tuple[int, ...], int, int]] = [(0, 0, (), 0, ledger.first_live)]
    seen: set[int] = set()
    for _ in range(_MOST_NODES):
        if not heap:
            break
        most, _, order, done, live = heapq.heappop(heap)
        if len(order) == len(tasks):
            return order
        if done in seen:
            continue
        seen.add(done)
        ready = _ready(needs, done)
        for index, during, rest in _choices(ledger, ready, most, live, done):
            if max(most, during) < limit:
                entry = (max(most, during), -len(order) - 1, (*order, index))
                heapq.heappush(heap, (*entry, done | 1 << index, rest))
    return best


def _ready(needs: Sequence[int], done: int) -> list[int]:
    return [i for i, need in enumerate(needs) if not done >> i & 1 and not need & ~done]


def _frugal_order(ledger: "_Ledger", needs: Sequence[int]) -> tuple[int, ...]:
    """Returns the order in which each task leaves as few bytes as is possible at its time."""
    order: list[int] = []
    live, done = ledger.first_live, 0
    while len(order) < len(needs):
        choices = _choices(ledger, _ready(needs, done), 0, live, done)
        index, _, live = min(choices, key=lambda choice: (choice[2], choice[1], choice[0]))
        order.append(index)
        done |= 1 << index
    return tuple(order)


def _choices(
    ledger: "_Ledger", ready: Sequence[int], most: int, live: int, done: int
) -> list[tuple[int, int, int]]:
    """Returns the tasks that may come next, with the bytes during and after each.

    A task that frees as much as it takes, below the peak so far, may as well run at once.
    """
    choices = [(index, *ledger.after(index, live, done)) for index in ready]
    for choice in choices:
        if choice[1] <= most and choice[2] <= live:
            return [choice]
    return choices


def _needs(tasks: Sequence[Task], kept: Collection[int]) -> list[int]:
    """Returns for each task a bit for each one that must come before it."""
    writers: dict[int, int] = {}
    users: dict[int, int] = {}
    needs = []
    for index, task in enumerate(tasks):
        need = 0
        for value in task.reads:
            need |= writers.get(value, 0)
        for value in {*task.reads, *task.writes} & {*kept}:
            need |= users.get(value, 0)
            users[value] = users.get(value, 0) | 1 << index
        for value in task.writes:
            writers[value] = 1 << index
        needs.append(need)
    return needs


class _Ledger:
    """Counts the bytes that live before, at and after each task."""

    def __init__(
        self,
        tasks: Sequence[Task],
        sizes: Mapping[int, int],
        inputs: Collection[int],
        outputs: Collection[int],
    ) -> None:
        self._tasks = tasks
        self._sizes = sizes
        self._outputs = {*outputs}
        self._readers: dict[int, int] = {}
        for index, task in enumerate(tasks):
            for value in task.reads:
                self._readers[value] = self._readers.get(value, 0) | 1 << index
        self.first_live = sum(
            sizes.get(value, 0) for value in {*inputs} if self._is_wanted(value, 0)
        )
        self.least = max((self._alone(task) for task in tasks), default=0)

    def after(self, index: int, live: int, done: int) -> tuple[int, int]:
        """Returns the bytes that live while a task runs and after it.

        Args:
            index: The task.
            live: Bytes that live before it.
            done: A bit for each task that ran before it.
        """
        task = self._tasks[index]
        done |= 1 << index
        dying = [value for value in {*task.reads} if not self._is_wanted(value, done)]
        written = sum(self._sizes.get(value, 0) for value in {*task.writes})
        during = live + written + task.scratch_bytes - self._shared(task, dying)
        kept = sum(self._sizes.get(v, 0) for v in {*task.writes} if self._is_wanted(v, done))
        return during, live + kept - sum(self._sizes.get(value, 0) for value in dying)

    def _is_wanted(self, value: int, done: int) -> bool:
        return value in self._outputs or bool(self._readers.get(value, 0) & ~done)

    def _shared(self, task: Task, dying: Collection[int]) -> int:
        shared = 0
        used: set[int] = set()
        for read, write in task.in_place:
            if read in dying and not {read, ~write} & used:
                used |= {read, ~write}
                shared += min(self._sizes.get(read, 0), self._sizes.get(write, 0))
        return shared

    def _alone(self, task: Task) -> int:
        sizes = sum(self._sizes.get(value, 0) for value in {*task.reads, *task.writes})
        return sizes + task.scratch_bytes - self._shared(task, task.reads)

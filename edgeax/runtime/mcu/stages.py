"""Which steps run together in stripes: every stage that may pay, and the cheapest set that fits.

A program is cut into stages (see `stripes.py`), each of which takes so many bytes while it runs and
so many instructions more than calls of whole kernels. As bytes are a maximum and instructions a sum
over the stages, the cheapest cut below a number of bytes is a shortest path.
"""

import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from edgeax.runtime.mcu import stripes
from edgeax.runtime.mcu.plan import Call, Place, Stage, round_up, stage_of
from edgeax.runtime.mcu.program import Array, Elements, Program
from edgeax.runtime.mcu.targets import Target

_HEIGHTS = (1, 2, 4, 8)
_MOST_STEPS = 12
_THRIFT = 0.4  # part of a step that it takes longer where it has hardly any scratch


@dataclasses.dataclass(frozen=True)
class Share:
    """An output of a stage in the memory of an input that ends there.

    Attributes:
        source: The storage that ends.
        target: The storage that begins.
        behind: Bytes that the target begins before the source; None: they are the same memory.
    """

    source: int
    target: int
    behind: int | None


@dataclasses.dataclass(frozen=True)
class Candidate:
    """Steps that may run together.

    Attributes:
        first: Place of its first step in the program.
        end: The place behind its last step.
        run: How it runs in stripes; None: one step, computed by one call.
        line_bytes: Bytes of the buffer of each storage that it holds in part.
        scratch_bytes: Bytes of memory of kernels while they run.
        shares: Outputs in the memory of inputs.
        peak_bytes: Bytes in use while it runs: what it takes, and storages that live through it.
        cost: Instructions more than one call of each step takes, estimated.
        is_thrifty: Whether its steps are those that take less scratch.
    """

    first: int
    end: int
    run: stripes.Stripes | None
    line_bytes: Mapping[int, int]
    scratch_bytes: int
    shares: tuple[Share, ...]
    peak_bytes: int
    cost: float
    is_thrifty: bool = False


class Lifetimes:
    """When the storages of a program live that are no states, by places of steps.

    Attributes:
        begin: Place of the step that writes a storage; -1: it is there from the start.
        last: Place of the last step that reads it; the number of steps: it is there in the end.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        count = len(program.steps)
        self.begin: dict[int, int] = {}
        self.last: dict[int, int] = {}
        self.writes: dict[int, int] = {}
        self.size: dict[int, int] = {}
        self._states = {program.storage(n) for n, value in program.values.items() if value.is_state}
        for value in program.inputs:
            self._touch(program.storage(value), -1)
        for place, step in enumerate(program.steps):
            for value in (*step.values_read, *step.writes):
                self._touch(program.storage(value), place)
            for value in step.writes:
                storage = program.storage(value)
                self.writes[storage] = self.writes.get(storage, 0) + 1
        for value in program.outputs:
            self._touch(program.storage(value), count)
        for value, tensor in program.values.items():
            storage = program.storage(value)
            self.size[storage] = max(self.size.get(storage, 0), round_up(tensor.size_bytes))

    def _touch(self, storage: int, place: int) -> None:
        if storage in self._states:
            return
        self.begin.setdefault(storage, place)
        self.last[storage] = place

    def through(self, first: int, end: int) -> list[int]:
        """Returns the storages that live before, in and behind the steps `[first, end)`."""
        return [s for s, begin in self.begin.items() if begin < first and self.last[s] >= end]

    def ending(self, first: int, end: int) -> list[int]:
        """Returns the storages from before the steps `[first, end)` that are read last in them."""
        return [s for s, b in self.begin.items() if b < first and first <= self.last[s] < end]

    def held(self, first: int, end: int) -> list[int]:
        """Returns the storages that the steps `[first, end)` write and others read."""
        return [s for s, b in self.begin.items() if first <= b < end <= self.last[s]]


@dataclasses.dataclass(frozen=True)
class Prices:
    """Estimated instructions; fitted to counts of single layers of vww and ic in stripes.

    Attributes:
        elements: Of a call of an element-wise step beyond the first one.
        call: Of a call of another step beyond the first one.
        channel: What such a call does for each output channel.
        weight: What it does for each weight that an output pixel needs.
        read_again: Of a byte of the rows that the call before has read, where a kernel takes rows
            apart.
        moved_byte: Of a byte of a line that is moved to the front of its buffer.
        mac: Of a multiply-accumulate.
    """

    elements: float
    call: float
    channel: float
    weight: float
    read_again: float
    moved_byte: float
    mac: float


_HELIUM = Prices(110.0, 400.0, 37.0, 0.1, 4.0, 0.7, 0.4)
_DSP = Prices(110.0, 400.0, 52.0, 0.8, 3.0, 0.7, 1.2)
_PORTABLE = Prices(110.0, 400.0, 52.0, 0.8, 3.0, 0.7, 6.0)
_TAKES_APART = ("DepthwiseConv2D", "PackedDepthwiseConv2D")  # kernels


def prices_on(target: Target) -> Prices:
    """Returns the prices on a processor."""
    return _HELIUM if target.has_helium else _DSP if target.has_dsp else _PORTABLE


class Cuts:
    """All stages of a program, and the cheapest ways to cut it into them.

    A step may have a twin that takes less scratch and more time.

    Attributes:
        lifetimes: When its storages live.
        prices: What things cost on the processor.
        candidates: All stages that may be chosen.
    """

    def __init__(self, program: Program, target: Target, thrifty: Program | None = None) -> None:
        self._thrifty = thrifty or program
        self.lifetimes = Lifetimes(program)
        self.prices = prices_on(target)
        self._program = program
        self._rows = [stripes.rows_of(program, place) for place in range(len(program.steps))]
        self.candidates = list(self._candidates())

    @property
    def instructions(self) -> float:
        """Instructions of the program, estimated."""
        return sum(step.macs for step in self._program.steps) * self.prices.mac

    def peaks(self) -> list[int]:
        """Returns the bytes that some stage takes, growing."""
        return sorted({stage.peak_bytes for stage in self.candidates})

    def cheapest(self, most_bytes: int) -> tuple[Candidate, ...] | None:
        """Returns the stages that cost least and take so many bytes at most; None: there are none.

        Of cuts that cost the same, the one that takes less.
        """
        best: list[tuple[float, int, tuple[Candidate, ...]] | None] = [(0.0, 0, ())]
        for end in range(1, len(self._program.steps) + 1):
            ways = [
                (before[0] + stage.cost, max(before[1], stage.peak_bytes), (*before[2], stage))
                for stage in self._by_end.get(end, ())
                if stage.peak_bytes <= most_bytes and (before := best[stage.first]) is not None
            ]
            best.append(min(ways, key=lambda way: way[:2], default=None))
        return None if best[-1] is None else best[-1][2]

    @functools.cached_property
    def _by_end(self) -> dict[int, list[Candidate]]:
        by_end: dict[int, list[Candidate]] = {}
        for stage in self.candidates:
            by_end.setdefault(stage.end, []).append(stage)
        return by_end

    def _candidates(self) -> Iterator[Candidate]:
        for candidate in self._roomy():
            yield candidate
            yield from self._with_less_scratch(candidate)

    def _with_less_scratch(self, candidate: Candidate) -> Iterator[Candidate]:
        """Yields the same stage of steps that take less scratch, if they do."""
        pairs = [
            (self._program.steps[place], self._thrifty.steps[place])
            for place in range(candidate.first, candidate.end)
        ]
        scratch = max(slow.scratch_bytes for _, slow in pairs)
        saved = round_up(candidate.scratch_bytes) - round_up(scratch)
        if saved > 0:
            slower = sum(
                fast.macs * (1 - slow.scratch_bytes / fast.scratch_bytes)
                for fast, slow in pairs
                if fast.scratch_bytes
            )
            yield dataclasses.replace(
                candidate,
                scratch_bytes=scratch,
                peak_bytes=candidate.peak_bytes - saved,
                cost=candidate.cost + slower * self.prices.mac * _THRIFT,
                is_thrifty=True,
            )

    def _roomy(self) -> Iterator[Candidate]:
        for first in range(len(self._program.steps)):
            yield self._whole(first)
            steps: list[stripes.Rows] = []
            for step in self._rows[first : first + _MOST_STEPS]:
                if step is None:
                    break
                steps.append(step)
                yield from self._striped(first, steps)

    def _whole(self, place: int) -> Candidate:
        """Returns a step that one call computes."""
        ending = set(self.lifetimes.ending(place, place + 1))
        in_place = stage_of(self._program, place).in_place
        shares = [Share(read, write, None) for read, write in in_place if read in ending]
        return self._candidate(place, place + 1, None, {}, shares)

    def _striped(self, first: int, steps: Sequence[stripes.Rows]) -> Iterator[Candidate]:
        """Returns the stages of some steps in all heights."""
        end = first + len(steps)
        held = self.lifetimes.held(first, end)
        row_bytes = self._row_bytes(steps)
        inner = {step.write for step in steps} - set(held)
        if row_bytes is None or steps[-1].write in inner or not self._reaches(steps, held):
            return
        for height in _HEIGHTS:
            if height >= steps[-1].window.output_rows:
                return
            run = stripes.stripes(steps, frozenset(held), height)
            shares = [
                Share(source, target, behind)
                for source, target in itertools.product(self.lifetimes.ending(first, end), held)
                for behind in self._behind(run, source, target, row_bytes)
            ]
            yield self._candidate(first, end, run, row_bytes, shares)

    def _row_bytes(self, steps: Sequence[stripes.Rows]) -> dict[int, int] | None:
        """Returns bytes of a row of every storage; None where steps see rows differently."""
        rows: dict[int, int] = {}
        for step in steps:
            for storage, count in (
                *((read, step.window.input_rows) for read in step.reads),
                (step.write, step.window.output_rows),
            ):
                if rows.setdefault(storage, count) != count:
                    return None
        sizes = {s: self._program.values[s].size_bytes for s in rows}
        if any(size % rows[s] for s, size in sizes.items()):
            return None
        if any(self.lifetimes.writes[step.write] != 1 for step in steps):
            return None
        return {storage: size // rows[storage] for storage, size in sizes.items()}

    def _reaches(self, steps: Sequence[stripes.Rows], held: Sequence[int]) -> bool:
        """Returns whether a later step reads what each but the last writes."""
        read = {s for step in steps for s in step.reads}
        return all(step.write in read or step.write in held for step in steps[:-1])

    def _behind(
        self, run: stripes.Stripes, source: int, target: int, row_bytes: Mapping[int, int]
    ) -> Iterator[int | None]:
        """Returns how a target may lie in a source: None, the same memory, or bytes behind it."""
        if source not in row_bytes:
            return
        found = stripes.sharing(run, source, target, row_bytes)
        if found.same:
            yield None
        if found.behind < self.lifetimes.size[target]:
            yield round_up(found.behind)

    def _candidate(
        self,
        first: int,
        end: int,
        run: stripes.Stripes | None,
        row_bytes: Mapping[int, int],
        shares: Sequence[Share],
    ) -> Candidate:
        size = self.lifetimes.size
        chosen = max(_matchings(shares), key=lambda some: sum(_saved(s, size) for s in some))
        lines = {s: round_up(rows * row_bytes[s]) for s, rows in run.lines.items()} if run else {}
        scratch = max(step.scratch_bytes for step in self._program.steps[first:end])
        life = self.lifetimes
        living = {*life.through(first, end), *life.ending(first, end), *life.held(first, end)}
        if not run:  # what nobody reads is written too
            written = {self._program.storage(v) for v in self._program.steps[first].writes}
            living |= written & life.begin.keys()
        peak = sum(size[s] for s in living) + sum(lines.values()) + round_up(scratch)
        peak -= sum(_saved(share, size) for share in chosen)
        return Candidate(
            first, end, run, lines, scratch, tuple(chosen), peak, self._cost(run, row_bytes)
        )

    def _cost(self, run: stripes.Stripes | None, row_bytes: Mapping[int, int]) -> float:
        if run is None:
            return 0.0
        moved = sum(rows * row_bytes[storage] for storage, rows in run.moved_rows.items())
        calls = Counter(call.place for call in run.calls)
        again = sum(
            (count - 1) * self._call_cost(run.steps[place], row_bytes)
            for place, count in calls.items()
        )
        return again + moved * self.prices.moved_byte

    def _call_cost(self, rows: stripes.Rows, row_bytes: Mapping[int, int]) -> float:
        """Returns the instructions of one more call of a step."""
        step, prices = self._program.steps[rows.step], self.prices
        if isinstance(step.extent, Elements):
            return prices.elements
        _, height, width, channels = self._program.values[step.writes[0]].shape
        weights = step.macs // (height * width)
        cost = prices.call + prices.channel * channels + prices.weight * weights
        if step.kernel in _TAKES_APART:
            window = rows.window
            again = max((window.kernel - 1) * window.dilation + 1 - window.stride, 0)
            cost += prices.read_again * again * row_bytes[rows.reads[0]]
        return cost


def _saved(share: Share, size: Mapping[int, int]) -> int:
    """Returns the bytes that two storages take less than their sum."""
    source, target = size[share.source], size[share.target]
    together = max(source, target) if share.behind is None else max(source + share.behind, target)
    return max(source + target - together, 0)


def _matchings(shares: Sequence[Share]) -> Iterator[list[Share]]:
    """Returns all ways to choose among shares, each storage at most once."""
    if not shares:
        yield []
        return
    one, rest = shares[0], shares[1:]
    yield from _matchings(rest)
    free = [s for s in rest if s.source != one.source and s.target != one.target]
    for some in _matchings(free):
        yield [one, *some]


def stage(program: Program, candidate: Candidate) -> Stage:
    """Returns the stage of a plan."""
    if candidate.run is None:
        return stage_of(program, candidate.first)
    steps = [program.steps[step.step] for step in candidate.run.steps]
    scratch = -1 - candidate.first
    lines = {storage: scratch - at for at, storage in enumerate(candidate.line_bytes, start=1)}
    sizes = {lines[storage]: size for storage, size in candidate.line_bytes.items()}
    if candidate.scratch_bytes:
        sizes[scratch] = candidate.scratch_bytes

    def place(value: int) -> Place:
        storage = program.storage(value)
        return Place(lines.get(storage, storage))

    calls = [
        Call(
            step,
            tuple(read if isinstance(read, Array) else place(read) for read in step.reads),
            tuple(place(value) for value in step.writes),
            Place(scratch) if step.scratch_bytes else None,
        )
        for step in steps
    ]
    labels = "; ".join(step.label for step in steps)
    return Stage(
        f"{labels}, in stripes of {candidate.run.height}",
        tuple(calls),
        sizes,
        tuple((s.source, s.target) for s in candidate.shares if s.behind is None),
        candidate.run,
        lines,
        {(s.target, s.source): s.behind for s in candidate.shares if s.behind is not None},
    )

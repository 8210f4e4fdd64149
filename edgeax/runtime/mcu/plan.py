"""Where everything lies: stages of calls, and an address for each buffer that they use.

A stage is what the plan takes as one moment. It is one step as a rule; steps whose images are
computed in stripes of rows make one stage of many calls.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from edgeax.formats import memory_plan
from edgeax.runtime.mcu.program import Array, Elements, Program, Step, Window
from edgeax.runtime.mcu.stripes import Stripes

ALIGNMENT = 8  # of every buffer: kernels read whole words, and scratch needs it


@dataclasses.dataclass(frozen=True)
class Place:
    """Part of a buffer.

    Attributes:
        buffer: Number of the value that owns the memory, or of a local buffer of the stage.
        skip_bytes: Bytes of the buffer before it.
    """

    buffer: int
    skip_bytes: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One call of a step's kernel.

    Attributes:
        step: The step.
        reads: Where its inputs lie, in the order of `step.reads`.
        writes: Where its outputs lie.
        scratch: Where its scratch lies; None where it has none.
        rows: Output rows `begin`, `end` and input row `input_begin`, for a step with a `Window`.
        count: Elements, for a step with `Elements`.
    """

    step: Step
    reads: tuple[Place | Array, ...]
    writes: tuple[Place, ...]
    scratch: Place | None = None
    rows: tuple[int, int, int] | None = None
    count: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """Calls that the plan takes as one moment.

    Attributes:
        label: What the plan shows.
        calls: In the order in which they run.
        locals: Bytes of buffers that live during this stage only, by number, all negative and
            different from those of other stages.
        in_place: Pairs of a buffer that is read and one that is written that may be one memory.
        run: How its calls run in stripes of rows, which `Call.rows` and `Call.count` do not tell
            then; None: one after the other.
        lines: Buffers of `locals` that hold rows of values which are never whole, by number of the
            value.
        closer: Pairs of buffers that may share memory: the bytes that the second must begin above
            the first, if it begins above it.
    """

    label: str
    calls: tuple[Call, ...]
    locals: Mapping[int, int]
    in_place: tuple[tuple[int, int], ...] = ()
    run: Stripes | None = None
    lines: Mapping[int, int] = dataclasses.field(default_factory=dict)
    closer: Mapping[tuple[int, int], int] = dataclasses.field(default_factory=dict)

    def buffer(self, storage: int) -> int:
        """Returns where a stage in stripes finds what is a storage of the program."""
        for call, step in zip(self.calls, self.run.steps if self.run else (), strict=True):
            reads = [read for read in call.reads if isinstance(read, Place)]
            for number, where in zip(
                (*step.reads, step.write), (*reads, *call.writes), strict=True
            ):
                if number == storage:
                    return where.buffer
        raise ValueError(f"`storage` must be one of the stage's. Received: {storage}.")

    @property
    def reads(self) -> tuple[int, ...]:
        """Buffers of values that are read, each once."""
        places = (read for call in self.calls for read in call.reads)
        found = (place.buffer for place in places if isinstance(place, Place))
        return tuple(dict.fromkeys(buffer for buffer in found if buffer >= 0))

    @property
    def writes(self) -> tuple[int, ...]:
        """Buffers of values that are written, each once."""
        found = (place.buffer for call in self.calls for place in call.writes)
        return tuple(dict.fromkeys(buffer for buffer in found if buffer >= 0))


@dataclasses.dataclass(frozen=True)
class Buffer:
    """A row of the plan.

    Attributes:
        number: As in `Place.buffer`.
        name: Name of the value, or what a local buffer is.
        offset: Its place in the arena or, for a state, in the states.
        size_bytes: Its bytes.
        first: The first stage at which it lives.
        last: The last.
    """

    number: int
    name: str
    offset: int
    size_bytes: int
    first: int
    last: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """A program whose buffers have places.

    Attributes:
        program: The program.
        stages: In the order in which they run.
        buffers: What lies in the arena, by number.
        states: What keeps its content between invocations, by number.
        arena_bytes: Bytes of the arena.
        state_bytes: Bytes of the states.
        live_bytes: The most bytes of the arena that live at one stage: no plan of these stages
            takes less.
    """

    program: Program
    stages: tuple[Stage, ...]
    buffers: Mapping[int, Buffer]
    states: Mapping[int, Buffer]
    arena_bytes: int
    state_bytes: int
    live_bytes: int

    @property
    def ram_bytes(self) -> int:
        """Static bytes of RAM."""
        return self.arena_bytes + self.state_bytes

    def live_at(self, stage: int) -> int:
        """Returns the bytes of the arena that are in use at a stage."""
        living = [b for b in self.buffers.values() if b.first <= stage <= b.last]
        count = end = 0
        for buffer in sorted(living, key=lambda b: b.offset):
            top = buffer.offset + buffer.size_bytes
            count += max(top - max(end, buffer.offset), 0)
            end = max(end, top)
        return count


def stages_of(program: Program) -> tuple[Stage, ...]:
    """Returns one stage for each step, which computes all of its outputs in one call."""
    return tuple(stage_of(program, place) for place in range(len(program.steps)))


def plan(program: Program, stages: Sequence[Stage], quick: bool = False) -> Plan:
    """Gives every buffer its place; quickly, it may take more than it must."""
    states = _states(program)
    sizes = _sizes(program, stages)
    lives = _lives(program, stages, states)
    candidates = [
        _placed(stages, sizes, lives, merged, quick) for merged in _mergers(program, stages, lives)
    ]
    offsets, arena_bytes, live_bytes = min(candidates, key=lambda found: found[1])
    buffers = {
        number: Buffer(number, _name(program, stages, number), at, sizes[number], *lives[number])
        for number, at in offsets.items()
    }
    state_bytes = sum(round_up(state.size_bytes) for state in states.values())
    return Plan(program, tuple(stages), buffers, states, arena_bytes, state_bytes, live_bytes)


def stage_of(program: Program, place: int) -> Stage:
    """Returns the stage of one step, which computes all of its outputs in one call."""
    step, scratch = program.steps[place], -1 - place
    reads = tuple(
        read if isinstance(read, Array) else Place(program.storage(read)) for read in step.reads
    )
    writes = tuple(Place(program.storage(write)) for write in step.writes)
    extent = step.extent
    call = Call(
        step,
        reads,
        writes,
        Place(scratch) if step.scratch_bytes else None,
        (0, extent.output_rows, 0) if isinstance(extent, Window) else None,
        extent.count if isinstance(extent, Elements) else None,
    )
    in_place = []
    for read, write in step.in_place:
        source = reads[read]
        if isinstance(source, Place) and reads.count(source) == 1:
            in_place.append((source.buffer, writes[write].buffer))
    scratches = {scratch: step.scratch_bytes} if step.scratch_bytes else {}
    return Stage(step.label, (call,), scratches, tuple(in_place))


def round_up(size: int) -> int:
    """Returns the bytes that a buffer of a size takes."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def _states(program: Program) -> dict[int, Buffer]:
    states: dict[int, Buffer] = {}
    offset = 0
    for number, value in sorted(program.values.items()):
        if value.is_state and program.storage(number) == number:
            size = value.size_bytes
            states[number] = Buffer(number, value.name, offset, size, 0, len(program.steps) - 1)
            offset += round_up(size)
    return states


def _sizes(program: Program, stages: Sequence[Stage]) -> dict[int, int]:
    sizes = {number: value.size_bytes for number, value in program.values.items()}
    for stage in stages:
        sizes.update(stage.locals)
    return sizes


def _lives(
    program: Program, stages: Sequence[Stage], states: Mapping[int, Buffer]
) -> dict[int, tuple[int, int]]:
    """Returns the first and the last stage at which each buffer of the arena lives."""
    lives: dict[int, tuple[int, int]] = {}

    def use(number: int, at: int) -> None:
        if number not in states:
            first, last = lives.get(number, (at, at))
            lives[number] = (min(first, at), max(last, at))

    for value in program.inputs:
        use(program.storage(value), 0)
    for at, stage in enumerate(stages):
        for number in (*stage.reads, *stage.writes, *stage.locals):
            use(number, at)
    for value in program.outputs:
        use(program.storage(value), max(len(stages) - 1, 0))
    return lives


def _mergers(
    program: Program, stages: Sequence[Stage], lives: Mapping[int, tuple[int, int]]
) -> list[dict[int, int]]:
    """Returns ways to compute in place: all that is possible, and none.

    Each gives for a buffer the one whose memory it takes over.
    """
    kept = {program.storage(number) for number in program.outputs}
    merged: dict[int, int] = {}
    for at, stage in enumerate(stages):
        taken: set[int] = set()
        for read, write in stage.in_place:
            dies = read in lives and lives[read][1] == at and read not in kept
            born = write in lives and lives[write][0] == at
            if dies and born and read not in taken and write not in merged:
                merged[write] = read
                taken.add(read)
    return [merged, {}] if merged else [{}]


def _placed(
    stages: Sequence[Stage],
    sizes: Mapping[int, int],
    lives: Mapping[int, tuple[int, int]],
    merged: Mapping[int, int],
    quick: bool,
) -> tuple[dict[int, int], int, int]:
    """Returns offsets by number, the bytes of the arena, and those that live at once."""
    groups: dict[int, list[int]] = {}
    for number in lives:
        owner = number
        while owner in merged:
            owner = merged[owner]
        groups.setdefault(owner, []).append(number)
    blocks = [_block(sizes, lives, members) for members in groups.values()]
    group = {member: at for at, members in enumerate(groups.values()) for member in members}
    closer = {
        (group[low], group[high], at): distance
        for at, stage in enumerate(stages)
        for (low, high), distance in stage.closer.items()
        if group[low] != group[high]
    }
    places = memory_plan.place(blocks, ALIGNMENT, closer, quick)
    offsets = {
        number: at
        for members, at in zip(groups.values(), places, strict=True)
        for number in members
    }
    least = memory_plan.lower_bound(blocks, ALIGNMENT, closer)
    return offsets, memory_plan.total(blocks, places, ALIGNMENT), least


def _block(
    sizes: Mapping[int, int], lives: Mapping[int, tuple[int, int]], members: Sequence[int]
) -> memory_plan.Block:
    first = min(lives[number][0] for number in members)
    last = max(lives[number][1] for number in members)
    return memory_plan.Block(
        first,
        tuple(
            max(sizes[n] for n in members if lives[n][0] <= step <= lives[n][1])
            for step in range(first, last + 1)
        ),
    )


def _name(program: Program, stages: Sequence[Stage], number: int) -> str:
    if number >= 0:
        return program.values[number].name
    rows = {line: value for stage in stages for value, line in stage.lines.items()}
    return f"rows of {program.values[rows[number]].name}" if number in rows else "scratch"

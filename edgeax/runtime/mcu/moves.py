"""Storages that change their place between two stages, where that makes room."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from edgeax.runtime.mcu.plan import Call, Place, Plan, Stage, plan
from edgeax.runtime.mcu.program import Array, Program, Step, Struct

_INSTRUCTIONS_PER_BYTE = 0.7
_MOST_MOVES = 3


def planned(program: Program, stages: Sequence[Stage], enough: int) -> tuple[Plan, float]:
    """Returns the smallest plan found, and the estimated instructions of its moves.

    Args:
        program: The program.
        stages: Its stages.
        enough: Bytes of the arena below which no plan is looked for.
    """
    best, cost = plan(program, stages), 0.0
    for _ in range(_MOST_MOVES):
        ways = sorted(set(_ways(program, stages))) if best.arena_bytes > enough else []
        tried = [(plan(*_moved(program, stages, *way), quick=True), way) for way in ways]
        if not tried:
            break
        found, way = min(tried, key=lambda one: one[0].arena_bytes)
        if found.arena_bytes >= best.arena_bytes:
            break
        cost += program.values[way[0]].size_bytes * _INSTRUCTIONS_PER_BYTE
        program, stages = _moved(program, stages, *way)
        best = min(found, plan(program, stages), key=lambda placed: placed.arena_bytes)
    return best, cost


def _ways(program: Program, stages: Sequence[Stage]) -> Iterator[tuple[int, int]]:
    """Yields storages and the stages before which they may move.

    Outputs that lie behind what they are made of tend to one end of the memory; so these are worth
    a move, before or behind such a stage.
    """
    ends = {program.storage(number) for number in program.outputs}
    last = {number: at for at, stage in enumerate(stages) for number in stage.reads}
    for at, stage in enumerate(stages):
        for low, high in stage.closer:
            if at > 0 and high not in ends:
                yield high, at
            if last.get(low, -1) > at and low not in ends:
                yield low, at + 1


def _moved(
    program: Program, stages: Sequence[Stage], storage: int, at: int
) -> tuple[Program, list[Stage]]:
    """Returns a program and stages in which a storage moves before a stage."""
    new = program.free_number
    value = dataclasses.replace(program.values[storage], index=new)
    widened = dataclasses.replace(program, values={**program.values, new: value})
    arguments = Struct("RelocateArgs", {"bytes": value.size_bytes})
    step = Step(f"move {value.name}", "Relocate", "relocate.h", arguments, (storage,), (new,))
    move = Stage(
        step.label,
        (Call(step, (Place(storage),), (Place(new),)),),
        {},
        closer={(storage, new): 0, (new, storage): 0},
    )
    return widened, [*stages[:at], move, *(_renamed(s, {storage: new}) for s in stages[at:])]


def _renamed(stage: Stage, names: Mapping[int, int]) -> Stage:
    """Returns a stage that finds storages elsewhere."""

    def name(number: int) -> int:
        return names.get(number, number)

    def call(one: Call) -> Call:
        reads = tuple(
            read if isinstance(read, Array) else Place(name(read.buffer), read.skip_bytes)
            for read in one.reads
        )
        writes = tuple(Place(name(write.buffer), write.skip_bytes) for write in one.writes)
        return dataclasses.replace(one, reads=reads, writes=writes)

    return dataclasses.replace(
        stage,
        calls=tuple(call(one) for one in stage.calls),
        in_place=tuple((name(read), name(write)) for read, write in stage.in_place),
        closer={(name(low), name(high)): bytes_ for (low, high), bytes_ in stage.closer.items()},
    )

"""What a program does outside its kernels, and the code that says so."""

from collections.abc import Iterator

from edgeax.runtime.mcu.cpp_values import Field
from edgeax.runtime.mcu.plan import Plan, Stage
from edgeax.runtime.mcu.program import Array, Step, Struct

_FIELD_BYTES = 4

IN_CODE = (
    *("programs", "calls", "pointers", "row calls"),
    *("stages", "striped steps", "striped reads", "lines", "line reads"),
)
"""Amounts that bytes of code grow with."""
IN_TIME = ("programs", "calls", "pointers", "row calls", "striped calls", "moved bytes")
"""Amounts that instructions grow with."""

IN_STACK = ("programs", "striped in a row")
"""Amounts that bytes of stack grow with."""


def program_work(plan: Plan) -> dict[str, float]:
    """Returns the amounts of `IN_CODE`, `IN_TIME` and `IN_STACK` of a program."""
    plain = [call for stage in plan.stages if stage.run is None for call in stage.calls]
    striped = [stage for stage in plan.stages if stage.run is not None]
    runs = [stage.run for stage in striped if stage.run is not None]
    reads = [read for run in runs for step in run.steps for read in step.reads]
    lines = {line for run in runs for line in run.lines}
    return {
        "programs": 1,
        "calls": len(plain),
        "pointers": sum(
            len(call.reads) + len(call.writes) + (call.scratch is not None) for call in plain
        ),
        "row calls": sum(call.rows is not None for call in plain),
        "stages": len(striped),
        "striped steps": sum(len(run.steps) for run in runs),
        "striped reads": len(reads),
        "lines": len(lines),
        "line reads": sum(read in lines for read in reads),
        "striped in a row": max((len(run.steps) for run in runs), default=0),
        "striped calls": sum(len(run.calls) for run in runs),
        "moved bytes": sum(_moved_bytes(plan, stage) for stage in striped),
    }


def _moved_bytes(plan: Plan, stage: Stage) -> int:
    if stage.run is None:
        return 0
    rows = {step.write: step.window.output_rows for step in stage.run.steps}
    return sum(
        moved * plan.program.values[storage].size_bytes // rows[storage]
        for storage, moved in stage.run.moved_rows.items()
    )


def argument_bytes(plan: Plan) -> int:
    """Returns the bytes of the arguments of all kernels, which lie in flash beside constants."""
    steps = {id(call.step): call.step for stage in plan.stages for call in stage.calls}
    return sum(_FIELD_BYTES * _members(step) for step in steps.values())


def _members(step: Step) -> int:
    return sum(1 for _ in _leaves(step.arguments))


def _leaves(field: Field) -> Iterator[int | float | str | Array | None]:
    if isinstance(field, Struct):
        for inner in field.fields.values():
            yield from _leaves(inner)
    else:
        yield field

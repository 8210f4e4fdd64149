"""What a generated program will take and run, before anything is generated or built."""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

from edgeax.formats.tables import text_table
from edgeax.runtime.mcu import cpp_program, report
from edgeax.runtime.mcu.cost_table import CostTable, priced, signature, table_for
from edgeax.runtime.mcu.cpp_names import short
from edgeax.runtime.mcu.generate import check_options, chosen, content_of
from edgeax.runtime.mcu.plan import Plan, Stage
from edgeax.runtime.mcu.program import Elements, Step, Struct
from edgeax.runtime.mcu.program_work import argument_bytes, program_work
from edgeax.runtime.mcu.work import Work, whole, work


@dataclasses.dataclass(frozen=True)
class LayerEstimate(report.StepReport):
    """A row of the estimate: a step, or steps that are computed together.

    Attributes:
        instructions: Estimated; None where the target or the kernel was not measured.
    """

    instructions: float | None


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a program will take and run. Prints as a table.

    Numbers of RAM and constants are those of the generated program, the others are estimates.

    Attributes:
        target: Name of the processor.
        rounding: "single" or "double".
        ram_bytes: All static bytes of RAM: activations, scratch and state.
        state_bytes: Those of them that keep what they hold between invocations.
        constant_bytes: Bytes of weights and other arrays in flash.
        program_bytes: Bytes of the rest of flash; None where the target was not measured.
        stack_bytes: The most bytes of stack of one invocation; None where not measured.
        instructions: Of one invocation; None where not measured.
        layers: The steps, in the order in which they run.
        notes: Where the numbers come from.
    """

    target: str
    rounding: str
    ram_bytes: int
    state_bytes: int
    constant_bytes: int
    program_bytes: int | None
    stack_bytes: int | None
    instructions: int | None
    layers: tuple[LayerEstimate, ...]
    notes: tuple[str, ...]

    @property
    def flash_bytes(self) -> int | None:
        """Bytes of flash in all."""
        return None if self.program_bytes is None else self.program_bytes + self.constant_bytes

    def as_dict(self) -> dict[str, Any]:
        """Returns the estimate as JSON values."""
        return {**dataclasses.asdict(self), "flash_bytes": self.flash_bytes}

    def __str__(self) -> str:
        facts = [
            {"fact": "target", "value": f"{self.target}, {self.rounding} rounding"},
            {"fact": "static RAM", "value": _text(self.ram_bytes, "bytes")},
            {"fact": "of it state", "value": _text(self.state_bytes, "bytes")},
            {"fact": "stack", "value": _text(self.stack_bytes, "bytes")},
            {"fact": "flash", "value": _text(self.flash_bytes, "bytes")},
            {"fact": "of it constants", "value": _text(self.constant_bytes, "bytes")},
            {"fact": "instructions", "value": _text(self.instructions, "")},
            *({"fact": "note", "value": note} for note in self.notes),
        ]
        rows = [
            {
                "step": short(layer.label),
                "kernel": layer.kernel,
                "MACs": layer.macs,
                "instructions": "unknown"
                if layer.instructions is None
                else round(layer.instructions),
                "constants": layer.constant_bytes,
                "RAM in use": layer.live_bytes,
            }
            for layer in self.layers
        ]
        return f"{text_table(facts)}\n\n{text_table(rows)}"


def estimate(
    source: str | os.PathLike[str] | bytes,
    target: str = "cortex-m4",
    ram_bytes: int | None = None,
    rounding: str = "double",
) -> Estimate:
    """Tells what the program of a `.tflite` file takes in flash, RAM and stack, and what it runs.

    Nothing is written or built. RAM and constants are exact; the rest comes from kernels that were
    measured on cortex-m4, cortex-m7 and cortex-m55, and is None for other targets.

    Args:
        source: Path of a full-integer `.tflite` file, or its bytes.
        target: As of `generate`.
        ram_bytes: The most static RAM that the program may take; None: no limit.
        rounding: "double" or "single", as of `generate`.

    Raises:
        ValueError: An argument is no good, or the file holds what no program can be generated for.

    Example: `print(edgeax.mcu.estimate("model.tflite", target="cortex-m55"))`.
    """
    check_options(target, ram_bytes, rounding)
    data, _ = content_of(source)
    _, choice = chosen(data, target, ram_bytes, rounding)
    return estimate_of(choice.plan, table_for(target), target, rounding)


def estimate_of(plan: Plan, table: CostTable | None, target: str, rounding: str) -> Estimate:
    """Returns what a placed program takes and runs, by what was measured."""
    constants, _ = cpp_program.constants_of(plan)
    layers = tuple(
        LayerEstimate(
            **dataclasses.asdict(row), instructions=_stage_instructions(plan, stage, table)
        )
        for row, stage in zip(report.steps_of(plan), plan.stages, strict=True)
    )
    return Estimate(
        target=target,
        rounding=rounding,
        ram_bytes=plan.ram_bytes,
        state_bytes=plan.state_bytes,
        constant_bytes=constants.size_bytes,
        program_bytes=_program_bytes(plan, table, rounding),
        stack_bytes=_stack_bytes(plan, table),
        instructions=_instructions(plan, table, layers),
        layers=layers,
        notes=(_note(table, layers), *_decoding(plan, table)),
    )


def works_of(plan: Plan, stage: Stage) -> Iterator[Work]:
    """Yields what each call of a stage does."""
    program = plan.program
    for call in stage.calls if stage.run is None else ():
        yield work(program, call.step, whole(call.step))
    for one in stage.run.calls if stage.run is not None else ():
        step = stage.calls[one.place].step
        yield work(program, step, _part(step, one.begin, one.end, stage, one.place))


def _part(step: Step, begin: int, end: int, stage: Stage, place: int) -> tuple[int, int]:
    if not isinstance(step.extent, Elements) or stage.run is None:
        return begin, end
    row = step.extent.count // stage.run.steps[place].window.output_rows
    return begin * row, end * row


def _stage_instructions(plan: Plan, stage: Stage, table: CostTable | None) -> float | None:
    if table is None:
        return None
    found = [table.instructions_of(done) for done in works_of(plan, stage)]
    known = [instructions for instructions in found if instructions is not None]
    return sum(known) if len(known) == len(found) else None


def _instructions(
    plan: Plan, table: CostTable | None, layers: tuple[LayerEstimate, ...]
) -> int | None:
    known = [layer.instructions for layer in layers if layer.instructions is not None]
    if table is None or len(known) < len(layers):
        return None
    return round(sum(known) + priced(table.program_instructions, program_work(plan)))


def _program_bytes(plan: Plan, table: CostTable | None, rounding: str) -> int | None:
    if table is None:
        return None
    steps = [call.step for stage in plan.stages for call in stage.calls]
    names = {signature(plan.program, step, rounding) for step in steps}
    code = table.code_of([*names, *([STRIPES] if any(s.run for s in plan.stages) else [])])
    if code is None:
        return None
    own = priced(table.program_code, program_work(plan))
    return round(code + argument_bytes(plan) + own)


STRIPES = "stripes"
"""What tables call the functions that stripes of rows need."""


def _stack_bytes(plan: Plan, table: CostTable | None) -> int | None:
    if table is None:
        return None
    works = [done for stage in plan.stages for done in works_of(plan, stage)]
    found = [table.stack_of(done) for done in works]
    known = [size for size in found if size is not None]
    if len(known) < len(found):
        return None
    own = priced(table.program_stack, program_work(plan))
    return round(max(known, default=0) + own)


def _note(table: CostTable | None, layers: tuple[LayerEstimate, ...]) -> str:
    if table is None:
        return "nothing was measured on this target: only RAM and constants are known"
    unknown = {layer.kernel for layer in layers if layer.instructions is None}
    if unknown:
        return f"not measured: {', '.join(sorted(unknown))}"
    return f"estimated from kernels measured on {table.date}, {table.compiler}"


_DECODERS = ("CodebookConv2D", "GroupedConv2D", "MaskedConv2D", "VectorConv2D")
_LEAST_COST = 0.02


def _decoding(plan: Plan, table: CostTable | None) -> tuple[str, ...]:
    """Returns what decoding weights costs, in words, where it costs something."""
    packed = dense = 0.0
    for stage in plan.stages if table else ():
        calls = [dataclasses.replace(call, step=_with_int8(call.step)) for call in stage.calls]
        packed += _stage_instructions(plan, stage, table) or 0.0
        twin = dataclasses.replace(stage, calls=tuple(calls))
        dense += _stage_instructions(plan, twin, table) or 0.0
    if dense >= packed * (1 - _LEAST_COST):
        return ()
    part = f"about {1 - dense / packed:.0%} of the instructions"
    return (f"{part} are what decoding packed weights costs beside int8 ones",)


def _with_int8(step: Step) -> Step:
    """Returns about the step that a layer had whose weights need not be decoded."""
    layer = step.arguments.fields.get("layer")
    if step.kernel not in _DECODERS or not isinstance(layer, Struct):
        return step
    fields: dict[str, Any] = dict(layer.fields)
    plan, tile, shape = (dict(fields[name].fields) for name in ("plan", "tile", "shape"))
    if not tile["is_expanded"]:  # no tile needs room then, and one sweep has them all
        plan |= {"sweep_channels": shape["output_channels"], "patches": min(plan["patches"], 1)}
    fields |= {"plan": Struct("ConvolutionPlan", plan)}
    fields |= {"tile": Struct("TilePlan", tile | {"piece_bytes": 0})}
    return dataclasses.replace(step, kernel="Conv2D", arguments=Struct("Conv2DArgs", fields))


def _text(value: int | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:,} {unit}".rstrip()

"""The same program by CMSIS-NN, for builds that set EDGEAX_USE_CMSIS_NN.

It has steps, a plan and constants of its own, so that memory is planned for what really runs.
"""

import dataclasses
from collections.abc import Sequence

from edgeax.runtime.mcu import cpp_names, read
from edgeax.runtime.mcu.choose import choose
from edgeax.runtime.mcu.operators.cmsis_nn import HEADER
from edgeax.runtime.mcu.plan import Plan
from edgeax.runtime.mcu.program import Program, Step
from edgeax.runtime.mcu.targets import TARGETS

MACRO = "EDGEAX_USE_CMSIS_NN"
"""What a build defines that uses it; the same name tells Make and CMake its folder."""


@dataclasses.dataclass(frozen=True)
class Second:
    """A program by CMSIS-NN, or why there is none.

    Attributes:
        plan: Its plan; None: there is none.
        why_not: In words; empty where there is one, or where nobody would expect one.
    """

    plan: Plan | None
    why_not: str = ""


def second_program(data: bytes, target: str, ram_bytes: int | None, rounding: str) -> Second:
    """Returns the program of a file by CMSIS-NN; arguments as of `generate`."""
    core = TARGETS[target]
    if not core.is_cortex_m:
        return Second(None)
    if rounding != "double":
        return Second(None, "CMSIS-NN rounds twice, this program once")
    program = read.read_program(data, core, rounding, with_cmsis_nn=True)
    if not any(is_by_cmsis_nn(step) for step in program.steps):
        return Second(None, "CMSIS-NN computes no layer of this program")
    try:
        return Second(choose(program, core, ram_bytes).plan)
    except ValueError:
        small = read.read_program(data, core, rounding, is_thrifty=True)
    try:
        return Second(choose(program, core, ram_bytes, _with_less_scratch(program, small)).plan)
    except ValueError:
        return Second(None, f"no plan for CMSIS-NN fits {ram_bytes} bytes")


def is_by_cmsis_nn(step: Step) -> bool:
    """Returns whether CMSIS-NN computes a step."""
    return step.header == HEADER


def shares(plan: Plan) -> tuple[list[str], list[str]]:
    """Returns the labels of the steps that CMSIS-NN computes, and of those that we do."""
    calls = (call.step for stage in plan.stages for call in stage.calls)
    steps = dict.fromkeys(step for step in calls if step.kernel != "Relocate")
    theirs = [step.label for step in steps if is_by_cmsis_nn(step)]
    return theirs, [step.label for step in steps if not is_by_cmsis_nn(step)]


def told(theirs: Sequence[str], ours: Sequence[str]) -> str:
    """Returns in a line of words what CMSIS-NN computes, by the labels of `shares`."""
    count = f"{len(theirs)} of {len(theirs) + len(ours)} steps"
    return f"{count}, without {', '.join(map(cpp_names.comment, ours))}" if ours else count


def _with_less_scratch(program: Program, small: Program) -> Program:
    """Returns a program with our kernels where those of CMSIS-NN need more scratch."""
    steps = (
        min(pair, key=lambda step: step.scratch_bytes)
        for pair in zip(program.steps, small.steps, strict=True)
    )
    return dataclasses.replace(program, steps=tuple(steps))

"""Report: what a generated program takes, as far as it is known without a compiler."""

import dataclasses
from typing import Any

from edgeax.formats.tables import text_table
from edgeax.runtime.mcu import cmsis_nn
from edgeax.runtime.mcu.cpp_names import short
from edgeax.runtime.mcu.cpp_values import array_bytes
from edgeax.runtime.mcu.plan import Plan, Stage


@dataclasses.dataclass(frozen=True)
class StepReport:
    """A row of the report: a step, or steps that are computed together.

    Attributes:
        label: The operator of the file.
        kernel: The C++ function.
        macs: Multiply-accumulates.
        constant_bytes: Bytes of its constants; those that steps share count at each.
        scratch_bytes: Bytes that it needs only while it runs.
        live_bytes: Bytes of the arena that are in use while it runs.
    """

    label: str
    kernel: str
    macs: int
    constant_bytes: int
    scratch_bytes: int
    live_bytes: int


@dataclasses.dataclass(frozen=True)
class ByCmsisNN:
    """The same program where the user's build sets EDGEAX_USE_CMSIS_NN.

    Attributes:
        ram_bytes: All static bytes of RAM.
        constant_bytes: Bytes of weights and other arrays in flash.
        steps: The steps, in the order in which they run; kernels `Cmsis...` call CMSIS-NN.
        theirs: Labels of what CMSIS-NN computes.
        ours: Labels of what our kernels compute.
    """

    ram_bytes: int
    constant_bytes: int
    steps: tuple[StepReport, ...]
    theirs: tuple[str, ...]
    ours: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Report:
    """What `generate` wrote. Prints as text.

    Attributes:
        folder: Where the files lie.
        files: Their paths below it.
        target: Name of the processor.
        rounding: "single" or "double".
        ram_bytes: All static bytes of RAM: activations, scratch and state.
        state_bytes: Those of them that keep what they hold between invocations.
        constant_bytes: Bytes of weights and other arrays in flash.
        steps: The steps, in the order in which they run.
        notes: What is worth knowing about the files.
        cmsis_nn: The same program by CMSIS-NN; None: the files have none.
    """

    folder: str
    files: tuple[str, ...]
    target: str
    rounding: str
    ram_bytes: int
    state_bytes: int
    constant_bytes: int
    steps: tuple[StepReport, ...]
    notes: tuple[str, ...] = ()
    cmsis_nn: ByCmsisNN | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns the report as JSON values."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        facts = [
            {"fact": "folder", "value": self.folder},
            {"fact": "target", "value": f"{self.target}, {self.rounding} rounding"},
            {"fact": "static RAM", "value": f"{self.ram_bytes:,} bytes"},
            {"fact": "of it state", "value": f"{self.state_bytes:,} bytes"},
            {"fact": "constants", "value": f"{self.constant_bytes:,} bytes"},
            *_facts(self.cmsis_nn),
            *({"fact": "note", "value": note} for note in self.notes),
        ]
        rows = [
            {
                "step": short(step.label),
                "kernel": step.kernel,
                "MACs": step.macs,
                "constants": step.constant_bytes,
                "scratch": step.scratch_bytes,
                "RAM in use": step.live_bytes,
            }
            for step in self.steps
        ]
        return f"{text_table(facts)}\n\n{text_table(rows)}"


def by_cmsis_nn(plan: Plan, constant_bytes: int) -> ByCmsisNN:
    """Returns what a program by CMSIS-NN takes, and who computes what of it."""
    theirs, ours = cmsis_nn.shares(plan)
    return ByCmsisNN(plan.ram_bytes, constant_bytes, steps_of(plan), tuple(theirs), tuple(ours))


def _facts(found: ByCmsisNN | None) -> list[dict[str, str]]:
    if found is None:
        return []
    return [
        {
            "fact": "by CMSIS-NN",
            "value": f"{cmsis_nn.told(found.theirs, found.ours)}; static RAM "
            f"{found.ram_bytes:,} bytes, constants {found.constant_bytes:,} bytes",
        }
    ]


def steps_of(plan: Plan) -> tuple[StepReport, ...]:
    """Returns a row for each stage of a plan."""
    return tuple(_row(plan, at, stage) for at, stage in enumerate(plan.stages))


def _row(plan: Plan, at: int, stage: Stage) -> StepReport:
    steps = list(dict.fromkeys(call.step for call in stage.calls))
    return StepReport(
        label=stage.label,
        kernel=", ".join(dict.fromkeys(step.kernel for step in steps)),
        macs=sum(step.macs for step in steps),
        constant_bytes=sum(array_bytes(step) for step in steps),
        scratch_bytes=sum(stage.locals.values()),
        live_bytes=plan.live_at(at),
    )

"""Measures what `edgeax.mcu.estimate` knows of the emulated boards, on layers with drawn sizes.

For each board a table: instructions of every kernel as prices of what its calls do
(`edgeax/runtime/mcu/work.py`), fitted by least squares without negative prices; bytes of stack;
bytes of code that a program gets with a kernel; and what a program takes beside its kernels. The
tables go to build/mcu_costs, those that come with edgeax lie in edgeax/runtime/mcu/costs. Each row
of the report is a kind of work, with the errors of the prices on the layers they were fitted to.
"""

from __future__ import annotations

import datetime
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import empty_programs, least_squares
from benchmarks.drawn_steps import drawn_steps
from benchmarks.firmware import Bench, Section
from benchmarks.harness import REPOSITORY, Benchmark, run
from benchmarks.step_programs import MOST_STEPS, Counted, Drawn, StepBench
from edgeax.runtime.mcu.cost_table import CostTable, priced, signature
from edgeax.runtime.mcu.estimate import STRIPES
from edgeax.runtime.mcu.program_work import IN_CODE, IN_STACK, IN_TIME, argument_bytes, program_work
from edgeax.runtime.mcu.work import work
from tests.emulation import process
from tests.emulation.boards import BOARDS, COMPILER

_HASH = re.compile(r"-[0-9a-f]+\.o$")  # of an object of the bench
_LEAST_STACK = 32  # less counts as much, lest it weighs too much in the fit
FOLDER = REPOSITORY / "build" / "mcu_costs"


@dataclass
class Findings:
    """What was measured on a board so far.

    Attributes:
        amounts: Of each call, by kind of work.
        counted: What these calls took.
        sections: Bytes of parts of kernels.
        code: The parts that come with each kernel.
    """

    amounts: dict[str, list[Mapping[str, float]]] = field(default_factory=dict)
    counted: dict[str, list[Counted]] = field(default_factory=dict)
    sections: dict[str, int] = field(default_factory=dict)
    code: dict[str, list[str]] = field(default_factory=dict)

    def add(self, drawn: Drawn, counted: Counted) -> None:
        """Adds a call."""
        done = work(drawn.program, drawn.step, drawn.part)
        self.amounts.setdefault(done.kind, []).append(done.amounts)
        self.counted.setdefault(done.kind, []).append(counted)

    def prices(self) -> dict[str, dict[str, float]]:
        """Returns the prices of all kinds of work."""
        return {
            kind: _rounded(
                least_squares.prices(rows, [one.instructions for one in self.counted[kind]])
            )
            for kind, rows in sorted(self.amounts.items())
        }

    def stack(self) -> dict[str, int]:
        """Returns the most stack of each kind of work."""
        return {
            kind: max(one.stack_bytes for one in found)
            for kind, found in sorted(self.counted.items())
        }


def measure(benchmark: Benchmark, quick: bool) -> None:
    """Fills the report with a row for each kind of work, and writes the table of each board."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for core in BOARDS:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder))
            steps, others = drawn_steps(core, "double"), drawn_steps(core, "single")
            kinds = {_kind(one) for one in steps}
            steps += [one for one in others if _kind(one) not in kinds]
            if quick:
                steps, others = steps[::12], []
            found = measured(core, StepBench(bench, Path(folder)), steps, others)
            table = whole_table(core, bench, Path(folder), found)
        table.write(FOLDER / f"{core}.json")
        add_rows(benchmark, core, found, table)


def measured(
    core: str, bench: StepBench, counted: Sequence[Drawn], others: Sequence[Drawn]
) -> Findings:
    """Counts calls on a board, and finds the code of their kernels and of others."""
    found = Findings()
    for few in _groups(counted):
        for one, result in zip(few, bench.count(core, few), strict=True):
            found.add(one, result)
        _add_code(core, bench, few, found)
    for few in _groups(_first_of_each(others)):
        _add_code(core, bench, few, found)
    return found


def _groups(drawn: Sequence[Drawn]) -> Iterator[Sequence[Drawn]]:
    for first in range(0, len(drawn), MOST_STEPS):
        yield drawn[first : first + MOST_STEPS]


def _first_of_each(drawn: Sequence[Drawn]) -> list[Drawn]:
    return list({_name(one): one for one in reversed(drawn)}.values())


def _name(drawn: Drawn) -> str:
    return signature(drawn.program, drawn.step, drawn.rounding)


def _kind(drawn: Drawn) -> str:
    return work(drawn.program, drawn.step, drawn.part).kind


def _add_code(core: str, bench: StepBench, few: Sequence[Drawn], found: Findings) -> None:
    """Adds the code of kernels that were not seen before."""
    for number, one in enumerate(few):
        if _name(one) in found.code:
            continue
        parts = []
        for section in bench.code(core, few, number):
            file = _HASH.sub("", section.owner.rpartition("/")[2])
            part = f"{file} {section.name}"
            found.sections[part] = section.size
            parts.append(part)
        found.code[_name(one)] = parts


def whole_table(core: str, bench: Bench, folder: Path, found: Findings) -> CostTable:
    """Returns the table of a board, after whole programs were measured."""
    version = process.run([COMPILER, "--version"], timeout_s=60).output.splitlines()[0]
    table = CostTable(
        target=core,
        date=datetime.date.today().isoformat(),
        compiler=f"{version}, -O2",
        instructions=found.prices(),
        stack=found.stack(),
        sections=found.sections,
        code=found.code,
        program_code={},
        program_instructions={},
        program_stack={},
    )
    return _with_programs(core, bench, folder, table)


def _with_programs(core: str, bench: Bench, folder: Path, table: CostTable) -> CostTable:
    """Returns the table with what programs take beside their kernels."""
    works, codes, times, stacks = [], [], [], []
    stripes: dict[str, int] = {}
    for number, placed in enumerate(empty_programs.plans(core)):
        place = folder / f"empty{number}"
        empty_programs.write(placed, core, place)
        firmware = bench.build(core, place, empty_programs.NAME)
        outcome = bench.run(firmware)
        done = program_work(placed)
        works.append(done)
        own = [s for s in firmware.sections if s.is_flash and _is_of(s, empty_programs.NAME)]
        codes.append(sum(section.size for section in own) - argument_bytes(placed))
        calls = done["calls"] + done["striped calls"]
        times.append(outcome.instructions - calls * empty_programs.KERNEL_INSTRUCTIONS)
        stacks.append(max(outcome.stack_bytes, _LEAST_STACK))
        shared = [s for s in firmware.sections if s.is_flash and _is_of(s, STRIPES)]
        stripes |= {f"{STRIPES} {section.name}": section.size for section in shared}
    return replace(
        table,
        sections={**table.sections, **stripes},
        code={**table.code, STRIPES: list(stripes)},
        program_code=_fitted(works, IN_CODE, codes),
        program_instructions=_fitted(works, IN_TIME, times),
        program_stack=_fitted(works, IN_STACK, stacks),
    )


def _is_of(section: Section, stem: str) -> bool:
    """Returns whether a section comes from the object of a source."""
    return _HASH.sub("", section.owner.rpartition("/")[2]) == stem


def _fitted(
    works: Sequence[Mapping[str, float]], names: Sequence[str], totals: Sequence[float]
) -> dict[str, float]:
    rows = [{name: done[name] for name in names} for done in works]
    return _rounded(least_squares.prices(rows, totals))


def _rounded(prices: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{price:.5g}") for name, price in prices.items()}


def add_rows(benchmark: Benchmark, core: str, found: Findings, table: CostTable) -> None:
    """Adds a row for each kind of work."""
    for kind, prices in table.instructions.items():
        errors = [
            abs(priced(prices, amounts) / one.instructions - 1)
            for amounts, one in zip(found.amounts[kind], found.counted[kind], strict=True)
        ]
        benchmark.row(
            board=core,
            kind=kind,
            calls=len(errors),
            mean_error=sum(errors) / len(errors),
            worst_error=max(errors),
            stack_bytes=table.stack[kind],
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark from the command line."""
    return run("mcu_costs", measure, argv)


if __name__ == "__main__":
    sys.exit(main())

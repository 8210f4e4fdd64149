"""Measured numbers of kernels on a target: bytes of code and stack, and instructions.

Tables lie in costs/, one JSON a target; `python -m benchmarks.mcu_costs` makes them.
"""

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from edgeax.runtime.mcu.program import Array, Program, Step
from edgeax.runtime.mcu.work import Work

T = TypeVar("T")
FOLDER = Path(__file__).resolve().parent / "costs"


@dataclasses.dataclass(frozen=True)
class CostTable:
    """What was measured on a target.

    Attributes:
        target: Name of the target.
        date: When.
        compiler: By which compiler.
        instructions: Instructions for each amount of a kind of work, see `work.py`.
        stack: Bytes of stack of each kind of work.
        sections: Bytes of parts of the kernels, by name.
        code: Signature of each kernel to the parts that a program gets with it, see `signature`.
        program_code: Bytes of a program's own code, for each amount of `program_work`.
        program_instructions: Instructions outside kernels, for the same amounts.
        program_stack: Bytes of stack above those of kernels, for the same amounts.
    """

    target: str
    date: str
    compiler: str
    instructions: Mapping[str, Mapping[str, float]]
    stack: Mapping[str, int]
    sections: Mapping[str, int]
    code: Mapping[str, Sequence[str]]
    program_code: Mapping[str, float]
    program_instructions: Mapping[str, float]
    program_stack: Mapping[str, float]

    def instructions_of(self, done: Work) -> float | None:
        """Returns the instructions of a call; None where its kernel was not measured."""
        prices = _nearest(self.instructions, done.kind, " ")
        return None if prices is None else priced(prices, done.amounts)

    def stack_of(self, done: Work) -> int | None:
        """Returns the bytes of stack of a call; None where its kernel was not measured."""
        return _nearest(self.stack, done.kind, " ")

    def code_of(self, signatures: Iterable[str]) -> int | None:
        """Returns the bytes of code of kernels together; None where one was not measured."""
        parts: set[str] = set()
        for name in signatures:
            found = _nearest(self.code, name, "(")
            if found is None:
                return None
            parts.update(found)
        return sum(self.sections[part] for part in parts)

    def write(self, path: Path) -> None:
        """Writes the table as JSON, parts of kernels by their number."""
        numbers = {name: number for number, name in enumerate(self.sections)}
        content: dict[str, Any] = dataclasses.asdict(self)
        content["code"] = {
            name: [numbers[part] for part in parts] for name, parts in self.code.items()
        }
        lines = ",\n".join(f'"{key}": {_lines(value)}' for key, value in content.items())
        path.write_text(f"{{\n{lines}\n}}\n")

    @classmethod
    def read(cls, path: Path) -> "CostTable":
        """Reads a table."""
        content = json.loads(path.read_text(encoding="utf-8"))
        names = list(content["sections"])
        code = {name: [names[i] for i in parts] for name, parts in content.pop("code").items()}
        return cls(**content, code=code)


def _lines(value: Any) -> str:
    if not isinstance(value, dict):
        return json.dumps(value)
    rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(item)}" for key, item in value.items())
    return f"{{\n{rows}\n}}" if rows else "{}"


def _nearest(table: Mapping[str, T], name: str, mark: str) -> T | None:
    """Returns what stands for a name, or for the same kernel with other types or loops."""
    if name in table:
        return table[name]
    kernel = name.partition(mark)[0]
    return next((row for other, row in table.items() if other.partition(mark)[0] == kernel), None)


@functools.cache
def table_for(target: str) -> CostTable | None:
    """Returns the table of a target; None where nothing was measured."""
    path = FOLDER / f"{target}.json"
    return CostTable.read(path) if path.is_file() else None


def priced(prices: Mapping[str, float], amounts: Mapping[str, float]) -> float:
    """Returns the sum of amounts times their prices."""
    return sum(price * amounts.get(name, 0.0) for name, price in prices.items())


def signature(program: Program, step: Step, rounding: str) -> str:
    """Returns a kernel as tables name it: `Conv2D<double>(Conv2DArgs, int8)`."""
    name = f"{step.kernel}<{rounding}>" if step.rounds else step.kernel
    name = name.replace("<Rounding::kDouble>", "<double>").replace(
        "<Rounding::kSingle>", "<single>"
    )
    types = [program.values[value].dtype for value in (*step.values_read, *step.writes)]
    types += [read.data.dtype.name for read in step.reads if isinstance(read, Array)]
    return f"{name}({', '.join([step.arguments.type, *dict.fromkeys(types)])})"

"""C++ programs that run single steps and compare what they write, on the host and on boards."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from edgeax.runtime.mcu.cpp_values import TYPES
from edgeax.runtime.mcu.program import Array, Step, Struct, Window


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A step with what it reads and what it must write.

    Attributes:
        step: The step, with one output.
        inputs: Content of its inputs in RAM.
        expected: What it must write.
        rounding: "single" or "double".
        bands: Where to cut the output's rows; each band then reads only the rows that it needs.
    """

    step: Step
    inputs: tuple[np.ndarray, ...]
    expected: np.ndarray
    rounding: str
    bands: tuple[int, ...] = ()


def source(cases: Sequence[Case]) -> str:
    """Returns a program whose exit code is the number of the first case that fails, or 0."""
    headers = sorted({case.step.header for case in cases})
    lines = [f'#include "tflite_kernels/micro/{header}"' for header in headers]
    lines += [_PROLOGUE]
    calls = []
    for number, case in enumerate(cases):
        lines += _case(number, case)
        calls.append(f"  if (!Case{number}()) return {number + 1};")
    return "\n".join([*lines, "int main() {", *calls, "  return 0;", "}", ""])


_PROLOGUE = """
using namespace edgeax;         // NOLINT
using namespace edgeax::micro;  // NOLINT

namespace {

constexpr uint8_t kGuard = 0xA5;
alignas(8) uint8_t room[1 << 17];
alignas(8) uint8_t scratch_room[1 << 16];

void Spoil(uint8_t* bytes, int32_t size) {
  for (int32_t i = 0; i < size; ++i) bytes[i] = kGuard;
}

bool IsSpoilt(const uint8_t* bytes, int32_t size) {
  for (int32_t i = 0; i < size; ++i) {
    if (bytes[i] != kGuard) return false;
  }
  return true;
}

bool IsSame(const uint8_t* a, const void* b, int32_t size) {
  for (int32_t i = 0; i < size; ++i) {
    if (a[i] != static_cast<const uint8_t*>(b)[i]) return false;
  }
  return true;
}

}  // namespace
"""


def _array(name: str, data: np.ndarray, alignment: int) -> str:
    values = ", ".join(str(int(value)) for value in data.reshape(-1))
    kind = TYPES[data.dtype.name]
    return f"alignas({alignment}) const {kind} {name}[{data.size}] = {{{values}}};"


def _aggregate(struct: Struct, prefix: str, lines: list[str]) -> str:
    parts = []
    for name, value in struct.fields.items():
        if isinstance(value, Array):
            lines.append(_array(f"{prefix}_{name}", value.data, value.alignment))
            parts.append(f"{prefix}_{name}")
        elif isinstance(value, Struct):
            parts.append(_aggregate(value, f"{prefix}_{name}", lines))
        else:
            parts.append("nullptr" if value is None else str(value))
    return "{" + ", ".join(parts) + "}"


def _case(number: int, case: Case) -> list[str]:
    prefix = f"case{number}"
    lines: list[str] = []
    aggregate = _aggregate(case.step.arguments, prefix, lines)
    lines.append(f"const {case.step.arguments.type} {prefix}_args = {aggregate};")
    body: list[str] = []
    for begin, end in zip((0, *case.bands), (*case.bands, None), strict=True):
        body += _call(prefix, case, begin, end, lines)
    return [*lines, f"bool Case{number}() {{", *body, "  return true;", "}"]


def _call(prefix: str, case: Case, begin: int, end: int | None, lines: list[str]) -> list[str]:
    """Returns statements that compute the rows [begin, end) and compare them."""
    step, extent, expected, reads = case.step, case.step.extent, case.expected, case.inputs
    arguments = [f"{prefix}_args"]
    if isinstance(extent, Window):
        end = extent.output_rows if end is None else end
        first = 0
        if case.bands:
            first, last = extent.needed(begin, end)
            reads = tuple(read[:, first:last] for read in reads)
            expected = expected[:, begin:end]
        arguments.append(f"Rows{{{begin}, {end}, {first}}}")
    for position, read in enumerate(reads):
        name = f"{prefix}_input{position}_{begin}"
        lines.append(_array(name, read, read.itemsize))
        arguments.append(name)
    name, size = f"{prefix}_expected_{begin}", expected.nbytes
    lines.append(_array(name, expected, 1))
    arguments.append(f"reinterpret_cast<{TYPES[expected.dtype.name]}*>(room + 8)")
    if step.scratch_bytes:
        arguments.append("scratch_room + 8")
    rounding = f"<Rounding::k{case.rounding.capitalize()}>" if step.rounds else ""
    return [
        f"  Spoil(room, {size + 16});",
        f"  Spoil(scratch_room, {step.scratch_bytes + 16});",
        f"  {step.kernel}{rounding}({', '.join(arguments)});",
        f"  if (!IsSame(room + 8, {name}, {size})) return false;",
        f"  if (!IsSpoilt(room, 8) || !IsSpoilt(room + {8 + size}, 8)) return false;",
        "  if (!IsSpoilt(scratch_room, 8)) return false;",
        f"  if (!IsSpoilt(scratch_room + {8 + step.scratch_bytes}, 8)) return false;",
    ]

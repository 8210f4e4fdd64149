"""C++ programs for boards that call single steps, compare what they write, and count instructions.

Unlike `native_steps` a program has everything in it, and compares sums of bytes instead of bytes.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgeax.runtime.mcu.cpp_values import TYPES
from edgeax.runtime.mcu.program import Array, Elements, Step, Struct, Window
from tests.emulation import places
from tests.runtime.mcu import kernel_files


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """A step, what it reads, and what it must write.

    Attributes:
        step: The step, with one output.
        inputs: Contents of its inputs in RAM, in the order of `reads`.
        expected: What it must write.
        rounding: "single" or "double".
        in_place: A place among `reads` whose memory the output is.
        region: Number of the region of instructions that are counted; None: not counted.
    """

    step: Step
    inputs: tuple[np.ndarray, ...]
    expected: np.ndarray
    rounding: str = "double"
    in_place: int | None = None
    region: int | None = None


def sources(calls: Sequence[Call]) -> list[Path]:
    """Returns the files of the kernels that calls need."""
    return kernel_files.sources(call.step.header for call in calls)


FLAGS = (f"-I{places.REPOSITORY}", f"-I{places.COUNTER}")


def text(calls: Sequence[Call]) -> str:
    """Returns a program whose exit code is the number of the first call that fails, or 0."""
    headers = sorted({call.step.header for call in calls})
    lines = [f'#include "tflite_kernels/micro/{header}"' for header in headers]
    room = max(max((i.nbytes for i in c.inputs), default=0) + c.expected.nbytes for c in calls)
    scratch = max(call.step.scratch_bytes for call in calls)
    lines += [_PROLOGUE.format(room=2 * room + 64, scratch=scratch + 64)]
    for number, call in enumerate(calls):
        lines += _call(number, call)
    tries = [f"  if (!Call{number}()) return {number % 250 + 1};" for number in range(len(calls))]
    return "\n".join([*lines, "int main() {", *tries, "  return 0;", "}", ""])


def _call(number: int, call: Call) -> Iterator[str]:
    step, extent = call.step, call.step.extent
    constants: list[str] = []
    arguments = _aggregate(step.arguments, f"call{number}", constants)
    words = [f"args{number}"]
    words += [f"Rows{{0, {extent.output_rows}, 0}}"] if isinstance(extent, Window) else []
    words += [str(extent.count)] if isinstance(extent, Elements) else []
    given, body, at = iter(call.inputs), [], 16
    places_of: list[str] = []
    for place, read in enumerate(step.reads):
        data = read.data if isinstance(read, Array) else next(given)
        constants.append(_array(f"read{number}_{place}", data))
        kind = TYPES[data.dtype.name]
        if isinstance(read, Array):
            places_of.append(f"read{number}_{place}")
            continue
        body.append(f"Copy(room + {at}, read{number}_{place}, {data.nbytes});")
        places_of.append(f"reinterpret_cast<{kind}*>(room + {at})")
        at += -(-data.nbytes // 16) * 16
    kind = TYPES[call.expected.dtype.name]
    made = f"reinterpret_cast<{kind}*>(room + {at})"
    if call.in_place is not None:
        made = places_of[call.in_place]
    words += [*places_of, made] + ["scratch"] * bool(step.scratch_bytes)
    rounding = f"<Rounding::k{call.rounding.capitalize()}>" if step.rounds else ""
    yield from constants
    yield f"const {step.arguments.type} args{number} = {arguments};"
    yield (
        f"__attribute__((noinline)) void Run{number}() "
        f"{{ {step.kernel}{rounding}({', '.join(words)}); }}"
    )
    counted = [f"EDGEAX_REGION_BEGIN({call.region});", f"EDGEAX_REGION_END({call.region});"]
    before, after = counted if call.region is not None else ("", "")
    yield f"bool Call{number}() {{"
    yield f"  Spoil(); {' '.join(body)} {before} Run{number}(); {after}"
    sum_ = checksum(call.expected.tobytes())
    yield f"  return IsGuarded({step.scratch_bytes}) &&"
    yield f"         Checksum({made}, {call.expected.nbytes}) == {sum_}u;"
    yield "}"


def checksum(data: bytes) -> int:
    """Returns what the program compares."""
    result = 1
    for byte in data:
        result = (result * 31 + byte) % 2**32
    return result


def _array(name: str, data: np.ndarray) -> str:
    values = ", ".join(str(int(value)) for value in data.reshape(-1))
    return f"alignas(4) const {TYPES[data.dtype.name]} {name}[{data.size}] = {{{values}}};"


def _aggregate(struct: Struct, prefix: str, lines: list[str]) -> str:
    parts = []
    for name, value in struct.fields.items():
        if isinstance(value, Array):
            lines.append(_array(f"{prefix}_{name}", value.data))
            parts.append(f"{prefix}_{name}")
        elif isinstance(value, Struct):
            parts.append(_aggregate(value, f"{prefix}_{name}", lines))
        else:
            parts.append(str(value))
    return "{" + ", ".join(parts) + "}"


_PROLOGUE = """
#include "markers.h"
using namespace edgeax;         // NOLINT
using namespace edgeax::micro;  // NOLINT
namespace {{
alignas(16) uint8_t room[{room}];
alignas(8) uint8_t scratch[{scratch}];
void Spoil() {{
  for (uint8_t& byte : room) byte = 0xA5;
  for (uint8_t& byte : scratch) byte = 0xA5;
}}
void Copy(uint8_t* to, const void* from, uint32_t size) {{
  for (uint32_t i = 0; i < size; ++i) to[i] = static_cast<const uint8_t*>(from)[i];
}}
bool IsGuarded(uint32_t used) {{
  for (uint32_t i = used; i < sizeof scratch; ++i) {{
    if (scratch[i] != 0xA5) return false;
  }}
  return true;
}}
uint32_t Checksum(const void* bytes, uint32_t size) {{
  uint32_t sum = 1;
  for (uint32_t i = 0; i < size; ++i) sum = sum * 31 + static_cast<const uint8_t*>(bytes)[i];
  return sum;
}}
}}  // namespace
"""

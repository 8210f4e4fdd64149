"""Programs of steps, without the generator: the steps in a row, every value in memory of its own.

The program computes every run, compares its outputs with what they must be, and prints the first
difference, or "equal".
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeax.runtime.mcu.cpp_values import TYPES
from edgeax.runtime.mcu.program import Array, Elements, Program, Step, Struct, Window
from tests.emulation import places, process
from tests.runtime.mcu import kernel_files

FLAGS = (f"-I{places.REPOSITORY}", "-Werror")


Run = Mapping[int, np.ndarray]


def text(program: Program, rounding: str, runs: Sequence[Run], resets: Sequence[int] = ()) -> str:
    """Returns the C++ program.

    Args:
        program: Its inputs and outputs are those of each run.
        rounding: "single" or "double".
        runs: By number of a value, what inputs are and outputs must be.
        resets: Runs before which the states are what they are at first.
    """
    headers = sorted({step.header for step in program.steps})
    lines = ["#include <stdint.h>"]
    lines += [f'#include "tflite_kernels/micro/{header}"' for header in headers]
    lines += ['extern "C" void edgeax_print(const char* text);']
    lines += ["using namespace edgeax;", "using namespace edgeax::micro;"]
    lines += [_memory(program)]
    constants = [_constants(place, step) for place, step in enumerate(program.steps)]
    lines += constants
    lines += [_function("reset", _reset(program))]
    calls = [_call(program, place, step, rounding) for place, step in enumerate(program.steps)]
    lines += [_function("invoke", calls)]
    lines += [_DIFFERS]
    body = ["reset();"]
    for number, run in enumerate(runs):
        body += ["reset();"] if number in resets else []
        for value in program.inputs:
            name = f"run{number}_{value}"
            lines.append(_array(name, run[value]))
            body.append(f"__builtin_memcpy({_place(program, value)}, {name}, sizeof {name});")
        body.append("invoke();")
        for value in program.outputs:
            name = f"run{number}_{value}"
            lines.append(_array(name, run[value]))
            words = f"{_place(program, value)}, {name}, sizeof {name}"
            body.append(f'if (Differs({words}, "run {number}, value {value}: ")) return 1;')
    lines += [_function("main", [*body, 'edgeax_print("equal\\n");', "return 0;"], "int")]
    return "\n".join(lines) + "\n"


def sources(program: Program) -> list[Path]:
    """Returns the files of the kernels that a program calls."""
    return kernel_files.sources(step.header for step in program.steps)


def run_on_host(folder: Path, program: Program, content: str) -> str:
    """Returns what the program prints here, its memory watched."""
    source = folder / "program.cc"
    source.write_text(content)
    words = ["g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-fsanitize=address,undefined"]
    words += ["-fno-sanitize-recover=all", *FLAGS, "-o", str(folder / "program")]
    hook = places.PROGRAMS / "print_linux.cc"
    process.compile_or_raise([*words, source, hook, *sources(program)])
    return process.run([folder / "program"], timeout_s=60).output


def _memory(program: Program) -> str:
    owners = {program.storage(value) for value in program.values}
    sizes = {owner: max(program.values[owner].size_bytes, 1) for owner in sorted(owners)}
    lines = [
        f"alignas(8) static unsigned char memory{owner}[{size}];" for owner, size in sizes.items()
    ]
    lines += [
        f"alignas(8) static unsigned char scratch{place}[{step.scratch_bytes}];"
        for place, step in enumerate(program.steps)
        if step.scratch_bytes
    ]
    return "\n".join(lines)


def _place(program: Program, value: int) -> str:
    dtype = TYPES[program.values[value].dtype]
    return f"reinterpret_cast<{dtype}*>(memory{program.storage(value)})"


def _reset(program: Program) -> list[str]:
    lines = []
    for value in program.values.values():
        if value.is_state:
            size = max(int(np.prod(value.shape)), 1)
            place = _place(program, value.index)
            if isinstance(value.initial, Array):
                lines.append(_array(f"initial{value.index}", value.initial.data))
                name = f"initial{value.index}"
                lines.append(f"__builtin_memcpy({place}, {name}, sizeof {name});")
            else:
                lines.append(f"for (int i = 0; i < {size}; ++i) {place}[i] = {value.initial};")
    return lines


def _constants(place: int, step: Step) -> str:
    lines: list[str] = []

    def written(item: object) -> str:
        if isinstance(item, Array):
            name = f"step{place}_{len(lines)}_{item.name}"
            lines.append(_array(name, item.data, item.alignment))
            return name
        if isinstance(item, Struct):
            return "{" + ", ".join(written(field) for field in item.fields.values()) + "}"
        return "nullptr" if item is None else str(item)

    content = written(step.arguments)
    for number, read in enumerate(step.reads):
        if isinstance(read, Array):
            lines.append(_array(f"step{place}_read{number}", read.data, read.alignment))
    lines.append(f"static constexpr {step.arguments.type} step{place}_args = {content};")
    return "\n".join(lines)


def _call(program: Program, place: int, step: Step, rounding: str) -> str:
    words = [f"step{place}_args"]
    if isinstance(step.extent, Window):
        words.append(f"Rows{{0, {step.extent.output_rows}, 0}}")
    if isinstance(step.extent, Elements):
        words.append(str(step.extent.count))
    for number, read in enumerate(step.reads):
        is_constant = isinstance(read, Array)
        words.append(f"step{place}_read{number}" if is_constant else _place(program, read))
    words += [_place(program, value) for value in step.writes]
    words += [f"scratch{place}"] if step.scratch_bytes else []
    kind = f"<Rounding::k{rounding.capitalize()}>" if step.rounds else ""
    return f"{step.kernel}{kind}({', '.join(words)});"


def _array(name: str, data: np.ndarray, alignment: int = 4) -> str:
    numbers = ", ".join(str(number) for number in data.reshape(-1).tolist())
    kind = TYPES[data.dtype.name]
    return f"alignas({alignment}) static constexpr {kind} {name}[{data.size}] = {{{numbers}}};"


def _function(name: str, lines: Sequence[str], kind: str = "static void") -> str:
    body = "\n".join(f"  {line}" for line in lines)
    return f"{kind} {name}() {{\n{body}\n}}"


_DIFFERS = """
static void PrintNumber(uint32_t number) {
  char text[12];
  int place = 11;
  text[place] = 0;
  do {
    text[--place] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  edgeax_print(text + place);
}
static bool Differs(const void* made, const void* wanted, uint32_t size, const char* where) {
  const auto* left = static_cast<const unsigned char*>(made);
  const auto* right = static_cast<const unsigned char*>(wanted);
  for (uint32_t i = 0; i < size; ++i) {
    if (left[i] != right[i]) {
      edgeax_print(where);
      edgeax_print("byte ");
      PrintNumber(i);
      edgeax_print(" is ");
      PrintNumber(left[i]);
      edgeax_print(", not ");
      PrintNumber(right[i]);
      edgeax_print("\\n");
      return true;
    }
  }
  return false;
}"""

"""Firmware that calls single steps: their instructions, their stack, and the code they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.firmware import PRELUDE, Bench, Section
from edgeax.runtime.mcu import kernels
from edgeax.runtime.mcu.cpp_program import call_text
from edgeax.runtime.mcu.cpp_values import TYPES, Constants
from edgeax.runtime.mcu.program import Array, Elements, Program, Step, Window

MOST_STEPS = 8  # regions of the counter
_ALIGNMENT = 16


@dataclass(frozen=True, eq=False)
class Drawn:
    """A program of one step.

    Attributes:
        program: The program.
        rounding: "single" or "double".
        part: What the call computes, as `work.work` takes it.
    """

    program: Program
    rounding: str
    part: tuple[int, int] | None

    @property
    def step(self) -> Step:
        """The step."""
        (step,) = self.program.steps
        return step


@dataclass(frozen=True)
class Counted:
    """What a call took."""

    instructions: int
    stack_bytes: int


class StepBench:
    """Builds and runs programs of steps."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self._bench, self._folder = bench, folder

    def count(self, core: str, drawn: Sequence[Drawn]) -> list[Counted]:
        """Returns what each call of at most `MOST_STEPS` takes on a board."""
        sources = self._sources(drawn)
        firmware = self._bench.link(core, self._main(len(drawn)), sources, kernels.folder())
        regions, words = self._bench.count(firmware)
        stacks = [int(word, 16) for word in words.split()]
        return [Counted(regions[number].instructions, stack) for number, stack in enumerate(stacks)]

    def code(self, core: str, drawn: Sequence[Drawn], number: int) -> list[Section]:
        """Returns the sections of flash that a program gets with one of some calls."""
        wanted = [f"-Wl,-u,Run{number}"]
        main = self._folder / "nothing.cc"
        main.write_text("int main() { return 0; }\n")
        sources = self._sources(drawn)
        firmware = self._bench.link(core, main, sources, kernels.folder(), wanted)
        own = f"/{sources[0].stem}-"
        return [part for part in firmware.sections if part.is_flash and own not in part.owner]

    def _sources(self, drawn: Sequence[Drawn]) -> list[Path]:
        """Writes the calls; returns their file and those of all kernels that they need."""
        source = self._folder / "steps.cc"
        source.write_text(steps_text(drawn))
        needed = kernels.needed({"stripes.h", *(one.step.header for one in drawn)})
        return [source, *(kernels.folder() / path for path in needed if path.endswith(".cc"))]

    def _main(self, count: int) -> Path:
        main = self._folder / "main.cc"
        main.write_text(main_text(count))
        return main


def steps_text(drawn: Sequence[Drawn]) -> str:
    """Returns C++ of functions `Run0`, `Run1`, ... with a call each, and of the memory they use."""
    constants, functions, room = Constants(), [], 0
    for number, one in enumerate(drawn):
        words, size = _words(one, number, constants)
        room = max(room, size)
        extent = _extent(one)
        arguments = constants.arguments(number, one.step.arguments)
        call = call_text(one.step, arguments, extent, words)
        functions.append(f'extern "C" void Run{number}() {{ {_rounded(call, one.rounding)} }}')
    headers = sorted({one.step.header for one in drawn})
    return "\n".join(
        [
            *(f'#include "tflite_kernels/micro/{header}"' for header in headers),
            f'extern "C" {{ alignas(16) uint8_t room[{room + _ALIGNMENT}]; int32_t room_size = '
            f"{room}; }}",
            "using namespace edgeax;",
            "using namespace edgeax::micro;",
            "namespace {",
            constants.text,
            "}  // namespace",
            *functions,
            "",
        ]
    )


def _rounded(call: str, rounding: str) -> str:
    return call.replace("<kRounding>", f"<Rounding::k{rounding.capitalize()}>")


def _extent(one: Drawn) -> str:
    if one.part is None:
        return ""
    begin, end = one.part
    if isinstance(one.step.extent, Elements):
        return str(end - begin)
    return f"{{{begin}, {end}, {_first_row(one)}}}"


def _first_row(one: Drawn) -> int:
    window = one.step.extent
    return window.needed(*one.part)[0] if isinstance(window, Window) and one.part else 0


def _words(one: Drawn, number: int, constants: Constants) -> tuple[list[str], int]:
    """Returns the pointers of a call, and the bytes of memory that they use."""
    words, at = [], 0
    values = one.program.values
    for item in (*one.step.reads, *one.step.writes):
        if isinstance(item, Array):
            words.append(constants.array(number, item))
            continue
        words.append(f"reinterpret_cast<{TYPES[values[item].dtype]}*>(room + {at})")
        at += -(-values[item].size_bytes // _ALIGNMENT) * _ALIGNMENT
    if one.step.scratch_bytes:
        words.append(f"room + {at}")
        at += one.step.scratch_bytes
    return words, at


def main_text(count: int) -> str:
    """Returns a main that prints the stack of each call and counts it as a region of its own."""
    names = [f"Run{number}" for number in range(count)]
    return "\n".join(
        [
            "#include <stddef.h>\n#include <stdint.h>",
            PRELUDE,
            'extern "C" {',
            "extern uint8_t room[];",
            "extern int32_t room_size;",
            *(f"void {name}();" for name in names),
            "}",
            "int main() {",
            "  uint32_t x = 1;",
            "  uint32_t* const stack = StackPointer();",
            *(
                f"  Fill(room, room_size, &x); Paint(stack); EDGEAX_REGION_BEGIN({number}); "
                f"{name}(); EDGEAX_REGION_END({number}); Print(UsedBytes(stack));"
                for number, name in enumerate(names)
            ),
            "  return 0;",
            "}",
            "",
        ]
    )

"""Programs whose kernels do nothing: what is left is what a program takes beside its kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeax.runtime.mcu import cpp_program, kernels
from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.plan import Plan, plan, stages_of
from edgeax.runtime.mcu.program import Program, Step, Struct, Value, Window
from edgeax.runtime.mcu.stages import Cuts, stage
from edgeax.runtime.mcu.targets import TARGETS

NAME = "net"
KERNEL_INSTRUCTIONS = 1  # a kernel only returns
_SIDE, _CHANNELS = 12, 4
_STRIPED = 8  # stages in stripes of a program
_HEADER = "nothing.h"
_FUNCTIONS = (
    "Nothing(const NothingArgs&, const int8_t*, int8_t*)",
    "Nothing(const NothingArgs&, const Rows&, const int8_t*, int8_t*)",
    "Nothing(const NothingArgs&, const Rows&, const int8_t*, int8_t*, void*)",
    "NothingOfTwo(const NothingArgs&, const Rows&, const int8_t*, const int8_t*, int8_t*)",
)


def plans(core: str) -> Iterator[Plan]:
    """Yields plans for a board: whole images, and one stage of each in stripes."""
    for program in programs():
        whole = stages_of(program)
        yield plan(program, whole)
        cuts = Cuts(program, TARGETS[core])
        striped = [candidate for candidate in cuts.candidates if candidate.run is not None]
        for candidate in striped[:: -(-len(striped) // _STRIPED)] if striped else ():
            some = [*whole[: candidate.first], stage(program, candidate), *whole[candidate.end :]]
            yield plan(program, some)


def programs() -> list[Program]:
    """Returns chains of steps with and without windows, with scratch, and with two inputs."""
    window = Window(_SIDE, _SIDE, 3, 1, 1, 1)
    plain = [_step([at], at + 1) for at in range(5)]
    chain = [_step([at], at + 1, window) for at in range(6)]
    scratch = [_step([at], at + 1, window, scratch_bytes=64) for at in range(4)]
    joined = [
        *(_step([at], at + 1, window) for at in range(2)),
        _step([0, 2], 3, Window(_SIDE, _SIDE)),
        *(_step([at], at + 1, window, scratch_bytes=16) for at in (3, 4)),
        _step([3, 5], 6, Window(_SIDE, _SIDE)),
    ]
    return [
        *(_program(plain[:count]) for count in (1, 2, 5)),
        *(_program(chain[:count]) for count in (1, 3, 6)),
        _program(scratch),
        _program(joined),
    ]


def _step(reads: Sequence[int], write: int, window: Window | None = None, **options: int) -> Step:
    arguments = Struct("NothingArgs", {"number": write})
    kernel = "Nothing" if len(reads) == 1 else "NothingOfTwo"
    return Step(
        f"{write} nothing", kernel, _HEADER, arguments, tuple(reads), (write,), window, **options
    )


def _program(steps: Sequence[Step]) -> Program:
    shape = (1, _SIDE, _SIDE, _CHANNELS)
    values = {n: Value(n, f"v{n}", "int8", shape) for n in range(steps[-1].writes[0] + 1)}
    return Program(values, tuple(steps), {}, (0,), steps[-1].writes)


def write(placed: Plan, core: str, folder: Path) -> None:
    """Writes the files of a program, its kernels among them, to an empty folder."""
    title = Title(NAME, "nothing", core, "double")
    constants, calls = cpp_program.constants_of(placed)
    texts = {
        f"{NAME}.h": cpp_program.header(title, placed, constants.size_bytes),
        f"{NAME}.cc": cpp_program.source(title, placed, calls, ""),
        f"{NAME}_constants.h": cpp_program.constants_text(title, placed, constants),
        f"tflite_kernels/micro/{_HEADER}": _header(),
        "tflite_kernels/micro/nothing.cc": _source(),
    }
    headers = [name for name in cpp_program.headers_of(placed) if name != _HEADER]
    for path in kernels.needed(headers):
        texts[path] = (kernels.folder() / path).read_text()
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def _header() -> str:
    functions = "".join(f"void {function};\n" for function in _FUNCTIONS)
    return _in_namespace(f"struct NothingArgs {{\n  int32_t number;\n}};\n{functions}", "types.h")


def _source() -> str:
    functions = "".join(f"void {function} {{}}\n" for function in _FUNCTIONS)
    return _in_namespace(functions, _HEADER)


def _in_namespace(text: str, header: str) -> str:
    return (
        f'#include "tflite_kernels/micro/{header}"\n'
        f"namespace edgeax {{\nnamespace micro {{\n{text}}}\n}}\n"
    )

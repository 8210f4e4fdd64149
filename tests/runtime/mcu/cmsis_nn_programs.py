"""Programs by CMSIS-NN, built against a tree of it: the stand-in of these tests, or a real one."""

import functools
from pathlib import Path

from edgeax.runtime.mcu import cmsis_nn, read, vectors, write
from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.folder import write_folder
from edgeax.runtime.mcu.plan import plan, stages_of
from edgeax.runtime.mcu.targets import TARGETS
from tests.emulation import boards, places, process
from tests.emulation.cmsis_nn import HERE, Library
from tests.runtime.mcu import generated

STAND_IN = Path(__file__).with_name("stand_in_cmsis_nn")


@functools.cache
def stand_in(machine: str) -> Library:
    """Returns the stand-in, compiled for a board or for this machine."""
    folder = places.BUILD / "tests" / "cmsis_nn"
    folder.mkdir(parents=True, exist_ok=True)
    source, file = STAND_IN / "Source" / "arm_nnfunctions.cc", folder / f"{machine}.o"
    flags = ["-Wall", "-Wextra", "-Werror", f"-I{STAND_IN / 'Include'}"]
    if machine == HERE:
        process.compile_or_raise(["g++", "-std=c++17", "-O2", *flags, "-c", source, "-o", file])
    else:
        boards.compile_object(machine, source, file, flags)
    return Library(STAND_IN, file)


def write_program(data: bytes, folder: Path, target: str) -> None:
    """Writes a program named net with a twin by CMSIS-NN, planned in no time."""
    core, twins = TARGETS[target], []
    for with_cmsis_nn in (False, True):
        program = read.read_program(data, core, "double", with_cmsis_nn=with_cmsis_nn)
        twins.append(plan(program, stages_of(program), quick=True))
    drawn = vectors.drawn_vectors(data, twins[0].program, "double")
    title = Title("net", "net.tflite", target, "double")
    files, _, _ = write.files_of(title, twins[0], core, drawn, twins[1])
    write_folder(folder, files)


def run_here(folder: Path, library: Library, *flags: str) -> process.Outcome:
    """Compiles the test of a program for this machine and runs it."""
    program = folder.parent / f"{folder.name}.test"
    words = ["g++", *generated.WARNINGS, *flags, *library.flags, f"-I{folder}"]
    process.compile_or_raise([*words, *generated.sources(folder), library.file, "-o", program])
    return process.run([program], timeout_s=60)


def run_on_board(core: str, folder: Path, library: Library) -> process.Outcome:
    """Compiles the test of a program for a board and runs it there."""
    flags = [f"-I{folder}", "-DEDGEAX_QUIET", "-Werror", *library.flags]
    files = [*generated.sources(folder), library.file]
    return boards.run(core, boards.build(core, files, folder.parent / "net.elf", flags))


def labels(data: bytes, target: str) -> tuple[list[str], list[str]]:
    """Returns what CMSIS-NN computes of a file, and what our kernels do."""
    program = read.read_program(data, TARGETS[target], "double", with_cmsis_nn=True)
    return cmsis_nn.shares(plan(program, stages_of(program), quick=True))

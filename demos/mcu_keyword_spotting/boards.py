"""Builds a generated program for this machine and for boards that QEMU plays, and runs it there.

The start-up code, the linker scripts and the counter of instructions are those of the repository's
tests/emulation. A real board brings its own start-up code.
"""

import dataclasses
import pathlib
import shutil
import subprocess

import numpy as np

import edgeax

FIRMWARE = pathlib.Path(__file__).parent / "firmware"
RIGS = pathlib.Path(__file__).parents[2] / "tests" / "emulation"
DEBIAN = "apt-get install gcc make gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib qemu-system-arm"
TOOLS = ("make", "gcc", "arm-none-eabi-g++", "arm-none-eabi-size", "qemu-system-arm")
PC_FLAGS = ("-std=c++17", "-O2", "-Wall", "-Wextra")
BOARD_FLAGS = (*PC_FLAGS, "-fno-exceptions", "-fno-rtti", "-ffunction-sections", "-fdata-sections")
LINK_FLAGS = ("-nostartfiles", "-nodefaultlibs", "-Wl,--gc-sections", "-lc_nano", "-lgcc")


@dataclasses.dataclass(frozen=True)
class Board:
    """A processor, and QEMU's machine that has it, with the linker script for its memory."""

    target: str
    machine: str
    linker_script: str


BOARDS = (
    Board("cortex-m4", "mps2-an386", "an386.ld"),
    Board("cortex-m7", "mps2-an500", "an386.ld"),
    Board("cortex-m55", "mps3-an547", "an547.ld"),
)


@dataclasses.dataclass(frozen=True)
class Ran:
    """What a board did.

    Attributes:
        scores: int8 (clips, classes).
        instructions: Of one clip, counted exactly; the mean of all.
        flash_bytes: The whole firmware, start-up code and reading of files included.
        ram_bytes: Its static RAM; the stack is not in it.
    """

    scores: np.ndarray
    instructions: float
    flash_bytes: int
    ram_bytes: int


def what_is_missing():
    """Returns what boards need and is not there, in words; empty: nothing."""
    tools = [tool for tool in TOOLS if shutil.which(tool) is None]
    if tools:
        return f"no {', '.join(tools)} (Debian: {DEBIAN})"
    return "" if RIGS.is_dir() else f"no {RIGS}: run the demo in a clone of the repository"


def run_on_pc(program, codes, folder):
    """Builds a program with this machine's compiler; returns the scores of clips.

    Args:
        program: Folder that `edgeax.mcu.generate` wrote, whose program is named keywords.
        codes: int8, the clips as the input stores them.
        folder: Where to build and run.
    """
    sources = [program / "keywords.cc", *(program / "tflite_kernels").rglob("*.cc")]
    sources += [FIRMWARE / "classify.cc", FIRMWARE / "files_pc.cc"]
    call("g++", *PC_FLAGS, f"-I{program}", *sources, "-o", folder / "classify")
    return scores_of([folder / "classify"], codes, folder)


def run_on_board(board, program, codes, folder):
    """Builds a program for a board and runs it in QEMU, clip by clip; returns a `Ran`."""
    call("make", "-s", "-C", program)  # libkeywords.a, for the target it was generated for
    firmware, rig = folder / "classify.elf", RIGS / "firmware"
    flags = [*edgeax.mcu.TARGETS[board.target].flags, *BOARD_FLAGS, "-DCOUNT_INSTRUCTIONS"]
    flags += [f"-I{program}", f"-I{rig}", f"-I{RIGS / 'counter'}"]
    sources = [FIRMWARE / "classify.cc", FIRMWARE / "files_board.cc", rig / "startup.cc"]
    linked = [program / "build" / "libkeywords.a", *LINK_FLAGS, f"-L{rig}"]
    linked += ["-T", board.linker_script, "-o", firmware]
    call("arm-none-eabi-g++", *flags, *sources, *linked)
    qemu = ["qemu-system-arm", "-machine", board.machine, "-nographic", "-monitor", "none"]
    qemu += ["-serial", "none", "-semihosting-config", "enable=on,target=native"]
    qemu += ["-plugin", f"{build_counter(folder)},out=counts", "-kernel", firmware]
    scores = scores_of(qemu, codes, folder)
    _, visits, instructions = (folder / "counts").read_text().splitlines()[0].split()
    text, data, bss = call("arm-none-eabi-size", firmware).splitlines()[1].split()[:3]
    return Ran(
        scores,
        instructions=int(instructions) / int(visits),
        flash_bytes=int(text) + int(data),
        ram_bytes=int(data) + int(bss),
    )


def build_counter(folder):
    """Builds QEMU's plugin that counts instructions between the marks of classify.cc."""
    plugin = folder.resolve() / "counter.so"
    source = RIGS / "counter" / "regioncount.c"
    call("gcc", "-std=c11", "-O2", "-fPIC", "-shared", source, "-o", plugin)
    return plugin


def scores_of(command, codes, folder):
    """Runs classify.cc on clips; returns int8 (clips, classes)."""
    (folder / "clips.bin").write_bytes(codes.tobytes())
    call(*command, folder=folder)
    scores = np.frombuffer((folder / "scores.bin").read_bytes(), np.int8)
    return scores.reshape(len(codes), -1)


def call(*command, folder=None):
    """Runs a command; returns what it printed.

    Raises:
        RuntimeError: It failed; the message holds its words.
    """
    words = [str(word.resolve() if isinstance(word, pathlib.Path) else word) for word in command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        said = f"{done.stdout}{done.stderr}"
        raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{said}")
    return done.stdout

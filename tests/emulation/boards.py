"""Bare-metal programs on the Cortex-M boards of qemu-system-arm.

A program links firmware/startup.cc, which calls its `main`, and no C++ library. Its output is what
it prints by firmware/semihosting.h, its exit code what `main` returns, or FAULT_CODE.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.emulation import places, process

COMPILER = "arm-none-eabi-g++"
FAULT_CODE = 99  # kFaultCode of firmware/startup.cc


@dataclass(frozen=True)
class Board:
    """A core: the machine that QEMU plays it on, its compiler flags and its memory layout."""

    core: str
    machine: str
    flags: tuple[str, ...]
    linker_script: str


_HARD = "-mfloat-abi=hard"

BOARDS = {
    board.core: board
    for board in (
        Board(
            "cortex-m4", "mps2-an386", ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", _HARD), "an386.ld"
        ),
        Board("cortex-m7", "mps2-an500", ("-mcpu=cortex-m7", "-mfpu=fpv5-d16", _HARD), "an386.ld"),
        Board("cortex-m55", "mps3-an547", ("-mcpu=cortex-m55", _HARD), "an547.ld"),
    )
}
SMALL_BOARDS = {
    board.core: board
    for board in (Board("cortex-m0plus", "microbit", ("-mcpu=cortex-m0plus",), "microbit.ld"),)
}
"""Boards of 16 KiB of RAM and 256 KiB of flash. QEMU plays a Cortex-M0, which has the instructions
of an M0+."""


_COMPILE_FLAGS = (
    "-mthumb -std=c++17 -O2 -Wall -Wextra -ffunction-sections -fdata-sections "
    "-fno-exceptions -fno-rtti -fno-threadsafe-statics"
).split()
_PLAIN_LOOPS = "-fno-tree-loop-distribute-patterns"  # the start-up code calls no library
_LINK_FLAGS = "-nostartfiles -nodefaultlibs -Wl,--gc-sections".split()
_LIBRARIES = "-Wl,--start-group -lc_nano -lgcc -Wl,--end-group".split()


def build(core: str, sources: Sequence[Path], output: Path, flags: Sequence[str] = ()) -> Path:
    """Compiles C++17 sources into firmware.

    Args:
        core: A name of `BOARDS` or `SMALL_BOARDS`.
        sources: C++ files or objects, without the start-up code.
        output: ELF file to write.
        flags: Further compiler flags; the start-up code is compiled without them.
    Returns:
        `output`.
    Raises:
        RuntimeError: the compiler or the linker failed, say because memory ran out or because the
            program needs a heap or a C++ library.
    """
    layout = [f"-L{places.FIRMWARE}", "-T", _known(core).linker_script]
    startup = output.with_name(f"{output.name}.startup.o")
    compile_object(core, places.FIRMWARE / "startup.cc", startup, [_PLAIN_LOOPS])
    command = [*_compiler(core), *flags, "-o", output, startup, *sources]
    process.compile_or_raise([*command, *_LINK_FLAGS, *layout, *_LIBRARIES])
    return output


def compile_object(core: str, source: Path, output: Path, flags: Sequence[str] = ()) -> Path:
    """Compiles one C++17 source into an object file, with the flags of `build`.

    Args:
        core: A name of `BOARDS` or `SMALL_BOARDS`.
        source: C++ file.
        output: Object file to write, which `build` takes as a source.
        flags: Further compiler flags.
    Returns:
        `output`.
    """
    process.compile_or_raise([*_compiler(core), *flags, "-c", source, "-o", output])
    return output


def run(core: str, program: Path, counter: str | None = None) -> process.Outcome:
    """Runs firmware to its end.

    Args:
        core: A name of `BOARDS` or `SMALL_BOARDS`, of another one than the program was built for
            too.
        program: ELF file that `build` made.
        counter: Value of QEMU's -plugin option, see counting.py.
    Returns:
        What it printed, and its exit code.
    """
    command = ["qemu-system-arm", "-machine", _known(core).machine, "-nographic"]
    command += ["-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native"]
    if counter is not None:
        command += ["-plugin", counter]
    return process.run([*command, "-kernel", str(program)], timeout_s=120)


def _compiler(core: str) -> list[str]:
    return [COMPILER, *_known(core).flags, *_COMPILE_FLAGS, f"-I{places.FIRMWARE}"]


def _known(core: str) -> Board:
    known = BOARDS | SMALL_BOARDS
    if core not in known:
        raise ValueError(f"`core` must be one of {', '.join(known)}. Received: {core}.")
    return known[core]

"""Programs for 32-bit RISC-V without floating point, in QEMU's user mode.

Debian has no C library for them: they are freestanding, with the start-up code of firmware/.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.emulation import places, process

COMPILER = "riscv64-unknown-elf-g++"

_FLAGS = (
    "-march=rv32imc -mabi=ilp32 -std=c++17 -O2 -Wall -Wextra -ffreestanding -fno-exceptions "
    "-fno-rtti -fno-threadsafe-statics -ffunction-sections -fdata-sections"
).split()
_PLAIN_LOOPS = "-fno-tree-loop-distribute-patterns"  # memcpy must not call itself
_LINK_FLAGS = "-nostdlib -static -Wl,--gc-sections".split()


def build(sources: Sequence[Path], output: Path, flags: Sequence[str] = ()) -> Path:
    """Compiles C++17 sources into a program.

    Args:
        sources: C++ and object files, without the start-up code.
        output: Program to write.
        flags: Further compiler flags; the start-up code is compiled without them.
    Returns:
        `output`.
    Raises:
        RuntimeError: the compiler or the linker failed, say because the program needs a library.
    """
    startup = output.with_name(f"{output.name}.startup.o")
    source = places.FIRMWARE / "startup_riscv.cc"
    process.compile_or_raise([COMPILER, *_FLAGS, _PLAIN_LOOPS, "-c", source, "-o", startup])
    command = [COMPILER, *_FLAGS, *flags, "-o", output, startup, *sources]
    process.compile_or_raise([*command, *_LINK_FLAGS, "-lgcc"])
    return output


def run(program: Path) -> process.Outcome:
    """Runs a program; returns what it printed, and its exit code."""
    return process.run(["qemu-riscv32", str(program)], timeout_s=120)

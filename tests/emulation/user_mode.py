"""Static Linux programs under QEMU's user mode, for the CPUs of aarch64.py and armv7.py."""

from collections.abc import Sequence
from pathlib import Path

from tests.emulation import process

_FLAGS = ("-std=c++17", "-O2", "-Wall", "-Wextra", "-static")


def build(
    compiler: Sequence[str], sources: Sequence[Path], output: Path, flags: Sequence[str] = ()
) -> Path:
    """Compiles C++17 sources into a static Linux program.

    Args:
        compiler: The cross compiler and the flags that choose its target.
        sources: C++ and object files.
        output: Program to write.
        flags: Further compiler flags.
    Returns:
        `output`.
    Raises:
        RuntimeError: the compiler failed.
    """
    process.compile_or_raise([*compiler, *_FLAGS, *flags, "-o", output, *sources])
    return output


def run(
    qemu: Sequence[str], program: Path, *args: str | Path, counter: str | None = None
) -> process.Outcome:
    """Runs a static Linux program.

    Args:
        qemu: QEMU and the options that choose its CPU.
        program: Program that `build` made.
        *args: Its arguments.
        counter: Value of QEMU's -plugin option, see counting.py.
    Returns:
        What it printed, and its exit code.
    """
    plugin = [] if counter is None else ["-plugin", counter]
    return process.run([*qemu, *plugin, program, *args], timeout_s=120)

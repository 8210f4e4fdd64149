"""Programs for 32-bit Arm Linux, on an emulated Cortex-A7 (Raspberry Pi 2 and many small
boards) or A15.

No older Arm can be played: Debian's compiler and C library for 32-bit Arm are for version 7.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.emulation import process, user_mode

COMPILER = "arm-linux-gnueabihf-g++"
CPU = "cortex-a7"
SETS = {  # by QEMU's name of a processor: the kernel sets that it has
    "cortex-a7": ("reference", "neon"),
    "cortex-a15": ("reference", "neon"),
    "cortex-a7,neon=off": ("reference",),
}
FPUS = {"neon": "neon-vfpv4", "no_neon": "vfpv4-d16"}  # what the compiler may use


def build(fpu: str, sources: Sequence[Path], output: Path, flags: Sequence[str] = ()) -> Path:
    """Compiles C++17 sources into a static program.

    Args:
        fpu: A name of `FPUS`.
        sources: C++ and object files.
        output: Program to write.
        flags: Further compiler flags.
    Returns:
        `output`.
    Raises:
        RuntimeError: the compiler failed.
    """
    if fpu not in FPUS:
        raise ValueError(f"`fpu` must be one of {', '.join(FPUS)}. Received: {fpu}.")
    compiler = [COMPILER, f"-mcpu={CPU}", f"-mfpu={FPUS[fpu]}", "-mfloat-abi=hard"]
    return user_mode.build(compiler, sources, output, flags)


def run(program: Path, *args: str, counter: str | None = None, cpu: str = CPU) -> process.Outcome:
    """Runs a program.

    Args:
        program: Program that `build` made.
        *args: Its arguments.
        counter: Value of QEMU's -plugin option, see counting.py.
        cpu: QEMU's name of another CPU.
    Returns:
        What it printed, and its exit code.
    """
    return user_mode.run(["qemu-arm", "-cpu", cpu], program, *args, counter=counter)

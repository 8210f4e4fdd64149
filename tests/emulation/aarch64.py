"""Programs and Python with LiteRT under qemu-aarch64, as one of the CPUs of cpus.py."""

from collections.abc import Sequence
from pathlib import Path

from tests.emulation import places, process, user_mode
from tests.emulation.cpus import CPUS

COMPILER = "aarch64-linux-gnu-g++"


def build(sources: Sequence[Path], output: Path, flags: Sequence[str] = ()) -> Path:
    """Compiles C++17 sources into a static aarch64 Linux program.

    Args:
        sources: C++ and object files.
        output: Program to write.
        flags: Further compiler flags.
    Returns:
        `output`.
    Raises:
        RuntimeError: the compiler failed.
    """
    return user_mode.build([COMPILER], sources, output, flags)


def run(cpu: str, program: Path, *args: str | Path, counter: str | None = None) -> process.Outcome:
    """Runs a static aarch64 program.

    Args:
        cpu: A name of `CPUS`.
        program: Program that `build` made.
        *args: Its arguments.
        counter: Value of QEMU's -plugin option, see counting.py.
    Returns:
        What it printed, and its exit code.
    """
    return user_mode.run(["qemu-aarch64", "-cpu", _known(cpu)], program, *args, counter=counter)


def run_python(
    cpu: str, script: Path, *args: str | Path, counter: str | None = None
) -> process.Outcome:
    """Runs a Python script on arm64 Python; it may import LiteRT, numpy and this repository.

    Args:
        cpu: A name of `CPUS`.
        script: Python file.
        *args: Its arguments.
        counter: Value of QEMU's -plugin option, see counting.py.
    Returns:
        What it printed, and its exit code.
    """
    view = places.CPU_ROOTS / _known(cpu)
    environment = {
        "PYTHONHOME": f"{view}/usr",
        "PYTHONPATH": f"{places.SITE}:{places.REPOSITORY}",
        "PYTHONDONTWRITEBYTECODE": "1",  # the host's Python reads the same folders
        "OPENBLAS_NUM_THREADS": "1",
    }
    settings = [word for name, value in environment.items() for word in ("-E", f"{name}={value}")]
    plugin = [] if counter is None else ["-plugin", counter]
    python = view / f"usr/bin/python{places.PYTHON_VERSION}"
    command = ["qemu-aarch64", "-cpu", cpu, "-L", view, *settings, *plugin, python, script, *args]
    return process.run(command, timeout_s=300)


def _known(cpu: str) -> str:
    if cpu not in CPUS:
        raise ValueError(f"`cpu` must be one of {', '.join(CPUS)}. Received: {cpu}.")
    return cpu

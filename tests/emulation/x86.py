"""Static Linux programs, and this Python, on older x86-64 processors than this machine's, under
qemu-x86_64.
"""

import re
import sys
from pathlib import Path

from tests.emulation import process, user_mode

SETS = {  # by QEMU's name of a processor: the kernel sets that it has
    "Nehalem": ("reference",),  # SSE4.2
    "Haswell": ("reference", "avx2"),
}

# QEMU counts a repeated instruction once for each byte that it copies or fills.
_PLAIN_COPIES = ":".join(
    f"glibc.cpu.x86_rep_{name}_threshold=0x7fffffff" for name in ("movsb", "stosb")
)


def run(cpu: str, program: Path, *args: str, counter: str | None = None) -> process.Outcome:
    """Runs a program of this machine's compiler.

    Args:
        cpu: A name of `SETS`.
        program: Static program.
        *args: Its arguments.
        counter: Value of QEMU's -plugin option, see counting.py.
    Returns:
        What it printed, and its exit code.
    """
    return _without_warnings(user_mode.run(_qemu(cpu), program, *args, counter=counter))


def run_python(
    cpu: str, script: Path, *args: str | Path, counter: str | None = None
) -> process.Outcome:
    """Runs a Python script on this Python; it may import the packages that are installed.

    Args:
        cpu: A name of `SETS`.
        script: Python file.
        *args: Its arguments.
        counter: Value of QEMU's -plugin option, see counting.py.
    Returns:
        What it printed, and its exit code.
    """
    settings = ["-E", "OPENBLAS_NUM_THREADS=1", "-E", f"GLIBC_TUNABLES={_PLAIN_COPIES}"]
    plugin = [] if counter is None else ["-plugin", counter]
    command = [*_qemu(cpu), *settings, *plugin, sys.executable, "-I", script, *args]
    return _without_warnings(process.run(command, timeout_s=300))


def _qemu(cpu: str) -> list[str]:
    if cpu not in SETS:
        raise ValueError(f"`cpu` must be one of {', '.join(SETS)}. Received: {cpu}.")
    return ["qemu-x86_64", "-cpu", cpu]


def _without_warnings(outcome: process.Outcome) -> process.Outcome:
    """Drops which features of the processor QEMU cannot play: transactions, say, and timers."""
    output = re.sub(
        "^qemu-x86_64: warning: TCG doesn't support.*\n", "", outcome.output, flags=re.M
    )
    return process.Outcome(output, outcome.code)

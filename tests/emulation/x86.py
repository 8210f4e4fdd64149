"""Static Linux programs on older x86-64 processors than this machine's, under qemu-x86_64."""

import re
from pathlib import Path

from tests.emulation import process, user_mode

SETS = {  # by QEMU's name of a processor: the kernel sets that it has
    "Nehalem": ("reference",),  # SSE4.2
    "Haswell": ("reference", "avx2"),
}


def run(cpu: str, program: Path, *args: str) -> process.Outcome:
    """Runs a program of this machine's compiler.

    Args:
        cpu: A name of `SETS`.
        program: Static program.
        *args: Its arguments.
    Returns:
        What it printed, and its exit code.
    """
    if cpu not in SETS:
        raise ValueError(f"`cpu` must be one of {', '.join(SETS)}. Received: {cpu}.")
    outcome = user_mode.run(["qemu-x86_64", "-cpu", cpu], program, *args)
    # It says which features of the processor it cannot play: transactions, say, and timers.
    output = re.sub(
        "^qemu-x86_64: warning: TCG doesn't support.*\n", "", outcome.output, flags=re.M
    )
    return process.Outcome(output, outcome.code)

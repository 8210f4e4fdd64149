"""Runs a program and keeps what it said; every rig returns its result in this form."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a program printed, on standard output and standard error alike, and its exit code."""

    output: str
    code: int


def run(command: Sequence[str | Path], timeout_s: float) -> Outcome:
    """Runs `command` to its end.

    Args:
        command: Program and arguments.
        timeout_s: Seconds after which the program is killed.
    Returns:
        Its outcome; code is 128 + n when signal n ended it, as a shell says it.
    Raises:
        TimeoutError: it ran longer than `timeout_s`; the message holds what it had printed.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = (error.output or b"").decode(errors="replace")
        raise TimeoutError(
            f"{words[0]} ran longer than {timeout_s} s. It had printed:\n{said}"
        ) from None
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return Outcome(done.stdout.decode(errors="replace"), code)


def compile_or_raise(command: Sequence[str | Path], timeout_s: float = 600.0) -> None:
    """Runs a compiler.

    Raises:
        RuntimeError: it failed; the message holds the command and the compiler's words.
    """
    outcome = run(command, timeout_s)
    if outcome.code != 0:
        words = " ".join(str(word) for word in command)
        raise RuntimeError(f"Compiling failed with code {outcome.code}:\n{words}\n{outcome.output}")

"""Runs a program and keeps what it said; every rig returns its result in this form.

Compilers too: kernels that were compiled before, by the same words, are not compiled anew.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.emulation import places

OBJECTS = places.BUILD / "tests" / "objects"
_LINKED = {".a", ".o", ".so"}
_LINKER_FLAGS = {"-nodefaultlibs", "-nostartfiles", "-nostdlib", "-shared", "-static"}


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

    Sources in a folder of a `tflite_kernels`, as they lie in every generated program, are compiled
    once for each text and all flags, and the objects kept in OBJECTS.

    Raises:
        RuntimeError: it failed; the message holds the command and the compiler's words.
    """
    words = [str(word) for word in command]
    split = _split(words)
    if split is None:
        _run_compiler(words, timeout_s)
        return
    flags, output = split
    made = {word: _object(flags, word, timeout_s) for word in words if _is_kernel(word)}
    if "-c" in words:
        (compiled,) = made.values()
        shutil.copyfile(compiled, output)
    elif made:
        _run_compiler([str(made.get(word, word)) for word in words], timeout_s)


def _run_compiler(words: Sequence[str], timeout_s: float) -> str:
    outcome = run(words, timeout_s)
    if outcome.code != 0:
        raise RuntimeError(
            f"Compiling failed with code {outcome.code}:\n{' '.join(words)}\n{outcome.output}"
        )
    return outcome.output


def _is_kernel(word: str) -> bool:
    path = Path(word)
    return path.suffix == ".cc" and path.parent.parent.name == "tflite_kernels"


def _split(words: Sequence[str]) -> tuple[list[str], str] | None:
    """Returns what a command compiles each of its files with, and the file that it writes.

    None where it compiles no kernel, or has words of which that is not known.
    """
    flags, output, rest = [words[0]], "", iter(words[1:])
    for word in rest:
        if word == "-o":
            output = next(rest)
        elif word == "-isystem":
            flags += [word, next(rest)]
        elif word == "-T":
            next(rest)
        elif word.startswith(("-Wl,", "-L", "-l")) or word in {*_LINKER_FLAGS, "-c"}:
            continue
        elif word.startswith("-") and word != "-fsyntax-only":
            flags.append(word)
        elif Path(word).suffix not in {*_LINKED, ".cc"}:
            return None
    return (flags, output) if output and any(map(_is_kernel, words)) else None


def _object(flags: Sequence[str], source: str, timeout_s: float) -> Path:
    """Returns the object of a source; two processes that want it at once may both compile it."""
    text = _run_compiler([*flags, "-E", "-P", source], timeout_s)
    pairs = zip(["", *flags], flags, strict=False)
    chosen = [flag for before, flag in pairs if before != "-isystem" and not flag.startswith("-I")]
    compiler = Path(shutil.which(flags[0]) or flags[0])
    chosen.append(f"{compiler.resolve()} {compiler.stat().st_mtime_ns}")
    digest = hashlib.sha256("\0".join([*chosen, text]).encode()).hexdigest()
    made = OBJECTS / f"{Path(source).stem}-{digest[:32]}.o"
    if not made.exists():
        OBJECTS.mkdir(parents=True, exist_ok=True)
        unfinished = made.with_suffix(f".{os.getpid()}.o")
        _run_compiler([*flags, "-c", source, "-o", str(unfinished)], timeout_s)
        unfinished.replace(made)
    return made

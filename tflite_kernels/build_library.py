"""Compiles tflite_kernels into one shared library. Standard library only.

setup.py calls `build` for `pip install`, and tests call it for other compilers and processors.
What is compiled stands in sources.json: `common` for every processor, then one list per processor
whose entries carry the flags of their instruction set.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

KERNELS = Path(__file__).resolve().parent
ROOT = KERNELS.parent
COMPILERS = ("g++", "c++", "clang++")  # tried in this order when CXX is not set
ARCHITECTURES = {  # the compiler's own macros
    "x86_64": {"__x86_64__"},
    "aarch64": {"__aarch64__"},
    "armv7": {"__ARM_PCS_VFP", "__linux__"},  # with the registers of NEON; the code asks for it
}
JOBS = 2

# No fused multiply-add by the compiler's choice: every processor has to give the same bits.
COMPILE_FLAGS = (
    "-std=c++17 -O3 -fPIC -fvisibility=hidden -fvisibility-inlines-hidden -fno-exceptions "
    "-fno-rtti -ffp-contract=off -ffunction-sections -fdata-sections -Wall -Wextra -I."
).split()
# The library carries its C++ runtime, exports none of it, and leaves nothing to be found at load.
ELF_LINK_FLAGS = (
    "-static-libgcc -static-libstdc++ -pthread -Wl,--no-undefined -Wl,--gc-sections "
    "-Wl,--version-script=tflite_kernels/exports.map"
).split()

# zig would first compile its whole libc++, for minutes, and the kernels use no part of it; nor is
# the debugging information of its own runtime wanted.
ZIG_LINK_FLAGS = ["-nostdlib++", "-Wl,-s"]

INSTALL_A_COMPILER = (
    "Install one (on Debian, Ubuntu and Raspberry Pi OS: apt-get install g++), name another by "
    "the environment variable CXX, or install a wheel of edgeax, which holds the library ready "
    "built."
)


class BuildError(Exception):
    """The library cannot be built; the message is for the person who types `pip install`."""


@dataclasses.dataclass(frozen=True)
class Target:
    """What a compiler compiles for.

    Attributes:
        architecture: "x86_64", "aarch64", "armv7" or "other".
        is_elf: Whether it links ELF libraries, as on Linux and Android.
        fingerprint: Predefined macros of the compiler, which name its version too.
    """

    architecture: str
    is_elf: bool
    fingerprint: str


def find_compiler(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Returns the words that start the C++ compiler.

    Args:
        environment: Where CXX, which may hold several words, and PATH are looked up.

    Raises:
        BuildError: there is no compiler; says what to install.
    """
    path = environment.get("PATH")
    named = shlex.split(environment.get("CXX", ""))
    if named:
        if shutil.which(named[0], path=path) is None:
            raise BuildError(
                f"`CXX` must start with the name of a program. Received: CXX={shlex.join(named)!r},"
                f" and {named[0]!r} is not on PATH. {INSTALL_A_COMPILER}"
            )
        return named
    for name in COMPILERS:
        if shutil.which(name, path=path):
            return [name]
    raise BuildError(
        "edgeax needs a C++17 compiler to build its plugin library, and none of "
        f"{', '.join(COMPILERS)} is on PATH. {INSTALL_A_COMPILER}"
    )


def find_target(compiler: Sequence[str]) -> Target:
    """Asks a compiler what it compiles for.

    Raises:
        BuildError: the compiler does not run; shows its output.
    """
    macros = _run([*compiler, "-dM", "-E", "-x", "c++", os.devnull], "Asking the compiler")
    defined = {line.split()[1] for line in macros.splitlines() if line.startswith("#define ")}
    architectures = [name for name, macros in ARCHITECTURES.items() if macros <= defined]
    return Target(architectures[0] if architectures else "other", "__ELF__" in defined, macros)


def list_sources(architecture: str) -> list[tuple[str, list[str]]]:
    """Reads sources.json: the files for one processor, each with its own flags.

    Args:
        architecture: "x86_64", "aarch64", "armv7", or any other for the portable files alone.

    Returns:
        Pairs of a file, relative to tflite_kernels/, and its flags.
    """
    listed = json.loads((KERNELS / "sources.json").read_text(encoding="utf-8"))
    entries = [{"file": file, "flags": []} for file in listed["common"]]
    entries += listed.get(architecture, [])
    return [(entry["file"], entry["flags"]) for entry in entries]


def build(
    output: Path,
    compiler: Sequence[str] | None = None,
    architecture: str | None = None,
    build_dir: Path | None = None,
    flags: Sequence[str] = (),
) -> Path:
    """Builds the plugin library; compiles only what changed since the last call.

    Args:
        output: The library to write; its folders are made.
        compiler: Words that start the C++ compiler; None for `find_compiler()`.
        architecture: Whose files to compile, see `list_sources`; None for what the compiler
            compiles for.
        build_dir: Folder of the object files; None for build/tflite_kernels in the tree. Compilers
            and processors may share it.
        flags: Of the compiler, after all others, as -O1 to be ready sooner.

    Returns:
        The library's absolute path.

    Raises:
        BuildError: no compiler, or it failed; its own output is in the message.
    """
    compiler = find_compiler() if compiler is None else list(compiler)
    objects = compile_objects(compiler, architecture, build_dir, flags=flags)
    return _link(objects, Path(output).absolute(), compiler, find_target(compiler))


def compile_objects(
    compiler: Sequence[str],
    architecture: str | None = None,
    build_dir: Path | None = None,
    folders: Sequence[str] = ("core", "arch", "adapters"),
    flags: Sequence[str] = (),
) -> list[Path]:
    """Compiles what changed since the last call.

    Args:
        compiler: Words that start the C++ compiler.
        architecture: As of `build`.
        build_dir: As of `build`.
        folders: Those whose files are compiled.
        flags: As of `build`.

    Returns:
        The object files, in the order of `list_sources`.

    Raises:
        BuildError: the compiler failed; its own output is in the message.
    """
    target = find_target(compiler)
    build_dir = ROOT / "build" / "tflite_kernels" if build_dir is None else Path(build_dir)
    build_dir.mkdir(parents=True, exist_ok=True)
    sources = list_sources(target.architecture if architecture is None else architecture)
    with ThreadPoolExecutor(max_workers=JOBS) as pool:
        jobs = [
            pool.submit(
                _compile, file, [*compiler, *COMPILE_FLAGS, *own, *flags], target, build_dir
            )
            for file, own in sources
            if Path(file).parts[0] in folders
        ]
        try:
            return [job.result() for job in jobs]
        finally:
            pool.shutdown(cancel_futures=True)


def _compile(file: str, command: list[str], target: Target, build_dir: Path) -> Path:
    """Compiles one file unless its object is newer than all that it was made from.

    Of several processes one compiles it, and the others wait.
    """
    source = (KERNELS / file).relative_to(ROOT)
    text = "\0".join([*command, str(source), target.fingerprint])
    stem = f"{file.replace('/', '-')}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    result = build_dir.absolute() / f"{stem}.o"
    dependencies = result.with_suffix(".d")
    if _is_current(result, dependencies):
        return result
    with open(result.with_suffix(".lock"), "wb") as lock:
        with contextlib.suppress(OSError):  # a file system may have no locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_current(result, dependencies):  # another process was at it
            return result
        started_ns = time.time_ns()
        unfinished = _unfinished(result)
        outputs = ["-MMD", "-MF", str(dependencies), "-MT", "object", "-o", str(unfinished)]
        _run([*command, "-c", str(source), *outputs], f"Compiling {source}")
        os.utime(unfinished, ns=(started_ns, started_ns))  # an edit made meanwhile counts as newer
        os.replace(unfinished, result)
    return result


def _link(objects: list[Path], output: Path, compiler: list[str], target: Target) -> Path:
    """Links the objects to a library, written whole or not at all."""
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _unfinished(output)
    command = [*compiler, "-shared", *map(str, objects), "-o", str(unfinished)]
    if target.is_elf:
        command += ELF_LINK_FLAGS
    if any(Path(word).name in ("zig", "ziglang") for word in compiler):
        command += ZIG_LINK_FLAGS
    _run(command, f"Linking {output.name}")
    os.replace(unfinished, output)  # a process that has the former library open keeps it whole
    return output


def _is_current(result: Path, dependencies: Path) -> bool:
    """Whether an object file is newer than every file that the compiler read for it."""
    try:
        made = result.stat().st_mtime_ns
        rule = dependencies.read_text(encoding="utf-8").replace("\\\n", " ")
        files = shlex.split(rule.partition(":")[2])
        return bool(files) and all((ROOT / file).stat().st_mtime_ns < made for file in files)
    except FileNotFoundError:  # never made, or a header is gone
        return False


def _unfinished(path: Path) -> Path:
    """A name beside `path` for writing, of this process alone."""
    return path.with_name(f".{path.name}.{os.getpid()}")


def _run(command: Sequence[str], what: str) -> str:
    """Runs a compiler in the root of the tree and returns what it prints."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(
            f"{what} failed with exit code {done.returncode}:\n"
            f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
        )
    return done.stdout

"""Fuzzing of every operator on this machine's kernel sets: builds fuzz_main.cc and runs it.

    python -m tests.tflite_kernels.fuzzing [FLAG ...]

The flags are libFuzzer's, as -max_total_time=3600 or a file that it wrote, to see what it finds
there. What it keeps lies in build/fuzz: `corpus`, which later runs go on from, and findings.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.emulation import places, process
from tests.tflite_kernels import fuzz_corpus
from tflite_kernels import build_library

COMPILER = "clang++-14"
FOLDER = places.BUILD / "fuzz"
MAIN = Path(__file__).resolve().parent / "fuzz_main.cc"
SANITIZERS = "address,undefined,float-divide-by-zero,float-cast-overflow"
FLAGS = ("-std=c++17", "-O1", "-g1", "-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Werror")
JOBS = 2
# The resident memory that Linux tells a program begins with what the process held that started it,
# gigabytes of TensorFlow's in a test: limited are the program's own allocations, one by one.
LIMITS = ("-rss_limit_mb=0", "-malloc_limit_mb=2048")

Objects = dict[str, Path]  # by the source files of tflite_kernels/, and fuzz_main.cc


def architecture() -> str:
    """What the compiler compiles for."""
    return build_library.find_target([COMPILER]).architecture


def compile_all() -> Objects:
    """Compiles the program and the kernels, with the steps that libFuzzer counts; not what was
    compiled before."""
    listed = build_library.list_sources(architecture())
    sources = {
        file: (build_library.KERNELS / file, flags)
        for file, flags in listed
        if file.startswith(("core/", "arch/"))
    }
    sources[MAIN.name] = (MAIN, [])
    folder = FOLDER / "objects"
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(JOBS) as pool:
        jobs = {
            file: pool.submit(_compile_once, source, flags, folder)
            for file, (source, flags) in sources.items()
        }
        return {file: job.result() for file, job in jobs.items()}


def _compile_once(source: Path, flags: Sequence[str], folder: Path) -> Path:
    headers = sorted(build_library.KERNELS.glob("*/*.h"))
    if source == MAIN:
        headers += sorted(MAIN.parent.glob("*.h"))
    digest = hashlib.sha256(str([COMPILER, SANITIZERS, FLAGS, flags]).encode())
    for file in (source, *headers):
        digest.update(file.read_bytes())
    output = folder / f"{source.stem}-{digest.hexdigest()[:16]}.o"
    if not output.exists():
        unfinished = output.with_suffix(f".{os.getpid()}.o")
        compile_one(source, flags, unfinished).rename(output)
    return output


def compile_one(
    source: Path, flags: Sequence[str], output: Path, before: Path = places.REPOSITORY
) -> Path:
    """Compiles one file; its headers are looked for below `before` first."""
    command = [COMPILER, *FLAGS, f"-fsanitize={SANITIZERS},fuzzer-no-link", *flags]
    include = [f"-I{before}", f"-I{places.REPOSITORY}"]
    process.compile_or_raise([*command, *include, "-c", source, "-o", output], timeout_s=300)
    return output


def link(objects: Objects, output: Path) -> Path:
    """Makes the program of its objects."""
    command = [COMPILER, f"-fsanitize={SANITIZERS},fuzzer", *objects.values(), "-o", output]
    process.compile_or_raise(command)
    return output


def main(flags: Sequence[str]) -> int:
    """Builds the program and runs it; returns its exit code."""
    corpus, seeds = FOLDER / "corpus", FOLDER / "seeds"
    corpus.mkdir(parents=True, exist_ok=True)
    fuzz_corpus.write(seeds)
    program = link(compile_all(), FOLDER / "fuzz_main")
    folders = [] if any(Path(flag).is_file() for flag in flags) else [corpus, seeds]
    settings = [f"-artifact_prefix={FOLDER}/", *LIMITS]
    return subprocess.run([program, *settings, *flags, *folders]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The kernels as C++ programs on the host and on Arm; test_sanitizers.py runs them sanitized."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.emulation import aarch64, cpus, golden_program, places, process, require
from tests.golden import to_header
from tflite_kernels import build_library

FOLDER = Path(__file__).resolve().parent
GOLDEN_MAIN, ISA_MAIN = FOLDER / "golden_main.cc", FOLDER / "isa_main.cc"
CORE = sorted((build_library.KERNELS / "core").glob("*.cc"))
FLAGS = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fno-rtti"]
FREESTANDING = ["-ffreestanding", "-nostdlib"]
ARM_SETS = {
    "cortex-a72": ["reference", "neon"],
    "cortex-a76": ["reference", "neon", "neon_dotprod"],
}


def include(folder: Path) -> list[str]:
    """Flags to find our headers and the golden header, which is written to `folder`."""
    to_header.write(folder / "golden_vectors.h")
    return [f"-I{places.REPOSITORY}", f"-I{folder}"]


def kernel_objects(compiler: Sequence[str], architecture: str) -> list[Path]:
    """Object files of core/ and arch/, as the library has them, any warning being an error; what
    did not change is not compiled anew."""
    words = [*compiler, "-Werror"]
    return build_library.compile_objects(words, architecture, folders=("core", "arch"))


def test_core_passes_every_golden_vector_on_the_host(tmp_path):
    program = tmp_path / "golden"
    compiler = build_library.find_compiler()
    sources = [*include(tmp_path), GOLDEN_MAIN, *CORE]
    process.compile_or_raise([*compiler, *FLAGS, *sources, "-o", program])
    outcome = process.run([program], timeout_s=60)
    assert outcome == process.Outcome(f"golden: {golden_program.count()} passed, 0 failed\n", 0)


def test_the_golden_program_names_a_vector_that_fails(tmp_path):
    text = to_header.text()
    first = next(line for line in text.splitlines() if line.startswith("    {0x"))
    (tmp_path / "golden_vectors.h").write_text(text.replace(first, "    {0x0.0p+0, 5, 1},", 1))
    program = tmp_path / "golden"
    flags = [*FLAGS, f"-I{places.REPOSITORY}", f"-I{tmp_path}"]
    compiler = build_library.find_compiler()
    process.compile_or_raise([*compiler, *flags, GOLDEN_MAIN, *CORE, "-o", program])
    outcome = process.run([program], timeout_s=60)
    assert outcome.code == 1
    assert outcome.output == (
        f"failed: quantize_multiplier 0\ngolden: {golden_program.count() - 1} passed, 1 failed\n"
    )


@pytest.mark.parametrize("source", CORE, ids=lambda source: source.name)
def test_core_needs_no_header_of_a_hosted_library(source, tmp_path):
    """Headers that a compiler brings itself: integers, sizes and limits."""
    flags = [*FLAGS, *FREESTANDING, f"-I{places.REPOSITORY}"]
    compiler = build_library.find_compiler()
    said = process.run([*compiler, *flags, "-H", "-fsyntax-only", source], timeout_s=60)
    assert said.code == 0, said.output
    headers = {Path(line.split()[1]) for line in said.output.splitlines() if line.startswith(".")}
    ours = {header for header in headers if header.is_relative_to(places.REPOSITORY)}
    assert {header.name for header in headers - ours} <= {"stddef.h", "stdint.h", "stdint-gcc.h"}
    assert {header.parent.name for header in ours} <= {"core"}


def test_core_compiles_for_a_cortex_m4_without_heap_or_exceptions(tmp_path):
    require.board_tools()
    flags = [*FLAGS, "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
    for source in CORE:
        output = tmp_path / f"{source.stem}.o"
        command = ["arm-none-eabi-g++", *flags, f"-I{places.REPOSITORY}", "-c", source]
        process.compile_or_raise([*command, "-o", output])
        names = process.run(["arm-none-eabi-nm", "-C", "--undefined-only", output], 60).output
        needed = {line.split(maxsplit=1)[1] for line in names.splitlines()}
        foreign = {name for name in needed if not name.startswith("edgeax::")}
        # Double arithmetic of the compiler's own run time, and its copies and zeros of memory.
        assert all(
            name.startswith("__aeabi_") or name in ("memcpy", "memset") for name in foreign
        ), foreign


@pytest.fixture(scope="module")
def arm_program(tmp_path_factory):
    require.cross_tools()
    sources = [ISA_MAIN, *kernel_objects([aarch64.COMPILER], "aarch64")]
    flags = ["-Werror", f"-I{places.REPOSITORY}"]
    return aarch64.build(sources, tmp_path_factory.mktemp("aarch64") / "isa", flags)


@pytest.mark.parametrize("cpu", cpus.CPUS)
def test_all_sets_of_an_arm_processor_agree_on_random_cases(cpu, arm_program):
    outcome = aarch64.run(cpu, arm_program, "1500", "9")
    lines = [f"isa: {name} 1500 cases\n" for name in ARM_SETS[cpu]]
    assert outcome == process.Outcome("".join(lines), 0)


def test_files_for_newer_processors_define_nothing_that_others_could_be_merged_with(tmp_path):
    """A weak function of an AVX2 file could be the one that an older processor is given."""
    compiler = build_library.find_compiler()
    target = build_library.find_target(compiler)
    assert "-O3" in build_library.COMPILE_FLAGS
    quick = kernel_objects(compiler, target.architecture)
    listed = [
        entry
        for entry in build_library.list_sources(target.architecture)
        if not entry[0].startswith("adapters/")
    ]
    for (file, flags), compiled in zip(listed, quick, strict=True):
        if not flags:
            continue
        plain = tmp_path / "file.o"
        command = [*compiler, *build_library.COMPILE_FLAGS, *flags, "-O0", "-c"]
        source = build_library.KERNELS / file
        subprocess.run([*command, source, "-o", plain], cwd=places.REPOSITORY, check=True)
        for output in (plain, compiled):
            names = process.run(["nm", "-C", "--defined-only", output], 60).output
            weak = [line for line in names.splitlines() if line.split()[1] in "WVu"]
            assert not weak, f"{file}: {output}"

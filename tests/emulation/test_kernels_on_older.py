"""The kernels on processors that have less: x86-64 without AVX-512 and without AVX2, 32-bit Arm
with NEON and without. Each is given the sets that it has, the fastest of them is chosen, and all
give the integers of the reference."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.emulation import armv7, golden_program, places, process, require, x86
from tests.tflite_kernels import test_programs
from tflite_kernels import build_library

CASES = 1050  # of isa_main.cc


# Ends with number 1 of a table, 0, or, where there is no index, with the first one.
GATHER = """
int main() {
  const int table[] = {1, 0};
  int found;
  asm volatile("vpcmpeqd %%ymm1, %%ymm1, %%ymm1\\n"
               "vpabsd %%ymm1, %%ymm4\\n"
               "vpgatherdd %%ymm1, (%1, %%ymm4, 4), %%ymm0\\n"
               "vmovd %%xmm0, %0"
               : "=r"(found) : "r"(table) : "memory", "xmm0", "xmm1", "xmm4");
  return found;
}
"""


@dataclass(frozen=True)
class Machine:
    """A processor: what a test needs for it, how programs are compiled and run, and its sets."""

    require: Callable[[], None]
    compiler: tuple[str, ...]
    architecture: str
    run: Callable[..., process.Outcome]
    sets: Sequence[str]


HOST = tuple(build_library.find_compiler())
MACHINES = {
    **{
        cpu: Machine(require.x86_tools, HOST, "x86_64", functools.partial(x86.run, cpu), sets)
        for cpu, sets in x86.SETS.items()
    },
    **{
        cpu: Machine(
            require.armv7_tools,
            (armv7.COMPILER,),
            "armv7",
            functools.partial(armv7.run, cpu=cpu),
            sets,
        )
        for cpu, sets in armv7.SETS.items()
    },
}


@functools.cache
def kernels(compiler: Sequence[str], architecture: str) -> list[Path]:
    return test_programs.kernel_objects(compiler, architecture)


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> Machine:
    found = MACHINES[request.param]
    found.require()
    if build_library.find_target(found.compiler).architecture != found.architecture:
        pytest.skip(f"{found.compiler[0]} compiles for another processor than {request.param}")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


def link(machine: Machine, folder: Path, *sources: Path) -> Path:
    """Makes a static program with every kernel, once for all processors of an architecture."""
    program = folder / f"{sources[0].stem}-{machine.architecture}"
    if not program.exists():
        flags = ["-std=c++17", "-O1", "-static", *golden_program.flags(folder)]
        objects = kernels(machine.compiler, machine.architecture)
        process.compile_or_raise([*machine.compiler, *flags, *sources, *objects, "-o", program])
    return program


def gathers(machine: Machine, folder: Path) -> bool:
    """Returns whether a processor is played well enough to gather: QEMU 7.2 takes ymm4
    as the index of a gather for no index at all, which is what its number means elsewhere.
    """
    if "avx2" not in machine.sets:
        return True
    source, program = folder / "gather.cc", folder / "gather"
    source.write_text(GATHER)
    process.compile_or_raise([*machine.compiler, "-static", source, "-o", program])
    return machine.run(program).code == 0


def test_all_sets_agree_on_random_cases(machine, folder):
    numbers = map(str, (CASES, 11, int(gathers(machine, folder))))
    outcome = machine.run(link(machine, folder, test_programs.ISA_MAIN), *numbers)
    lines = [f"isa: {name} {CASES} cases\n" for name in machine.sets]
    assert outcome == process.Outcome("".join(lines), 0)


def test_the_fastest_set_is_chosen(machine, folder):
    sources = [places.PROGRAMS / f"{name}.cc" for name in ("selected", "print_linux")]
    outcome = machine.run(link(machine, folder, *sources))
    assert outcome == process.Outcome(f"{machine.sets[-1]}\n", 0)


def test_every_golden_vector_passes(machine, folder):
    assert machine.run(link(machine, folder, test_programs.GOLDEN_MAIN)) == golden_program.success()


def test_a_program_for_avx2_ends_on_a_processor_without_it(tmp_path):
    """So a processor that is played has no more than it should."""
    require.x86_tools()
    if build_library.find_target(HOST).architecture != "x86_64":
        pytest.skip(f"{HOST[0]} compiles for another processor")
    source = tmp_path / "avx2.cc"
    source.write_text('int main() { asm volatile("vpaddd %%ymm0, %%ymm0, %%ymm0" : : : "xmm0"); }')
    process.compile_or_raise([*HOST, "-static", source, "-o", tmp_path / "avx2"])
    assert x86.run("Haswell", tmp_path / "avx2") == process.Outcome("", 0)
    assert x86.run("Nehalem", tmp_path / "avx2").code == 128 + 4  # ended by SIGILL


def test_an_unknown_processor_is_named_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"Nehalem, Haswell.*Received: 486"):
        x86.run("486", tmp_path / "none")

"""The plugin, cross-built, in the real aarch64 LiteRT on the CPUs of Raspberry Pi 4 and 5.

The library of the release wheel, of another compiler: tests/tflite_kernels/test_build_wheels.py.
"""

from pathlib import Path

import pytest

from tests.emulation import aarch64, places, process, require
from tests.tflite_kernels import golden_folder, test_programs
from tflite_kernels import build_library

CHECK = places.REPOSITORY / "tests" / "tflite_kernels" / "run_plugin_check.py"
SELECTED = {"cortex-a72": "neon", "cortex-a76": "neon_dotprod"}
RUNS = [  # every set of kernels, and what a user gets
    ("cortex-a72", "auto"),
    ("cortex-a72", "reference"),
    ("cortex-a76", "auto"),
    ("cortex-a76", "neon"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Golden models, their inputs and their outputs."""
    require.arm_python()
    models = tmp_path_factory.mktemp("golden")
    golden_folder.write(models)
    return models


def build_plugin() -> Path:
    """Builds the plugin for aarch64; what did not change is not compiled anew."""
    require.cross_tools()
    output = places.BUILD / "tests" / "aarch64" / "libedgeax.so"
    return build_library.build(output, [aarch64.COMPILER, "-Werror"], "aarch64")


def run_check(cpu: str, library: Path, folder: Path, isa: str) -> process.Outcome:
    """Runs the golden models in LiteRT on a CPU."""
    return aarch64.run_python(cpu, CHECK, "ai_edge_litert.interpreter", library, folder, isa)


@pytest.mark.parametrize("cpu, isa", RUNS)
def test_litert_gives_the_golden_codes_bit_for_bit(cpu: str, isa: str, folder: Path) -> None:
    outcome = run_check(cpu, build_plugin(), folder, isa)
    count = len(list(folder.glob("*.tflite")))
    assert outcome == process.Outcome(f"plugin: {count} files, 0 wrong\n", 0)


def test_an_a72_refuses_the_kernels_of_an_a76_and_names_its_own(folder: Path) -> None:
    outcome = run_check("cortex-a72", build_plugin(), folder, "neon_dotprod")
    assert outcome.code == 1
    assert "must be auto, reference, neon on this processor" in outcome.output


def test_each_cpu_is_given_its_fastest_kernels(tmp_path: Path) -> None:
    require.cross_tools()
    sources = [places.PROGRAMS / f"{name}.cc" for name in ("selected", "print_linux")]
    sources += test_programs.kernel_objects([aarch64.COMPILER], "aarch64")
    program = aarch64.build(sources, tmp_path / "selected", [f"-I{places.REPOSITORY}"])
    found = {cpu: aarch64.run(cpu, program) for cpu in SELECTED}
    assert found == {cpu: process.Outcome(f"{name}\n", 0) for cpu, name in SELECTED.items()}

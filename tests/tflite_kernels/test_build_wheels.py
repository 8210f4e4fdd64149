"""The release wheels: their names, what is in them, and which glibc they need at most."""

import re
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests import source_tree
from tests.emulation import aarch64, cpus, process, require
from tests.tflite_kernels import golden_folder, run_plugin_check
from tflite_kernels import build_wheels

pytestmark = pytest.mark.timeout(900)  # the first build for a target compiles parts of its glibc

LIBRARY = "edgeax/runtime/lib/libedgeax.so"
MACHINES = {
    "manylinux_2_17_x86_64": "Advanced Micro Devices X86-64",
    "manylinux_2_27_aarch64": "AArch64",
}
GLIBC = {"manylinux_2_17_x86_64": (2, 17), "manylinux_2_27_aarch64": (2, 27)}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Both wheels, built one after the other in one tree, as `make wheels` does."""
    require.zig()
    tree = source_tree.copy(tmp_path_factory.mktemp("source") / "edgeax")
    subprocess.run([sys.executable, tree / "tflite_kernels/build_wheels.py"], check=True)
    return tree / "build" / "wheels"


@pytest.fixture(params=build_wheels.TARGETS)
def platform(request):
    return request.param


@pytest.fixture
def wheel(wheels, platform):
    version = runpy.run_path(source_tree.REPOSITORY / "edgeax/_version.py")["__version__"]
    with zipfile.ZipFile(wheels / f"edgeax-{version}-py3-none-{platform}.whl") as file:
        yield file


@pytest.fixture
def library(wheel, tmp_path):
    return wheel.extract(LIBRARY, tmp_path)


def readelf(library, *options):
    command = ["readelf", "--wide", *options, library]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_wheel_serves_every_python_of_its_platform(wheel, platform):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/WHEEL"))
    lines = wheel.read(name).decode().splitlines()
    assert "Root-Is-Purelib: false" in lines
    assert [line for line in lines if line.startswith("Tag:")] == [f"Tag: py3-none-{platform}"]


def test_a_wheel_holds_the_package_and_nothing_of_one_python_version(wheel):
    package = source_tree.REPOSITORY / "edgeax"
    files = [*package.rglob("*.py"), *package.rglob("*.json"), package / "py.typed"]
    expected = {str(path.relative_to(package.parent)) for path in files} | {LIBRARY}
    kernels = source_tree.REPOSITORY / "tflite_kernels"  # programs for microcontrollers carry them
    for path in (*kernels.glob("core/*.*"), *kernels.glob("micro/*.*")):
        expected.add(f"edgeax/runtime/mcu/sources/{path.relative_to(kernels.parent)}")
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == expected


def test_the_library_is_for_the_processor_of_the_wheel(library, platform):
    assert MACHINES[platform] in readelf(library, "--file-header")


def test_the_library_needs_no_newer_glibc_than_the_wheel_says(library, platform):
    versions = re.findall(r"Name: GLIBC_(\d+)\.(\d+)", readelf(library, "--version-info"))
    assert versions, "every shared library needs some glibc"
    assert max((int(major), int(minor)) for major, minor in versions) <= GLIBC[platform]


def test_the_library_needs_the_c_library_only(library):
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", readelf(library, "--dynamic"))
    # Up to glibc 2.33 threads are a library of their own.
    assert set(needed) <= {"libc.so.6", "libm.so.6", "libpthread.so.0"}


def test_the_library_exports_the_plugin_and_the_kernels_alone(library):
    rows = [line.split() for line in readelf(library, "--dyn-syms").splitlines()]
    exported = {row[7] for row in rows if len(row) == 8 and row[6].isdigit()}
    assert {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"} <= exported
    assert not [name for name in exported if not name.startswith(("tflite_plugin_", "edgeax_"))]


ON_ARM = pytest.mark.parametrize("platform", ["manylinux_2_27_aarch64"])


@pytest.mark.parametrize("cpu", cpus.CPUS)
@ON_ARM
def test_the_library_of_the_arm_wheel_gives_the_golden_codes_bit_for_bit(cpu, library, tmp_path):
    require.arm_python()
    count = golden_folder.write(tmp_path / "golden")
    check = Path(run_plugin_check.__file__)
    words = ["ai_edge_litert.interpreter", library, tmp_path / "golden"]
    outcome = aarch64.run_python(cpu, check, *words)
    assert outcome == process.Outcome(f"plugin: {count} files, 0 wrong\n", 0)


@pytest.mark.parametrize("cpu", cpus.CPUS)
@ON_ARM
def test_the_arm_wheel_loads_into_litert_on_a_raspberry_pi(wheel, cpu, tmp_path):
    require.arm_python()
    wheel.extractall(tmp_path / "site")
    script = tmp_path / "load.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import edgeax; "
        "edgeax.load_delegate(backend='ai_edge_litert'); print(edgeax.delegate_path())"
    )
    outcome = aarch64.run_python(cpu, script)
    assert outcome == process.Outcome(f"{tmp_path / 'site' / LIBRARY}\n", 0)

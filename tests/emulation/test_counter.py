"""The instruction counter is exact: regions whose counts are known by reading the assembly."""

import platform
from pathlib import Path

import pytest

from tests.emulation import counting, places, require, user_mode, x86
from tests.emulation.counting import Region
from tests.emulation.rigs import RIGS

EXPECTED = {
    0: Region(visits=1, instructions=0),  # nothing between the marks
    1: Region(visits=1, instructions=10),  # ten nops
    7: Region(visits=3, instructions=3 * 201),  # one move, then 100 times subtract and branch
}
SOURCES = [places.PROGRAMS / "regions.cc"]
FLAGS = [f"-I{places.COUNTER}"]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled counter."""
    require.counter()
    return counting.build_plugin(tmp_path_factory.mktemp("counter") / "regioncount.so")


@pytest.mark.parametrize("cpu", x86.SETS)
def test_counts_on_x86_are_those_read_from_the_assembly(
    cpu: str, plugin: Path, tmp_path: Path
) -> None:
    require.x86_tools()
    if platform.machine() != "x86_64":
        pytest.skip("this machine's compiler is for another processor")
    counts = tmp_path / "counts"
    program = user_mode.build(["g++"], SOURCES, tmp_path / "regions", FLAGS)
    outcome = x86.run(cpu, program, counter=counting.plugin_option(plugin, counts))
    assert outcome.code == 0, outcome.output
    assert counting.read(counts) == EXPECTED


@pytest.mark.parametrize("name", RIGS)
def test_counts_are_those_read_from_the_assembly(name: str, plugin: Path, tmp_path: Path) -> None:
    rig = RIGS[name]
    rig.require()
    counts = tmp_path / "counts"
    program = rig.build(SOURCES, tmp_path / "regions", FLAGS)
    outcome = rig.run(program, counter=counting.plugin_option(plugin, counts))
    assert outcome.code == 0, outcome.output
    assert counting.read(counts) == EXPECTED

"""The instruction counter is exact: regions whose counts are known by reading the assembly."""

from pathlib import Path

import pytest

from tests.emulation import aarch64, boards, counting, places, require
from tests.emulation.counting import Region

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


@pytest.mark.parametrize("core", boards.BOARDS)
def test_counts_on_a_board_are_those_read_from_the_assembly(
    core: str, plugin: Path, tmp_path: Path
) -> None:
    require.board_tools()
    counts = tmp_path / "counts"
    program = boards.build(core, SOURCES, tmp_path / "regions", FLAGS)
    outcome = boards.run(core, program, counting.plugin_option(plugin, counts))
    assert outcome.code == 0, outcome.output
    assert counting.read(counts) == EXPECTED


def test_counts_in_user_mode_are_those_read_from_the_assembly(plugin: Path, tmp_path: Path) -> None:
    require.cross_tools()
    counts = tmp_path / "counts"
    program = aarch64.build(SOURCES, tmp_path / "regions", FLAGS)
    option = counting.plugin_option(plugin, counts)
    outcome = aarch64.run("cortex-a76", program, counter=option)
    assert outcome.code == 0, outcome.output
    assert counting.read(counts) == EXPECTED

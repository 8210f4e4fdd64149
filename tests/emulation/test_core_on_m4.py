"""The portable kernels give the golden integers on Cortex-M cores, without heap or C++ library."""

from pathlib import Path

import pytest

from tests.emulation import boards, golden_program, places, process, require
from tests.golden import to_header


def run_golden(core: str, folder: Path, header: str | None = None) -> process.Outcome:
    """Builds the golden program for a board and runs it there."""
    require.board_tools()
    sources = [places.FIRMWARE / "print.cc", *golden_program.sources()]
    flags = golden_program.flags(folder, header)
    return boards.run(core, boards.build(core, sources, folder / "golden", flags))


@pytest.mark.parametrize("core", boards.BOARDS)
def test_every_golden_vector_passes_on_the_core(core: str, tmp_path: Path) -> None:
    assert run_golden(core, tmp_path) == golden_program.success()


def test_one_wrong_golden_value_is_named_and_fails_the_program(tmp_path: Path) -> None:
    right = "{0x0.0p+0, 0, 0}"  # the ratio 0 has multiplier 0 and shift 0
    wrong = to_header.text().replace(right, "{0x0.0p+0, 0, 1}", 1)
    counts = f"golden: {golden_program.count() - 1} passed, 1 failed\n"
    expected = process.Outcome(f"failed: quantize_multiplier 0\n{counts}", 1)
    assert run_golden("cortex-m4", tmp_path, wrong) == expected

"""The portable kernels give the golden integers on every rig: Cortex-M boards, where they need no
heap and no C++ library, 32-bit and 64-bit Arm under Linux."""

from pathlib import Path

import pytest

from tests.emulation import golden_program, process
from tests.emulation.rigs import RIGS
from tests.golden import to_header


def run_golden(name: str, folder: Path, header: str | None = None) -> process.Outcome:
    """Builds the golden program for a rig and runs it there."""
    rig = RIGS[name]
    rig.require()
    sources = [rig.print_hook, *golden_program.sources()]
    flags = golden_program.flags(folder, header)
    return rig.run(rig.build(sources, folder / "golden", flags))


@pytest.mark.parametrize("name", RIGS)
def test_every_golden_vector_passes_on_every_rig(name: str, tmp_path: Path) -> None:
    assert run_golden(name, tmp_path) == golden_program.success()


def test_one_wrong_golden_value_is_named_and_fails_the_program(tmp_path: Path) -> None:
    right = "{0x0.0p+0, 0, 0}"  # the ratio 0 has multiplier 0 and shift 0
    wrong = to_header.text().replace(right, "{0x0.0p+0, 0, 1}", 1)
    counts = f"golden: {golden_program.count() - 1} passed, 1 failed\n"
    expected = process.Outcome(f"failed: quantize_multiplier 0\n{counts}", 1)
    assert run_golden("cortex-m4", tmp_path, wrong) == expected

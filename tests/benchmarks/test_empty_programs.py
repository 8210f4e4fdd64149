from benchmarks import empty_programs
from benchmarks.firmware import Bench
from edgeax.runtime.mcu.program_work import program_work
from tests.emulation import require


def test_plans_run_whole_and_in_stripes_with_several_steps():
    works = [program_work(placed) for placed in empty_programs.plans("cortex-m4")]
    assert sum(work["stages"] == 0 for work in works) == len(empty_programs.programs())
    assert {work["striped in a row"] for work in works} >= {0, 1, 2, 3}
    assert any(work["moved bytes"] for work in works)


def test_a_program_is_built_and_does_next_to_nothing(tmp_path):
    require.board_tools()
    require.counter()
    placed = next(empty_programs.plans("cortex-m4"))
    empty_programs.write(placed, "cortex-m4", tmp_path / "net")
    bench = Bench(tmp_path)
    firmware = bench.build("cortex-m4", tmp_path / "net", empty_programs.NAME)
    assert 2 < bench.run(firmware).instructions < 20
    assert firmware.ram_bytes == placed.ram_bytes == 2 * 12 * 12 * 4

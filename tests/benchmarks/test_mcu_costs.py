"""Tables of costs are made of what was counted."""

import pytest

from benchmarks import empty_programs, mcu_costs
from benchmarks.drawn_steps import drawn_steps
from benchmarks.firmware import Bench
from benchmarks.harness import Benchmark
from benchmarks.mcu_costs import Findings
from benchmarks.step_programs import Counted, StepBench
from edgeax.runtime.mcu.estimate import STRIPES
from edgeax.runtime.mcu.work import work
from tests.emulation import require


def relocations():
    steps = drawn_steps("cortex-m4", "double")
    return [one for one in steps if one.step.kernel == "Relocate"]


def test_prices_come_from_counts():
    found = Findings()
    for one in relocations():
        size = one.program.values[0].size_bytes
        found.add(one, Counted(50 + 2 * size, 24 + size % 3))
    prices = found.prices()["Relocate int8"]
    assert sum(prices.get(name, 0) for name in ("outputs", "inputs")) == pytest.approx(2, rel=1e-3)
    assert sum(prices.get(n, 0) for n in ("calls", "vectors")) == pytest.approx(50, rel=1e-3)
    assert found.stack() == {"Relocate int8": 26}


def test_a_table_is_measured_on_a_board(tmp_path, monkeypatch):
    require.board_tools()
    require.counter()
    plans = empty_programs.plans
    monkeypatch.setattr(empty_programs, "plans", lambda core: list(plans(core))[::5])
    bench = Bench(tmp_path)
    found = mcu_costs.measured("cortex-m4", StepBench(bench, tmp_path), relocations(), [])
    assert list(found.code) == ["Relocate(RelocateArgs, int8)"]
    table = mcu_costs.whole_table("cortex-m4", bench, tmp_path, found)
    for one in relocations():
        assert table.instructions_of(work(one.program, one.step, one.part)) > 0
    assert 0 < table.code_of(["Relocate(RelocateArgs, int8)"]) < 700
    assert table.code_of([STRIPES]) > 0
    benchmark = Benchmark("mcu_costs")
    mcu_costs.add_rows(benchmark, "cortex-m4", found, table)
    (row,) = benchmark.report()["rows"]
    assert row["calls"] == len(relocations()) and row["worst_error"] < 0.2

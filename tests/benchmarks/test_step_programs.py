"""Steps that are called, counted and linked one by one."""

import pytest

from benchmarks.drawn_steps import drawn_steps
from benchmarks.firmware import Bench
from benchmarks.step_programs import MOST_STEPS, StepBench, main_text, steps_text
from tests.emulation import require


@pytest.fixture(scope="module")
def few():
    steps = drawn_steps("cortex-m4", "double")
    wanted = ("Relocate", "FullyConnected", "Add")
    return [next(one for one in steps if one.step.kernel == kernel) for kernel in wanted]


def test_calls_are_counted_and_linked_alone(few, tmp_path):
    require.board_tools()
    require.counter()
    bench = StepBench(Bench(tmp_path), tmp_path)
    moved, dense, added = bench.count("cortex-m4", few)
    assert 64 / 16 < moved.instructions < 200  # 64 bytes by words
    assert 128 * 128 / 2 < dense.instructions < 128 * 128 * 2
    assert 32 * 32 * 16 * 4 < added.instructions < 32 * 32 * 16 * 40
    assert 0 <= moved.stack_bytes <= 64 and 100 < dense.stack_bytes < 1000
    code = [bench.code("cortex-m4", few, number) for number in range(3)]
    assert [any("Relocate" in part.name for part in parts) for parts in code] == [1, 0, 0]
    assert [any("FullyConnected" in part.name for part in parts) for parts in code] == [0, 1, 0]
    assert not any("/steps-" in part.owner for parts in code for part in parts)


def test_functions_call_kernels_with_all_that_they_take(few):
    text = steps_text(few)
    assert "FullyConnected<Rounding::kDouble>(k1_args, reinterpret_cast<int8_t*>(room + 0)" in text
    assert text.count('extern "C" void Run') == 3
    assert main_text(MOST_STEPS).count("EDGEAX_REGION_END") == MOST_STEPS

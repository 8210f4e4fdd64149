import pytest

from edgeax.runtime import latency
from edgeax.runtime.interpreter import Interpreter
from tests.runtime import files


class Clocked:
    """An interpreter whose invokes take given times of a clock of its own."""

    def __init__(self, name, seconds, clock, log):
        self.name, self.seconds, self.clock, self.log = name, iter(seconds), clock, log

    def feed(self, *arrays):
        self.log.append(f"feed {self.name}")

    def invoke(self):
        self.log.append(self.name)
        self.clock["now"] += next(self.seconds)


@pytest.fixture
def clock(monkeypatch):
    clock = {"now": 0.0}
    monkeypatch.setattr(latency.time, "perf_counter", lambda: clock["now"])
    return clock


def test_interpreters_take_turns_and_the_warm_up_does_not_count(clock):
    log = []
    fast = Clocked("fast", [9, 9, 9, 0.001, 0.002, 0.009], clock, log)
    slow = Clocked("slow", [9, 9, 9, 0.010, 0.030, 0.020], clock, log)
    medians = latency.measure({"fast": fast, "slow": slow}, [[0.0]], repeats=3)
    assert medians == pytest.approx({"fast": 2.0, "slow": 20.0})
    assert log == ["feed fast", "feed slow"] + ["fast", "slow"] * 6


def test_turns_are_the_times_of_each_round(clock):
    one = Clocked("one", [9, 9, 9, 0.001, 0.003], clock, [])
    other = Clocked("other", [9, 9, 9, 0.002, 0.004], clock, [])
    times = latency.turns({"one": one, "other": other}, [[0.0]], repeats=2)
    assert times["one"] == pytest.approx([1.0, 3.0])
    assert times["other"] == pytest.approx([2.0, 4.0])


def test_the_noise_is_that_of_the_ratio_within_a_round():
    slower_and_slower = [1.0 + round / 10 for round in range(30)]
    assert latency.noise([2 * ms for ms in slower_and_slower], slower_and_slower) < 1e-9


def test_the_noise_is_where_the_median_may_lie_by_the_order_of_the_ratios():
    # Of 30 ratios the 10th and the 21st enclose the median with 95 %: 1.09 and 1.2, median 1.145.
    ratios = [1.0 + place / 100 for place in range(30)]
    assert latency.noise(ratios[::-1], [1.0] * 30) == pytest.approx(1.145 / 1.09 - 1.0)
    assert latency.noise([1.0], [2.0]) == 0.0


def test_files_of_different_types_are_fed_the_same_real_values():
    interpreters = {
        "float": Interpreter(model_content=files.float_dense()),
        "int8": Interpreter(model_content=files.int8_dense()),
    }
    times = latency.measure(interpreters, [[[1.0, -0.5]]], repeats=2)
    assert all(time_ms > 0 for time_ms in times.values())
    assert interpreters["int8"].get_tensor(2).tolist() == [[-6, -14, -4]]
    assert interpreters["float"].get_tensor(2).tolist() == [[1.0, -1.0, 1.5]]


def test_no_repeats_are_refused():
    with pytest.raises(ValueError, match="`repeats` must be at least 1. Received: 0"):
        latency.measure({}, [], repeats=0)


def test_the_speed_is_the_median_of_the_ratios_of_the_rounds():
    assert latency.speed([1.0, 2.0, 4.0], [3.0, 2.0, 8.0]) == 2.0

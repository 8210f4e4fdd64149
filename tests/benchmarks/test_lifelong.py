from benchmarks import lifelong
from benchmarks.harness import Benchmark
from benchmarks.lifelong import BUFFER, JOINT, NOTHING, SETTINGS
from benchmarks.low_precision_training import halved
from tests.benchmarks import quick_runs
from tests.benchmarks.test_formats import fake_images


def test_the_targets_are_those_of_the_issue():
    assert (lifelong.PARTS, lifelong.MOST_BYTES, lifelong.MOST_POINTS_BEHIND) == (5, 200_000, 5.0)
    assert {JOINT, BUFFER, NOTHING} <= set(SETTINGS)


def lived(setting, epochs):
    data = fake_images(400)
    x, x_test = halved(data.x), halved(data.x_test)
    return lifelong.lived(setting, x, data.y, x_test, data.y_test, 0, epochs)


def test_a_buffer_keeps_what_came_before_in_its_bytes():
    (kept, size), (forgotten, none) = (lived(setting, 6) for setting in (BUFFER, NOTHING))
    assert len(kept) == len(forgotten) == 5
    assert none == 0 and 190_000 < size <= 200_000
    assert kept[-1] > forgotten[-1] + 10.0


def test_joint_training_sees_all_at_once():
    percents, size = lived(JOINT, 1)
    assert len(percents) == 1 and size == 0


def test_rows_and_targets_are_means_over_seeds():
    benchmark = Benchmark("lifelong")
    found = {"joint": [[88.0], [90.0]], "200 kB": [[95.0, 84.0], [97.0, 86.0]]}
    found["no buffer"] = [[95.0, 20.0], [95.0, 18.0]]
    for setting, size in ((JOINT, 0), (BUFFER, 199_990), (NOTHING, 0)):
        lifelong.add_row(benchmark, setting, "fake", found, size)
    lifelong.add_targets(benchmark, found, 199_990)
    row = benchmark.report()["rows"][1]
    assert row["percent_after_each_part"] == "96.0 85.0" and row["points_behind"] == 4.0
    assert row["spread"] == 2.0 and row["buffer_bytes"] == 199_990
    values = [(entry["value"], entry["holds"]) for entry in benchmark.report()["wanted"]]
    assert values == [(199_990, True), (4.0, True), (66.0, True)]


def test_a_quick_run_has_a_row_for_each_setting_and_all_targets(tmp_path, monkeypatch):
    report = quick_runs.report_of(lifelong, tmp_path / "out.json", monkeypatch)
    assert [row["setting"] for row in report["rows"]] == [setting.name for setting in SETTINGS]
    assert {row["seeds"] for row in report["rows"]} == {1} and len(report["wanted"]) == 3

import json

import numpy as np
import pytest

from benchmarks.harness import Benchmark, environment, run


def test_a_report_holds_rows_targets_and_the_environment(tmp_path):
    benchmark = Benchmark("speed")
    number = benchmark.row(side="ours", step_ms=2.5)
    benchmark.wanted("ratio", 1.2, "<= 1.1", False, row=number)
    benchmark.write(tmp_path / "report.json")

    report = json.loads((tmp_path / "report.json").read_text())
    assert report["benchmark"] == "speed"
    assert report["rows"] == [{"side": "ours", "step_ms": 2.5}]
    assert report["wanted"] == [
        {"name": "ratio", "value": 1.2, "wanted": "<= 1.1", "holds": False, "row": 0}
    ]
    assert set(report["environment"]) >= {"date", "cpu", "versions", "commit"}


def test_a_target_without_a_row_has_exactly_the_four_agreed_keys():
    benchmark = Benchmark("speed")
    benchmark.wanted("ratio", 1.0, "<= 1.1", True)
    assert set(benchmark.report()["wanted"][0]) == {"name", "value", "wanted", "holds"}


def test_the_table_aligns_columns_and_shouts_a_missed_target():
    benchmark = Benchmark("speed")
    benchmark.row(side="a", step_ms=1.23456)
    benchmark.row(side="longer", mode="x")
    benchmark.wanted("ratio", 2.0, "<= 1", False)
    assert benchmark.table().splitlines() == [
        "side    step_ms  mode",
        "a         1.235",
        "longer           x",
        "",
        "name   value  wanted  holds",
        "ratio      2  <= 1    NO",
    ]


def test_run_exits_with_zero_although_a_target_is_missed(tmp_path, capsys):
    def measure(benchmark, quick):
        benchmark.row(quick=quick)
        benchmark.wanted("ratio", 2.0, "<= 1", False)

    assert run("speed", measure, ["--quick", "--json", str(tmp_path / "out.json")]) == 0
    assert json.loads((tmp_path / "out.json").read_text())["rows"] == [{"quick": True}]
    assert "ratio" in capsys.readouterr().out


def test_run_refuses_a_report_in_a_missing_folder_before_it_measures(tmp_path):
    def measure(benchmark, quick):
        pytest.fail("measured although the report cannot be written")

    with pytest.raises(ValueError, match="`path` must lie in a folder that exists"):
        run("speed", measure, ["--json", str(tmp_path / "no" / "out.json")])


def test_numbers_of_numpy_are_written_as_numbers(tmp_path):
    benchmark = Benchmark("speed")
    benchmark.row(left=np.int64(3), share=np.float32(0.5), holds=np.bool_(True))
    benchmark.write(tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["rows"] == [{"left": 3, "share": 0.5, "holds": True}]


def test_what_is_no_number_is_refused_and_leaves_no_file(tmp_path):
    benchmark = Benchmark("speed")
    benchmark.row(of=object())
    with pytest.raises(TypeError, match="A report holds numbers.*object object"):
        benchmark.write(tmp_path / "report.json")
    assert not list(tmp_path.iterdir())


def test_the_environment_names_the_installed_numpy():
    import numpy

    assert environment()["versions"]["numpy"] == numpy.__version__

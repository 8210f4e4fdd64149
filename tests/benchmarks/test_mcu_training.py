from benchmarks import mcu_training
from benchmarks.harness import Benchmark
from edgeax.runtime.mcu.generate_training import generate_training
from tests.emulation import require
from tests.runtime.mcu import training_files


def test_a_board_tells_ram_instructions_and_a_loss_that_falls(tmp_path):
    require.board_tools()
    benchmark = Benchmark("mcu_training")
    mcu_training.measure(benchmark, quick=True)
    found = benchmark.report()
    row, of_all = found["rows"]
    for one in (row, of_all):
        assert one["board"] == "cortex-m4" and one["step_instructions"] > one["infer_instructions"]
        assert 2 < one["loss_after"] < one["loss_before"] < 2.5  # ln(10) is 2.3
        assert 0 < one["stack_bytes"] < 2048
    assert of_all["ram_bytes"] > row["ram_bytes"]
    assert [entry["holds"] for entry in found["wanted"]] == [True] * 4
    told = generate_training(training_files.classifier(), tmp_path / "net", "cortex-m4")
    assert row["ram_bytes"] == told.ram_bytes


def test_the_models_of_the_issue_are_there_where_their_files_are(monkeypatch, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / mcu_training.IC).write_bytes(b"ic")
    monkeypatch.setenv("EDGEAX_TEST_DATA", str(tmp_path))
    assert [one.name for one in mcu_training.subjects(quick=False)] == [
        *("dense 49-48-10", "dense 49-48-10, all", "ic", "ic, sparse update"),
        "MobileNetV2 0.35",
    ]
    assert len([*mcu_training.subjects(quick=True)]) == 2

import numpy as np
import pytest

from benchmarks import recurrent
from benchmarks.harness import Benchmark
from tests.data import data_file


def test_int8_files_of_trained_networks_answer_like_keras(monkeypatch):
    monkeypatch.setattr(recurrent, "generated", small)
    benchmark = Benchmark("recurrent")
    recurrent.measure(benchmark, quick=True)
    report = benchmark.report()
    assert [row["network"] for row in report["rows"]] == ["LSTM", "GRU"]
    for row in report["rows"]:
        assert row["data"] == "generated" and row["stays_float"] == 0
        assert row["file_percent"] > 60.0  # of four classes
        assert row["file_bytes"] > 0
    assert {entry["name"]: entry["holds"] for entry in report["wanted"]} == dict.fromkeys(
        ("LSTM points lost", "LSTM WHILE operators", "GRU points lost", "GRU WHILE operators"), True
    )


GENERATED = recurrent.generated


def small():
    return GENERATED(steps=8)


def test_generated_sequences_are_the_same_every_time():
    x, y, x_test, y_test = recurrent.generated()
    again = recurrent.generated()
    assert np.array_equal(x, again[0]) and np.array_equal(y_test, again[3])
    assert x.shape == (900, 12, 4) and x_test.shape == (300, 12, 4)
    assert set(y) == {0, 1, 2, 3}


def test_no_speaker_is_trained_on_and_tested_with(monkeypatch):
    monkeypatch.setenv("EDGEAX_TEST_DATA", str(data_file(recurrent.SPEECH).parent))
    _, (x, y, x_test, y_test) = recurrent.speech()
    assert len(x) + len(x_test) == 4890 and len(x_test) > 800
    assert x.shape[1:] == x_test.shape[1:] == (49, 10)
    assert set(y_test) <= set(y) == set(range(12))
    assert np.allclose(x.mean((0, 1)), 0.0, atol=1e-3)


def test_without_the_folder_the_sequences_are_generated(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEAX_TEST_DATA", str(tmp_path))
    assert recurrent._speech_file() is None
    with pytest.raises(FileNotFoundError):
        recurrent.speech()

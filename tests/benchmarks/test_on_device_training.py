import io
import sys

import numpy as np
import pytest

import edgeax
from benchmarks import on_device_training as bench
from benchmarks.children import drift_turns
from edgeax.runtime.plugin import delegate_path
from tests.emulation import process


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("drift") / "train.tflite"
    train = edgeax.OnDeviceTraining(bench.optimizer(), batch_size=2)
    model = bench.network()
    edgeax.export(model, path, train=train, measure=False)
    return path, model


def test_images_are_turned_by_90_degrees():
    image = np.arange(6).reshape(1, 2, 3, 1)
    assert bench.turned(image)[0, :, :, 0].tolist() == [[2, 5], [1, 4], [0, 3]]


def test_the_network_has_the_layers_of_the_issue():
    kinds = [type(layer).__name__ for layer in bench.network().layers]
    assert [kinds.count(kind) for kind in ("Conv2D", "DepthwiseConv2D", "Dense")] == [2, 1, 1]


def test_losses_of_the_interpreter_are_those_of_keras(file, tmp_path):
    path, model = file
    x = np.random.default_rng(0).random((3, 2, 28, 28, 1), np.float32)
    y = np.int32([[1, 2], [3, 4], [5, 6]])
    expected, weights = bench.keras_losses(model, x, y)
    words = ["ai_edge_litert.interpreter", delegate_path(), path]
    given = bench.Given(x, y, tmp_path)

    def execute(words):
        return process.run([sys.executable, "-I", bench.RUN_STEPS, *words], timeout_s=100)

    np.testing.assert_allclose(bench.losses(execute, words, given), expected, rtol=1e-5)
    back = {name: values[[0, 0, 1]] for name, values in weights.items()}
    once_more = bench.Given(x[[0, 0, 1]], y[[0, 0, 1]], tmp_path)
    found = bench.losses(execute, words, once_more, back)
    np.testing.assert_allclose(found, expected[[0, 0, 1]], rtol=1e-5)


def test_a_nudged_model_begins_one_rounding_away(file):
    _, model = file
    x = np.random.default_rng(0).random((1, 2, 28, 28, 1), np.float32)
    plain, nudged = (bench.keras_losses(model, x, np.int32([[1, 2]]), nudge)[1] for nudge in (0, 1))
    kernel = plain["first/kernel"]
    np.testing.assert_array_equal(nudged["first/kernel"], kernel + np.spacing(np.abs(kernel)))


def test_a_side_says_its_peak_or_takes_turns(file, capsys, monkeypatch):
    path, _ = file
    drift_turns.main("trainer", str(path), "2", "1", "--peak")
    assert int(capsys.readouterr().out) > 10_000
    monkeypatch.setattr("sys.stdin", io.StringIO("turn\n"))
    drift_turns.main("trainer", str(path), "2", "1")
    assert capsys.readouterr().out.split()[:2] == ["@benchmark", "ready"]


def test_inferences_are_compared_in_turns(file, tmp_path):
    path, _ = file
    plain = tmp_path / "plain.tflite"
    edgeax.runtime.Trainer(path).export(plain)
    times = bench.in_turns({"plain": edgeax.Interpreter(plain)}, np.zeros((1, 28, 28, 1)), 2)
    assert len(times["plain"]) == 2 and min(times["plain"]) > 0

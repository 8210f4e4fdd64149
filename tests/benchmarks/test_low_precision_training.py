import keras
import numpy as np

import edgeax
from benchmarks import low_precision_training
from benchmarks.harness import Benchmark
from benchmarks.low_precision_training import SETTINGS, Setting, add_row, halved, trained
from edgeax.model.arithmetics import ARITHMETICS
from tests.benchmarks.test_formats import fake_images


def small_images():
    data = fake_images(256)
    parts = {name: halved(getattr(data, name)) for name in ("x", "x_validation", "x_test")}
    return low_precision_training.dataclasses.replace(data, **parts)


def test_the_targets_are_those_of_the_issue():
    close = {setting.name for setting in SETTINGS if setting.target == "close"}
    assert close == {
        *("bfloat16", "fp16 + scaling", "HBFP8", "FP8 + chunks", "S2FP8", "SWALP8", "Flexpoint"),
    }
    assert [setting.name for setting in SETTINGS if setting.target == "worse"] == ["FP8 alone"]
    assert low_precision_training.MOST_POINTS_LOST == 0.5
    # Beside them float and two more of FP8; some want a training of their own.
    own = {"wage", "dorefa", "wide_fp8"}
    assert len(SETTINGS) == len({*ARITHMETICS} - own) + 3


def test_images_are_halved_by_means_of_four():
    x = np.zeros((1, 28, 28, 1), np.float32)
    x[0, 2:4, 6:8, 0] = [[1, 2], [3, 6]]
    small = halved(x)
    assert small.shape == (1, 14, 14, 1) and small[0, 1, 3, 0] == 3.0 and small.sum() == 3.0


def test_a_network_is_trained_by_an_arithmetic_and_its_weights_averaged():
    setting = next(setting for setting in SETTINGS if setting.name == "SWALP8")
    model = trained(setting, small_images(), 0, 1)
    kernel = model.get_layer("conv1").kernel.numpy()
    steps = kernel / 2.0 ** (np.floor(np.log2(np.abs(kernel).max(axis=(0, 1, 2)))) - 6)
    assert np.all(np.isfinite(kernel)) and not np.allclose(steps, np.round(steps))


def test_what_decides_at_the_end_of_epochs_looks_more_often():
    """Four batches are two looks: the greatest divisor of ten."""
    looks = []

    class Looking(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            looks.append(int(self.model.optimizer.iterations))

    plain = Setting("looked at", lambda: None, low_precision_training.sgd, policy=Looking)
    trained(plain, small_images(), 0, 2)
    assert looks == [2, 4, 6, 8]


def test_a_gate_chooses_the_widths_of_each_convolution():
    gate = edgeax.layers.PrecisionGate()
    model = low_precision_training.network(gate)
    assert [type(layer).__name__ for layer in model.layers].count("FractionalBlock") == 3
    assert any(layer is gate for layer in model.layers)


def test_points_are_lost_against_the_mean_of_float():
    benchmark = Benchmark("low_precision_training")
    found = {"float": [90.0, 91.0], "a": [90.3, 89.9], "b": [80.0, 85.0]}
    close = Setting("a", lambda: None, low_precision_training.sgd, target="close")
    worse = Setting("b", lambda: None, low_precision_training.sgd, target="worse")
    for setting in (close, worse):
        add_row(benchmark, setting, "fake", found, 1.0)
    wanted = benchmark.report()["wanted"]
    assert [round(entry["value"], 6) for entry in wanted] == [0.4, 8.0]
    assert [entry["holds"] for entry in wanted] == [True, True]

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import zoo
from benchmarks.harness import Benchmark

layers = keras.layers


def test_quick_models_hold_every_target_but_the_time(monkeypatch):
    monkeypatch.setenv("EDGEAX_TEST_DATA", os.devnull)
    benchmark = Benchmark("zoo")
    zoo.measure(benchmark, quick=True)
    report = benchmark.report()
    image, audio = report["rows"]
    assert image["file_to_keras_db"] > 25.0 and audio["file_to_keras_db"] > 25.0
    assert image["stays_float"] == audio["stays_float"] == []
    assert image["classes_predicted"] >= 5
    for entry in report["wanted"]:
        few_classes = entry["name"] == "tiny audio classes_predicted"  # there are but four
        assert few_classes or entry["name"].endswith("over_bare") or entry["holds"], entry


def test_every_model_of_the_issue_is_in_the_zoo():
    names = {entry.name for entry in zoo.ZOO}
    applications = {"MobileNetV2", "MobileNetV3Small", "EfficientNetB0"}
    applications |= {"ResNet50V2", "DenseNet121", "NASNetMobile"}
    audio = {"DS-CNN", "Conv1D + GRU", "LSTM", "bidirectional LSTM", "transformer encoder"}
    assert names == applications | audio


def test_decibels_are_those_worked_out_by_hand():
    assert zoo.snr_db(np.float32([1.1, 1.9]), np.float32([1.0, 2.0])) == pytest.approx(
        10.0 * np.log10(5.0 / 0.02), rel=1e-5
    )


def test_steps_count_only_the_answers_that_are_sure():
    expected = np.float32([[0.0, 1.0], [0.0, 0.5], [3.0, 0.0]])
    file = np.float32([[0.0, 0.75], [0.5, 0.25], [0.0, 3.0]])
    found = zoo._steps(file, expected, scale=0.25)  # margins of 4, 2 and 12 steps
    assert found["samples_beyond_margin"] == 2
    assert found["agreement_beyond_margin"] == 0.5
    assert found["median_steps"] == 1.5  # of 0, 1, 1, 2, 12, 12


def test_batch_norm_gets_the_statistics_of_the_samples():
    norm = layers.BatchNormalization(momentum=0.9)
    model = keras.Sequential([keras.Input((3,)), norm])
    x = np.random.default_rng(0).normal(2.0, 3.0, (50, 3)).astype(np.float32)
    zoo.estimate_batch_norm(model, x)
    np.testing.assert_allclose(norm.moving_mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, x.var(0), rtol=1e-4)
    assert norm.momentum == 0.9


def test_images_without_the_folder_are_the_bundled_ones(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEAX_TEST_DATA", str(tmp_path))
    x, y, unseen, labels = zoo.images(20)
    assert x.shape == (20, 32, 32, 3) and x.min() >= -1.0 and x.max() <= 1.0
    assert set(y) <= set(range(10)) and np.array_equal(x[..., 0], x[..., 2])
    assert unseen.shape[1:] == x.shape[1:] and len(unseen) == len(labels) >= 64


@pytest.mark.parametrize("data", [zoo.images, lambda count: zoo.sequences(from_folder=False)])
def test_what_is_compared_was_never_trained_on(monkeypatch, tmp_path, data):
    monkeypatch.setenv("EDGEAX_TEST_DATA", str(tmp_path))
    x, _, unseen, _ = data(500)
    seen = {sample.tobytes() for sample in x}
    assert not any(sample.tobytes() in seen for sample in unseen)


def test_a_network_that_the_converter_alone_refuses_has_the_reason_in_its_row():
    class Strange(layers.Layer):
        def call(self, x):
            return tf.py_function(lambda values: values, [x], tf.float32)

        def compute_output_shape(self, input_shape):
            return input_shape

    given = keras.Input((3,))
    content, error = zoo.bare_conversion(keras.Model(given, Strange()(given)), np.zeros((4, 3)))
    assert content is None and error.startswith("the converter alone fails: ")

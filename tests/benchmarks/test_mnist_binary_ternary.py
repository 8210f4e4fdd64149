import dataclasses

import numpy as np
import pytest

from benchmarks import mnist_binary_ternary
from benchmarks.harness import Benchmark
from benchmarks.mnist_binary_ternary import lenet, shifted
from tests.benchmarks.test_formats import fake_images


def test_lenet_has_the_weights_of_caffes():
    model = lenet()
    kernels = [layer.kernel.shape for layer in model.layers if hasattr(layer, "kernel")]
    assert kernels == [(5, 5, 1, 20), (5, 5, 20, 50), (4 * 4 * 50, 500), (500, 10)]
    assert model.output_shape == (None, 10)


def test_the_targets_are_those_of_the_issue():
    found = {kind.name: kind.least_percent for kind in mnist_binary_ternary.ROWS}
    assert found == {"float": 99.3, "ternary": 99.2, "binary": 98.9}
    assert mnist_binary_ternary.MOST_MINUTES == 30


def test_every_image_is_moved_by_at_most_two_pixels_and_zeros_come_in():
    generator = np.random.default_rng(0)
    x = generator.uniform(0.1, 1.0, (400, 6, 7, 1)).astype(np.float32)
    found = set()
    for before, after in zip(x, shifted(x, np.random.default_rng(1)), strict=True):
        candidates = {
            (down, right): moved(before, down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
        }
        (place,) = [key for key, value in candidates.items() if np.array_equal(value, after)]
        found.add(place)
    assert len(found) == 25


def moved(image, down, right):
    result = np.zeros_like(image)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            from_row, from_column = row - down, column - right
            if 0 <= from_row < image.shape[0] and 0 <= from_column < image.shape[1]:
                result[row, column] = image[from_row, from_column]
    return result


def test_each_kind_of_weights_is_trained_exported_and_judged(monkeypatch):
    kinds = [dataclasses.replace(kind, least_percent=0.0) for kind in mnist_binary_ternary.ROWS]
    kinds[2] = dataclasses.replace(kinds[2], least_percent=100.1)
    monkeypatch.setattr(mnist_binary_ternary, "ROWS", tuple(kinds))
    benchmark = Benchmark("mnist_binary_ternary")
    mnist_binary_ternary.compare(benchmark, fake_images(128), (0,), quick=True)
    report = benchmark.report()
    assert [row["weights"] for row in report["rows"]] == ["float", "ternary", "binary"]
    float_row, ternary, binary = report["rows"]
    assert float_row["file_bytes"] > 4 * 430_500  # the weights in float32
    assert ternary["file_bytes"] < float_row["file_bytes"] / 6
    assert binary["file_bytes"] < float_row["file_bytes"] / 6
    assert [entry["holds"] for entry in report["wanted"]] == [True, True, False]


@pytest.mark.parametrize(("minutes", "holds"), [(29.0, True), (31.0, False)])
def test_more_than_half_an_hour_misses_the_target(monkeypatch, minutes, holds):
    seconds = iter([100.0, 100.0 + 60.0 * minutes])
    monkeypatch.setattr(mnist_binary_ternary.time, "perf_counter", lambda: next(seconds))
    monkeypatch.setattr(mnist_binary_ternary, "images", lambda name, quick: None)
    monkeypatch.setattr(mnist_binary_ternary, "compare", lambda *arguments: None)
    benchmark = Benchmark("mnist_binary_ternary")
    mnist_binary_ternary.measure(benchmark, quick=True)
    (entry,) = benchmark.report()["wanted"]
    assert entry["value"] == pytest.approx(minutes) and entry["holds"] is holds

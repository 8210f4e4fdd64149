import numpy as np
import pytest

import edgeax
from benchmarks.deep_compression import PAPER, SETTINGS, add_row, of_file
from benchmarks.harness import Benchmark
from benchmarks.lenet_pruning import NETWORKS
from edgeax.model.copying import compressed_layers
from tests.benchmarks.test_formats import fake_images


def test_the_targets_are_those_of_the_issue():
    targets = {
        (net, setting.name): (setting.most_bytes, setting.most_error)
        for net, settings in SETTINGS.items()
        for setting in settings
    }
    assert targets == {
        ("LeNet-300-100", "paper"): (27_000, 1.6),
        ("LeNet-300-100", "beyond"): (14_000, 2.0),
        ("LeNet-5", "paper"): (44_000, 0.8),
        ("LeNet-5", "beyond"): (13_000, 0.95),
    }


@pytest.mark.parametrize("net", SETTINGS)
def test_kernels_are_pruned_before_they_are_clustered(net):
    assert list(PAPER[net]) == [
        layer.name for layer in NETWORKS[net].make().layers if hasattr(layer, "kernel")
    ]
    for setting in SETTINGS[net]:
        model = edgeax.compress(NETWORKS[net].make(), setting.recipe(3))
        kernels = [
            chain.transforms
            for layer in compressed_layers(model)
            for chain in layer.chains
            if len(chain.transforms) == 3
        ]
        assert len(kernels) == len(PAPER[net])
        assert all(mask.settled_step <= cluster.begin_step for mask, cluster, _ in kernels)


def test_a_row_has_the_files_of_all_seeds_the_largest_counts():
    benchmark = Benchmark("deep_compression")
    setting = SETTINGS["LeNet-5"][1]
    seeds = [
        {
            "file_bytes": size,
            "error_percent": error,
            "float_file_bytes": 9,
            "float_error_percent": 1,
        }
        for size, error in ((12_000, 0.9), (13_500, 0.96))
    ]
    add_row(benchmark, "LeNet-5", setting, "mnist", seeds)
    report = benchmark.report()
    (row,) = report["rows"]
    assert (row["file_bytes"], row["float_bytes"], row["seeds"]) == (13_500, 9, 2)
    assert row["error_percent"] == pytest.approx(0.93) and row["spread"] == pytest.approx(0.06)
    assert [wanted["holds"] for wanted in report["wanted"]] == [False, True]


def test_the_error_is_that_of_the_file():
    data = fake_images()
    model = NETWORKS["LeNet-300-100"].make()
    found = of_file(model, data, "float_", activations="float32")
    wrong = np.asarray(model(data.x_test)).argmax(-1) != data.y_test
    assert found["float_error_percent"] == pytest.approx(100 * np.mean(wrong), abs=0.5)
    assert found["float_file_bytes"] > 4 * 266_610

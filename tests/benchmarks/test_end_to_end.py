import json

import numpy as np
import pytest

from benchmarks import end_to_end
from benchmarks.end_to_end import NETWORKS
from benchmarks.harness import Benchmark
from benchmarks.kernels_arm import CPUS


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(end_to_end, "LAYERS", 1)
        yield


class Counted:
    """Says that the first file takes 100 instructions, the second 200."""

    def count(self, cpu, files):
        assert cpu in CPUS and all(file.is_file() for file in files)
        return [100 * (number + 1) for number, _ in enumerate(files)]


def test_a_binary_network_is_far_smaller_than_in_int8(tmp_path):
    row = end_to_end.row_of(NETWORKS[0], True, Counted(), tmp_path)
    assert row["forms"] == {"binary": 2, "int8": 6}
    assert row["stays_float"] == 0
    assert row["size_bytes"] < row["int8_size_bytes"]
    assert row["speed"] > 0.0 and row["ms"] > 0.0 and row["int8_ms"] > 0.0
    assert row["instructions"] == {"cortex-a72": 200, "cortex-a76": 200}  # the second file
    assert row["fewer"] == {"cortex-a72": 0.5, "cortex-a76": 0.5}
    json.dumps(row, allow_nan=False)


def test_both_forms_of_quicknet_have_the_same_shapes():
    binary, plain = (end_to_end.quicknet(True, binary) for binary in (True, False))
    shapes = [[w.shape for w in model.weights if w.name == "kernel"] for model in (binary, plain)]
    assert shapes[0] == shapes[1] and len(shapes[0]) == 8
    assert binary.output_shape == plain.output_shape == (None, 1000)


def test_matrices_are_pruned_and_clustered():
    model = end_to_end.compressed(end_to_end.mobilenet(True))
    found = [layer for layer in model.layers if getattr(layer, "chains", ())]
    assert len(found) > 30
    for layer in found[:3]:
        (_, _, encoded) = layer.freeze_weights()[0]
        assert encoded.shape[:2] == (1, 1) and encoded.distinct_values <= 16
        assert 0.7 < np.mean(encoded.decode() == 0) < 0.8
    assert found[-1].name == "predictions"


def test_every_network_has_a_row(monkeypatch):
    seen = []

    def row_of(network, quick, tools, folder):
        seen.append((network.name, quick))
        return {"network": network.name, "speed": 2.0}

    monkeypatch.setattr(end_to_end, "row_of", row_of)
    monkeypatch.setattr(end_to_end, "prepare_arm", lambda name: None)
    monkeypatch.setattr(end_to_end.Tools, "build", lambda plugin, folder: None)
    benchmark = Benchmark("end_to_end")
    end_to_end.measure(benchmark, quick=True)
    assert seen == [("quicknet", True), ("mobilenet_v2", True)]
    assert len(benchmark.report()["rows"]) == 2

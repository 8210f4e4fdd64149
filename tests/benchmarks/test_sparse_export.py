import json

import keras
import numpy as np
import pytest

import edgeax
from benchmarks import sparse_export
from benchmarks.harness import Benchmark
from benchmarks.sparse_export import STRUCTURES, Structure

layers = keras.layers


def weights_of(model):
    return sum(v.shape.num_elements() for v in model.trainable_variables if v.name == "kernel")


def tiny():
    given = keras.Input((8, 8, 4))
    x = layers.Conv2D(16, 3, name=sparse_export.STEM)(given)
    x = layers.Conv2D(32, 3, activation="relu", name="conv")(x)
    x = layers.Dense(64, name="dense")(layers.Flatten()(x))
    return keras.Model(given, x, name="tiny")


def kernels(model):
    """The kernels as the layers compute with them, by name."""
    plain = edgeax.strip(model)
    return {layer.name: np.asarray(layer.kernel) for layer in plain.layers if layer.weights}


def test_the_networks_have_as_many_weights_as_they_say():
    lenet, resnet = (network() for network in sparse_export.NETWORKS)
    assert weights_of(lenet) == 784 * 300 + 300 * 100 + 100 * 10 == 266_200
    blocks = 2 * 9 * 32 * 32 + 9 * 64 * (32 + 64) + 32 * 64 + 9 * 128 * (64 + 128) + 64 * 128
    assert weights_of(resnet) == 1152 + blocks + 1280 == 307_584
    stem = resnet.get_layer(sparse_export.STEM).kernel
    assert stem.shape.num_elements() == 1152
    assert sum(isinstance(layer, layers.Add) for layer in resnet.layers) == 3


def test_the_grid_is_that_of_the_issue():
    grid = {s.name: tuple(s.sparsities) for s in STRUCTURES}
    every = (0.5, 0.75, 0.9)
    assert grid == {"element": every, "1x4": every, "1x16": every, "2:4": (0.5,)}


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda structure: structure.name)
def test_zeros_lie_as_the_structure_says_and_the_stem_keeps_its_weights(structure):
    sparsity = structure.sparsities[-1]
    found = kernels(sparse_export.pruned(tiny(), structure, sparsity))
    assert np.mean(found["stem"] == 0) < 0.05
    for name in ("conv", "dense"):
        rows = np.moveaxis(found[name], -1, 0).reshape(found[name].shape[-1], -1)
        assert np.mean(rows == 0) == pytest.approx(sparsity, abs=0.01)
        zeros = rows.reshape(len(rows), -1, 4) == 0
        if structure.name == "2:4":
            assert (zeros.sum(axis=2) >= 2).all()
        elif structure.name != "element":
            # A weight that is left may round to zero, but hardly all of a block.
            assert np.mean(np.isin(zeros.sum(axis=2), (0, 4))) > 0.9


def test_a_row_tells_bytes_times_and_forms():
    row = sparse_export.row_of(tiny, STRUCTURES[0], 0.9, repeats=2)
    assert row["share"] == row["file_bytes"] / row["dense_bytes"] < 0.5
    assert row["ratio"] == row["file_ms"] / row["dense_ms"] > 0.0
    assert row["forms"] == "2 relative4 x1, 1 int8"
    assert row["other_codes"] < 0.01
    assert 0.1 < row["gzip_share"] < 1.0 and row["float_sparse_share"] > row["share"]
    json.dumps(row, allow_nan=False)


@pytest.mark.parametrize("share, holds", [(0.25, True), (0.26, False)])
def test_the_target_is_a_quarter_of_dense_int8(share, holds):
    benchmark = Benchmark("sparse_export")
    sparse_export.add_wanted(benchmark, {"network": "net", "share": share}, 3)
    (entry,) = benchmark.report()["wanted"]
    assert entry == {
        "name": "net: share of dense int8 at 90 %, element-wise",
        "value": share,
        "wanted": "<= 0.25",
        "holds": holds,
        "row": 3,
    }


def test_every_network_has_a_target_and_quick_measures_only_that(monkeypatch):
    def row_of(network, structure, sparsity, repeats):
        return {"network": network(), "zeros": structure.name, "sparsity": sparsity, "share": 0.2}

    monkeypatch.setattr(sparse_export, "row_of", row_of)
    monkeypatch.setattr(sparse_export, "NETWORKS", (lambda: "one", lambda: "other"))
    for quick, rows in ((True, 2), (False, 20)):
        benchmark = Benchmark("sparse_export")
        sparse_export.measure(benchmark, quick)
        report = benchmark.report()
        assert len(report["rows"]) == rows
        for entry, name in zip(report["wanted"], ("one", "other"), strict=True):
            row = report["rows"][entry["row"]]
            assert (row["network"], row["zeros"], row["sparsity"]) == (name, "element", 0.9)


def test_blocks_that_do_not_divide_the_inputs_are_no_warning(recwarn):
    sparse_export.pruned(tiny(), Structure("1x10", (0.5,), sparse_export.blocks(10).prune), 0.5)
    assert not [w for w in recwarn if "Blocks of" in str(w.message)]

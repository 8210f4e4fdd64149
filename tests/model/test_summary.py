"""Summary: what every layer costs, checked by hand."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax import Cluster, Prune, Quantize, Recipe, Rule
from tests.model import small_models

layers = keras.layers


def rows(model):
    return {row.path: row for row in edgeax.summary(model).rows}


def test_the_numbers_of_a_plain_model():
    summary = rows(small_models.convolutional())
    assert list(summary) == ["conv", "norm", "depthwise", "head"]
    conv, norm, depthwise, head = summary.values()
    assert (conv.kind, conv.weight_bits, conv.output) == ("Conv2D", 32, "float32")
    assert conv.size_bytes == (3 * 3 * 2 * 4 + 4) * 4
    assert conv.macs == 6 * 6 * 3 * 3 * 2 * 4
    assert (norm.size_bytes, norm.macs, norm.stays_float) == (4 * 4 * 4, 0, "")
    assert depthwise.macs == 4 * 4 * 3 * 3 * 4
    assert head.macs == 4 * 3
    assert conv.stays_float == "no rule gives its kernel a format"


def test_the_numbers_of_a_compressed_model():
    recipe = Recipe(
        [
            Rule("conv", kernel=[Prune(0.5), Cluster(4), Quantize("int8", axis=-1)]),
            Rule("depthwise", kernel=Quantize("int4", axis=-1), bias=Quantize("int8")),
            Rule("conv|head", output=Quantize("int8")),
        ]
    )
    model = edgeax.compress(small_models.convolutional(), recipe)
    summary = rows(model)
    conv, depthwise, head = summary["conv"], summary["depthwise"], summary["head"]
    # 72 indices of 2 bits, 4 int8 entries, 4 scales, 4 biases
    assert (conv.weight_bits, conv.size_bytes) == (2, 72 * 2 // 8 + 4 + 4 * 4 + 4 * 4)
    assert conv.sparsity >= 0.5 and conv.distinct_values <= 4
    # 36 codes of 4 bits, 4 scales; 4 biases of 8 bits, 1 scale
    assert (depthwise.weight_bits, depthwise.size_bytes) == (4, 36 // 2 + 4 * 4 + 4 + 4)
    assert (head.weight_bits, head.output) == (32, "int8")
    assert head.stays_float == "no rule gives its kernel a format"
    assert (conv.output, depthwise.output) == ("int8", "float32")


def test_a_kernel_whose_transforms_wait_stays_float_and_says_so():
    recipe = [Cluster(4, begin_step=10), Quantize("int8", axis=-1)]
    summary = rows(edgeax.compress(small_models.convolutional(), recipe))
    assert summary["conv"].weight_bits == 32
    assert summary["conv"].stays_float == "its transforms have not begun or keep float values"


def test_sparsity_and_distinct_values_are_those_of_the_transformed_kernel():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, use_bias=False, name="dense")])
    model.layers[0].kernel.assign([[7.0, 0.0], [0.4, 0.4], [-7.0, 14.0], [2.0, -4.0]])
    summary = rows(edgeax.compress(model, [Quantize("int4", axis=-1)]))
    # codes [7, 0], [0, 0], [-7, 7], [2, -2]
    assert summary["dense"].sparsity == 3 / 8
    assert summary["dense"].distinct_values == 5
    assert rows(model)["dense"].sparsity == 1 / 8


def one_layer(layer, shape, **kwargs):
    given = keras.Input(shape, **kwargs)
    return keras.Model(given, layer(given))


@pytest.mark.parametrize(
    "layer, shape, macs",
    [
        (layers.Conv1D(4, 3), (8, 2), 6 * 3 * 2 * 4),
        (layers.Conv2D(4, 3, strides=2, groups=2), (7, 7, 2), 3 * 3 * 3 * 3 * 1 * 4),
        (layers.DepthwiseConv1D(3, depth_multiplier=2), (8, 2), 6 * 3 * 4),
        (layers.SeparableConv2D(5, 3), (6, 6, 2), 4 * 4 * (3 * 3 * 2 + 2 * 5)),
        (layers.Conv2DTranspose(4, 3, strides=2), (5, 5, 2), 5 * 5 * 3 * 3 * 2 * 4),
        (layers.Dense(3), (7, 2), 7 * 2 * 3),
        (layers.EinsumDense("abc,cde->abde", (None, 2, 3)), (5, 4), 5 * 4 * 2 * 3),
        (layers.EinsumDense("abcd,cde->abe", (None, 3)), (5, 4, 2), 5 * 4 * 2 * 3),
        (layers.Embedding(9, 4), (5,), 0),
    ],
)
def test_multiply_accumulates(layer, shape, macs):
    dtype = "int32" if isinstance(layer, layers.Embedding) else None
    assert edgeax.summary(one_layer(layer, shape, dtype=dtype)).macs == macs


def test_a_layer_used_twice_is_stored_once_and_computed_twice():
    dense = layers.Dense(4, use_bias=False, name="dense")
    given = keras.Input((4,))
    (row,) = edgeax.summary(keras.Model(given, dense(dense(given)))).rows
    assert (row.size_bytes, row.macs) == (4 * 4 * 4, 2 * 4 * 4)


def test_nested_models_have_paths_and_the_shapes_they_are_called_with():
    summary = rows(small_models.nested())
    assert list(summary)[:2] == ["stem", "deep/inner/conv"]
    assert summary["deep/inner/conv"].macs == 6 * 6 * 3 * 3 * 4 * 4
    assert summary["shallow/conv"].macs == 2 * 6 * 6 * 3 * 3 * 4 * 4


def test_the_table_shows_every_row_and_the_totals():
    model = small_models.convolutional(classes=5)
    summary = edgeax.summary(edgeax.compress(model, "static_wc4_ai8"))
    lines = str(summary).splitlines()
    assert lines[0].split() == [
        "layer", "kind", "bits", "sparsity", "values", "bytes", "MACs", "output", "float?"
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[1:]] == [
        "conv",
        "norm",
        "depthwise",
        "head",
        "total",
    ]
    assert f"{summary.size_bytes:,}" in lines[-1] and f"{summary.macs:,}" in lines[-1]
    assert summary.size_bytes == sum(row.size_bytes for row in summary.rows)


def test_a_summary_leaves_the_model_as_it_was():
    model = edgeax.compress(small_models.convolutional(), "static_wi8_ai8")
    before = model.get_weights(), [len(layer._inbound_nodes) for layer in model.layers]
    edgeax.summary(model)
    assert all(map(np.array_equal, model.get_weights(), before[0]))
    assert [len(layer._inbound_nodes) for layer in model.layers] == before[1]


def test_a_model_without_weights_yet_has_no_summary():
    with pytest.raises(ValueError, match="`model` must be built"):
        edgeax.summary(keras.Sequential([keras.layers.Dense(2)]))

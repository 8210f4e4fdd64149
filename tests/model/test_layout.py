"""Layout: a weight with its output channels on the last axis, and back."""

import keras
import numpy as np
import pytest

from edgeax.model.layout import einsum_axes, layout_of

layers = keras.layers


@pytest.mark.parametrize(
    "layer, name, shape, canonical",
    [
        (layers.Dense(3), "kernel", (5, 3), (5, 3)),
        (layers.Conv1D(4, 2), "kernel", (2, 3, 4), (2, 3, 4)),
        (layers.Conv2D(4, 3), "kernel", (3, 3, 2, 4), (3, 3, 2, 4)),
        (layers.DepthwiseConv1D(3), "kernel", (3, 5, 2), (3, 10)),
        (layers.DepthwiseConv2D(3), "kernel", (3, 3, 5, 2), (3, 3, 10)),
        (layers.SeparableConv2D(4, 3), "depthwise_kernel", (3, 3, 5, 2), (3, 3, 10)),
        (layers.SeparableConv2D(4, 3), "pointwise_kernel", (1, 1, 10, 4), (1, 1, 10, 4)),
        (layers.Conv1DTranspose(4, 2), "kernel", (2, 4, 3), (2, 3, 4)),
        (layers.Conv2DTranspose(4, 3), "kernel", (3, 3, 4, 2), (3, 3, 2, 4)),
        (layers.Conv3DTranspose(4, 3), "kernel", (3, 3, 3, 4, 2), (3, 3, 3, 2, 4)),
        (layers.EinsumDense("ab,bc->ac", 3), "kernel", (5, 3), (5, 3)),
        (layers.EinsumDense("abc,cde->abde", (2, 3)), "kernel", (5, 2, 3), (5, 6)),
        (layers.EinsumDense("abcd,cde->abe", (None, 3)), "kernel", (2, 3, 5), (2, 3, 5)),
        (layers.EinsumDense("abc,dc->abd", (None, 3)), "kernel", (3, 5), (5, 3)),
        (layers.EinsumDense("...x,xy->...y", 3), "kernel", (5, 3), (5, 3)),
        (layers.EinsumDense("ab,b->ab", 5), "kernel", (5,), (5,)),
        (layers.Embedding(7, 3), "embeddings", (7, 3), (7, 3, 1)),
        (layers.DepthwiseConv2D(3), "bias", (10,), (10,)),
        (layers.Conv2DTranspose(4, 3), "bias", (4,), (4,)),
        (layers.EinsumDense("abc,cde->abde", (2, 3), bias_axes="de"), "bias", (2, 3), (2, 3)),
        (layers.LSTMCell(3), "kernel", (2, 12), (2, 3, 4)),
        (layers.LSTMCell(3), "recurrent_kernel", (3, 12), (3, 3, 4)),
        (layers.LSTMCell(3), "bias", (12,), (12,)),
        (layers.GRUCell(3), "recurrent_kernel", (3, 9), (3, 9)),
    ],
)
def test_the_way_to_canonical_layout_and_back_loses_nothing(layer, name, shape, canonical):
    layout = layout_of(layer, name, shape)
    weight = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    there = layout.to_canonical(weight)
    assert there.shape == layout.canonical_shape == canonical
    assert np.array_equal(layout.from_canonical(there), weight)
    tensor = layout.to_canonical(keras.ops.convert_to_tensor(weight))
    assert np.array_equal(tensor, there)
    assert np.array_equal(layout.from_canonical(tensor), weight)


def test_depthwise_channel_c_with_multiple_j_is_channel_c_times_m_plus_j():
    weight = np.zeros((1, 1, 3, 2), np.float32)
    weight[0, 0, 2, 1] = 1.0
    there = layout_of(layers.DepthwiseConv2D(1), "kernel", weight.shape).to_canonical(weight)
    assert there[0, 0].tolist() == [0, 0, 0, 0, 0, 1]


def test_the_channels_of_an_lstm_are_its_gates():
    weight = np.arange(8, dtype=np.float32).reshape(1, 8)  # units 2: i0 i1 f0 f1 c0 c1 o0 o1
    there = layout_of(layers.LSTMCell(2), "kernel", weight.shape).to_canonical(weight)
    assert there.tolist() == [[[0, 2, 4, 6], [1, 3, 5, 7]]]


def test_a_transposed_kernel_swaps_its_last_axes():
    weight = np.arange(6, dtype=np.float32).reshape(1, 2, 3)  # two output, three input channels
    there = layout_of(layers.Conv1DTranspose(2, 1), "kernel", weight.shape).to_canonical(weight)
    assert there.tolist() == [[[0, 3], [1, 4], [2, 5]]]


def test_einsum_output_axes_become_one_in_the_order_of_the_kernel():
    layer = layers.EinsumDense("abc,dce->aebd", (3, 2, 2))
    weight = np.arange(8, dtype=np.float32).reshape(2, 2, 2)  # axes d, c, e
    there = layout_of(layer, "kernel", weight.shape).to_canonical(weight)
    assert there.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]  # rows c, columns (d, e)


@pytest.mark.parametrize(
    "equation, axes",
    [("abc,cd->abd", ("abc", "cd", "abd")), ("...x, xy -> ...y", ("x", "xy", "y"))],
)
def test_einsum_axes_are_the_letters_of_input_kernel_and_output(equation, axes):
    assert einsum_axes(layers.EinsumDense(equation, (None, 3))) == axes

"""Layers as products of columns with a matrix."""

import keras
import numpy as np
import pytest

from edgeax.post_training.linear import as_kernel, as_matrix, columns, moments_of, why_not_linear

layers = keras.layers

LINEAR = {
    "dense": (layers.Dense(3), (4, 5)),
    "dense of places": (layers.Dense(3), (4, 2, 5)),
    "conv": (layers.Conv2D(3, 3, padding="same"), (2, 6, 7, 4)),
    "strided": (layers.Conv2D(3, (2, 3), strides=(2, 1)), (2, 6, 7, 4)),
    "dilated": (layers.Conv2D(3, 3, dilation_rate=2, padding="same"), (2, 6, 7, 4)),
    "conv1d": (layers.Conv1D(3, 4, padding="same", strides=2), (2, 9, 4)),
    "depthwise": (layers.DepthwiseConv2D(3, padding="same"), (2, 6, 7, 4)),
    "multiplied": (layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2), (2, 7, 7, 4)),
    "depthwise1d": (layers.DepthwiseConv1D(3, padding="same"), (2, 9, 4)),
}


@pytest.mark.parametrize("name", LINEAR)
def test_columns_times_the_matrix_are_the_outputs_of_the_layer(name):
    layer, shape = LINEAR[name]
    layer = type(layer).from_config({**layer.get_config(), "use_bias": False})
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = layer(x).numpy()
    assert why_not_linear(layer) == ""
    matrix = as_matrix(layer, layer.kernel.numpy())
    products = columns(layer, x).numpy() @ matrix  # (groups, rows, outputs)
    found = np.moveaxis(products, 0, 1).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(as_kernel(layer, matrix), layer.kernel.numpy())


@pytest.mark.parametrize(
    "layer, why",
    [
        (layers.LSTM(3), "it is a LSTM"),
        (layers.Conv2D(4, 3, groups=2), "it has 2 groups"),
        (layers.Conv1D(4, 3, padding="causal"), "its padding is 'causal'"),
        (layers.Conv2D(4, 3, data_format="channels_first"), "its channels come first"),
    ],
)
def test_what_is_no_such_product_says_why(layer, why):
    assert why_not_linear(layer) == why


def test_moments_are_means_over_all_batches():
    rng = np.random.default_rng(1)
    teacher, student = rng.normal(size=(2, 1, 50, 3)).astype(np.float32)
    found = moments_of(
        (teacher[:, start : start + 20], student[:, start : start + 20]) for start in (0, 20, 40)
    )
    assert found.rows == 50
    np.testing.assert_allclose(found.teacher[0], teacher[0].T @ teacher[0] / 50, rtol=1e-5)
    np.testing.assert_allclose(found.cross[0], student[0].T @ teacher[0] / 50, rtol=1e-4)
    np.testing.assert_allclose(found.student_mean[0], student[0].mean(0), rtol=1e-4, atol=1e-6)

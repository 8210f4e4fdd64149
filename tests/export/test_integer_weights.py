import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import edgeax
from edgeax.export.cut import plain_graph
from edgeax.export.integer_weights import codes_of, moved, steps_of_kernels


@pytest.mark.parametrize(
    "code, change, expected",
    [
        (5, 0.3, 4),  # cast to an integer, 5 - 0.3 would be 4 and -5 - -0.3 would be -4:
        (-5, -0.3, -4),  # both are right here, and so are the next, which would not move there
        (5, -0.3, 6),
        (-5, 0.3, -6),
        (5, 0.0, 5),
        (5, 1.6, 3),
        (-127, 0.3, -127),
        (127, -9.0, 127),
        (-120, 9.0, -127),
    ],
)
def test_a_code_moves_by_whole_steps_as_far_up_as_down(code, change, expected):
    codes, steps = tf.constant([code], tf.int8), tf.constant([0.5])
    assert moved(codes, tf.constant([0.5 * change]), steps).numpy() == [expected]


def test_no_bias_is_left_over_many_steps_of_both_signs():
    codes = tf.constant(np.arange(-50, 51), tf.int8)
    signs = np.sign(np.random.default_rng(0).normal(size=100))
    total = np.zeros(101)
    for sign in [*signs, *-signs]:
        codes = moved(codes, tf.fill((101,), np.float32(0.01 * sign)), tf.constant([1.0]))
        total += sign
    np.testing.assert_array_equal(codes, np.arange(-50, 51))


def network():
    keras.utils.set_random_seed(0)
    given = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, name="conv")(given)
    x = layers.DepthwiseConv2D(2, name="depthwise")(x)
    return keras.Model(given, layers.Dense(3, name="last")(layers.Flatten()(x)))


def test_each_output_channel_reaches_127():
    model = network()
    steps = steps_of_kernels(model, plain_graph(model))
    shapes = {path: array.shape for path, array in steps.items()}
    assert shapes == {"conv": (1, 1, 1, 4), "depthwise": (1, 1, 4, 1), "last": (1, 3)}
    kernel = model.get_layer("conv").kernel.numpy()
    np.testing.assert_allclose(steps["conv"].ravel(), np.abs(kernel).max((0, 1, 2)) / 127)
    codes = codes_of(kernel, steps["conv"])
    assert (codes.dtype, np.abs(codes).max((0, 1, 2)).tolist()) == (np.int8, [127] * 4)


def test_a_kernel_of_zeros_has_codes_too():
    model = network()
    model.get_layer("last").kernel.assign(np.zeros((36, 3)))
    steps = steps_of_kernels(model, plain_graph(model))["last"]
    assert not codes_of(np.zeros((36, 3), np.float32), steps).any()


def test_kernels_that_were_trained_in_int8_keep_their_grid():
    small = edgeax.compress(network(), edgeax.at_once("static_wi8_ai8"))
    graph = plain_graph(small)
    steps = steps_of_kernels(small, graph)
    for call in graph.calls:
        if hasattr(call.operation, "kernel"):
            kernel = call.operation.kernel.numpy()
            array = steps[graph.path(call.operation)]
            np.testing.assert_allclose(codes_of(kernel, array) * array, kernel, atol=1e-7)

"""Layers of whose kernel a part is trained: the same results, and that part of the gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.export.partial_kernels import part_of, run_with_part, whole_of
from edgeax.model.trained_weights import TrainedWeight

layers = keras.layers


@pytest.mark.parametrize(
    "layer, shape, axis",
    [
        (layers.Dense(3, activation="relu"), (4, 5), 0),
        (layers.Conv1D(3, 2, dilation_rate=2, use_bias=False), (2, 7, 5), 1),
        (layers.Conv2D(3, 3, strides=2, padding="same", activation="tanh"), (2, 6, 5, 5), 2),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (2, 6, 5, 5), 2),
    ],
)
def test_a_part_has_that_part_of_the_gradient_and_the_layer_its_results(layer, shape, axis):
    keras.utils.set_random_seed(0)
    x = tf.random.normal(shape)
    layer.build(shape)
    weight = TrainedWeight("layer", layer, layer.kernel, channels=2, axis=axis)
    part = tf.convert_to_tensor(part_of(weight))
    assert part.shape[axis] == 2
    kernel = tf.convert_to_tensor(layer.kernel)
    np.testing.assert_array_equal(whole_of(weight, part, kernel), kernel)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, part])
        expected = layer(x)
        found = run_with_part(weight, part, kernel, x)
        losses = tf.reduce_sum(expected**2), tf.reduce_sum(found**2)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    wanted = tape.gradient(losses[0], layer.kernel.value)
    wanted = np.take(tf.convert_to_tensor(wanted), [0, 1], axis)
    np.testing.assert_allclose(tape.gradient(losses[1], part), wanted, rtol=1e-4, atol=1e-4)
    to_inputs = [tape.gradient(loss, x) for loss in losses]
    np.testing.assert_allclose(to_inputs[1], to_inputs[0], rtol=1e-4, atol=1e-4)


def test_without_a_number_of_channels_a_part_is_all():
    layer = layers.Dense(3)
    layer.build((None, 5))
    weight = TrainedWeight("layer", layer, layer.kernel)
    part = tf.convert_to_tensor(part_of(weight))
    assert part.shape == (5, 3) and whole_of(weight, part, part) is part

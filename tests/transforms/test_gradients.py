import numpy as np
import tensorflow as tf

from edgeax.transforms.gradients import shared_gradient, straight_through
from tests.transforms.modes import in_every_mode

UPSTREAM = np.float32([0.5, -2.0, 3.0])


def value_and_gradients(function, real, other, mode):
    @mode
    def run(real, other):
        with tf.GradientTape() as tape:
            tape.watch([real, other])
            value = function(real, other)
        gradients = tape.gradient(
            value, [real, other], UPSTREAM, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return value, *gradients

    return [result.numpy() for result in run(tf.constant(real), tf.constant(other))]


@in_every_mode
def test_straight_through_gives_the_rounded_values_to_the_last_bit(mode):
    # 1e8 + (0.1 - 1e8) is 0 in float32: the usual spelling would lose the value.
    real, rounded = np.float32([1e8, -1e8, 0.3]), np.float32([0.1, 0.2, 1 / 3])
    value, to_real, to_rounded = value_and_gradients(straight_through, real, rounded, mode)
    assert np.array_equal(value, rounded)
    assert np.array_equal(to_real, UPSTREAM)
    assert not to_rounded.any()


@in_every_mode
def test_shared_gradient_reaches_the_weights_and_the_shared_values(mode):
    real, shared = np.float32([1e8, -1e8, 0.3]), np.float32([0.1, 0.2, 1 / 3])
    value, to_real, to_shared = value_and_gradients(shared_gradient, real, shared, mode)
    assert np.array_equal(value, shared)
    assert np.array_equal(to_real, UPSTREAM)
    assert np.array_equal(to_shared, UPSTREAM)

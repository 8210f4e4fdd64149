import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms.gradients import estimator, shared_gradient, straight_through
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


REALS = np.float32([-1.5, -1.0, -0.5, 0.0, 0.25, 1.0, 2.0])


def slopes(name, mode=lambda function: function):
    """Returns the derivatives that an estimator gives at `REALS`."""
    ones, zeros = np.ones_like(REALS), np.zeros_like(REALS)

    @mode
    def run(real):
        with tf.GradientTape() as tape:
            tape.watch(real)
            value = estimator(name)(real, tf.constant(zeros))
        return tape.gradient(value, real, tf.constant(ones))

    return run(tf.constant(REALS)).numpy()


@in_every_mode
def test_chs16_the_mask_is_one_up_to_magnitude_one(mode):
    assert slopes("ste_sign", mode).tolist() == [0, 1, 1, 1, 1, 1, 0]


@in_every_mode
def test_dbcn18_swish_sign_is_the_derivative_of_its_swish(mode):
    def swish(x, beta=5.0):
        gate = 1 / (1 + np.exp(-beta * x))
        return 2 * gate * (1 + beta * x * (1 - gate)) - 1

    x = REALS.astype(np.float64)
    expected = (swish(x + 1e-6) - swish(x - 1e-6)) / 2e-6
    assert slopes("swish_sign", mode) == pytest.approx(expected, abs=2e-5)


def test_other_masks_are_those_worked_out_by_hand():
    assert slopes("straight_through").tolist() == [1] * 7
    assert slopes("within_unit").tolist() == [0, 0, 0, 1, 1, 1, 0]
    assert slopes("approx_sign").tolist() == [0, 0, 1, 2, 1.5, 0, 0]


def test_swish_sign_ends_at_zero_however_far_away():
    far = tf.constant([1e30, -1e30])
    with tf.GradientTape() as tape:
        tape.watch(far)
        value = estimator("swish_sign")(far, tf.sign(far))
    assert np.abs(tape.gradient(value, far)).max() < 1e-6


def test_an_unknown_estimator_is_refused_with_the_near_ones():
    with pytest.raises(ValueError, match=r"`gradient` must name.*'swish_sing'.*'swish_sign'"):
        estimator("swish_sing")

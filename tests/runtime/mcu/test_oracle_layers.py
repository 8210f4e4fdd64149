import numpy as np
import pytest
import tensorflow as tf

from edgeax.runtime.mcu import oracle_layers
from edgeax.runtime.mcu.operators import conv2d, windows
from edgeax.runtime.mcu.oracle_gradients import Gradient


def shape_of(inputs, outputs, kernel, stride, padding):
    """The shapes of windows on an image of 7 x 6."""
    axes = (windows.axis(size, kernel, stride, 1, padding) for size in (7, 6))
    return conv2d.Shape.of_windows(1, *axes, inputs, outputs)


def fields(shape):
    return shape.struct().fields


def drawn(seed, *shape, most=99):
    return np.random.default_rng(seed).integers(-most, most + 1, shape)


def image(array):
    return tf.constant(array[None].astype(np.float64))


WINDOWS = [(3, 1, "SAME"), (3, 2, "SAME"), (2, 2, "VALID"), (1, 1, "VALID"), (4, 3, "SAME")]


@pytest.mark.parametrize("kernel, stride, padding", WINDOWS)
def test_convolutions_and_their_gradients_are_tensorflows(kernel, stride, padding):
    shape = shape_of(3, 5, kernel, stride, padding)
    x, weights = drawn(1, 7, 6, 3), drawn(2, 5, kernel * kernel, 3)
    errors = drawn(3, shape.output_height, shape.output_width, 5)
    real = tf.constant(weights.reshape(5, kernel, kernel, 3).transpose(1, 2, 3, 0) * 1.0)
    source = image(x)
    with tf.GradientTape() as tape:
        tape.watch([source, real])
        y = tf.nn.conv2d(source, real, stride, padding)
        total = tf.reduce_sum(y * image(errors))
    by_input, by_weights = tape.gradient(total, (source, real))
    sums = oracle_layers.convolution(fields(shape), x, weights)
    np.testing.assert_array_equal(sums, y[0])
    found = oracle_layers.convolution_gradient(fields(shape), errors, weights)
    np.testing.assert_array_equal(found, by_input[0])
    found = oracle_layers.convolution_weights(fields(shape), errors, x)
    wanted = by_weights.numpy().transpose(3, 0, 1, 2).reshape(weights.shape)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("kernel, stride, padding", WINDOWS[1:3])
@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_convolutions_and_their_gradients_are_tensorflows(
    kernel, stride, padding, multiplier
):
    channels = 3 * multiplier
    shape = shape_of(3, channels, kernel, stride, padding)
    x, weights = drawn(1, 7, 6, 3), drawn(2, kernel * kernel, channels)
    errors = drawn(3, shape.output_height, shape.output_width, channels)
    real = tf.constant(weights.reshape(kernel, kernel, 3, multiplier) * 1.0)
    source = image(x)
    with tf.GradientTape() as tape:
        tape.watch([source, real])
        y = tf.nn.depthwise_conv2d(source, real, [1, stride, stride, 1], padding)
        total = tf.reduce_sum(y * image(errors))
    by_input, by_weights = tape.gradient(total, (source, real))
    np.testing.assert_array_equal(oracle_layers.depthwise(fields(shape), x, weights), y[0])
    found = oracle_layers.depthwise_gradient(fields(shape), errors, weights)
    np.testing.assert_array_equal(found, by_input[0])
    found = oracle_layers.depthwise_weights(fields(shape), errors, x, channels)
    np.testing.assert_array_equal(found, by_weights.numpy().reshape(weights.shape))
    some = oracle_layers.depthwise_weights(fields(shape), errors, x, channels - 1)
    np.testing.assert_array_equal(some, found[:, :-1])


@pytest.mark.parametrize("kernel, stride, padding", WINDOWS)
def test_gradients_of_pools_are_tensorflows(kernel, stride, padding):
    shape = shape_of(3, 3, kernel, stride, padding)
    x, errors = drawn(1, 7, 6, 3), drawn(3, shape.output_height, shape.output_width, 3)
    source = image(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(source)
        average = tf.nn.avg_pool2d(source, kernel, stride, padding)
        largest = tf.nn.max_pool2d(source, kernel, stride, padding)
        totals = [tf.reduce_sum(y * image(errors)) for y in (average, largest)]
    gradient = Gradient(errors.reshape(-1), -3)
    found = oracle_layers.average_gradient(fields(shape), gradient, 13)
    wanted = tape.gradient(totals[0], source).numpy().reshape(-1)
    # A share is off by half a unit of 2**-13, of up to 16 windows with errors of up to 99.
    np.testing.assert_allclose(found.codes / 2**13, wanted, atol=16 * 99 / 2**14)
    assert found.exponent == -3 - 13
    taps = oracle_layers.largest_taps(fields(shape), x.astype(np.int8))
    found = oracle_layers.largest_gradient(fields(shape), gradient, taps)
    np.testing.assert_array_equal(found.codes, tape.gradient(totals[1], source).numpy().reshape(-1))


def test_the_first_of_equal_codes_is_the_largest():
    shape = shape_of(1, 1, 2, 2, "VALID")
    taps = oracle_layers.largest_taps(fields(shape), np.full((7, 6, 1), -128, np.int8))
    assert not taps.any()


def test_errors_are_scaled_and_rounded():
    shape = shape_of(1, 2, 7, 7, "SAME")
    gradient = Gradient(np.int64([3, 3]), 0)
    errors = oracle_layers.scaled_errors(fields(shape), gradient, np.int64([2**15, 2**14]), 15)
    assert errors.tolist() == [[[3, 2]]]  # 1.5, a half up

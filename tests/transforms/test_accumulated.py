import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import arrays
from edgeax.formats.accumulation import narrow_sum
from edgeax.formats.minifloat import Minifloat
from edgeax.transforms.accumulated import accumulated_call, check_accumulates, narrow_product

layers = keras.layers
HALF = Minifloat(6, 9)
WIDE = Minifloat(5, 10)


def operands(*shape, seed=0):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return Minifloat(5, 2).rounded(x, {}, arrays)


@pytest.mark.parametrize("chunk", [None, 1, 4, 7, 64])
def test_a_product_is_the_narrow_sum_of_products(chunk):
    left, right = operands(2, 3, 21), operands(2, 21, 5, seed=1)
    made = narrow_product(tf.constant(left), tf.constant(right), HALF, chunk).numpy()
    terms = (left[:, :, :, None] * right[:, None]).transpose(2, 0, 1, 3)
    np.testing.assert_array_equal(made, narrow_sum(terms, HALF, chunk))


@pytest.mark.parametrize(
    "layer, shape",
    [
        (layers.Dense(5), (4, 6)),
        (layers.Dense(5, use_bias=False), (4, 3, 6)),
        (layers.Conv1D(4, 3, strides=2, padding="same"), (2, 9, 3)),
        (layers.Conv1D(4, 3, dilation_rate=2), (2, 9, 3)),
        (layers.Conv2D(4, (3, 2), strides=2, padding="same"), (2, 7, 8, 3)),
        (layers.Conv2D(6, 3, groups=3, dilation_rate=2), (2, 7, 8, 6)),
        (layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), (2, 5, 6, 4)),
    ],
)
def test_a_layer_computes_what_it_does_in_float_but_for_the_rounding(layer, shape):
    # Small integers: their sums are exact in 11 bits, in any order.
    generator = np.random.default_rng(0)
    layer.build(shape)
    layer.set_weights([generator.integers(-3, 4, w.shape) for w in layer.get_weights()])
    x = tf.constant(generator.integers(-3, 4, shape), tf.float32)
    variables = [variable.value for variable in layer.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        expected = layer(x)
        made = accumulated_call(layer, x, WIDE, 4)
    upstream = tf.constant(generator.integers(-2, 3, expected.shape), tf.float32)
    np.testing.assert_array_equal(made, expected)
    for source in (x, *variables):
        own = tape.gradient(made, source, upstream)
        np.testing.assert_array_equal(own, tape.gradient(expected, source, upstream))


def test_gradients_stall_as_the_hardware_would():
    layer = layers.Dense(1, use_bias=False)
    layer.build((None, 1))
    x = tf.ones((2048, 1))
    with tf.GradientTape() as tape:
        made = tf.reduce_sum(accumulated_call(layer, x, HALF, None))
    assert tape.gradient(made, layer.kernel.value).numpy() == 1024.0


def test_layers_whose_sums_nobody_sees_are_rejected():
    for layer in (layers.LSTM(2), layers.Conv2D(2, 3, data_format="channels_first")):
        with pytest.raises(ValueError, match="`accumulate` must stand at a Dense, Conv1D, Conv2D"):
            check_accumulates(layer)
    check_accumulates(layers.Dense(2))

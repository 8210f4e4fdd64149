"""What the device rounds inside a layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax import Compressed, Quantize
from edgeax.model.device import averages, in_halves
from edgeax.transforms.grids import EightBitGrid, averages_on_grid

layers = keras.layers


@pytest.mark.parametrize(
    "make, shape",
    [
        (lambda: layers.SeparableConv2D(4, 3, strides=2, padding="same"), (2, 7, 6, 3)),
        (lambda: layers.SeparableConv2D(4, 3, dilation_rate=2, depth_multiplier=2), (2, 7, 7, 3)),
        (lambda: layers.SeparableConv2D(4, 3, activation="relu", use_bias=False), (2, 7, 7, 3)),
        (lambda: layers.SeparableConv1D(4, 3, strides=2, padding="same"), (2, 9, 3)),
        (lambda: layers.SeparableConv1D(4, 2, activation="tanh"), (2, 9, 3)),
    ],
)
def test_a_separable_convolution_in_halves_is_the_whole(make, shape):
    layer = make()
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = layer(x)
    if layer.bias is not None:
        layer.bias.assign(np.arange(4.0))
        expected = layer(x)
    halves = []

    def between(half):
        halves.append(half)
        return half

    np.testing.assert_allclose(in_halves(layer, x, between), expected, atol=1e-5)
    assert len(halves) == 1


@pytest.mark.parametrize(
    "halves, expected",
    [
        # Codes from -128 for 0: 2.5 is code -125.5, which away from code 0 goes down to 2.
        ("away", [2.0, 0.0, 130.0, 3.0]),
        ("up", [3.0, 1.0, 130.0, 3.0]),
    ],
)
def test_halves_of_averages_go_where_the_device_says(halves, expected):
    grid = EightBitGrid(tf.constant(0.0), tf.constant(255.0), 8, tf.constant(True))
    given = tf.constant([2.5, 0.5, 129.5, 2.6])  # code 1.5 goes up in both
    assert averages_on_grid(given, grid, halves).numpy().tolist() == expected


def test_averages_are_rounded_to_the_grid_of_the_layer_before():
    conv = Compressed(layers.Conv2D(1, 1, use_bias=False), output=Quantize("int8", range=(0, 255)))
    model = keras.Sequential([keras.Input((2, 2, 1)), conv, Compressed(layers.AveragePooling2D(2))])
    conv.layer.kernel.assign(np.ones((1, 1, 1, 1)))
    x = np.float32([1.0, 2.0, 3.0, 5.0]).reshape(1, 2, 2, 1)
    assert model(x).numpy().item() == 3.0  # of 2.75
    # Nothing is known of a tensor that no quantizer made.
    assert Compressed(layers.AveragePooling2D(2))(x).numpy().item() == 2.75


def test_a_recipe_has_averages_rounded_and_exact_ones_left_alone():
    def wrapped(recipe):
        given = keras.Input((4, 4, 1))
        x = layers.Conv2D(2, 1, name="conv")(given)
        outputs = [
            layers.AveragePooling2D(2, name="mean")(x),
            layers.MaxPooling2D(2, name="max")(x),
        ]
        model = edgeax.compress(keras.Model(given, outputs), recipe)
        return {layer.name for layer in model.layers if isinstance(layer, Compressed)}

    assert wrapped("static_wi8_ai8") == {"conv", "mean"}
    assert wrapped("weight_only_wi8_afp32") == {"conv"}
    assert averages(layers.UpSampling2D(interpolation="bilinear"))
    assert not averages(layers.UpSampling2D())

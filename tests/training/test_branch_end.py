"""The weights that multiply what a residual block adds."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.training.branch_end import weights_at_end

layers = keras.layers


def block_of(*inner, end=None, shape=(6, 6, 3)):
    """`end([x, f(x)])` of layers one after another, an addition by default."""
    given = keras.Input(shape)
    x = given
    for layer in inner:
        x = layer(x)
    return keras.Model(given, (end or layers.Add())([given, x]))


def relu_of_sum(pair):
    return layers.ReLU()(layers.Add()(pair))


def conv(**kwargs):
    return layers.Conv2D(3, 3, padding="same", **kwargs)


@pytest.mark.parametrize(
    "inner, names",
    [
        ([conv()], ["kernel", "bias"]),
        ([conv(use_bias=False)], ["kernel"]),
        ([layers.Dense(5, activation="relu"), layers.Dense(3)], ["kernel", "bias"]),
        ([layers.DepthwiseConv2D(3, padding="same")], ["kernel", "bias"]),
        ([conv(), layers.BatchNormalization()], ["gamma", "beta"]),
        ([conv(), layers.BatchNormalization(center=False)], ["gamma"]),
    ],
)
def test_multiplied_they_multiply_what_the_block_adds(inner, names):
    block = block_of(*inner)
    for weight in block.weights:
        weight.assign(np.random.default_rng(1).uniform(0.5, 1.5, weight.shape))
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)
    found = weights_at_end(block)
    assert [weight.name for weight in found] == names
    added = block(x) - x
    for weight in found:
        weight.assign(3.0 * weight)
    np.testing.assert_allclose(block(x) - x, 3.0 * added, rtol=1e-3, atol=1e-3)


def test_a_relu_behind_the_addition_hides_nothing():
    block = block_of(conv(), layers.BatchNormalization(), end=relu_of_sum)
    assert [weight.name for weight in weights_at_end(block)] == ["gamma", "beta"]


@pytest.mark.parametrize(
    "block",
    [
        block_of(conv(), end=lambda pair: layers.ReLU(6.0)(layers.Add()(pair))),
        conv(),
        keras.Sequential([keras.Input((6, 6, 3)), conv()]),
        block_of(conv(activation="relu")),
        block_of(conv(), layers.ReLU()),
        block_of(conv(), layers.BatchNormalization(scale=False)),
        block_of(conv(), end=layers.Multiply()),
        edgeax.compress(block_of(conv()), ["int8"]),
    ],
)
def test_of_other_blocks_none_are_known(block):
    assert weights_at_end(block) == []


def test_a_layer_that_is_called_twice_is_not_the_end():
    shared = layers.Dense(3)
    assert weights_at_end(block_of(shared, shared)) == []


def test_a_block_that_adds_itself_or_nothing_of_it_is_not_known():
    given = keras.Input((3,))
    dense = layers.Dense(3)(given)
    assert weights_at_end(keras.Model(given, layers.Add()([dense, dense]))) == []
    assert weights_at_end(keras.Model(given, layers.Add()([given, given]))) == []

"""Copies of layers: same settings, weights of their own, or a reason why not."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax import Compressed, Quantize
from edgeax.model.copying import copy_of, fresh_copy, plain_copy
from edgeax.model.hook import hook

layers = keras.layers


class Scaled(layers.Lambda):
    """A Lambda that does more than its function says."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(lambda x: x * factor, **kwargs)
        self.factor = factor


class NoConfig(layers.Layer):
    """Says nothing of its arguments to Keras."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


def test_a_copy_has_the_settings_and_new_weights():
    layer = layers.Dense(3, activation="tanh", name="dense")
    layer.build((None, 2))
    copy = fresh_copy(layer)
    assert copy.get_config() == layer.get_config() and not copy.built
    wrapper = Compressed(layer, kernel=Quantize("int8"))
    assert isinstance(fresh_copy(wrapper), Compressed) and fresh_copy(wrapper).layer is not layer
    assert type(plain_copy(wrapper)) is layers.Dense


def test_a_copy_of_a_hooked_layer_is_a_plain_one():
    layer = layers.Dense(3)
    hook(layer, Compressed(layer, kernel=Quantize("int8")))
    assert type(fresh_copy(layer)) is layers.Dense


def test_a_lambda_shares_its_function():
    layer = layers.Lambda(lambda x: x + 1.0, output_shape=(2,), name="more")
    copy = fresh_copy(layer)
    assert copy is not layer and copy.function is layer.function and copy.name == "more"


@pytest.mark.parametrize(
    "layer",
    [
        lambda: Scaled(3.0, name="odd"),
        lambda: layers.TimeDistributed(layers.Lambda(lambda x: x + 1.0), name="odd"),
        lambda: NoConfig(keras.ops.abs),
    ],
    ids=["a subclass of Lambda", "a Python lambda inside a layer", "no get_config"],
)
def test_a_layer_that_cannot_be_copied_is_named_with_the_way_out(layer):
    layer = layer()
    given = keras.Input((4, 3))
    tensor = layers.Dense(2)(given)
    model = keras.Model(given, layers.Dense(2)(layer(tensor)))
    message = rf"(?s)must hold layers that Keras can make again.*'{layer.name}'.*get_config that"
    with pytest.raises(ValueError, match=message):
        edgeax.compress(model, "static_wi8_ai8")


def test_a_copy_of_a_model_computes_the_same_with_weights_of_its_own():
    given = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a")], name="inner")
    model = keras.Model(given, layers.Dense(2, name="b")(inner(given)))
    for original in (model, edgeax.compress(model, [edgeax.Prune(0.5), Quantize("int8")])):
        copy, samples = copy_of(original), np.ones((3, 4), np.float32)
        before = np.asarray(original(samples))
        np.testing.assert_array_equal(copy(samples), before)
        assert not copy.compiled
        for variable in copy.trainable_variables:
            variable.assign(variable + 1.0)
        np.testing.assert_array_equal(original(samples), before)
        assert not np.array_equal(copy(samples), before)

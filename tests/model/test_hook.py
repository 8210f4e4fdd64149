"""hook: calls of a layer go through its wrapper, the layer stays what it is."""

import keras
import numpy as np

from edgeax import Compressed, Quantize
from edgeax.model.hook import call_plain, hook, plain_class

layers = keras.layers

GIVEN = np.float32([[1.0, 2.0]])


def hooked():
    layer = layers.Dense(2, name="dense", use_bias=False)
    layer.build((None, 2))
    layer.kernel.assign([[7.0, 0.4], [1.6, -0.4]])
    wrapper = Compressed(layer, kernel=Quantize("int4"))
    hook(layer, wrapper)
    return layer, wrapper


def test_a_call_goes_through_the_wrapper_and_the_wrapper_calls_the_layer_itself():
    layer, wrapper = hooked()
    assert np.array_equal(layer(GIVEN), [[11.0, 0.0]])  # 7 + 2 * 2, both 0.4 are rounded away
    assert np.array_equal(wrapper(GIVEN), layer(GIVEN))
    assert np.allclose(call_plain(layer, GIVEN), [[10.2, -0.4]])


def test_the_class_looks_like_the_layers_own():
    layer, _ = hooked()
    assert isinstance(layer, layers.Dense) and type(layer).__name__ == "Dense"
    assert plain_class(layer) is layers.Dense and plain_class(layers.Dense(1)) is layers.Dense
    assert type(layer).__module__ == layers.Dense.__module__
    assert layer.get_config()["units"] == 2
    assert type(layers.Dense(1)) is layers.Dense


def test_the_wrapper_is_frozen_and_unfrozen_with_the_layer():
    layer, wrapper = hooked()
    model = keras.Sequential([keras.Input((2,)), layer])
    for value in (False, True):
        model.trainable = value
        assert (layer.trainable, wrapper.trainable) == (value, value)
    wrapper.trainable = False
    assert not layer.trainable and layer.trainable_variables == []

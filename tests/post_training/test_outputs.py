"""What takes a shift of outputs."""

import keras
import numpy as np

from edgeax.post_training.outputs import (
    normalizations,
    with_biases,
    without_shift,
)
from tests.model import small_models

layers = keras.layers


def test_normalizations_are_found_by_path_in_nested_models_too():
    found = normalizations(small_models.nested())
    # the shallow block is called twice: what one call adds the other would get too
    assert found == {"deep/inner/conv": "deep/inner/norm"}


def test_layers_without_a_place_for_a_shift_get_a_bias():
    given = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 1, use_bias=False, name="bare")(given)
    x = layers.ReLU()(x)
    x = layers.Conv2D(3, 1, use_bias=False, name="normalized")(x)
    x = layers.BatchNormalization()(x)
    model = keras.Model(given, layers.Conv2D(3, 1, name="biased")(x))
    chosen = without_shift(model)
    assert chosen == {id(model.get_layer("bare"))}
    copy = with_biases(model, chosen)
    assert [layer.name for layer in copy.layers if getattr(layer, "use_bias", False)] == [
        "bare",
        "biased",
    ]
    x = small_models.images(3, 4)
    np.testing.assert_array_equal(copy(x), model(x))

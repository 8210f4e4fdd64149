"""A frozen backbone, compressed, and a head that is trained on it."""

import keras
import numpy as np

import edgeax
from edgeax import PolynomialDecay, Prune, Quantize, Recipe, Rule
from tests.model import small_models

layers = keras.layers

IMAGES = small_models.images(8)
LABELS = small_models.labels(8)
CHAIN = [Prune(PolynomialDecay(0.0, 0.5, 0, 2, 1, 1)), Quantize("int8", axis=-1)]


def transfer():
    """Returns a model of a pretrained, frozen backbone with batch norm and a new head."""
    backbone = small_models.block("backbone", channels=2)
    backbone.trainable = False
    given = keras.Input((6, 6, 2))
    tensor = layers.GlobalAveragePooling2D()(backbone(given))
    keras.utils.set_random_seed(1)
    return keras.Model(given, layers.Dense(3, activation="softmax", name="head")(tensor))


def fit(model):
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy", run_eagerly=True)
    history = model.fit(IMAGES, LABELS, batch_size=4, epochs=2, shuffle=False, verbose=0)
    return history.history["loss"]


def test_frozen_parts_keep_weights_statistics_and_the_state_of_their_transforms():
    copy = edgeax.compress(transfer(), Recipe([Rule("conv|head", kernel=CHAIN)]))
    backbone = copy.get_layer("backbone")
    before = backbone.get_weights()
    head = copy.get_layer("head").layer.get_weights()
    fit(copy)
    assert all(map(np.array_equal, backbone.get_weights(), before))
    assert not np.array_equal(copy.get_layer("head").layer.get_weights()[0], head[0])
    calls = [int(wrapper.chains[0].calls) for wrapper in edgeax.model.compressed_layers(copy)]
    assert calls == [0, 4]
    assert len(copy.trainable_variables) == 2


def test_batch_normalization_of_a_frozen_part_runs_as_in_the_plain_model():
    model = transfer()
    copy = edgeax.compress(model, [Prune(0.0)])
    assert fit(copy) == fit(model)
    assert np.array_equal(copy(IMAGES), model(IMAGES))


def test_ranges_of_a_frozen_part_are_followed():
    copy = edgeax.compress(transfer(), "static_wi8_ai8")
    fit(copy)
    quantizer = copy.get_layer("backbone").get_layer("relu").quantizer("output")
    assert quantizer.extremes[1] > 0.1


def test_a_part_that_is_unfrozen_later_goes_on_from_there():
    copy = edgeax.compress(transfer(), Recipe([Rule("conv", kernel=CHAIN)]))
    fit(copy)
    copy.get_layer("backbone").trainable = True
    fit(copy)
    conv = copy.get_layer("backbone").get_layer("conv")
    assert int(conv.chains[0].calls) == 4
    ((_, _, encoded),) = conv.freeze_weights()
    assert encoded.sparsity == 0.5

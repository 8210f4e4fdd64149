"""Stages: which plain layers stand for those of a model, and what they are called."""

import keras
import numpy as np

from edgeax.export.freeze import freeze
from edgeax.export.frozen import layers_in
from tests.export import networks
from tests.export.networks import normal, sequential

layers = keras.layers


def test_a_layer_called_several_times_is_one_weight_with_its_uses():
    samples = [normal(4, 8, 8, 8)] * 2
    frozen = freeze(networks.nested(), samples, integer=True)
    uses = {weight.path: weight.uses for weight in frozen.weights}
    assert uses == {"block/twice": 4, "block/once": 2, "head": 1}


def test_a_shared_layer_with_two_normalizations_is_folded_twice():
    shared = layers.Conv2D(5, 3, use_bias=False, name="shared")
    one, other = keras.Input((6, 6, 2), name="one"), keras.Input((6, 6, 2), name="other")
    norms = [layers.BatchNormalization(name=f"norm_{i}") for i in range(2)]
    outputs = [norm(shared(x)) for norm, x in zip(norms, (one, other), strict=True)]
    model = networks.unsettle(keras.Model([one, other], outputs))
    x = [normal(8, 6, 6, 2), normal(8, 6, 6, 2, seed=2)]
    frozen = freeze(model, x, integer=False)
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in frozen.model.layers)
    expected = model.predict(x, verbose=0)
    for found, wanted in zip(frozen.model([a[:1] for a in x]), expected, strict=True):
        np.testing.assert_allclose(found, wanted[:1], atol=1e-5)


def test_names_of_inputs_become_valid_and_different():
    names = ["first image", "first:image", "_third"]
    inputs = [keras.Input((2,), name=name) for name in names]
    model = keras.Model(inputs, layers.Add()(inputs))
    frozen = freeze(model, [normal(2, 2)] * 3, integer=True)
    assert [t.name for t in frozen.model.inputs] == ["first_image", "first_image_1", "x_third"]


def test_layers_are_named_after_their_paths():
    samples = [normal(4, 8, 8, 8)] * 2
    frozen = freeze(networks.nested(), samples, integer=True)
    assert set(frozen.paths.values()) >= {"block/twice", "block/once", "subtract", "head"}
    named = [name for name, path in frozen.paths.items() if path == "block/once"]
    assert len(named) == 1 and named[0].startswith("block_once.")
    tensor = f"functional_1/{named[0]}_1/BiasAdd;functional_1/{named[0]}_1/Conv2D1"
    assert layers_in(tensor) & set(frozen.paths) == {named[0]}


@keras.saving.register_keras_serializable("tests")
def halved(x):
    return keras.ops.relu(x) * 0.5


def test_an_activation_of_the_user_is_kept():
    model = sequential(keras.Input((4,)), layers.Dense(3, activation=halved), layers.Dense(2))
    x = normal(8, 4)
    frozen = freeze(model, [x], integer=True)
    np.testing.assert_allclose(frozen.model(x[:1]), model(x)[:1], atol=0.05)

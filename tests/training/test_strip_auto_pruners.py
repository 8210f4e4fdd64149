"""Models without their AutoPruners, and without the channels that did not pass."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.select_channels import remove_channels
from edgeax.training.auto_pruner import AutoPruner
from edgeax.training.strip_auto_pruners import auto_pruned_channels, strip_auto_pruners
from tests.training.test_auto_pruner import network, task

layers = keras.layers


def with_gates(model, gates=(0.9, 0.1, 0.1, 0.9, 0.6, 0.4, 0.0, 1.0)):
    """Gives a model's batch normalizations and its AutoPruners something to do."""
    generator = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, AutoPruner):
            layer.gates.assign(gates)
        if isinstance(layer, layers.BatchNormalization):
            layer.beta.assign(generator.normal(size=layer.beta.shape))
            layer.moving_mean.assign(generator.normal(size=layer.beta.shape))
    return model


@pytest.mark.parametrize("nested", [False, True])
def test_lw20_what_did_not_pass_can_go_and_the_outputs_stay(nested):
    model, (x, _) = with_gates(network(nested=nested)), task()
    outputs = model.predict(x, verbose=0)
    plain = strip_auto_pruners(model)
    assert not [layer for layer in plain.layers if isinstance(layer, AutoPruner)]
    assert plain.predict(x, verbose=0) == pytest.approx(outputs, abs=1e-6)
    channels = auto_pruned_channels(model)
    assert [value.tolist() for value in channels.values()] == [[1, 2, 5, 6]]
    for small in (remove_channels(plain), remove_channels(plain, channels)):
        assert small.model.predict(x, verbose=0) == pytest.approx(outputs, abs=1e-6)
        (conv,) = (layer for layer in small.model.layers if layer.name.endswith("conv"))
        assert conv.filters == 4


def test_a_nested_name_that_is_taken_gets_another_and_a_frozen_model_stays_frozen():
    inside = keras.Input((3,))
    block = keras.Model(inside, AutoPruner()(layers.Dense(3, name="b")(inside)), name="a")
    given = keras.Input((3,))
    model = keras.Model(given, layers.Dense(1)(block(layers.Dense(3, name="a_b")(given))))
    with_gates(model, [0.9, 0.0, 0.9]).trainable = False
    plain = strip_auto_pruners(model)
    assert {"a_b", "a_b_1"} < {layer.name for layer in plain.layers} and not plain.trainable
    (name, gone), *_ = auto_pruned_channels(model).items()
    assert (name, gone.tolist()) == ("a_b_1", [1])


def test_without_any_that_is_kept_back_nothing_changes():
    model, (x, y) = network(), task()
    model.compile("sgd", "mse")
    plain = strip_auto_pruners(model)
    assert plain.predict(x, verbose=0) == pytest.approx(model.predict(x, verbose=0), abs=1e-6)
    assert plain.compiled and plain.evaluate(x, y, verbose=0) >= 0
    assert auto_pruned_channels(model) == {}


def test_flattening_and_dense_layers_and_channels_of_depthwise_ones():
    given = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 1, name="conv")(given)
    x = layers.DepthwiseConv2D(3, activation="relu", name="depthwise")(x)
    x = AutoPruner(name="first")(x)
    x = layers.DepthwiseConv2D(2, use_bias=False, activation="tanh", name="second")(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.Dense(3, activation="relu", name="hidden")(x)
    model = keras.Model(given, layers.Dense(2, name="head")(AutoPruner(name="last")(x)))
    with_gates(model, [0.9, 0.0, 0.9])
    x = np.random.default_rng(0).normal(size=(4, 4, 4, 2)).astype(np.float32)
    outputs = model.predict(x, verbose=0)
    small = remove_channels(strip_auto_pruners(model)).model
    assert small.predict(x, verbose=0) == pytest.approx(outputs, abs=1e-6)
    assert small.get_layer("conv").filters == 2 and small.get_layer("hidden").units == 2


def used_elsewhere(given):
    x = layers.Dense(3, name="a")(given)
    return layers.Dense(1)(layers.Concatenate()([x, layers.Dense(2)(AutoPruner()(x))]))


def behind_a_sum(given):
    x = layers.Add(name="add")([layers.Dense(3)(given), layers.Dense(3)(given)])
    return layers.Dense(1)(AutoPruner()(x))


def before_a_normalization(given):
    x = AutoPruner()(layers.Dense(3)(given))
    return layers.Dense(1)(layers.BatchNormalization(name="bn")(x))


def before_a_sum(given):
    x = AutoPruner()(layers.Dense(3)(given))
    return layers.Dense(1)(layers.Add(name="add")([x, layers.Dense(3)(given)]))


def before_a_sigmoid(given):
    x = AutoPruner()(layers.Dense(3)(given))
    return layers.Dense(1)(layers.Activation("sigmoid", name="act")(x))


def before_a_maximum(given):
    x = AutoPruner()(layers.Dense(3)(given))
    x = keras.ops.max(layers.Reshape((1, 3))(x), axis=1, initial=5.0)
    return layers.Dense(1)(x)


def before_ones(given):
    x = layers.Reshape((1, 3))(AutoPruner()(layers.Dense(3)(given)))
    return layers.Dense(1)(keras.ops.pad(x, ((0, 0), (1, 1), (0, 0)), constant_values=1.0))


@pytest.mark.parametrize(
    "build, message",
    [
        (used_elsewhere, "the result of 'a' is used elsewhere too"),
        (behind_a_sum, "'add' computes them from several tensors"),
        (before_a_normalization, "'bn' is between, which makes other values of 0"),
        (before_a_sum, "'add' is between"),
        (before_a_sigmoid, "'act' is between"),
        (before_a_maximum, "is between, which makes other values of 0"),
        (before_ones, "is between, which makes other values of 0"),
        (lambda given: layers.Dense(1)(AutoPruner()(given)), "an input of the model"),
        (lambda given: AutoPruner()(layers.Dense(3)(given)), "are an output of the model"),
    ],
)
def test_where_zeros_are_not_what_zero_weights_make_it_refuses(build, message):
    given = keras.Input((3,))
    model = with_gates(keras.Model(given, build(given)), [0.9, 0.0, 0.9])
    with pytest.raises(ValueError, match=f"must stand right behind.*{message}"):
        strip_auto_pruners(model)


def test_a_network_of_nothing_and_a_compressed_one_are_refused():
    model = with_gates(network(), [0.0] * 8)
    with pytest.raises(ValueError, match="'pruner' must let a channel pass"):
        strip_auto_pruners(model)
    with pytest.raises(ValueError, match="must be a plain model"):
        auto_pruned_channels(edgeax.compress(network(), ["int8"]))

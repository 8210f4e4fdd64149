import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.freeze import freeze
from edgeax.export.rounding import FixedRange
from edgeax.model.wrapper import Compressed
from tests.export import networks
from tests.export.networks import images, normal, sequential, trained

layers = keras.layers


def test_the_frozen_model_is_plain_and_its_batch_is_1(frozen):
    assert not any(isinstance(layer, Compressed) for layer in frozen.model._flatten_layers())
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in frozen.model.layers)
    assert [tensor.shape for tensor in frozen.model.inputs] == [(1, 16, 16, 3)]
    assert [tensor.shape for tensor in frozen.model.outputs] == [(1, 10)]


def test_the_frozen_model_computes_what_training_did():
    plain = sequential(
        keras.Input((8, 8, 3)),
        layers.Conv2D(8, 3),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.SeparableConv2D(8, 3, activation="sigmoid"),
        layers.Flatten(),
        layers.Dense(5),
    )
    x = normal(64, 8, 8, 3)
    model = trained(edgeax.compress(plain, "static_wc4_ai8"), x)
    frozen = freeze(model, [x], integer=True)
    found = np.concatenate([frozen.model(one[None]) for one in x])
    low, high = frozen.points[-1].grid.extremes
    steps = np.abs(found - model.predict(x, verbose=0)) / ((high - low) / 255)
    # Inside the separable convolution only the device rounds.
    assert steps.max() < 2.5 and np.mean(steps) < 0.3


def test_fixed_ranges_round_to_256_values_and_keep_masks():
    values = FixedRange(-1.0, 3.0)(np.linspace(-2, 4, 2000, dtype=np.float32))
    unique = np.unique(values)
    assert unique.size == 256 and 0.0 in unique
    np.testing.assert_allclose(np.diff(unique), 4 / 255, rtol=1e-3)
    given = keras.Input((4,), dtype="int32")
    embedded = layers.Embedding(5, 2, mask_zero=True)(given)
    model = keras.Model(given, layers.GlobalAveragePooling1D()(FixedRange(-1, 1)(embedded)))
    one_word = np.int32([[3, 0, 0, 0]])
    np.testing.assert_array_equal(model(one_word), model(np.int32([[3, 3, 3, 3]])))


def test_freezing_leaves_the_model_as_it_was():
    model = trained(edgeax.compress(networks.nested(), "static_wc4_ai8"), [normal(4, 8, 8, 8)] * 2)
    before = [weight.numpy() for weight in model.weights]
    nodes = {id(layer): len(layer._inbound_nodes) for layer in model._flatten_layers()}
    names = [layer.name for layer in model._flatten_layers()]
    activations = [getattr(layer, "activation", None) for layer in model._flatten_layers()]
    freeze(model, [normal(4, 8, 8, 8)] * 2, integer=True)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert {id(x): len(x._inbound_nodes) for x in model._flatten_layers()} == nodes
    assert [layer.name for layer in model._flatten_layers()] == names
    assert [getattr(x, "activation", None) for x in model._flatten_layers()] == activations


def test_without_integers_nothing_is_rounded_and_the_results_are_those_of_keras():
    model = networks.convolutional()
    frozen = freeze(model, [images()], integer=False)
    assert frozen.points == () and frozen.weights == ()
    assert not any(isinstance(layer, FixedRange) for layer in frozen.model.layers)
    x = images(1)
    np.testing.assert_allclose(frozen.model(x), model(x), atol=1e-5)


def test_sizes_that_the_model_leaves_open_are_those_of_the_samples():
    model = sequential(
        keras.Input((None, None, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()
    )
    frozen = freeze(model, [normal(4, 9, 7, 3)], integer=True)
    assert frozen.model.inputs[0].shape == (1, 9, 7, 3)


def test_mixed_precision_is_left_behind_and_the_policy_stays_the_users():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        plain = networks.convolutional()
        model = trained(edgeax.compress(plain, "static_wi8_ai8"), images())
        frozen = freeze(model, [images()], integer=True)
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in frozen.model.layers} == {"float32"}
    x = images(1)
    np.testing.assert_allclose(frozen.model(x), model(x), atol=0.02)


def test_kernels_that_no_integer_operator_takes_are_named():
    plain = sequential(keras.Input((4, 4, 4, 2)), layers.Conv3D(3, 2, name="volume"))
    model = edgeax.compress(plain, "static_wi4_ai8")
    assert freeze(model, [normal(4, 4, 4, 4, 2)], integer=True).left_out == ("volume",)
    assert freeze(model, [normal(4, 4, 4, 4, 2)], integer=False).left_out == ()


def test_activations_of_other_widths_are_refused_with_the_way_out():
    rule = edgeax.Rule(".*", output=edgeax.Quantize("int12"))
    plain = sequential(keras.Input((4,)), layers.Dense(3, name="first"), layers.Dense(2))
    model = trained(edgeax.compress(plain, edgeax.Recipe([rule])), normal(8, 4))
    with pytest.raises(ValueError, match="at most 8 bits or to 'int16'.*Received: 12 bits"):
        freeze(model, [normal(8, 4)], integer=True)
    freeze(model, [normal(8, 4)], integer=False)

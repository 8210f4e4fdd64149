"""Every kind of layer: without an effect a compressed one is as the plain one; with transforms it
trains, is saved and is exported.

The results are printed as a table at the end of the tests, by tests/conftest.py.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax import Prune, Quantize, Recipe, Rule
from edgeax.model.copying import compressed_layers
from tests.model.layer_kinds import kinds

KINDS = kinds()

RECIPE = Recipe([Rule(".*", kernel=Quantize("int4", axis=-1), output=Quantize("int8"))])
NO_EFFECT = Recipe([Rule(".*", kernel=Prune(0.0))])


def each_kind(column):
    """Runs a test for every kind of layer; its results become a column of the table."""

    def decorate(test):
        @pytest.mark.parametrize("kind", KINDS)
        def noted(kind, record_property, tmp_path):
            record_property("layer kind", [kind, column])
            test(kind, tmp_path)

        noted.__name__ = test.__name__
        return noted

    return decorate


@functools.cache
def trained(kind):
    """Returns an example, its model compressed and trained, its variables before, and losses."""
    example = KINDS[kind]()
    model = edgeax.compress(example.model, RECIPE)
    before = [variable.numpy() for variable in model.trainable_variables]
    model.compile(keras.optimizers.SGD(0.05), "mse", run_eagerly=True)
    history = model.fit(
        example.inputs,
        example.targets,
        batch_size=example.batch_size,
        epochs=2,
        shuffle=False,
        verbose=0,
    )
    return example, model, before, history.history["loss"]


def reset(model):
    """Takes stateful layers back to their first state."""
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False):
            layer.reset_states()


def first_output(model, example):
    reset(model)
    return np.asarray(model(example.batch()))


def train_steps(model, example):
    """Returns all that two steps of training show and leave behind."""
    seen = []
    for number in range(2):
        with tf.GradientTape() as tape:
            outputs = model(example.batch(number), training=True)
            part = slice(number * example.batch_size, (number + 1) * example.batch_size)
            loss = tf.reduce_mean((outputs - example.targets[part]) ** 2) + sum(model.losses)
        variables = model.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign_sub(0.1 * tf.convert_to_tensor(gradient))
        seen += [outputs, loss, *gradients, *variables]
    states = [
        variable
        for layer in model._flatten_layers()
        if not type(layer).__module__.startswith("edgeax.transforms")
        for variable in layer._non_trainable_variables
    ]
    return [tf.convert_to_tensor(value).numpy() for value in [*seen, *states]]


@each_kind("as plain")
def test_without_an_effect_everything_is_equal_to_the_plain_model(kind, tmp_path):
    example = KINDS[kind]()
    copy = edgeax.compress(example.model, NO_EFFECT)
    assert list(compressed_layers(copy))
    ours, theirs = train_steps(copy, example), train_steps(example.model, example)
    assert len(ours) == len(theirs)
    assert all(map(np.array_equal, ours, theirs))
    assert np.array_equal(first_output(copy, example), first_output(example.model, example))


@each_kind("fit")
def test_fit_changes_every_weight_and_what_is_stored_are_4_bit_codes(kind, tmp_path):
    _, model, before, losses = trained(kind)
    assert np.all(np.isfinite(losses))
    for old, new in zip(before, model.trainable_variables, strict=True):
        if "key/bias" not in new.path:  # a shift of all keys moves no softmax
            assert not np.array_equal(old, new), new.path
    wrappers = list(compressed_layers(model))
    assert len(wrappers) >= 2 and any(wrapper.name == "head" for wrapper in wrappers)
    for _, _, encoded in (weight for wrapper in wrappers for weight in wrapper.freeze_weights()):
        assert encoded.bits == 4 and np.all(np.abs(encoded.codes) <= 7)


@each_kind("save and load")
def test_a_loaded_model_is_the_same_and_is_trained_on_equally(kind, tmp_path):
    example, model, _, _ = trained(kind)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))
    assert len(loaded.weights) == len(model.weights)
    assert np.array_equal(first_output(loaded, example), first_output(model, example))
    assert loaded.optimizer.iterations == model.optimizer.iterations
    assert loaded.to_json() == model.to_json()


@each_kind("SavedModel")
def test_an_exported_model_computes_the_same(kind, tmp_path):
    example, model, _, _ = trained(kind)
    expected = first_output(model, example)
    reset(model)
    model.export(tmp_path / "saved", verbose=False)
    saved = tf.saved_model.load(tmp_path / "saved")
    outputs = saved.serve(example.batch())
    if "float16" in kind:  # the last bit of a product may move a value to the next code
        step = np.diff(np.unique(expected)).min()
        assert np.mean(np.abs(outputs - expected) > 2e-3) < 0.2
        assert np.allclose(outputs, expected, atol=2e-3 + max(step, np.ptp(expected) / 200))
    else:
        assert np.allclose(outputs, expected, atol=1e-6)

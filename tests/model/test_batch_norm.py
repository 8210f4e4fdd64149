"""Batch norm re-estimation."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.batch_norm import reestimate_batch_norm
from tests.model import small_models

layers = keras.layers


def test_jlgh20_statistics_are_those_of_the_changed_model():
    model = small_models.two_normalizations()
    samples = small_models.images(40)
    reestimate_batch_norm(model, samples, batch_size=16)
    found = [variable.numpy() for variable in model.non_trainable_weights]
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(samples, training=True)  # gives each the moments of its batch, which all of these are
    for value, variable in zip(found, model.non_trainable_weights, strict=True):
        np.testing.assert_allclose(value, variable.numpy(), rtol=1e-3, atol=1e-4)


def test_the_moments_are_those_worked_out_by_hand():
    model = keras.Sequential([keras.Input((2,)), layers.BatchNormalization()])
    reestimate_batch_norm(model, np.float32([[0, 1], [2, 1], [4, 1]]), batch_size=2)
    assert model.layers[0].moving_mean.numpy().tolist() == [2.0, 1.0]
    np.testing.assert_allclose(model.layers[0].moving_variance, [8 / 3, 0.0], rtol=1e-6)


def test_a_compressed_model_is_as_good_as_a_plain_one():
    model = edgeax.compress(small_models.convolutional(), "static_wi4_ai8")
    samples = small_models.images(20)
    reestimate_batch_norm(model, samples)
    norm = next(layer for layer in model.layers if layer.name == "norm")
    inputs = model.layers[0](samples).numpy()
    np.testing.assert_allclose(norm.moving_mean, inputs.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [0, -1, 2.0])
def test_batches_without_samples_are_refused(size):
    model = keras.Sequential([keras.Input((2,)), layers.BatchNormalization()])
    with pytest.raises(ValueError, match=f"`batch_size` must be an integer.*batch_size={size}"):
        reestimate_batch_norm(model, np.zeros((4, 2), np.float32), size)
    assert not model.layers[0].moving_mean.numpy().any()


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="`samples` must hold at least one sample"):
        reestimate_batch_norm(small_models.convolutional(), np.zeros((0, 6, 6, 2)))


def test_all_calls_of_a_normalization_count():
    inner = layers.BatchNormalization()
    model = keras.Sequential([keras.Input((5, 3)), layers.TimeDistributed(inner)])
    samples = np.arange(60, dtype=np.float32).reshape(4, 5, 3)
    reestimate_batch_norm(model, samples)
    np.testing.assert_allclose(inner.moving_mean, samples.mean((0, 1)), rtol=1e-5)

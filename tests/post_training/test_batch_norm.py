"""Batch norm re-estimation."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.post_training.batch_norm import BatchNormReestimation, reestimate_batch_norm
from tests.model import small_models
from tests.post_training import cases

layers = keras.layers


def two_normalizations():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6, 6, 2))])
    for place in range(2):
        model.add(layers.Conv2D(4, 3, use_bias=False, name=f"conv{place}"))
        model.add(layers.BatchNormalization(name=f"norm{place}"))
        model.add(layers.ReLU())
    return model


def test_jlgh20_statistics_are_those_of_the_changed_model():
    model = two_normalizations()
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


def test_rounded_kernels_get_their_own_statistics():
    model, samples = two_normalizations(), small_models.images(40)
    reestimate_batch_norm(model, samples)
    case = cases.case_of(model, samples, weights="int2")
    before = cases.output_error(case)
    BatchNormReestimation().correct(case)
    assert cases.output_error(case) < before
    again = [value.numpy() for value in case.model.non_trainable_weights]
    BatchNormReestimation().correct(case)
    for value, variable in zip(again, case.model.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())


def test_a_model_without_any_is_said():
    model, samples = cases.dense_pair()
    case = cases.case_of(model, samples)
    BatchNormReestimation().correct(case)
    assert case.skipped == ["batch norm re-estimation: the model has no batch normalization left"]


def test_a_compressed_model_is_as_good_as_a_plain_one():
    model = edgeax.compress(small_models.convolutional(), "static_wi4_ai8")
    samples = small_models.images(20)
    reestimate_batch_norm(model, samples)
    norm = next(layer for layer in model.layers if layer.name == "norm")
    inputs = model.layers[0](samples).numpy()
    np.testing.assert_allclose(norm.moving_mean, inputs.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="`samples` must hold at least one sample"):
        reestimate_batch_norm(small_models.convolutional(), np.zeros((0, 6, 6, 2)))


def test_all_calls_of_a_normalization_count():
    inner = layers.BatchNormalization()
    model = keras.Sequential([keras.Input((5, 3)), layers.TimeDistributed(inner)])
    samples = np.arange(60, dtype=np.float32).reshape(4, 5, 3)
    reestimate_batch_norm(model, samples)
    np.testing.assert_allclose(inner.moving_mean, samples.mean((0, 1)), rtol=1e-5)

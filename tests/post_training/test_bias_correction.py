"""Bias corrections."""

import keras
import numpy as np

from edgeax import Quantize
from edgeax.post_training.bias_correction import (
    AnalyticBiasCorrection,
    BiasCorrection,
    WeightBiasCorrection,
)
from edgeax.post_training.case import Case
from edgeax.post_training.kernels import grid_kernel
from edgeax.post_training.ranges import calibrated
from tests.model import small_models
from tests.post_training import cases

layers = keras.layers


def mean_outputs(model, samples, linear):
    """Returns the mean output of each layer of a Sequential model that is named."""
    found, x = {}, samples
    for layer in model.layers:
        x = layer(x)
        if layer.name in linear:
            found[layer.name] = x.numpy().reshape(-1, x.shape[-1]).mean(0)
    return found


def test_nbbw19_the_mean_of_every_output_is_that_in_float():
    model, samples = cases.dense_pair()
    linear = keras.Sequential(
        [keras.Input((12,)), layers.Dense(16, name="first"), layers.Dense(5, name="second")]
    )
    linear.set_weights(model.get_weights())
    case = cases.case_of(linear, samples, weights="int2")
    expected = mean_outputs(linear, samples, ["first", "second"])
    before = mean_outputs(case.model, samples, ["first", "second"])
    BiasCorrection().correct(case)
    after = mean_outputs(case.model, samples, ["first", "second"])
    for name, mean in expected.items():
        assert np.abs(before[name] - mean).max() > 0.05
        np.testing.assert_allclose(after[name], mean, atol=2e-4)


def prepared(correction, model, samples, weights):
    case = Case(model, calibrated(cases.recipe(weights)), [samples], lambda arrays: arrays[0])
    correction.prepare(case)
    return cases.built(case)


def test_nbbw19_the_expectation_is_that_of_a_clipped_normal():
    model, samples = cases.normalized()
    case = prepared(AnalyticBiasCorrection(), model, samples, "int2")
    # a convolution without bias and normalization got a bias
    assert case.layers["second"].layer.use_bias and not case.layers["first"].layer.use_bias
    case.layers["first"].layer.kernel.assign(model.layers[0].kernel)
    expected = mean_outputs(model, samples, ["second"])["second"]
    # float inputs: the second convolution alone is looked at
    inputs = model.layers[2](model.layers[1](model.layers[0](samples)))
    before = case.layers["second"](inputs).numpy().reshape(-1, 4).mean(0)
    AnalyticBiasCorrection().correct(case)
    after = case.layers["second"](inputs).numpy().reshape(-1, 4).mean(0)
    assert np.abs(after - expected).max() < 0.15 * np.abs(before - expected).max()
    assert any("analytic bias correction of first" in line for line in case.skipped)


def test_bns19_mean_and_deviation_of_the_weights_are_restored():
    model, samples = cases.dense_pair()
    case = cases.case_of(model, samples, weights="int2")
    original = case.original("second")
    before = grid_kernel(case, "second", "test").rounded
    bias = case.layers["second"].layer.bias.numpy()
    WeightBiasCorrection().correct(case)
    after = case.rounded("second")
    deviation = original.std(1)
    assert np.abs(before.std(1) / deviation - 1).max() > 0.02
    np.testing.assert_allclose(after.std(1), deviation, rtol=1e-5)
    # the mean, xi * mu times the sum of the mean inputs, is in the bias
    mu = original.mean(1) - before.mean(1)
    xi = deviation / before.std(1)
    inputs = case.model.layers[0](samples).numpy().mean(0).sum()
    found = case.layers["second"].layer.bias.numpy() - bias
    np.testing.assert_allclose(found, (xi * mu)[0] * inputs, rtol=1e-3, atol=1e-5)


def test_per_tensor_scales_keep_their_codes():
    model, samples = cases.dense_pair()
    case = cases.case_of(model, samples, weights=Quantize("int3", axis=None))
    before = case.rounded("second")
    WeightBiasCorrection().correct(case)
    np.testing.assert_array_equal(case.rounded("second"), before)


def test_layers_whose_inputs_nothing_tells_are_said():
    case = cases.case_of(small_models.convolutional())
    AnalyticBiasCorrection().correct(case)
    assert any("of conv: no batch normalization" in line for line in case.skipped)

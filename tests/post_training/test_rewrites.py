"""Corrections that rewrite the model."""

import keras
import numpy as np

from edgeax import Quantize
from edgeax.model.duplicate_channels import DuplicateChannels
from edgeax.post_training.case import Case
from edgeax.post_training.ranges import calibrated
from edgeax.post_training.rewrites import CrossLayerEqualization, OutlierChannelSplitting
from tests.model import small_models
from tests.post_training import cases

layers = keras.layers


def prepared(correction, weights="int4", model=None):
    model = small_models.convolutional() if model is None else model
    samples = small_models.images(8)
    case = Case(model, calibrated(cases.recipe(weights)), [samples], lambda arrays: arrays[0])
    correction.prepare(case)
    return case, model, samples


def test_equalization_hands_on_its_model_its_statistics_and_what_it_skipped():
    case, model, samples = prepared(CrossLayerEqualization(absorb_biases=False))
    assert not any(isinstance(one, layers.BatchNormalization) for one in case.plain.layers)
    assert "conv" in case.statistics and case.statistics["conv"].mean.shape == (4,)
    np.testing.assert_allclose(case.plain(samples), model(samples), rtol=1e-4, atol=1e-5)


def test_splitting_is_made_for_the_grid_of_the_recipe():
    found = {}
    for weights in ("int4", Quantize("int4", axis=None), "ternary"):
        case, model, samples = prepared(OutlierChannelSplitting(0.5), weights)
        assert any(isinstance(layer, DuplicateChannels) for layer in case.plain.layers)
        np.testing.assert_allclose(case.plain(samples), model(samples), rtol=1e-4, atol=1e-5)
        found[str(weights)[:7]] = case.plain.get_layer("head").kernel.numpy()
        assert any("outlier channel splitting: 'depthwise'" in line for line in case.skipped)
    per_channel, per_tensor, even = found.values()
    assert not np.array_equal(per_channel, per_tensor) and not np.array_equal(per_tensor, even)

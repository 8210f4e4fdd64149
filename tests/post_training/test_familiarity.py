"""Samples that a model does not know."""

import warnings

import keras
import pytest

from edgeax.model.batch_norm import reestimate_batch_norm
from edgeax.post_training.familiarity import warn_of_unfamiliar_samples
from tests.model import small_models


def test_samples_on_another_scale_are_warned_of():
    model, samples = small_models.convolutional(), small_models.images(40) + 1.0
    reestimate_batch_norm(model, samples)  # as training does
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unfamiliar_samples(model, samples)
        warn_of_unfamiliar_samples(model, samples[:1])
    with pytest.warns(UserWarning, match="should be inputs like.*'norm' is .* deviations"):
        warn_of_unfamiliar_samples(model, 255.0 * samples)


def test_a_model_without_normalization_tells_nothing():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unfamiliar_samples(model, keras.ops.ones((2, 5)))

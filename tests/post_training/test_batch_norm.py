"""Batch norm re-estimation after rounding."""

import numpy as np

from edgeax.model.batch_norm import reestimate_batch_norm
from edgeax.post_training.batch_norm import BatchNormReestimation
from tests.model import small_models
from tests.post_training import cases


def test_rounded_kernels_get_their_own_statistics():
    model, samples = small_models.two_normalizations(), small_models.images(40)
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

"""Cross distillation from a few images."""

import dataclasses

import numpy as np
import pytest

from edgeax.post_training.cross_distillation import CrossDistillation, cross_gram
from edgeax.post_training.kernels import GridKernel, error, grid_kernel, nearest
from edgeax.post_training.linear import moments_of
from tests.post_training import cases


def few(seed=0, rows=30):
    rng = np.random.default_rng(seed)
    teacher = rng.normal(size=(1, rows, 8)).astype(np.float32)
    student = (teacher + 0.3 * rng.normal(size=teacher.shape)).astype(np.float32)
    return teacher, student, rng.normal(size=(2, 1, 8, 3))


def test_bwkl19_mu_mixes_correction_and_imitation():
    teacher, student, (original, matrix) = few()
    moments = moments_of([(teacher, student)])

    def loss(inputs):  # mean over rows of the squared difference of what both layers make of them
        return float(np.mean(np.sum((inputs[0] @ (matrix - original)[0]) ** 2, -1)))

    correction, imitation = loss(teacher), loss(student)
    for mu, expected in (
        (1.0, correction),
        (0.0, imitation),
        (0.6, 0.6 * correction + 0.4 * imitation),
    ):
        assert error(matrix, original, cross_gram(moments, mu)) == pytest.approx(expected, rel=1e-4)


def test_bwkl19_equal_inputs_make_both_losses_equal():
    teacher, _, _ = few()
    moments = moments_of([(teacher, teacher)])
    np.testing.assert_array_equal(cross_gram(moments, 0.0), cross_gram(moments, 1.0))


def test_bwkl19_beats_plain_estimation_from_a_few_images():
    """Plain estimation fits |student(X_s) - teacher(X_t)|**2, and with it the noise of both."""
    wins = 0
    for seed in range(5):
        model, samples = cases.dense_pair(seed)
        case = cases.case_of(model, samples[:8], activations="int3")
        kernel = grid_kernel(case, "second", "test")
        moments = case.moments("second")
        crossed = CrossDistillation().trained(cross_gram(moments, 0.6), kernel)
        inverse = np.linalg.pinv(moments.student)
        plain_target = inverse @ moments.cross @ kernel.original
        estimated = dataclasses.replace(kernel, original=plain_target)
        plain = CrossDistillation().trained(moments.student, estimated)
        every = cases.case_of(model, samples, activations="int3").moments("second")

        def loss(matrix, every=every, kernel=kernel):
            """The error of the outputs on all samples."""
            both = matrix.swapaxes(1, 2) @ every.student @ matrix
            across = matrix.swapaxes(1, 2) @ every.cross @ kernel.original
            return float(np.trace(both[0]) - 2 * np.trace(across[0]))

        wins += loss(crossed) < loss(plain)
    assert wins >= 4


def test_a_whole_model_keeps_its_outputs_better():
    model, samples = cases.dense_pair()
    case = cases.case_of(model, samples[:10])
    before = cases.output_error(case)
    CrossDistillation().correct(case)
    assert cases.output_error(case) < before


@pytest.mark.parametrize("keep, kept", [(0.5, 8), (0.3, 5)])
def test_bwkl19_channels_of_the_largest_norm_are_kept_and_learn_for_the_others(keep, kept):
    model, samples = cases.dense_pair()
    case = cases.case_of(model, samples[:20], weights="int4")
    kernel, moments = grid_kernel(case, "second", "test"), case.moments("second")
    gram = cross_gram(moments, 0.6)
    found = CrossDistillation(keep=keep).trained(gram, kernel, channels=16)
    rows = np.any(found != 0, axis=(0, 2))
    assert rows.sum() == kept
    norms = np.square(kernel.original).sum((0, 2))
    only_largest = kernel.rounded * (norms >= np.sort(norms)[-kept])[None, :, None]
    assert error(found, kernel.original, gram) < 0.6 * error(only_largest, kernel.original, gram)


@pytest.mark.parametrize(
    "kwargs", [{"mu": 1.5}, {"steps": 0}, {"learning_rate": -1.0}, {"keep": 0.0}]
)
def test_what_is_out_of_range_is_refused(kwargs):
    with pytest.raises(ValueError, match=r"`mu` must lie in \[0, 1\]"):
        CrossDistillation(**kwargs)


def test_bwkl19_the_norm_is_that_of_the_weights_not_of_their_codes():
    weights = np.float64([[[1.0, 0.001], [0.5, 0.01]]])
    step = np.abs(weights).max(1, keepdims=True) / 127
    kernel = GridKernel("", weights, nearest(weights, step, 127), step, 127, True)
    found = CrossDistillation(keep=0.5).trained(np.eye(2)[None], kernel, channels=2)
    assert np.any(found != 0, axis=(0, 2)).tolist() == [True, False]

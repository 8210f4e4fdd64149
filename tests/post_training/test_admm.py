"""ADMM on the grid."""

import itertools

import numpy as np
import pytest

from edgeax.post_training.admm import ADMM, project, solve
from edgeax.post_training.kernels import error, nearest
from tests.post_training import cases


@pytest.mark.parametrize("seed", range(5))
def test_llzj17_the_projection_is_that_of_brute_force(seed):
    values = np.random.default_rng(seed).normal(size=(1, 4, 1))
    best = np.inf
    for codes in itertools.product([-1, 0, 1], repeat=4):
        codes = np.float64(codes)
        if codes.any():
            step = values[0, :, 0] @ codes / (codes @ codes)
            best = min(best, np.sum((values[0, :, 0] - step * codes) ** 2))
    starts = np.abs(values).max() * np.linspace(0.2, 1.0, 9)
    found = min(
        np.sum((values - nearest(values, project(values, 1, np.full((1, 1, 1), s)), 1)) ** 2)
        for s in starts
    )
    assert found == pytest.approx(best, rel=1e-9)


def test_llzj17_each_turn_of_the_projection_errs_less():
    values = np.random.default_rng(0).normal(size=(2, 50, 3))
    step = np.abs(values).max(1, keepdims=True)
    errors = [
        np.sum((values - nearest(values, project(values, 3, step, rounds), 3)) ** 2)
        for rounds in range(6)
    ]
    assert all(later <= former + 1e-12 for former, later in itertools.pairwise(errors))
    assert errors[-1] < 0.7 * errors[0]


def gram_and_matrix(seed=0, size=20, outputs=6):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(300, 5)) @ rng.normal(size=(5, size)) + 0.3 * rng.normal(
        size=(300, size)
    )
    return (inputs.T @ inputs / 300)[None], rng.normal(size=(1, size, outputs))


@pytest.mark.parametrize("top", [1, 3, 7])
def test_cwp19_the_outputs_err_less_than_by_nearest_rounding(top):
    gram, target = gram_and_matrix()
    step = np.abs(target).max(1, keepdims=True) / top
    matrix, step_found = solve(gram, target, step, top, 100)
    codes = matrix / step_found
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-9)
    assert np.abs(codes).max() <= top + 1e-9
    plain = error(nearest(target, step, top), target, gram)
    assert error(matrix, target, gram) < 0.6 * plain


def test_a_whole_model_keeps_its_outputs_better():
    model, samples = cases.dense_pair()
    case = cases.case_of(model, samples)
    before = cases.output_error(case)
    ADMM().correct(case)
    assert cases.output_error(case) < 0.5 * before


def test_no_turns_are_refused():
    with pytest.raises(ValueError, match="`rounds` must be at least 1.*rounds=0"):
        ADMM(0)

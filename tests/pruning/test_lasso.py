"""LASSO channel selection."""

import itertools

import numpy as np
import pytest

from edgeax.pruning.lasso import Lasso, lasso, lasso_problem
from edgeax.pruning.reading import Reading

GENERATOR = np.random.default_rng(0)


def correlated(seed, units=12, taps=2, rows=300, outputs=6, latents=5):
    """Returns a reading whose units are rectified mixtures of fewer latent values."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(rows, taps, latents))
    inputs = np.maximum(latent @ rng.normal(size=(latents, units)) + 0.3, 0.0)
    inputs = (inputs * rng.uniform(0.2, 2.0, units)).reshape(rows, taps * units)
    kernel = rng.normal(size=(taps * units, outputs))
    return Reading(inputs, inputs @ kernel, kernel, np.tile(np.arange(units), taps))


@pytest.mark.parametrize(
    "penalty, expected", [(0.0, [3.0, -1.0, 0.5]), (1.0, [2.0, 0.0, 0.0]), (3.0, [0.0, 0.0, 0.0])]
)
def test_lasso_shrinks_each_factor_of_an_orthonormal_problem(penalty, expected):
    np.testing.assert_allclose(lasso(np.eye(3), np.float64([3, -1, 0.5]), penalty), expected)


@pytest.mark.parametrize("penalty", [0.01, 0.1, 0.5])
def test_lasso_meets_the_conditions_of_its_minimum(penalty):
    gram, target = lasso_problem(correlated(3))
    penalty *= np.abs(target).max()
    factors = lasso(gram, target, penalty)
    slope = target - gram @ factors
    live = factors != 0
    np.testing.assert_allclose(slope[live], penalty * np.sign(factors[live]), rtol=1e-3)
    assert np.all(np.abs(slope[~live]) <= penalty * (1 + 1e-6))
    assert 0 < live.sum() < len(live)


def test_lasso_comes_to_the_same_from_anywhere():
    gram, target = lasso_problem(correlated(3))
    penalty = 0.1 * np.abs(target).max()
    expected = lasso(gram, target, penalty)
    for start in (lasso(gram, target, 0.0), -expected, 5.0 * expected[::-1]):
        np.testing.assert_allclose(lasso(gram, target, penalty, start), expected, atol=1e-6)


def test_lasso_leaves_a_unit_that_is_never_active():
    gram = np.diag([2.0, 0.0])
    np.testing.assert_allclose(lasso(gram, np.float64([2, 0]), 0.0), [1.0, 0.0])


def test_the_problem_is_that_of_kernels_scaled_to_norm_1():
    one = correlated(0, units=4)
    gram, target = lasso_problem(one)
    terms = []
    for unit in range(4):
        rows = one.units == unit
        kernel = one.kernel[rows] / np.linalg.norm(one.kernel[rows])
        terms.append((one.inputs[:, rows] @ kernel).ravel())
    z = np.stack(terms, 1)
    count = len(one.inputs)
    np.testing.assert_allclose(gram, z.T @ z / count, rtol=1e-9)
    np.testing.assert_allclose(target, z.T @ one.targets.ravel() / count, rtol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 5, 9, 12])
def test_exactly_as_many_units_are_kept(count):
    kept = Lasso().chosen(correlated(1), count, GENERATOR)
    assert len(np.unique(kept)) == count == len(kept)
    assert np.all(np.diff(kept) > 0)


def test_hzs17_the_error_is_no_larger_than_that_of_magnitudes():
    """For each of ten layers, at three widths, with least squares behind both selections."""
    for seed, count in itertools.product(range(10), (6, 12, 18)):
        one = correlated(seed, units=24, taps=4, outputs=16, latents=8)
        norms = np.bincount(one.units, np.abs(one.kernel).sum(1))
        largest = np.argsort(-norms)[:count]
        found = Lasso().chosen(one, count, GENERATOR)
        error = one.error(one.least_squares(found))
        assert error <= one.error(one.least_squares(largest))
        assert error <= one.error(one.without(found))


def test_the_kept_units_are_near_the_best_of_all_subsets():
    worst = 0.0
    for seed in range(5):
        one = correlated(seed, units=6, latents=3)
        errors = [
            one.error(one.least_squares(np.array(subset)))
            for subset in itertools.combinations(range(6), 3)
        ]
        found = one.error(one.least_squares(Lasso().chosen(one, 3, GENERATOR)))
        worst = max(worst, (found - min(errors)) / (max(errors) - min(errors)))
    assert worst < 0.3


def test_units_that_are_never_active_go_first():
    one = correlated(0, units=5)
    dead = (one.units == 1) | (one.units == 3)
    inputs = np.where(dead, 0.0, one.inputs)
    one = Reading(inputs, inputs @ one.kernel, one.kernel, one.units)
    assert Lasso().chosen(one, 3, GENERATOR).tolist() == [0, 2, 4]


def test_of_units_that_leave_together_the_last_that_were_there_fill_up():
    """Factors 0.1, 2, 2 and 3: no penalty leaves two of them."""
    targets = np.float64([[0.1], [2], [2], [3]])
    one = Reading(np.eye(4), targets, np.ones((4, 1)), np.arange(4))
    assert Lasso().chosen(one, 2, GENERATOR).tolist() == [1, 3]
    assert Lasso().chosen(one, 3, GENERATOR).tolist() == [1, 2, 3]

"""What a layer makes of the units of a group, and weights that make up for lost ones."""

import numpy as np
import pytest

from edgeax.pruning.reading import Reading


def reading(seed=0, rows=60, units=(0, 1, 2, 0, 1, 2, -1, -1), outputs=4):
    """Returns a reading whose targets are what the kernel makes of the inputs."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(rows, len(units))) @ rng.normal(size=(len(units), len(units)))
    kernel = rng.normal(size=(len(units), outputs))
    return Reading(inputs, inputs @ kernel, kernel, np.array(units))


def test_the_error_is_the_mean_of_squared_distances():
    one = Reading(np.float64([[1], [2]]), np.float64([[2], [2]]), np.ones((1, 1)), np.array([0]))
    assert one.error(one.kernel) == pytest.approx((1 + 0) / 2)
    assert one.error(np.zeros((1, 1))) == pytest.approx((4 + 4) / 2)


def test_the_units_are_wanted_to_give_what_the_others_do_not():
    one = reading()
    np.testing.assert_allclose(one.wanted, one.inputs[:, :6] @ one.kernel[:6], rtol=1e-9)
    assert one.size == 3


def test_without_clears_the_rows_of_units_that_go_and_no_others():
    one = reading()
    kernel = one.without(np.array([0, 2]))
    cleared = np.flatnonzero(~kernel.any(axis=1))
    assert cleared.tolist() == [1, 4]
    stays = [0, 2, 3, 5, 6, 7]
    np.testing.assert_array_equal(kernel[stays], one.kernel[stays])


@pytest.mark.parametrize("seed", range(3))
def test_least_squares_equals_a_pseudoinverse_and_leaves_other_rows(seed):
    one = reading(seed)
    kept = np.array([0, 2])
    kernel = one.least_squares(kept)
    rows = [0, 2, 3, 5]
    expected = np.linalg.pinv(one.inputs[:, rows]) @ (one.inputs[:, :6] @ one.kernel[:6])
    np.testing.assert_allclose(kernel[rows], expected, atol=1e-4)
    np.testing.assert_array_equal(kernel[6:], one.kernel[6:])
    assert not kernel[[1, 4]].any()
    assert one.error(kernel) <= one.error(one.without(kept))


def test_a_lost_unit_that_another_repeats_costs_nothing():
    inputs = np.random.default_rng(0).normal(size=(50, 3))
    inputs[:, 2] = -2.0 * inputs[:, 0]
    kernel = np.random.default_rng(1).normal(size=(3, 2))
    one = Reading(inputs, inputs @ kernel, kernel, np.arange(3))
    changed = one.least_squares(np.array([0, 1]))
    assert one.error(changed) < 1e-9
    np.testing.assert_allclose(changed[0], kernel[0] - 2.0 * kernel[2], atol=1e-4)


def test_too_few_rows_leave_weights_that_already_fit():
    one = reading(rows=3)
    np.testing.assert_allclose(one.least_squares(np.arange(3)), one.kernel, atol=1e-9)


def test_scales_multiply_the_rows_of_each_unit():
    one = reading()
    kernel = one.scaled(np.float64([2, 0, -1]))
    factors = np.float64([2, 0, -1, 2, 0, -1, 1, 1])
    np.testing.assert_array_equal(kernel, one.kernel * factors[:, None])

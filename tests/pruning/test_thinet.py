"""ThiNet: greedy choice of channels, and factors that make up for them."""

import numpy as np
import pytest

from edgeax.pruning.reading import Reading
from edgeax.pruning.thinet import (
    ThiNet,
    contributions,
    discarded,
    least_squares_scales,
    rescaled,
)
from tests.pruning.test_lasso import correlated
from tests.pruning.test_reading import reading


def generator():
    return np.random.default_rng(0)


@pytest.mark.parametrize("seed", range(3))
def test_lwl17_the_contributions_add_up_to_the_output(seed):
    for one in (correlated(seed), reading(seed)):
        x, y = contributions(one, generator())
        assert x.shape == (len(one.inputs), one.size)
        np.testing.assert_allclose(x.sum(1), y, rtol=1e-9, atol=1e-9)


def test_contributions_are_those_of_the_drawn_output():
    one = correlated(0, units=3, rows=40)
    x, y = contributions(one, generator())
    drawn = generator().integers(6, size=40)
    assert len(set(drawn.tolist())) == 6
    for row, output in enumerate(drawn):
        assert y[row] == pytest.approx(one.targets[row, output])
        for unit in range(3):
            columns = one.units == unit
            expected = one.inputs[row, columns] @ one.kernel[columns, output]
            assert x[row, unit] == pytest.approx(expected)


def test_the_greedy_order_of_three_channels_worked_out_by_hand():
    # Squares 1, 4, 9. With 0 gone: {0, 1} costs (1 + 2)**2 = 9, {0, 2} costs (1 - 3)**2 = 4.
    assert discarded(np.float64([[1, 2, -3]]), 2).tolist() == [0, 2]
    assert discarded(np.float64([[1, 2, -3]]), 0).tolist() == []


def test_lwl17_greedy_is_no_worse_than_random_on_average():
    for seed in range(5):
        x, _ = contributions(correlated(seed), generator())
        rng = np.random.default_rng(seed)
        for count in (3, 6, 9):
            lost = np.sum(x[:, discarded(x, count)].sum(1) ** 2)
            random = [np.sum(x[:, rng.permutation(12)[:count]].sum(1) ** 2) for _ in range(100)]
            assert lost <= np.mean(random)


@pytest.mark.parametrize("seed", range(5))
def test_lwl17_the_error_of_scaled_channels_is_no_larger_than_unscaled(seed):
    x, y = contributions(correlated(seed), generator())
    kept = np.setdiff1d(np.arange(12), discarded(x, 6))
    scales = least_squares_scales(x[:, kept], y)
    scaled = np.sum((y - x[:, kept] @ scales) ** 2)
    assert scaled < np.sum((y - x[:, kept].sum(1)) ** 2)
    expected = np.linalg.inv(x[:, kept].T @ x[:, kept]) @ x[:, kept].T @ y
    np.testing.assert_allclose(scales, expected, rtol=1e-6)


def test_rescaled_multiplies_kept_rows_and_clears_the_others():
    one = correlated(0)
    kept = np.array([0, 3, 4, 7, 9])
    kernel = rescaled(one, kept, generator())
    x, y = contributions(one, generator())
    factors = np.zeros(12)
    factors[kept] = least_squares_scales(x[:, kept], y)
    np.testing.assert_allclose(kernel, one.kernel * factors[one.units][:, None])


def test_thinet_keeps_what_it_does_not_discard():
    one = correlated(2)
    kept = ThiNet().chosen(one, 5, generator())
    x, _ = contributions(one, generator())
    assert sorted([*kept.tolist(), *discarded(x, 7).tolist()]) == list(range(12))


def test_a_channel_that_is_never_active_goes_first():
    one = correlated(0, units=4)
    inputs = np.where(one.units == 2, 0.0, one.inputs)
    one = Reading(inputs, inputs @ one.kernel, one.kernel, one.units)
    assert ThiNet().chosen(one, 3, generator()).tolist() == [0, 1, 3]

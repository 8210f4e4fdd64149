"""Ranges that need no search, and what calibrations share."""

import numpy as np
import pytest

from edgeax.formats import Integer, Minifloat, MixedInteger, PowerOfTwo
from edgeax.post_training.calibration import (
    MinMax,
    MovingAverage,
    Percentile,
    clipped_to,
    rounded,
    squared_error,
)
from edgeax.post_training.named import CALIBRATIONS
from edgeax.post_training.seen import Histogram, Seen

AFFINE, SYMMETRIC = Integer(8, symmetric=False), Integer(8)


def weight(values, per_channel=True):
    return Seen.of_weight(np.float32(values), per_channel)


def activation(*batches):
    ends = np.array([(batch.min(), batch.max()) for batch in batches])
    histogram = Histogram(ends)
    for batch in batches:
        histogram.add(batch)
    return histogram.seen()


def test_min_max_takes_all_and_contains_zero():
    low, high = MinMax().ends(weight([[1.0, -3.0], [2.0, -1.0]]), AFFINE)
    assert low.tolist() == [0.0, -3.0] and high.tolist() == [2.0, 0.0]


def test_moving_average_is_that_worked_out_by_hand():
    batches = [np.float32([-1, 1]), np.float32([-3, 5]), np.float32([0, 9])]
    low, high = MovingAverage(0.5).ends(activation(*batches), AFFINE)
    # 0.5 * (0.5 * -1 + 0.5 * -3) + 0.5 * 0 = -1; 0.5 * (0.5 * 1 + 0.5 * 5) + 0.5 * 9 = 6
    assert low.tolist() == [-1.0] and high.tolist() == [6.0]


def test_percentile_leaves_out_what_was_asked():
    values = np.arange(-1000, 1001, dtype=np.float32).reshape(-1, 1)
    low, high = Percentile(99.0).ends(weight(values), SYMMETRIC)
    assert high.tolist() == [990.0] and low.tolist() == [-990.0]
    rectified = np.arange(0, 1000, dtype=np.float32).reshape(-1, 1)
    low, high = Percentile(90.0).ends(weight(rectified), AFFINE)
    assert low.tolist() == [0.0] and high.tolist() == [899.0]
    assert Percentile(100.0).ends(weight(values), SYMMETRIC)[1].tolist() == [1000.0]


def test_a_percentile_of_mostly_zeros_keeps_a_range():
    values = np.zeros((10000, 1), np.float32)
    values[0] = 5.0
    low, high = Percentile(99.0).ends(weight(values), AFFINE)
    assert low.tolist() == [0.0] and high.tolist() == [5.0]


def test_rounded_is_what_the_format_stores():
    values = np.float32([[0.4, 10.0], [-1.0, -7.0]])
    low, high = np.float64([-1.0, -7.0]), np.float64([1.0, 7.0])
    found = rounded(values, low, high, Integer(2))
    assert found.tolist() == [[0.0, 7.0], [-1.0, -7.0]]
    assert rounded(values, low, high, PowerOfTwo(5)).tolist() == [[0.5, 8.0], [-1.0, -8.0]]


def test_squared_error_counts_each_value_as_often_as_it_occurs():
    seen = Seen(
        np.float64([[0.5], [1.0]]), np.float64([[3.0], [1.0]]), np.zeros(1), np.ones(1), np.empty(0)
    )
    error = squared_error(seen, np.float64([-1.0]), np.float64([1.0]), Integer(2), seen.counts)
    assert error.tolist() == [0.75]  # 0.5 becomes 0, three times


def test_a_range_of_nothing_becomes_all_that_was_seen():
    seen = weight([[-2.0], [3.0]])
    assert [end.tolist() for end in clipped_to(seen, np.zeros(1), np.zeros(1))] == [[-2.0], [3.0]]


CONSTANTS = [np.zeros((20, 2)), np.full((20, 2), 3.0), np.full((20, 2), -1e-30), np.ones((1, 2))]


@pytest.mark.parametrize(
    "format", [SYMMETRIC, AFFINE, Integer(2), Integer(16), PowerOfTwo(4)], ids=str
)
@pytest.mark.parametrize("values", CONSTANTS, ids=["zeros", "threes", "tiny", "one"])
@pytest.mark.parametrize("name", CALIBRATIONS)
def test_constant_and_dead_channels_get_a_finite_range(name, values, format):
    low, high = CALIBRATIONS[name]().ends(weight(values), format)
    assert np.isfinite(low).all() and np.isfinite(high).all()
    assert (low <= 0.0).all() and (high >= 0.0).all() and low.shape == (2,)


@pytest.mark.parametrize("name", CALIBRATIONS)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_every_range_lies_within_what_was_seen(name, bits):
    rng = np.random.default_rng(bits)
    signed, positive = rng.normal(size=(400, 3)), rng.exponential(size=(400, 3))
    for values in (signed, positive):
        for format in (Integer(bits), Integer(bits, symmetric=False)):
            seen = weight(values)
            low, high = CALIBRATIONS[name]().ends(seen, format)
            limit = np.maximum(-seen.low, seen.high)
            assert (low >= np.minimum(seen.low, 0) - 1e-6).all()
            assert (high <= limit + 1e-6).all() and (high - low > 0).all()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: MovingAverage(1.0), r"`momentum` must lie in \[0, 1\).*momentum=1.0"),
        (lambda: Percentile(50.0), r"`percent` must lie in \(50, 100\].*percent=50.0"),
        (lambda: Percentile(float("nan")), "`percent` must lie in"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ["analytic", "laplace", "gauss", "sqnr", "entropy"])
def test_formulas_of_even_grids_leave_other_formats_alone(name):
    values = np.random.default_rng(0).standard_t(3, size=(500, 4)).astype(np.float32)
    seen = weight(values)
    for format in (Minifloat(4, 3), PowerOfTwo(4)):
        np.testing.assert_array_equal(CALIBRATIONS[name]().ends(seen, format)[1], seen.high)
    if name != "entropy":
        narrow = CALIBRATIONS[name]().ends(seen, MixedInteger(3))[1]
        np.testing.assert_array_equal(narrow, CALIBRATIONS[name]().ends(seen, Integer(3))[1])


def test_an_activation_of_both_signs_is_cut_by_half_at_either_end():
    values = np.arange(-1000, 1001, dtype=np.float32).reshape(-1, 1)
    low, high = Percentile(98.0).ends(weight(values), AFFINE)
    assert high.tolist() == [980.0] and low.tolist() == [-980.0]

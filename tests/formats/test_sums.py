import dataclasses

import numpy as np
import pytest

from edgeax.formats import arrays
from edgeax.formats.sums import SumOfSigns, check_axis, check_bits, dithered, least_squares, signs


@dataclasses.dataclass(frozen=True)
class Two(SumOfSigns):
    """Sign, then whether the rest is positive."""

    bits = 2

    def found(self, x, ops):
        return {"gain": np.float32([2.0, 0.5])}

    def digits(self, x, params, ops):
        first = signs(x, ops)
        return [first, signs(x - params["gain"][0] * first, ops)]


X = np.float32([[-3.0, -2.2], [0.1, 9.0]])


def test_codes_and_values_are_those_worked_out_by_hand():
    params = Two().fit(X)
    # The first bit is the sign, the second that of what is left: -1, -0.2; -1.9, 7.
    assert Two().encode(X, params).tolist() == [[0, 0], [1, 3]]
    expected = [[-2.5, -2.5], [1.5, 2.5]]
    assert Two().decode(np.uint8([[0, 0], [1, 3]]), params).tolist() == expected
    assert Two().rounded(X, params, arrays).tolist() == expected


def test_gains_may_differ_by_channel_and_a_low_digit_be_0():
    params = {"gain": np.float32([[2, 4], [1, 0.5]]), "low": np.float32(0)}
    assert Two().decode(np.uint8([[1, 3], [2, 0]]), params).tolist() == [[2, 4.5], [1, 0]]


def test_least_squares_are_numpys():
    rng = np.random.default_rng(0)
    columns = [rng.choice([-1.0, 1.0], size=(50, 3)).astype(np.float32) for _ in range(3)]
    x = rng.normal(size=(50, 3)).astype(np.float32)
    former = [np.zeros(3, np.float32)] * 3
    found = least_squares(columns, x, former, -1, arrays)
    for channel in range(3):
        matrix = np.stack([column[:, channel] for column in columns], axis=1)
        expected, *_ = np.linalg.lstsq(matrix, x[:, channel], rcond=None)
        np.testing.assert_allclose([gain[channel] for gain in found], expected, atol=1e-5)


def test_equal_columns_keep_what_they_had():
    column = np.float32([1, -1, 1, 1])
    former = [np.float32(3), np.float32(1)]
    found = least_squares([column, column], 4 * column, former, None, arrays)
    np.testing.assert_allclose(found, [3, 1], atol=1e-5)


def test_dithering_takes_one_of_both_neighbors_by_the_distance():
    levels = [np.float32(level) for level in (2, -1, 0)]
    x = np.float32([0.5, 0.5, -0.25, 5.0, -5.0])
    noise = np.float32([0.2, 0.3, 0.7, 0.5, 0.5])
    # 0.5 lies a quarter of the way from 0 to 2; -0.25 three quarters from -1 to 0.
    assert dithered(x, levels, noise, arrays).tolist() == [2, 0, 0, 2, -1]


def test_zero_has_a_positive_sign():
    assert signs(np.float32([-1, -0.0, 0, 1e-40, -1e-40]), arrays).tolist() == [-1, 1, 1, 1, 1]


def test_bad_settings_and_codes_are_refused():
    with pytest.raises(ValueError, match="`axis` must be None.*Received: 0"):
        check_axis(0)
    with pytest.raises(ValueError, match="`bits` must be in 1..4. Received: 5"):
        check_bits("bits", 5, 1, 4)
    with pytest.raises(ValueError, match=r"`codes` must lie in \[0, 3\].*max=4"):
        Two().decode(np.uint8([4]), {"gain": np.float32([1, 1])})
    with pytest.raises(ValueError, match=r"must have shape \(2,\) or \(2, channels\)"):
        Two().decode(np.uint8([[1]]), {"gain": np.float32([1, 1, 1])})

import numpy as np
import pytest

from edgeax.runtime.mcu import fixed_point

X = np.linspace(-15, 15, 2001)
CODES = np.round(X * 2**27).astype(np.int64)  # 4 whole bits


@pytest.mark.parametrize(
    ("function", "exact"),
    [(fixed_point.logistic, 1 / (1 + np.exp(-X))), (fixed_point.tanh, np.tanh(X))],
)
def test_functions_are_close_to_those_of_real_numbers(function, exact) -> None:
    assert np.abs(function(CODES) / 2**31 - exact).max() < 2e-6


def test_zero_is_hit_exactly() -> None:
    zero = np.array([0])
    assert fixed_point.logistic(zero).tolist() == [1 << 30]
    assert fixed_point.tanh(zero).tolist() == [0]


@pytest.mark.parametrize(
    ("value", "times", "expected"), [(5, 1, 3), (-5, 1, -3), (4, 3, 1), (-4, 3, -1), (3, 3, 0)]
)
def test_halves_go_away_from_zero(value: int, times: int, expected: int) -> None:
    assert fixed_point.halved(np.array([value]), times).tolist() == [expected]


def test_products_are_rounded_and_the_largest_one_is_held() -> None:
    low = -(2**31)
    assert fixed_point.product(np.array([low, 3, -3]), low).tolist() == [2**31 - 1, -3, 3]
    assert fixed_point.product(np.array([1, -1, 1]), 1 << 30).tolist() == [1, 0, 1]
    assert fixed_point.product16(np.array([-32768, 1, -1]), -32768).tolist() == [32767, -1, 1]
    assert fixed_point.product16(np.array([1, -1]), 1 << 14).tolist() == [1, 0]

"""Exponential functions in fixed point, as TensorFlow Lite Micro computes them for 8-bit codes.

Numbers are int64 arrays that hold int32 ones. One with `w` whole bits is the real number
`x * 2**(w - 31)`.
"""

import math

import numpy as np

_INT32 = np.iinfo(np.int32)
_ONE = _INT32.max  # the largest number without whole bits


def logistic(x: np.ndarray) -> np.ndarray:
    """Returns 1 / (1 + exp(-x)) without whole bits, of `x` with 4 whole bits."""
    upper = _reciprocal(_exp(-np.abs(x), 4), of_two=False)
    return np.where(x == 0, 1 << 30, np.where(x > 0, upper, _ONE - upper))


def tanh(x: np.ndarray) -> np.ndarray:
    """Returns the hyperbolic tangent without whole bits, of `x` with 4 whole bits."""
    upper = _reciprocal(_exp(-np.abs(x), 5), of_two=True)  # a bit more to hold twice the number
    return np.sign(x) * upper


def product(a: np.ndarray | int, b: np.ndarray | int) -> np.ndarray:
    """Returns the product of numbers without whole bits, rounded half up."""
    wide = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    return np.minimum(_truncated(wide + np.where(wide >= 0, 1 << 30, 1 - (1 << 30)), 31), _ONE)


def product16(a: np.ndarray, b: int) -> np.ndarray:
    """Returns the product of int16 numbers without whole bits, rounded half up."""
    wide = np.asarray(a, np.int64) * b
    return np.minimum(_truncated(wide + np.where(wide >= 0, 1 << 14, 1 - (1 << 14)), 15), 32767)


def halved(x: np.ndarray, times: int) -> np.ndarray:
    """Returns `x / 2**times`, rounded half away from zero."""
    rest, half = x & ((1 << times) - 1), ((1 << times) - 1) >> 1
    return (x >> times) + (rest > half + (x < 0))


def _truncated(x: np.ndarray, bits: int) -> np.ndarray:
    return np.sign(x) * (np.abs(x) >> bits)


def _doubled(x: np.ndarray, times: int) -> np.ndarray:
    return np.clip(x << times, _INT32.min, _INT32.max)


def _exp(x: np.ndarray, whole_bits: int) -> np.ndarray:
    """Returns exp of numbers <= 0 without whole bits: by a polynomial on the last quarter below 0,
    times a constant for every power of two of quarters above it.
    """
    fraction = 31 - whole_bits
    quarter = 1 << (fraction - 2)
    last = (x & (quarter - 1)) - quarter
    result = _exp_of_last_quarter(_doubled(last, whole_bits))
    quarters = last - x
    for power in range(-2, whole_bits):
        factor = round(math.exp(-(2.0**power)) * 2**31)
        result = np.where(quarters & (1 << (fraction + power)), product(result, factor), result)
    return np.where(x == 0, _ONE, result)


def _exp_of_last_quarter(x: np.ndarray) -> np.ndarray:
    """Returns exp on [-1/4, 0), the series around -1/8 up to the fourth power."""
    center, third = round(math.exp(-1 / 8) * 2**31), round(2**31 / 3)
    x = x + (1 << 28)
    square = product(x, x)
    cube, fourth = product(square, x), product(square, square)
    higher = product(halved(fourth, 2) + cube, third) + square
    return center + product(center, x + halved(higher, 1))


def _reciprocal(x: np.ndarray, of_two: bool) -> np.ndarray:
    """Returns 1 / (1 + x), or (1 - x) / (1 + x), of `x` in [0, 1]: three steps of Newton's."""
    half = (x + _ONE + 1) >> 1  # half of 1 + x
    start, slope = round(48 / 17 * 2**29), round(-32 / 17 * 2**29)
    result = start + product(half, slope)  # two whole bits
    for _ in range(3):
        rest = (1 << 29) - product(half, result)
        result = result + _doubled(product(result, rest), 2)
    if of_two:
        return _doubled(result - (1 << 29), 2)
    return _doubled(result, 1)

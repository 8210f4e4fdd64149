import math

import keras
import numpy as np
import pytest

from edgeax.formats import arrays, scales

X = np.float32([[1, -4], [-3, 2]])
OPS = pytest.mark.parametrize("ops", [arrays, keras.ops], ids=["numpy", "keras"])


@OPS
def test_magnitudes_are_those_worked_out_by_hand(ops):
    assert float(scales.largest_magnitude(X, None, ops)) == 4.0
    assert np.asarray(scales.largest_magnitude(X, -1, ops)).tolist() == [3.0, 4.0]
    assert float(scales.mean_magnitude(X, None, ops)) == 2.5
    assert np.asarray(scales.mean_magnitude(X, -1, ops)).tolist() == [2.0, 3.0]


@OPS
def test_logarithms_are_exact_around_every_power_of_two(ops):
    powers = np.ldexp(np.float32(1), np.arange(-125, 128)).astype(np.float32)
    for x in (powers, np.nextafter(powers, np.float32(0)), powers * np.float32(1.000001)):
        exact = [math.frexp(float(value)) for value in x]
        floor = [exponent - 1 for _, exponent in exact]
        ceil = [exponent - (mantissa == 0.5) for mantissa, exponent in exact]
        finite = np.isfinite(x)
        assert np.asarray(scales.floor_log2(x, ops))[finite].tolist() == list(
            np.array(floor)[finite]
        )
        assert np.asarray(scales.ceil_log2(x, ops))[finite].tolist() == list(np.array(ceil)[finite])


@OPS
def test_a_power_of_two_is_exact_and_clipped(ops):
    exponents = np.int32([-200, -126, -1, 0, 5, 127, 200])
    expected = [2.0**-126, 2.0**-126, 0.5, 1.0, 32.0, 2.0**127, 2.0**127]
    assert np.asarray(scales.power_of_two(exponents, ops)).tolist() == expected


@OPS
def test_a_quotient_is_rounded_once(ops):
    x = np.float32(np.random.default_rng(0).normal(size=1000))
    found = np.asarray(scales.quotient(x, 7.0, ops))
    np.testing.assert_array_equal(found, (x.astype(np.float64) / 7.0).astype(np.float32))


@OPS
def test_a_scale_of_nothing_is_1(ops):
    scale = np.float32([0.0, 1e-40, 0.5])
    assert np.asarray(scales.nonzero(scale, ops)).tolist() == [1.0, 1.0, 0.5]

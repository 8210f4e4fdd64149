import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import EncodedTensor, arrays
from edgeax.formats.levels import LevelFormat
from edgeax.formats.scales import largest_magnitude, nonzero


@dataclasses.dataclass(frozen=True)
class Odd(LevelFormat):
    """Levels with uneven gaps; code 2 stands for no number."""

    ties: str = "even"
    bits = 3

    @property
    def table(self):
        return np.float32([0, 1, np.nan, 3, -1, -2, -4])

    def found(self, x, ops):
        return {"scale": nonzero(largest_magnitude(x, None, ops), ops)}

    def per_channel(self):
        return self


ONE = {"scale": np.float32(1)}


def test_levels_are_the_finite_values_in_order():
    assert Odd().levels.tolist() == [-4, -2, -1, 0, 1, 3]


@pytest.mark.parametrize(
    "ties, expected",
    [
        # Halfway: -3 between codes 6 and 5, -1.5 between 5 and 4, -0.5: 4, 0; 0.5: 0, 1; 2: 1, 3
        ("even", [-4, -1, 0, 0, 1]),
        ("away", [-4, -2, -1, 1, 3]),
        ("up", [-2, -1, 0, 1, 3]),
    ],
)
def test_halves_go_where_the_rule_says(ties, expected):
    halves = np.float32([-3, -1.5, -0.5, 0.5, 2])
    found = Odd(ties=ties).rounded(halves, ONE, arrays)
    if ties == "even":  # both -0.5's neighbors have even codes: the upper one is taken
        assert found.tolist()[:3] == expected[:3]
    else:
        assert found.tolist() == expected


def test_a_value_beside_a_half_goes_to_the_nearer_level():
    half = np.float32(2)
    beside = np.float32([np.nextafter(half, np.float32(0)), np.nextafter(half, np.float32(9))])
    assert Odd(ties="up").rounded(beside, ONE, arrays).tolist() == [1, 3]
    assert Odd(ties="away").rounded(-beside, ONE, arrays).tolist() == [-2, -2]


def test_codes_decode_to_the_rounded_values_with_any_scale():
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    format = Odd()
    params = format.fit(x)
    codes = format.encode(x, params)
    assert codes.dtype == np.uint8 and 2 not in codes
    np.testing.assert_array_equal(format.decode(codes, params), format.rounded(x, params, arrays))
    gains = np.float32([1, -2, 0, 0.5])
    scaled = EncodedTensor(codes, format, params).scaled(gains)
    values = format.table[codes] * (params["scale"] * gains)
    np.testing.assert_array_equal(scaled.decode(), values)


@pytest.mark.parametrize("jit", [False, True])
def test_the_graph_rounds_as_numpy_does(jit):
    x = np.random.default_rng(1).normal(size=(40, 5)).astype(np.float32)
    x[0] = [0, -0.0, 1e30, -1e30, 1e-30]
    noise = np.random.default_rng(2).random(x.shape, np.float32)
    format = Odd()

    @tf.function(jit_compile=jit)
    def both(x, noise):
        params = format.found(x, keras.ops)
        return (
            format.rounded(x, params, keras.ops),
            format.rounded(x, params, keras.ops, noise),
        )

    nearest, random = both(tf.constant(x), tf.constant(noise))
    params = format.fit(x)
    np.testing.assert_array_equal(nearest, format.rounded(x, params, arrays))
    np.testing.assert_array_equal(random, format.rounded(x, params, arrays, noise))


def test_stochastic_rounding_is_unbiased_between_levels_and_saturates():
    noise = np.random.default_rng(3).random(40000, np.float32)
    x = np.full(noise.shape, 1.5, np.float32)
    found = Odd().rounded(x, ONE, arrays, noise)
    assert set(found) == {1, 3}
    # One draw is 1 with probability 3/4 and 3 with 1/4: the mean's deviation is 0.0043.
    assert abs(float(np.mean(found, dtype=np.float64)) - 1.5) < 0.02
    assert set(Odd().rounded(x * 100, ONE, arrays, noise)) == {3}
    assert set(Odd().rounded(x * -100, ONE, arrays, noise)) == {-4}


def test_a_code_outside_the_table_is_refused():
    with pytest.raises(ValueError, match=r"`codes` must lie in \[0, 6\].*max=7"):
        Odd().decode(np.uint8([7]), {})

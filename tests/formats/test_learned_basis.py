import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import Binary, LearnedBasis, arrays
from edgeax.formats.names import format_of
from tests.formats import graph_checks

FORMATS = [LearnedBasis(1), LearnedBasis(2, axis=-1), LearnedBasis(3, nonnegative=True)]


def normal(shape=(400, 3), seed=0):
    return np.random.default_rng(seed).normal(0.0, 0.3, shape).astype(np.float32)


def error(format, x, axis=None):
    away = format.rounded(x, format.fit(x), arrays).astype(np.float64) - x
    return np.mean(np.square(away), axis=axis)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_the_graph_rounds_as_numpy_does(format, jit):
    graph_checks.assert_graph_equals_numpy(format, jit)


@pytest.mark.parametrize("format", [LearnedBasis(1), LearnedBasis(3)], ids=str)
def test_activations_of_any_batch_size_are_rounded(format):
    graph_checks.assert_activations_of_any_batch_size_are_rounded(format)


@pytest.mark.parametrize("format", [*FORMATS, LearnedBasis(4)], ids=str)
def test_codes_stand_for_the_rounded_values(format):
    graph_checks.assert_codes_stand_for_the_rounded_values(format)
    graph_checks.assert_a_gain_per_channel_multiplies(format)


@pytest.mark.parametrize("axis", [None, -1])
@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_zyyh18_the_squared_error_never_rises(bits, axis):
    x = normal() * np.float32([1, 10, 0.1])
    over = 0 if axis == -1 else None
    errors = [error(LearnedBasis(bits, axis, iterations=n), x, over) for n in range(12)]
    for before, after in itertools.pairwise(errors):
        assert np.all(after <= before * (1 + 1e-6))
    if bits > 1:
        assert np.all(errors[-1] < errors[0])


@pytest.mark.parametrize("axis", [None, -1])
def test_zyyh18_one_bit_is_the_binary_weight(axis):
    x = normal()
    found = LearnedBasis(1, axis).rounded(x, LearnedBasis(1, axis).fit(x), arrays)
    expected = Binary(axis=axis).rounded(x, Binary(axis=axis).fit(x), arrays)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_zyyh18_the_basis_starts_at_the_quartile():
    x = np.float32([[2], [-2]])
    gain = LearnedBasis(3, iterations=0).fit(x)["gain"]
    np.testing.assert_allclose(gain, 2 * 0.6745 * np.float32([0.25, 0.5, 1]), rtol=1e-6)


def test_zyyh18_the_basis_is_numpys_least_squares_for_its_codes():
    x = normal((600, 1))
    before = LearnedBasis(3, iterations=4)
    codes = before.encode(x, before.fit(x)).ravel()
    signs = np.stack([2.0 * (codes >> j & 1) - 1 for j in range(3)], axis=1)
    expected = np.linalg.lstsq(signs, x.ravel().astype(np.float64), rcond=None)[0]
    np.testing.assert_allclose(LearnedBasis(3, iterations=5).fit(x)["gain"], expected, rtol=1e-5)


def test_values_go_to_the_nearest_level():
    x = normal()
    format = LearnedBasis(4)
    params = format.fit(x)
    gains = params["gain"].astype(np.float64)
    levels = np.array([np.dot(gains, s) for s in itertools.product([-1, 1], repeat=4)])
    nearest = np.min(np.abs(x[..., None] - levels), axis=-1)
    values = format.rounded(x, params, arrays)
    np.testing.assert_allclose(np.abs(values - x), nearest, atol=1e-6)


def test_a_known_basis_is_recovered():
    codes = np.random.default_rng(1).integers(0, 4, 500)
    x = np.float32([-0.7, -0.2, 0.2, 0.7])[codes][:, None]  # +-0.45 +-0.25
    format = LearnedBasis(2)
    np.testing.assert_allclose(format.rounded(x, format.fit(x), arrays), x, rtol=1e-6)


def test_digits_are_0_and_1_where_no_value_is_negative():
    codes = np.random.default_rng(1).integers(0, 4, 500)
    x = np.float32([0, 0.2, 0.5, 0.7])[codes][:, None]
    format = LearnedBasis(2)
    params = format.fit(x)
    assert params["low"] == 0 and sorted(np.round(params["gain"], 5)) == [
        *map(np.float32, (0.2, 0.5))
    ]
    np.testing.assert_allclose(format.rounded(x, params, arrays), x, atol=1e-6)
    assert LearnedBasis(2, nonnegative=False).fit(x)["low"] == -1


@pytest.mark.parametrize("low, high", [(0.0, 6.0), (-1.0, 1.0)])
def test_a_range_is_covered_by_its_ends(low, high):
    params = LearnedBasis(2).found(tf.stack([low, high]), keras.ops)
    levels = np.unique(LearnedBasis(2).decode(np.arange(4), params))
    assert levels.size == 4
    assert levels[[0, -1]] == pytest.approx([low, high], abs=1e-4)


def test_every_code_round_trips():
    for bits in (1, 2, 3, 4):
        for x in (normal(), np.abs(normal())):
            format = LearnedBasis(bits)
            params = format.fit(x)
            codes = np.arange(2**bits, dtype=np.uint8)
            np.testing.assert_array_equal(
                format.encode(format.decode(codes, params), params), codes
            )


def test_the_name_gives_the_bits():
    assert format_of("lq2", axis=-1) == LearnedBasis(2, -1)


@pytest.mark.parametrize(
    "kwargs, match",
    [
        ({"bits": 5}, r"`bits` must be in 1\.\.4. Received: 5"),
        ({"axis": 0}, "`axis` must be None"),
        ({"iterations": -1}, "`iterations` must be in 0"),
    ],
)
def test_an_impossible_format_is_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        LearnedBasis(**kwargs)

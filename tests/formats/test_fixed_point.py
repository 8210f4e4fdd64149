import math
from fractions import Fraction

import numpy as np
import pytest

from edgeax.formats import FixedPoint, arrays
from edgeax.formats.fixed_point import (
    allocated_bits,
    combined_sqnr_db,
    gaussian_sqnr_db,
    gaussian_step,
)
from edgeax.formats.names import format_of
from tests.formats import graph_checks


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("ties", ["even", "away", "up"])
def test_the_graph_rounds_as_numpy_does(ties, jit):
    graph_checks.assert_graph_equals_numpy(FixedPoint(2, 6, ties), jit)


@pytest.mark.parametrize("format", [FixedPoint(3, 5)], ids=str)
def test_activations_of_any_batch_size_are_rounded(format):
    graph_checks.assert_activations_of_any_batch_size_are_rounded(format)


def test_codes_stand_for_the_rounded_values():
    graph_checks.assert_codes_stand_for_the_rounded_values(FixedPoint(3, 9))
    graph_checks.assert_a_gain_per_channel_multiplies(FixedPoint(2, 6))


@pytest.mark.parametrize("integer, fraction", [(2, 0), (1, 7), (2, 14), (8, 8), (-3, 8), (20, -10)])
def test_sma07_every_code_is_a_whole_number_of_steps(integer, fraction):
    bits = integer + fraction
    codes = np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1)).astype(np.int16)
    format = FixedPoint(integer, fraction)
    values = format.decode(codes, {})
    step = Fraction(2) ** -fraction
    assert [Fraction(float(v)) for v in values] == [int(c) * step for c in codes]
    np.testing.assert_array_equal(format.encode(values, {}), codes)


def test_ph94_values_outside_the_range_saturate():
    x = np.float32([2.0, 1e30, 3.4e38, -2.0, -2.1, -3.4e38, 1.99])
    values = FixedPoint(2, 6).rounded(x, {}, arrays)
    top = 2 - 1 / 64
    assert values.tolist() == [top, top, top, -2, -2, -2, 1.984375]
    assert FixedPoint(2, 6).encode(x, {}).tolist() == [127, 127, 127, -128, -128, -128, 127]


@pytest.mark.parametrize(
    "ties, expected",
    [
        ("even", [-2, -2, 0, 0, 2, 2]),
        ("away", [-3, -2, -1, 1, 2, 3]),
        ("up", [-2, -1, 0, 1, 2, 3]),
    ],
)
def test_sma07_halves_go_where_the_rule_says(ties, expected):
    halves = np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    assert FixedPoint(4, 0, ties).rounded(halves, {}, arrays).tolist() == expected
    # The floats beside a half go to the nearer integer under every rule.
    inside = np.nextafter(halves, np.float32(0))
    assert FixedPoint(4, 0, ties).rounded(inside, {}, arrays).tolist() == [-2, -1, 0, 0, 1, 2]


@pytest.mark.parametrize("value", [0.3, -0.3, 0.013, -1.9])
def test_gagn15_stochastic_rounding_is_right_on_average(value):
    format = FixedPoint(2, 3)
    mean, values = graph_checks.mean_of_stochastic(format, value, {})
    low = math.floor(value * 8) / 8
    assert values == [low, low + 1 / 8]
    # The deviation of the mean of 40000 draws is at most 1/8 / 2 / 200.
    assert abs(mean - value) < 5 * (1 / 8) / 400


def _learns_xor(bits, seed):
    """Trains 2-4-1 tanh by backpropagation, everything rounded to fixed point of 4.(bits - 4)."""
    rng = np.random.default_rng(seed)
    format = FixedPoint(4, bits - 4, "up")

    def q(x):
        return format.rounded(np.asarray(x, np.float32), {}, arrays)

    x = np.float32([[-1, -1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, 1]])
    y = np.float32([[-1], [1], [1], [-1]])
    first, second = q(rng.uniform(-1, 1, (3, 4))), q(rng.uniform(-1, 1, (5, 1)))
    for _ in range(2000):
        hidden = np.hstack([q(np.tanh(q(x @ first))), np.ones((4, 1), np.float32)])
        out = q(np.tanh(q(hidden @ second)))
        out_error = q((y - out) * (1 - out * out))
        back = q((out_error @ second[:4].T) * (1 - hidden[:, :4] ** 2))
        second = q(second + q(0.05 * (hidden.T @ out_error)))
        first = q(first + q(0.05 * (x.T @ back)))
    return float(np.max(np.abs(y - out))) < 0.5


def test_hb91_xor_is_learned_in_16_bits_and_not_in_8():
    assert all(_learns_xor(16, seed) for seed in range(3))
    assert not any(_learns_xor(8, seed) for seed in range(3))


def test_lta16_steps_and_sqnr_of_normal_values_are_the_table():
    steps = [round(gaussian_step(bits), 3) for bits in range(1, 9)]
    assert steps == [1.596, 0.996, 0.586, 0.335, 0.188, 0.104, 0.057, 0.031]
    ratios = [gaussian_sqnr_db(bits) for bits in range(1, 9)]
    assert [round(ratio, 2) for ratio in ratios[:6]] == [4.40, 9.25, 14.27, 19.38, 24.57, 29.83]
    assert [round(ratio, 1) for ratio in ratios[6:]] == [35.2, 40.6]


def test_one_bit_has_the_closed_form_of_two_levels():
    # Levels at the means of both halves, +-sqrt(2/pi); the error left is 1 - 2/pi.
    assert gaussian_step(1) == pytest.approx(2 * math.sqrt(2 / math.pi), abs=1e-6)
    assert gaussian_sqnr_db(1) == pytest.approx(-10 * math.log10(1 - 2 / math.pi), abs=1e-9)


def test_lta16_bits_differ_by_the_logarithm_of_the_sizes():
    # kappa = 5 dB a bit: ten times the parameters is 10 dB, 2 bits less.
    bits = allocated_bits([100, 1000, 10_000], sqnr_db=20, db_per_bit=5)
    assert np.diff(bits) == pytest.approx([-2, -2])
    assert combined_sqnr_db([5 * b for b in bits]) == pytest.approx(20)
    # Any other allocation of the same ratio takes more bits in all.
    counts, best = np.array([100, 1000, 10_000]), np.dot([100, 1000, 10_000], bits)
    rng = np.random.default_rng(0)
    for shift in rng.normal(0, 0.5, (50, 3)):
        other = np.asarray(bits) + shift
        other += (20 - combined_sqnr_db(5 * other)) / 5
        assert combined_sqnr_db(5 * other) == pytest.approx(20)
        assert np.dot(counts, other) >= best - 1e-6


def test_noises_of_equal_power_cost_3_db():
    assert combined_sqnr_db([20, 20]) == pytest.approx(20 - 10 * math.log10(2))


def _drawn_sqnr_db(format, deviation):
    x = np.random.default_rng(0).normal(0, deviation, 400_000).astype(np.float32)
    error = format.rounded(x, {}, arrays) - x
    return 10 * np.log10(np.mean(np.square(x)) / np.mean(np.square(error)))


@pytest.mark.parametrize("deviation", [0.1, 0.7, 1.0, 1.3])
@pytest.mark.parametrize("bits", [2, 4, 5, 6, 8])
def test_lta16_a_format_for_a_deviation_has_the_power_of_two_of_least_error(deviation, bits):
    format = FixedPoint.for_deviation(deviation, bits)
    ratio = format.gaussian_sqnr_db(deviation)
    assert ratio == pytest.approx(_drawn_sqnr_db(format, deviation), abs=0.1)
    for places in (format.fraction_bits - 1, format.fraction_bits + 1):
        assert _drawn_sqnr_db(FixedPoint(bits - places, places), deviation) < ratio + 0.1


@pytest.mark.parametrize("wanted", [8.0, 14.0, 19.0, 24.0, 30.0, 35.0])
def test_lta16_the_format_for_a_ratio_is_the_narrowest_that_reaches_it(wanted):
    format = FixedPoint.from_sqnr(1.0, wanted)
    assert _drawn_sqnr_db(format, 1.0) > wanted - 0.1
    if format.bits > 2:
        assert FixedPoint.for_deviation(1.0, format.bits - 1).gaussian_sqnr_db(1.0) < wanted
    with pytest.raises(ValueError, match=r"at most 40\..*Received: 50"):
        FixedPoint.from_sqnr(1.0, 50)


def test_the_name_gives_both_bits():
    assert format_of("fixed2_14") == FixedPoint(2, 14)


@pytest.mark.parametrize(
    "args, match",
    [
        ((1, 0), r"must be in 2\.\.16. Received: 1 \+ 0"),
        ((9, 8), r"must be in 2\.\.16. Received: 9 \+ 8"),
        ((-60, 70), r"`fraction_bits` must be in -64\.\.64. Received: 70"),
        ((2, 6, "down"), "`ties` must be one of"),
    ],
)
def test_an_impossible_format_is_refused(args, match):
    with pytest.raises(ValueError, match=match):
        FixedPoint(*args)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"`codes` must lie in \[-8, 7\].*max=8"):
        FixedPoint(2, 2).decode(np.int8([8]), {})
    with pytest.raises(ValueError, match=r"`bits` must be in 1\.\.9. Received: 10"):
        gaussian_step(10)
    with pytest.raises(ValueError, match="`deviation` must be above 0"):
        FixedPoint.for_deviation(0.0, 8)
    with pytest.raises(ValueError, match="`counts` must hold numbers above 0"):
        allocated_bits([10, 0], 20)

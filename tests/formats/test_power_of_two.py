import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from edgeax.formats import PowerOfTwo, arrays
from edgeax.formats.names import format_of
from tests.formats import graph_checks

FORMATS = [PowerOfTwo(), PowerOfTwo(3, axis=-1), PowerOfTwo(4, domain="log")]
ONE = {"scale": np.float32(1)}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_the_graph_rounds_as_numpy_does(format, jit):
    graph_checks.assert_graph_equals_numpy(format, jit)


@pytest.mark.parametrize("format", [PowerOfTwo(), PowerOfTwo(domain="log")], ids=str)
def test_activations_of_any_batch_size_are_rounded(format):
    graph_checks.assert_activations_of_any_batch_size_are_rounded(format)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_codes_stand_for_the_rounded_values(format):
    graph_checks.assert_codes_stand_for_the_rounded_values(format)
    graph_checks.assert_a_gain_per_channel_multiplies(format)


@pytest.mark.parametrize("bits", range(2, 8))
def test_zyg17_the_levels_are_those_of_the_paper(bits):
    for largest, n1 in [(1.0, 0), (1.49, 0), (1.5, 1), (2.9, 1), (0.75, 0), (0.7499, -1), (6, 3)]:
        assert n1 == math.floor(math.log2(4 * largest / 3))
        format = PowerOfTwo(bits)
        params = format.fit(np.float32([0.1, -largest]))
        n2 = n1 + 1 - 2 ** (bits - 1) // 2
        expected = {0.0, *(s * 2.0**n for s in (1, -1) for n in range(n2, n1 + 1))}
        assert set((params["scale"] * format.levels).tolist()) == expected


def test_zyg17_five_bits_reach_seven_octaves_down():
    levels = PowerOfTwo(5).levels
    assert levels.max() == 1 and levels[levels > 0].min() == 2.0**-7


def test_zyg17_a_largest_value_just_below_the_edge_stays_below():
    edge = np.float32(1.5)
    assert PowerOfTwo().fit(edge)["scale"] == 2
    assert PowerOfTwo().fit(np.nextafter(edge, np.float32(0)))["scale"] == 1


def test_zyg17_values_go_where_the_papers_rule_says():
    # 2**k where (a + b) / 2 <= |x| < 3 b / 2 for neighbors a < b = 2**k of the codebook, a = 0 for
    # the smallest.
    format = PowerOfTwo(4)  # 1, 1/2, 1/4, 1/8
    powers = [0.0, 0.125, 0.25, 0.5, 1.0]
    x = np.arange(0, 1536, dtype=np.float32) / 1024
    expected = []
    for value in map(Fraction, x.tolist()):
        below = [
            b
            for a, b in itertools.pairwise(powers)
            if Fraction(a + b) / 2 <= value < Fraction(3 * b) / 2
        ]
        expected.append(below[-1] if below else 0.0)
    assert format.rounded(x, ONE, arrays).tolist() == expected
    assert (-format.rounded(-x, ONE, arrays)).tolist() == expected


@pytest.mark.parametrize("domain", ["linear", "log"])
@pytest.mark.parametrize("bits", range(2, 8))
def test_every_code_round_trips(bits, domain):
    format = PowerOfTwo(bits, domain=domain)
    codes = np.flatnonzero(np.isfinite(format.table)).astype(np.uint8)
    # Zero, and every exponent with either sign.
    assert codes.size == 1 + 2 * 2 ** (bits - 2) and codes.max() < 2**bits
    for scale in (1.0, 2.0**20, 2.0**-20, -4.0):
        params = {"scale": np.float32(scale)}
        np.testing.assert_array_equal(format.encode(format.decode(codes, params), params), codes)


def test_codes_are_sign_and_exponent():
    format = PowerOfTwo(4)  # highest bit: sign; 1 is 2**-3, 4 is 1
    x = np.float32([0, 0.125, 0.25, 0.5, 1, -0.125, -1])
    assert format.encode(x, ONE).tolist() == [0, 1, 2, 3, 4, 9, 12]


def test_sg94_exponents_are_rounded_to_nearest_in_the_log_domain():
    format = PowerOfTwo(5, domain="log")
    assert format.fit(np.float32([3.0, -5.0]))["scale"] == 8
    assert format.fit(np.float32([4.0]))["scale"] == 4
    x = np.exp2(np.random.default_rng(0).uniform(-7.4, 0, 5000)).astype(np.float32)
    expected = np.exp2(np.rint(np.log2(x.astype(np.float64))))
    np.testing.assert_array_equal(format.rounded(x, ONE, arrays), expected)
    np.testing.assert_array_equal(format.rounded(-x, ONE, arrays), -expected)
    # The floats on both sides of 2**-0.5; below 2**-7.5 is 0.
    middle = np.float32(math.sqrt(0.5))
    beside = np.float32([np.nextafter(middle, np.float32(0)), np.nextafter(middle, np.float32(1))])
    assert format.rounded(beside, ONE, arrays).tolist() == [0.5, 1]
    assert format.rounded(np.float32([2**-7.51, 2**-7.49]), ONE, arrays).tolist() == [0, 2.0**-7]


@pytest.mark.parametrize("value", [0.3, -0.7, 0.003])
def test_sg94_stochastic_exponents_are_right_on_average(value):
    format = PowerOfTwo(5, domain="log")
    mean, values = graph_checks.mean_of_stochastic(format, value, ONE)
    low, high = min(values), max(values)
    assert len(values) == 2 and set(values) <= set(format.levels.tolist())
    assert abs(mean - value) < 5 * (high - low) / 400


def test_the_name_gives_the_bits():
    assert format_of("pow2_5", axis=-1) == PowerOfTwo(5, -1)


@pytest.mark.parametrize(
    "kwargs, match",
    [
        ({"bits": 1}, r"`bits` must be in 2\.\.7. Received: 1"),
        ({"bits": 8}, r"`bits` must be in 2\.\.7. Received: 8"),
        ({"axis": 0}, "`axis` must be None"),
        ({"domain": "sqrt"}, "`domain` must be 'linear' or 'log'"),
    ],
)
def test_an_impossible_format_is_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        PowerOfTwo(**kwargs)

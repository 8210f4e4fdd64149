import math
from fractions import Fraction

import numpy as np
import pytest

from edgeax.formats import EncodedTensor, LogQuant, TaperedLog, arrays
from edgeax.formats.names import format_of
from edgeax.formats.tapered_log import elma_dot
from tests.formats.in_graph import (
    assert_every_code_returns,
    assert_graph_rounds_as_numpy,
    assert_noise_is_unbiased,
)

ELMA = TaperedLog()


def encoded(x, format=ELMA):
    x = np.asarray(x, np.float32)
    return EncodedTensor(format.encode(x, {}), format, {})


@pytest.mark.parametrize(
    "bits, log",
    [
        # sign, regime, exponent bit, fraction of 1/16
        ("0 10 0 0000", 0),
        ("0 10 1 1000", 1.5),
        ("0 01 1 1111", -2 + 1 + 15 / 16),
        ("0 110 0 001", 2 + 1 / 8),
        ("0 111110 1", 8 + 1),
        ("0 1111111", 12),  # six ones more than the first: k = 6
        ("0 1111110", 10),
        ("0 0000001", -12),
        ("0 0000010", -10),
        ("0 0000011", -9),
    ],
)
def test_the_fields_are_those_worked_out_by_hand(bits, log):
    code = int(bits.replace(" ", ""), 2)
    whole = math.floor(log)
    linear = round(2 ** (log - whole) * 32) / 32  # alpha: 5 fraction bits
    values = ELMA.decode(np.uint8([code, code | 0x80]), {})
    assert values.tolist() == [linear * 2.0**whole, -linear * 2.0**whole]


FORMATS = [
    ELMA,
    TaperedLog(6, 0, 5, 5, 5),
    TaperedLog(4, 1, 2, 2, 2),
    TaperedLog(10, 2, 7, 8, 9),
    TaperedLog(11, 1, 9, 8, 12),
]
each_format = pytest.mark.parametrize("format", FORMATS, ids=str)


@each_format
def test_codes_rise_with_their_values_and_return(format):
    count = 2 ** (format.bits - 1)
    codes = np.arange(2 * count).astype(np.uint8 if format.bits <= 8 else np.uint16)
    values = format.decode(codes, {})
    assert values[0] == 0 and np.isnan(values[count])
    assert np.all(np.diff(values[:count]) > 0)
    np.testing.assert_array_equal(values[count + 1 :], -values[1:count])
    assert_every_code_returns(format, {}, np.delete(codes, count))


def by_tables(x, logs, format):
    """Returns the code of a positive value as the paper's two tables find it, in fractions."""
    mantissa, octave = math.frexp(x)
    steps = round(Fraction(mantissa) * 2 * 2**format.beta)  # Python rounds halves to even
    significand = steps / 2**format.beta
    log = Fraction(octave - 1) + Fraction(
        round(math.log2(significand) * 2**format.gamma), 2**format.gamma
    )
    distances = [(abs(log - one), code % 2, code) for code, one in enumerate(logs, start=1)]
    return min(distances)[2]


@each_format
def test_a_value_gets_the_code_that_both_tables_give(format):
    rng = np.random.default_rng(0)
    smallest = float(format.table[1])
    x = 2 ** rng.uniform(np.log2(smallest) - 0.9, np.log2(format.levels[-1]) + 1, 60)
    ties = np.arange(2**5) / 2**5 + 1 + 2**-6  # where the significand is halfway or exact
    x = np.concatenate([x, ties, ties / 16 - 2**-10]).astype(np.float32)
    logs = [Fraction(int(log), 2**format.fraction_bits) for log in format.logs]
    assert format.encode(x, {}).tolist() == [by_tables(float(value), logs, format) for value in x]
    minus = np.asarray(format.encode(-x, {}), np.int64)
    assert (minus - 2 ** (format.bits - 1)).tolist() == format.encode(x, {}).tolist()


def test_half_of_the_smallest_magnitude_is_zero_and_more_is_not():
    half = np.float32(2.0**-13)
    above = np.nextafter(half, np.float32(1))
    rounded = ELMA.rounded(np.float32([half, -half, above, -above, 1e9, -1e9]), {}, arrays)
    assert rounded.tolist() == [0, 0, 2.0**-12, -(2.0**-12), 4096, -4096]


@each_format
def test_joh18_elma_dot_is_the_exact_sum_of_the_products(format):
    rng = np.random.default_rng(0)
    x = encoded(rng.normal(size=300), format)
    y = encoded(rng.standard_t(2, 300), format)
    total = Fraction(0)
    half = 2 ** (format.bits - 1)
    for a, b in zip(x.codes.tolist(), y.codes.tolist(), strict=True):
        if a % half and b % half:
            # The log of a product, the sum of the logs, becomes linear with alpha bits.
            log = int(format.logs[a % half - 1]) + int(format.logs[b % half - 1])
            whole, part = divmod(log, 2**format.fraction_bits)
            linear = round(2 ** (part / 2**format.fraction_bits) * 2**format.alpha)
            term = Fraction(linear, 2**format.alpha) * Fraction(2) ** whole
            total += -term if (a >= half) != (b >= half) else term
    assert elma_dot(x, y) == float(total)


def test_joh18_sums_that_floats_would_lose_are_kept():
    # 4096**2 + 2**-24 - 4096**2: float32 and float64 sums lose the middle one.
    x = encoded([4096, 2.0**-12, -4096])
    y = encoded([4096, 2.0**-12, 4096])
    assert np.sum(x.decode() * y.decode(), dtype=np.float32) == 0
    assert elma_dot(x, y) == 2.0**-24


def test_elma_dot_takes_scales():
    x, y = encoded([1.0, 2.0]), encoded([4.0, -1.0])
    x = EncodedTensor(x.codes, x.format, {"scale": np.float32(0.5)})
    assert elma_dot(x, y) == 1.0


def test_elma_dot_rejects_other_vectors():
    x = encoded([1.0, 2.0])
    with pytest.raises(ValueError, match="one TaperedLog format"):
        elma_dot(x, encoded([1.0, 2.0], FORMATS[1]))
    powers = LogQuant(4).fit(np.float32([1, 2]))
    logs = EncodedTensor(np.uint8([1, 2]), LogQuant(4), powers)
    with pytest.raises(ValueError, match="one TaperedLog format"):
        elma_dot(logs, logs)
    with pytest.raises(ValueError, match="vectors of one length"):
        elma_dot(x, encoded([1.0]))


@pytest.mark.parametrize("format", [ELMA, FORMATS[3]], ids=str)
def test_the_graph_rounds_as_numpy_does(format):
    assert_graph_rounds_as_numpy(format)


def test_random_rounding_is_unbiased():
    assert_noise_is_unbiased(ELMA, [1.02, -3.3, 0.01, 1000], {}, 0.02)


def test_a_name_is_a_format():
    assert format_of("elma8") == ELMA


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"width": 3}, "`width` must be in 4..12. Received: 3"),
        ({"exponent_bits": 3}, "`exponent_bits` must be in 0..2 when width=8. Received: 3"),
        ({"alpha": 4}, "`alpha` must be in 5..15"),
        ({"beta": 4}, "`beta` must be in 5..15"),
        ({"gamma": 16}, "`gamma` must be in 5..15"),
    ],
)
def test_settings_out_of_range_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        TaperedLog(**arguments)

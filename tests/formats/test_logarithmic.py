import math
from fractions import Fraction

import numpy as np
import pytest

from edgeax.formats import EncodedTensor, Integer, LogarithmicNumber, LogQuant, arrays
from edgeax.formats.logarithmic import shift_dot
from edgeax.formats.names import format_of
from tests.formats.in_graph import (
    assert_every_code_returns,
    assert_graph_rounds_as_numpy,
    assert_noise_is_unbiased,
)

ONE = {"scale": np.float32(1)}


def encoded(format, x):
    x = np.asarray(x, np.float32)
    params = format.fit(x)
    return EncodedTensor(format.encode(x, params), format, params)


@pytest.mark.parametrize("width, half_steps", [(w, h) for h in (False, True) for w in range(2, 8)])
def test_every_code_is_a_power_worked_out_one_by_one(width, half_steps):
    format = LogQuant(width, half_steps)
    top = 2 ** (width - 1) - 1
    step = 0.5 if half_steps else 1.0
    codes = np.arange(2**width).astype(np.uint8)
    values = format.decode(codes, {"scale": np.float32(8)})
    for code in range(1, top + 1):
        power = 8 * 2.0 ** (step * (code - top))
        assert values[code] == np.float32(power)
        assert values[code + top + 1] == -np.float32(power)
    assert values[0] == 0 and np.isnan(values[top + 1])
    assert_every_code_returns(format, {"scale": np.float32(8)}, np.delete(codes, top + 1))


def test_hcs17_a_value_is_2_to_its_rounded_logarithm():
    x = np.random.default_rng(0).lognormal(0, 2, 20000).astype(np.float32)
    x[::2] *= -1
    for format, step in [(LogQuant(5), 1.0), (LogQuant(7, half_steps=True), 0.5)]:
        values = encoded(format, x).decode()
        highest = np.ceil(np.log2(np.abs(x).max()) - step / 2)
        lowest = highest + step * (2 - 2 ** (format.bits - 1))  # FSR - 1 and FSR - 2**b + 1
        rounded = np.round(np.log2(np.abs(x.astype(np.float64))) / step) * step
        expected = np.sign(x) * 2.0 ** np.clip(rounded, lowest, highest)
        np.testing.assert_array_equal(values, expected.astype(np.float32))


def test_mlm16_rounding_is_in_the_logarithm_to_the_last_bit():
    # Between 1/2 and 1 the border is sqrt(1/2), which is no float32.
    border = np.float32(math.sqrt(0.5))
    assert Fraction(float(border)) ** 2 < Fraction(1, 2)
    above = np.nextafter(border, np.float32(1))
    x = np.float32([border, above, -border, -above])
    assert LogQuant(4).rounded(x, ONE, arrays).tolist() == [0.5, 1.0, -0.5, -1.0]
    # The scale's border is the same one: sqrt(2) is above 1.41421354.
    for largest, scale in [(1.4142135, 1.0), (1.4142137, 2.0)]:
        assert LogQuant(4).fit(np.float32([largest, 0.1]))["scale"] == scale


def test_only_zero_becomes_zero_and_large_values_are_clipped():
    x = np.float32([0.0, -0.0, 1e-5, -1e-5, 7.0, -9e9])
    lowest = 2.0**-6
    assert LogQuant(4).rounded(x, ONE, arrays).tolist() == [0, 0, lowest, -lowest, 1, -1]


def test_mlm16_dot_by_shifts_is_the_dot_of_the_values():
    rng = np.random.default_rng(0)
    for width in (3, 4, 5, 6):
        w = encoded(LogQuant(width), rng.normal(0, 0.1, 200))
        x = encoded(LogQuant(5), np.maximum(rng.normal(0, 20, 200), 0))
        pairs = zip(w.decode().tolist(), x.decode().tolist(), strict=True)
        exact = sum(Fraction(a) * Fraction(b) for a, b in pairs)
        assert shift_dot(w, x) == float(exact)
        in_floats = w.decode().astype(np.float64) @ x.decode().astype(np.float64)
        assert shift_dot(w, x) == pytest.approx(in_floats, rel=1e-12)


def test_mlm16_half_steps_have_half_the_error_in_the_logarithm():
    x = np.random.default_rng(0).uniform(0.2, 1, 5000).astype(np.float32)
    for half_steps, largest in [(False, 0.5), (True, 0.25)]:
        values = encoded(LogQuant(6, half_steps), x).decode()
        error = np.abs(np.log2(values / x))
        assert 0.98 * largest < error.max() <= largest * 1.000001


@pytest.mark.parametrize("integer_bits, fraction_bits", [(4, 3), (2, 0), (5, 2), (7, 8), (3, 12)])
def test_fml10_lns_is_2_to_a_fixed_point_exponent(integer_bits, fraction_bits):
    format = LogarithmicNumber(integer_bits, fraction_bits)
    half = 2 ** (integer_bits + fraction_bits - 1)
    codes = np.arange(2**format.bits).astype(np.uint8 if format.bits <= 8 else np.uint16)
    values = format.decode(codes, {})
    exponents = [n / 2**fraction_bits for n in range(-half + 1, half)]
    assert values[1 : 2 * half].tolist() == [float(np.float32(2.0**e)) for e in exponents]
    np.testing.assert_array_equal(values[2 * half + 1 :], -values[1 : 2 * half])
    assert values[0] == 0 and np.isnan(values[2 * half])
    assert max(exponents) == 2 ** (integer_bits - 1) - 2.0**-fraction_bits
    assert_every_code_returns(format, {}, np.delete(codes, 2 * half))
    # Nearest in the logarithm; half of the smallest magnitude is not yet zero.
    x = 2 ** np.random.default_rng(0).uniform(exponents[0], exponents[-1], 2000)
    logs = np.log2(format.decode(format.encode(x, {}), {}).astype(np.float64))
    # x is rounded to float32 first.
    assert np.abs(logs - np.log2(x)).max() <= 2.0**-fraction_bits / 2 * 1.001
    smallest = np.float32(2.0 ** exponents[0])
    below = np.nextafter(smallest / 2, np.float32(0))
    assert format.rounded(np.float32([smallest / 2, below]), {}, arrays).tolist() == [smallest, 0]


@pytest.mark.parametrize(
    "format",
    [
        LogQuant(4),
        LogQuant(2),
        LogQuant(7, axis=-1),
        LogQuant(8, half_steps=True),
        LogarithmicNumber(4, 3),
        LogarithmicNumber(7, 4),
    ],
    ids=str,
)
def test_the_graph_rounds_as_numpy_does(format):
    assert_graph_rounds_as_numpy(format)


def test_random_rounding_is_unbiased():
    assert_noise_is_unbiased(LogQuant(4), [0.3, -0.7, 0.05, 0.005], ONE, 0.03)


def test_batch_norm_folds_into_the_scale():
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    gain = np.float32([2, -0.3, 0])
    for format in (LogQuant(4), LogarithmicNumber(4, 3)):
        before = encoded(format, x)
        np.testing.assert_allclose(before.scaled(gain).decode(), before.decode() * gain, 1e-6)


def test_a_name_is_a_format():
    assert format_of("log4", axis=-1) == LogQuant(4, axis=-1)
    assert format_of("lns5_2") == LogarithmicNumber(5, 2)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: LogQuant(1), "`width` must be in 2..7 when half_steps=False.*Received: 1"),
        (lambda: LogQuant(8), "`width` must be in 2..7"),
        (lambda: LogQuant(9, half_steps=True), "`width` must be in 2..8 when half_steps=True"),
        (lambda: LogQuant(4, axis=0), "`axis` must be None"),
        (lambda: LogarithmicNumber(8, 0), "`integer_bits` must be in 2..7. Received: 8"),
        (lambda: LogarithmicNumber(4, 12), "`fraction_bits` must be in 0..11 when integer_bits=4"),
    ],
)
def test_settings_out_of_range_are_rejected(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_only_vectors_of_powers_of_two_are_multiplied_by_shifts():
    x = encoded(LogQuant(4), [1.0, 2.0])
    with pytest.raises(ValueError, match="vectors of one length"):
        shift_dot(x, encoded(LogQuant(4), [1.0]))
    for other in (LogQuant(4, half_steps=True), LogQuant(4, axis=-1), Integer(4)):
        with pytest.raises(ValueError, match="LogQuant without half steps"):
            shift_dot(x, encoded(other, [1.0, 2.0]))

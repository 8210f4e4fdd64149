import math

import numpy as np
import pytest

from edgeax.formats import rounding
from tests.golden import cases

GOLDEN = cases.load("rounding.json")
INT32 = np.iinfo(np.int32)


@pytest.mark.parametrize(
    "ratio, expected",
    [
        # The first four are the expectations of TFLite's own quantization_util_test.
        (0.25, (1 << 30, -1)),
        (1 - 5e-9, (2147483637, 0)),
        (1 - 1e-10, (1 << 30, 1)),
        (50 - 5e-9, (1677721600, 6)),
        (0.75, (0x60000000, 0)),
        (-0.75, (-0x60000000, 0)),
        (1.0, (1 << 30, 1)),
        (0.0, (0, 0)),
        (2.0**-32, (1 << 30, -31)),
        (2.0**-33, (0, 0)),
        (-(2.0**40), (-INT32.max, 30)),
    ],
)
def test_quantize_multiplier_gives_the_known_pairs(ratio, expected):
    assert rounding.quantize_multiplier(ratio) == expected


def test_quantize_multiplier_equals_the_golden_vectors():
    for ratio, multiplier, shift in GOLDEN["quantize_multiplier"]:
        assert rounding.quantize_multiplier(float.fromhex(ratio)) == (multiplier, shift), ratio


def test_a_multiplier_is_within_half_a_unit_of_the_ratio():
    source = np.random.default_rng(1)
    for ratio in np.exp2(source.uniform(-31, 29.9, 2000)) * source.choice([-1, 1], 2000):
        multiplier, shift = rounding.quantize_multiplier(ratio)
        assert abs(math.ldexp(multiplier, shift - 31) / ratio - 1) <= 2.0**-31
        assert math.copysign(1, multiplier) == math.copysign(1, ratio)


@pytest.mark.parametrize("ratio", [math.nan, math.inf, -math.inf])
def test_a_ratio_that_is_not_finite_is_rejected(ratio):
    with pytest.raises(ValueError, match="`ratio` must be finite"):
        rounding.quantize_multiplier(ratio)


@pytest.mark.parametrize(
    "kind, acc, expected",
    [
        ("single", [1, 3, 5, -1, -3, -5], [1, 2, 3, 0, -1, -2]),  # halves up
        ("double", [1, 3, 5, -1, -3, -5], [1, 2, 3, -1, -2, -3]),  # halves away from zero
    ],
)
def test_halves_are_rounded_as_the_kind_says(kind, acc, expected):
    # 2**30 * 2**(0 - 31) is 1/2; "double" rounds halves in its shift: 2**30 * 2 >> 2.
    assert rounding.requantize(np.int32(acc), 1 << 30, 0, "single").tolist() == [
        math.floor(x / 2 + 0.5) for x in acc
    ]
    quarter = rounding.requantize(np.int32(acc) * 2, 1 << 30, -1, kind)
    assert quarter.tolist() == expected


def test_two_roundings_differ_from_one():
    # The factor 0.15 is 0.6 / 4. 3 * 0.15 = 0.45 gives 0; in two steps 3 * 0.6 = 1.8 gives 2 and
    # 2 / 4 gives 1. 5 * 0.15 = 0.75 gives 1 either way.
    multiplier, shift = round(0.6 * 2**31), -2
    acc = np.int32([5, 3])
    assert rounding.requantize(acc, multiplier, shift, "single").tolist() == [1, 0]
    assert rounding.requantize(acc, multiplier, shift, "double").tolist() == [1, 1]


def test_requantize_equals_the_golden_vectors():
    for case in GOLDEN["requantize"]:
        factor = case["multiplier"], case["shift"]
        out = rounding.requantize(np.array(case["acc"], np.int32), *factor, case["kind"])
        assert out.tolist() == case["out"], case
        assert out.dtype == np.int32


@pytest.mark.parametrize("kind", rounding.KINDS)
def test_each_channel_is_scaled_by_its_own_factor(kind):
    source = np.random.default_rng(2)
    acc = source.integers(INT32.min, INT32.max, (5, 4)).astype(np.int32)
    factors = [rounding.quantize_multiplier(ratio) for ratio in (0.3, -1e-3, 0.0, 7.5)]
    multiplier, shift = np.array(factors).T
    together = rounding.requantize(acc, multiplier, shift, kind)
    for channel, factor in enumerate(factors):
        alone = rounding.requantize(acc[:, channel], *factor, kind)
        assert np.array_equal(together[:, channel], alone)


@pytest.mark.parametrize("kind", rounding.KINDS)
def test_every_16_bit_sum_equals_the_exact_reference(kind):
    acc = np.arange(-(2**15), 2**15, dtype=np.int32)
    multiplier, shift = rounding.quantize_multiplier(-0.0123)
    expected = [cases.requantize(x, multiplier, shift, kind) for x in acc.tolist()]
    assert rounding.requantize(acc, multiplier, shift, kind).tolist() == expected


def test_an_unknown_kind_is_rejected():
    with pytest.raises(ValueError, match=r"`kind` must be one of.*Received: 'triple'"):
        rounding.requantize(np.int32([1]), 1, 0, "triple")


def test_sums_must_be_int32():
    with pytest.raises(ValueError, match="`acc` must be int32. Received: int64"):
        rounding.requantize(np.int64([1]), 1, 0, "single")


@pytest.mark.parametrize("shift", [31, -32])
def test_a_shift_outside_its_range_is_rejected(shift):
    with pytest.raises(ValueError, match=r"`shift` must lie in \[-31, 30\]"):
        rounding.requantize(np.int32([1]), 1, shift, "single")


def test_a_multiplier_beyond_int32_is_rejected():
    with pytest.raises(ValueError, match="`multiplier` must be int32"):
        rounding.requantize(np.int32([1]), 1 << 31, 0, "single")

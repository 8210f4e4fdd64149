import math
from fractions import Fraction

import keras
import numpy as np
import pytest

from edgeax.formats import (
    BlockFloat,
    DynamicFixedPoint16,
    EncodedTensor,
    Flex16,
    HybridBlockFloat,
    MuppetFloat,
    SmallBlockFloat,
    arrays,
)
from edgeax.formats.names import format_of
from tests.formats.in_graph import assert_graph_rounds_as_numpy, assert_noise_is_unbiased

ALL = [
    BlockFloat(8),
    BlockFloat(4, axis=-1),
    BlockFloat(16, axis=0),
    HybridBlockFloat(8),
    HybridBlockFloat(4, tile=4),
    HybridBlockFloat(12, blocks="sample"),
    SmallBlockFloat(8),
    SmallBlockFloat(8, axis=0),
    MuppetFloat(8),
    MuppetFloat(12),
    Flex16(),
    DynamicFixedPoint16(),
]
each_format = pytest.mark.parametrize("format", ALL, ids=str)


def encoded(format, x):
    params = format.fit(x)
    return EncodedTensor(format.encode(x, params), format, params)


@each_format
def test_the_graph_rounds_as_numpy_does(format):
    assert_graph_rounds_as_numpy(format)


@each_format
def test_every_code_decodes_to_its_definition_and_back(format):
    low, high = format.code_range
    codes = np.arange(low, high + 1).astype(np.int8 if format.bits <= 8 else np.int16)
    for exponent in (-125, -7, 0, 100):
        params = {"exponent": np.int8(exponent)}
        values = format.decode(codes, params)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, np.ldexp(codes.astype(np.float64), exponent))
        again = format.encode(values, params)
        assert again.dtype == codes.dtype
        np.testing.assert_array_equal(again, codes)


@each_format
def test_random_rounding_is_unbiased(format):
    assert_noise_is_unbiased(format, [1.3, -2.7, 6.5, 0.25], {"exponent": np.int8(0)}, 0.03)


@each_format
def test_a_known_range_is_fitted_by_its_ends(format):
    ends = np.float32([-1.0, 3.0])
    params = format.found(keras.ops.convert_to_tensor(ends), keras.ops)
    batch = np.float32([[-1.0, 0.5, 3.0], [2.0, 0.1, 0.0]])
    rounded = format.rounded(keras.ops.convert_to_tensor(batch), params, keras.ops)
    assert np.asarray(params["exponent"]).shape == ()
    # A value may be half a step off, the largest a whole one: it may be clipped.
    step = 2.0 ** int(params["exponent"])
    assert step <= 3 / 2 ** (format.bits - 2)
    np.testing.assert_allclose(np.asarray(rounded), batch, atol=step)


@pytest.mark.parametrize("format", [f for f in ALL if f != ALL[5]], ids=str)  # not for weights
def test_batch_norm_folds_into_a_scale_and_channels_can_be_taken(format):
    x = np.random.default_rng(0).normal(size=(50, 30)).astype(np.float32)
    gain = np.random.default_rng(1).normal(size=30).astype(np.float32)
    before = encoded(format, x)
    np.testing.assert_array_equal(before.scaled(gain).decode(), before.decode() * gain)
    part = before.channels(slice(20, 30))
    np.testing.assert_array_equal(part.decode(), before.decode()[:, 20:])


def test_the_rules_differ_where_the_papers_do():
    # max = 6: floor(log2) = 2, ceil = 3; MuPPET: 127.5 / 6 = 21.25, so 2**4.
    x = np.float32([6.0, -1.0])
    steps = {type(f): int(f.fit(x)["exponent"]) for f in ALL if f.bits in (8, 9)}
    assert steps == {BlockFloat: -4, HybridBlockFloat: -5, SmallBlockFloat: -4, MuppetFloat: -4}
    # max = 7.99: MuPPET's 127.5 / 7.99 = 15.96 allows 2**3 only, the others do not mind.
    x = np.float32([7.99, -1.0])
    assert int(BlockFloat(8).fit(x)["exponent"]) == -4
    assert int(MuppetFloat(8).fit(x)["exponent"]) == -3
    # max = 4, a power of two: rounded up it stays, and the value itself is clipped by one step.
    x = np.float32([4.0, -1.0])
    assert encoded(HybridBlockFloat(8), x).decode().tolist() == [4 - 2**-6, -1.0]
    assert encoded(SmallBlockFloat(8), x).decode().tolist() == [4.0, -1.0]
    # Two's complement reaches one code further down; the others are symmetric.
    ends = {type(f): f.code_range for f in ALL if f.bits in (8, 9)}
    assert ends[BlockFloat] == (-127, 127)
    assert ends[SmallBlockFloat] == ends[MuppetFloat] == (-128, 127)
    assert ends[HybridBlockFloat] == (-255, 255)


@pytest.mark.parametrize("width", [6, 8, 12])
def test_slw17_noise_is_as_the_paper_predicts(width):
    rng = np.random.default_rng(0)
    w = (rng.normal(size=(4000, 16)) * 2.0 ** rng.uniform(-6, 6, 16)).astype(np.float32)
    stored = encoded(BlockFloat(width, axis=-1), w)
    # The block's exponent is that of its largest magnitude; L bits follow the leading one.
    exponent = np.floor(np.log2(np.abs(w).max(axis=0)))
    variance = 2.0 ** (-2 * (width - 2)) / 12 * 2.0 ** (2 * exponent)
    measured = np.mean((stored.decode() - w) ** 2, axis=0)
    assert np.abs(10 * np.log10(measured / variance)).max() < 0.5


def test_slw17_a_vector_and_a_whole_input_are_one_block():
    x = np.float32([[1.0, 4.0], [2.0, 64.0]])
    assert BlockFloat(8).fit(x)["exponent"] == 0
    assert BlockFloat(8, axis=-1).fit(x)["exponent"].tolist() == [-5, 0]
    assert BlockFloat(8, axis=0).fit(x)["exponent"].tolist() == [[-4], [0]]
    assert BlockFloat(8, axis=-1).fit(x[0])["exponent"] == -4


def test_lls19_16_by_8_bit_dot_by_shifts_is_exact():
    rng = np.random.default_rng(0)
    x = encoded(BlockFloat(16, axis=0), rng.normal(size=(1, 300)).astype(np.float32))
    w = encoded(BlockFloat(8, axis=-1), rng.normal(size=(300, 4)).astype(np.float32))
    integers = x.codes.astype(np.int64) @ w.codes.astype(np.int64)
    by_shifts = np.ldexp(
        integers.astype(np.float64), int(x.params["exponent"].item()) + w.params["exponent"]
    )
    assert np.abs(integers).max() < 2**31
    for channel in range(4):
        products = zip(x.decode()[0].tolist(), w.decode()[:, channel].tolist(), strict=True)
        exact = sum(Fraction(a) * Fraction(b) for a, b in products)
        assert Fraction(by_shifts[0, channel]) == exact


def test_dtjf18_tiles_of_24_by_24_have_their_own_exponent():
    rng = np.random.default_rng(0)
    w = (rng.normal(size=(5, 10, 60)) * 2.0 ** rng.uniform(-5, 5, 60)).astype(np.float32)
    stored = encoded(HybridBlockFloat(8), w)
    matrix, values = w.reshape(50, 60), stored.decode().reshape(50, 60)
    for row in range(0, 50, 24):
        for column in range(0, 60, 24):
            tile = np.s_[row : row + 24, column : column + 24]
            exponent = math.ceil(math.log2(np.abs(matrix[tile]).max()))
            interval = 2.0 ** (exponent - 8)
            nearest = np.round(matrix[tile].astype(np.float64) / interval) * interval
            limit = 2.0**exponent - interval
            np.testing.assert_array_equal(values[tile], np.clip(nearest, -limit, limit))
    whole = encoded(HybridBlockFloat(8, tile=1000), w)
    assert np.mean((stored.decode() - w) ** 2) < np.mean((whole.decode() - w) ** 2)
    assert stored.size_bits == w.size * 9 + 9 * 8  # 3 x 3 tiles
    with pytest.raises(ValueError, match=r"must have shape \(3, 60\).*Received: \(1, 60\)"):
        stored.format.decode(stored.codes, {"exponent": stored.params["exponent"][:1]})


def test_dtjf18_activations_have_an_exponent_per_sample():
    x = np.float32([[[1.5], [0.2]], [[100.0], [3.0]]])
    params = HybridBlockFloat(8, blocks="sample").fit(x)
    assert params["exponent"].tolist() == [[[1 - 8]], [[7 - 8]]]


def test_yzk19_rounds_down_after_adding_noise():
    # max = 3: exponent 1, 6 bits behind it for 8 bits: a step of 2**-5.
    x = np.float32([3.0, 1.0 + 0.3 * 2**-5, -0.4 * 2**-5])
    format = SmallBlockFloat(8)
    params = format.fit(x)
    assert params["exponent"] == -5
    for u, expected in [(0.0, [96, 32, -1]), (0.5, [96, 32, 0]), (0.8, [96, 33, 0])]:
        noise = np.full(3, u, np.float32)
        steps = np.float32(format.rounded(x, params, arrays, noise)) * 2**5
        assert steps.tolist() == expected
    # A block is an output channel.
    w = np.float32([[3.0, 0.1], [1.0, -0.3]])
    assert format.fit(w)["exponent"].tolist() == [-5, -8]


@pytest.mark.parametrize("width", [8, 12, 14, 16])
def test_rvvb20_scale_factor_is_the_papers_formula(width):
    rng = np.random.default_rng(width)
    format = MuppetFloat(width)
    high, low = 2 ** (width - 1) - 1, 2 ** (width - 1)
    cases = [np.float32(rng.normal(size=2) * 10.0 ** rng.uniform(-8, 8)) for _ in range(300)]
    # On the very edge of the next power of two, and a float32 beyond it.
    cases += [np.float32([high + 0.5, -1]), np.float32([1, -(low + 0.5)])]
    cases += [np.nextafter(case, np.float32(2) * case) for case in cases[-2:]]
    for x in cases:
        positive, negative = Fraction(max(float(x.max()), 0)), Fraction(max(-float(x.min()), 0))
        exponent = int(format.fit(x)["exponent"])

        def fits(e, positive=positive, negative=negative):
            two = Fraction(2) ** -e  # floor(log2(r)) is the largest k with 2**k <= r
            return positive * two <= high + Fraction(1, 2) and negative * two <= low + Fraction(
                1, 2
            )

        assert fits(exponent) and not fits(exponent - 1)
        codes = np.round(x.astype(np.float64) * 2.0**-exponent)
        np.testing.assert_array_equal(format.encode(x, format.fit(x)), np.clip(codes, -low, high))


def test_kww17_flex16_5_holds_what_its_5_bits_reach():
    # 2**ceil(log2 x) from 2**-16 to 2**15 bounds the values; 15 bits lie below it.
    for largest, exponent in [(3.0, 2), (4.0, 2), (2.0**-20, -16), (2.0**15, 15), (1e9, 15)]:
        assert Flex16().fit(np.float32([largest, 0.0]))["exponent"] == exponent - 15
    x = np.float32([1e9, -1e9, 2.0**-20])
    assert encoded(Flex16(), x).decode().tolist() == [32767.0, -32768.0, 0.0]
    x = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    bound = 2.0 ** np.ceil(np.log2(np.abs(x).max()))
    assert np.abs(encoded(Flex16(), x).decode() - x).max() <= bound * 2.0**-16


def test_dmm18_integer_dot_is_the_dot_of_what_is_stored():
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=500).astype(np.float32) * 10.0**p for p in (-12, 3))
    x, y = (encoded(DynamicFixedPoint16(), v.astype(np.float32)) for v in (x, y))
    integer = int(x.codes.astype(np.int64) @ y.codes.astype(np.int64))
    exponent = int(x.params["exponent"]) + int(y.params["exponent"])  # the product adds them
    by_value = x.decode().astype(np.float64) @ y.decode().astype(np.float64)
    assert math.ldexp(integer, exponent) == pytest.approx(by_value, rel=1e-14)
    # max = 3: up to 2**2, less 15 bits; exactly a power of two stays that one.
    assert DynamicFixedPoint16().fit(np.float32([1.0, -3.0]))["exponent"] == 2 - 15
    assert DynamicFixedPoint16().fit(np.float32([1.0, -4.0]))["exponent"] == 2 - 15


@pytest.mark.parametrize(
    "name, expected",
    [
        ("bfp8", BlockFloat(8)),
        ("hbfp8", HybridBlockFloat(8)),
        ("swalp8", SmallBlockFloat(8)),
        ("muppet12", MuppetFloat(12)),
        ("flex16_5", Flex16()),
        ("dfp16", DynamicFixedPoint16()),
    ],
)
def test_a_name_is_a_format(name, expected):
    assert format_of(name) == expected


def test_a_name_takes_an_axis():
    assert format_of("bfp4", axis=-1) == BlockFloat(4, axis=-1)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: BlockFloat(1), "`width` must be in 2..16. Received: 1"),
        (lambda: BlockFloat(8, axis=1), "`axis` must be None"),
        (lambda: HybridBlockFloat(16), "`mantissa_bits` must be in 1..15. Received: 16"),
        (lambda: HybridBlockFloat(8, blocks="row"), "`blocks` must be 'tile' or 'sample'"),
        (lambda: HybridBlockFloat(8, tile=0), "`tile` must be at least 1"),
        (lambda: SmallBlockFloat(17), "`width` must be in 2..16"),
        (lambda: SmallBlockFloat(8, axis=2), "`axis` must be None"),
        (lambda: MuppetFloat(0), "`width` must be in 2..16"),
    ],
)
def test_settings_out_of_range_are_rejected(make, message):
    with pytest.raises(ValueError, match=message):
        make()

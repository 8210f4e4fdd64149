from fractions import Fraction

import numpy as np
import pytest

from edgeax.formats import Integer

BITS = range(2, 9)


@pytest.mark.parametrize(
    "bits, narrow, x, scale, codes",
    [
        (8, True, [0.0, 127.0, -63.5, 2.5, 3.5, -2.5], 1.0, [0, 127, -64, 2, 4, -2]),
        (8, True, [-1.0, 0.5], 1 / 127, [-127, 64]),  # 0.5 * 127 = 63.5, half to even
        (4, True, [-14.0, 3.0, 1.0], 2.0, [-7, 2, 0]),  # 1.5 and 0.5: halves to even
        (4, False, [-14.0, 3.0, 14.0], 2.0, [-7, 2, 7]),
        (2, True, [3.0, -1.0, -2.0], 3.0, [1, 0, -1]),
        (2, False, [3.0, -5.0], 5.0, [1, -1]),
    ],
)
def test_symmetric_scale_and_codes_are_those_worked_out_by_hand(bits, narrow, x, scale, codes):
    grid = Integer(bits, narrow=narrow)
    params = grid.fit(np.float32(x))
    assert params["scale"] == np.float32(scale)
    assert params["scale"].dtype == np.float32
    assert grid.encode(np.float32(x), params).tolist() == codes


def test_the_lowest_code_is_used_only_when_not_narrow():
    x, params = np.float32([-100.0, 100.0]), {"scale": np.float32(1)}
    assert Integer(4).encode(x, params).tolist() == [-7, 7]
    assert Integer(4, narrow=False).encode(x, params).tolist() == [-8, 7]


def test_each_output_channel_gets_its_own_scale():
    x = np.float32([[[1.0, 10.0, 0.0]], [[-2.0, 5.0, 0.0]]])
    params = Integer(8, axis=-1).fit(x)
    assert np.array_equal(params["scale"], np.float32([2, 10, 127]) / np.float32(127))
    codes = Integer(8, axis=-1).encode(x, params)
    assert codes.tolist() == [[[64, 127, 0]], [[-127, 64, 0]]]  # 63.5 goes to the even 64


@pytest.mark.parametrize(
    "x, scale, zero_point, codes",
    [
        # 0..255 in steps of 1: zero is the lowest code.
        ([0.0, 255.0, 100.0], 1.0, -128, [-128, 127, -28]),
        # -1..254: zero lies one step above the lowest code.
        ([-1.0, 254.0, 0.0], 1.0, -127, [-128, 127, -127]),
        # Only positive or only negative values: the range is widened to contain 0.
        ([51.0, 510.0], 2.0, -128, [-102, 127]),  # 25.5 steps: half to even gives 26
        ([-51.0, -510.0], 2.0, 127, [101, -128]),  # -25.5 gives -26
        # -0.4..254.6: zero lies 0.4 steps up, nudged to the lowest code.
        ([-0.4, 254.6], 1.0, -128, [-128, 127]),
        # -0.5..254.5: half a step is rounded away from zero.
        ([-0.5, 254.5], 1.0, -127, [-127, 127]),
    ],
)
def test_affine_params_and_codes_are_those_worked_out_by_hand(x, scale, zero_point, codes):
    grid = Integer(8, symmetric=False)
    params = grid.fit(np.float32(x))
    assert params["scale"] == np.float32(scale)
    assert params["zero_point"] == zero_point
    assert params["zero_point"].dtype == np.int32
    assert grid.encode(np.float32(x), params).tolist() == codes


def test_affine_per_channel_equals_each_channel_alone():
    x = np.random.default_rng(3).normal(1, 2, size=(50, 4)).astype(np.float32)
    params = Integer(6, symmetric=False, axis=-1).fit(x)
    for channel in range(4):
        alone = Integer(6, symmetric=False).fit(x[:, channel])
        assert params["scale"][channel] == alone["scale"]
        assert params["zero_point"][channel] == alone["zero_point"]


def test_a_known_range_is_fitted_by_its_ends():
    x = np.random.default_rng(4).normal(size=(50, 4)).astype(np.float32)
    grid = Integer(8, symmetric=False, axis=-1)
    ends = grid.fit(np.stack([x.min(0), x.max(0)]))
    assert all(np.array_equal(ends[key], value) for key, value in grid.fit(x).items())


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("symmetric, narrow", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("scale", [1.0, 0.1, 1e-30, 3e30, -0.7])
def test_every_code_decodes_to_its_definition_and_back(bits, symmetric, narrow, scale):
    grid = Integer(bits, symmetric=symmetric, narrow=narrow)
    low = -(2 ** (bits - 1)) + (symmetric and narrow)
    codes = np.arange(low, 2 ** (bits - 1), dtype=np.int8)
    for zero_point in [0] if symmetric else codes:
        params = {"scale": np.float32(scale), "zero_point": np.int32(zero_point)}
        values = grid.decode(codes, params)
        exact = [Fraction(float(np.float32(scale))) * (int(c) - int(zero_point)) for c in codes]
        assert values.tolist() == [float(np.float32(float(value))) for value in exact]
        assert np.array_equal(grid.encode(values, params), codes)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", BITS)
def test_every_float16_within_the_range_gets_its_nearest_code(bits, symmetric):
    x = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    x = x[np.isfinite(x) & (np.abs(x) <= 3)]
    grid = Integer(bits, symmetric=symmetric)
    params = grid.fit(x)
    error = np.abs(grid.decode(grid.encode(x, params), params).astype(np.float64) - x)
    # A symmetric affine range lies half a step off the codes: its ends are a step away.
    half = float(params["scale"]) * (0.5 if symmetric else 1.0)
    assert error.max() <= half * (1 + 1e-5)


def test_the_quotient_is_rounded_in_float32():
    # x / scale is just below 14.5: float32 rounds it to 14.5 and that to the even 14; for the
    # next odd code the same happens upward.
    found = []
    for code in range(1, 126):
        scale = np.float32(0.1)
        x = np.float32(float(Fraction(float(scale)) * Fraction(2 * code + 1, 2)))
        exact = Fraction(float(x)) / Fraction(float(scale))
        in_float32 = np.float32(float(exact))  # the exact quotient rounded to 53, then 24 bits
        if exact != Fraction(2 * code + 1, 2) and in_float32 == code + 0.5:
            found.append((x, code + code % 2))
    assert len(found) > 10
    x, codes = np.float32([x for x, _ in found]), [code for _, code in found]
    assert Integer(8).encode(x, {"scale": np.float32(0.1)}).tolist() == codes


def test_the_scale_is_divided_in_float32():
    tf = pytest.importorskip("tensorflow")
    tops = np.random.default_rng(5).uniform(1e-3, 10, 1000).astype(np.float32)
    fitted = Integer(7, axis=-1).fit(tops[np.newaxis])
    assert np.array_equal(fitted["scale"], (tf.constant(tops) / 63.0).numpy())


def test_a_far_value_is_clipped_to_the_end_of_the_range():
    params = {"scale": np.float32(1e-38), "zero_point": np.int32(3)}
    x = np.float32([3e38, -3e38])
    assert Integer(8, symmetric=False).encode(x, params).tolist() == [127, -128]


def test_a_range_too_small_for_a_normal_float32_scale_gives_scale_one():
    params = Integer(8).fit(np.float32([1e-38, 0.0]))
    assert params["scale"] == 1


def test_an_empty_tensor_gives_scale_one():
    assert Integer(8).fit(np.zeros((0, 3)))["scale"] == 1
    assert Integer(8, axis=-1).fit(np.zeros((0, 3)))["scale"].tolist() == [1, 1, 1]


def fake_quant_cases():
    source = np.random.default_rng(6)
    fixed = [(-1.0, 1.0), (0.0, 6.0), (-6.0, 0.0), (-0.1, 0.9), (-1e-3, 5e3), (-128.0, 127.0)]
    drawn = np.sort(source.normal(0, source.lognormal(0, 3, (200, 1)), (200, 2)).astype(np.float32))
    drawn = [(min(low, 0.0), max(high, 0.0)) for low, high in drawn.tolist()]
    return fixed + drawn


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_jkc18_affine_equals_tensorflows_fake_quant(bits):
    """The grid is TensorFlow's bit for bit; so is every value but those on a border of two codes.

    TensorFlow multiplies by a reciprocal and subtracts the range's start before it rounds, half
    up; edgeax divides by the scale and rounds half to even, as it does everywhere. The two can
    differ where a value lies on the border between two codes to within float32's precision.
    """
    tf = pytest.importorskip("tensorflow")
    source = np.random.default_rng(7)
    grid = Integer(bits, symmetric=False)
    for low, high in fake_quant_cases():
        params = grid.fit(np.float32([low, high]))
        scale = params["scale"]
        steps = np.arange(-(2**bits) - 2, 2**bits + 3) + source.uniform(-0.499, 0.499, (40, 1))
        x = np.concatenate([(steps * scale).ravel(), [low, high, 0.0]]).astype(np.float32)
        expected = tf.quantization.fake_quant_with_min_max_args(x, low, high, bits).numpy()
        got = grid.decode(grid.encode(x, params), params)
        on_border = np.abs(np.abs(x / scale - np.floor(x / scale)) - 0.5) < 1e-3
        assert np.array_equal(got[~on_border], expected[~on_border])
        assert on_border.mean() < 0.01
        assert np.all(np.abs(got - expected)[on_border] <= scale * 1.0001)


@pytest.mark.parametrize("bits", [1, 17, 0, -3])
def test_an_unsupported_width_is_rejected(bits):
    with pytest.raises(ValueError, match=rf"`bits` must be in 2..16. Received: {bits}"):
        Integer(bits)


def test_an_unsupported_axis_is_rejected():
    with pytest.raises(ValueError, match="`axis` must be None .* or -1.*Received: 0"):
        Integer(axis=0)


def test_a_scalar_has_no_channel_axis():
    with pytest.raises(ValueError, match="channel axis"):
        Integer(axis=-1).fit(np.float32(1))


def test_a_range_beyond_float32_is_rejected():
    with pytest.raises(ValueError, match=r"max\(x\) - min\(x\)"):
        Integer(symmetric=False).fit(np.float32([-3e38, 3e38]))


def test_params_of_another_axis_are_rejected():
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="axis=None.*Received"):
        Integer().encode(x, Integer(axis=-1).fit(x))
    with pytest.raises(ValueError, match="axis=-1.*Received"):
        Integer(axis=-1).decode(np.ones((2, 3), np.int8), Integer().fit(x))


def test_float_codes_are_rejected():
    with pytest.raises(ValueError, match="`codes` must be integers. Received: float32"):
        Integer().decode(np.ones(3, np.float32), {"scale": np.float32(1)})

import itertools

import numpy as np
import pytest

from edgeax.formats import Binary, EncodedTensor, ResidualBinary, ShiftedBinary, arrays, packing
from edgeax.formats.names import format_of
from tests.formats import graph_checks

FORMATS = [
    Binary("none"),
    Binary(),
    Binary(axis=-1),
    ResidualBinary(3),
    ResidualBinary(2, axis=-1),
    ShiftedBinary(1),
    ShiftedBinary(3, axis=-1),
]


def normal(shape=(200, 6), seed=0):
    return np.random.default_rng(seed).normal(0.0, 0.3, shape).astype(np.float32)


def error(format, x):
    away = format.rounded(x, format.fit(x), arrays).astype(np.float64) - x
    return float(np.mean(np.square(away)))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_the_graph_rounds_as_numpy_does(format, jit):
    graph_checks.assert_graph_equals_numpy(format, jit)


@pytest.mark.parametrize("format", [f for f in FORMATS if not getattr(f, "axis", None)], ids=str)
def test_activations_of_any_batch_size_are_rounded(format):
    graph_checks.assert_activations_of_any_batch_size_are_rounded(format)


@pytest.mark.parametrize("format", [*FORMATS, ResidualBinary(6), ShiftedBinary(6)], ids=str)
def test_codes_stand_for_the_rounded_values(format):
    graph_checks.assert_codes_stand_for_the_rounded_values(format)
    graph_checks.assert_a_gain_per_channel_multiplies(format)


def test_hcs16_the_sign_of_zero_is_plus_one():
    x = np.float32([0.0, -0.0, 1e-30, -1e-30, 5, -5])
    assert Binary("none").rounded(x, {}, arrays).tolist() == [1, 1, 1, -1, 1, -1]
    codes = Binary("none").encode(x, {})
    assert codes.tolist() == [1, 1, 1, 0, 1, 0] and codes.dtype == np.uint8


def test_every_code_round_trips():
    for format, params in [(Binary("none"), {}), (Binary(), {"scale": np.float32(0.3)})]:
        values = format.decode(np.uint8([0, 1]), params)
        scale = params.get("scale", np.float32(1))
        assert values.tolist() == [-scale, scale]
        assert format.encode(values, params).tolist() == [0, 1]


def test_rorf16_the_gain_of_a_filter_is_its_mean_magnitude():
    x = np.float32([[1, -10], [-2, 20], [3, 0]])
    format = Binary(axis=-1)
    params = format.fit(x)
    assert params["scale"].tolist() == [2, 10]
    assert format.rounded(x, params, arrays).tolist() == [[2, -10], [-2, 10], [2, 10]]
    # No other gain has a smaller squared error.
    x = normal()
    best = error(format, x)
    gain = format.fit(x)["scale"]
    for factor in (0.98, 0.999, 1.001, 1.02):
        away = format.rounded(x, {"scale": gain * np.float32(factor)}, arrays) - x
        assert np.mean(np.square(away, dtype=np.float64)) > best


def test_zwn16_one_gain_serves_the_whole_layer():
    x = np.float32([[1, -10], [-2, 20], [3, 0]])
    params = Binary().fit(x)
    assert params["scale"] == 6 and params["scale"].shape == ()
    assert Binary().rounded(x, params, arrays).tolist() == [[6, -6], [-6, 6], [6, 6]]


@pytest.mark.parametrize("value", [-1.5, -0.6, 0.0, 0.25, 2.0])
def test_cbd15_stochastic_signs_have_the_hard_sigmoid_for_odds(value):
    odds = min(max((value + 1) / 2, 0), 1)
    mean, values = graph_checks.mean_of_stochastic(Binary("none"), value, {})
    assert set(values) <= {-1, 1}
    assert abs((mean + 1) / 2 - odds) < 5 * 0.5 / 200  # deviation of 40000 draws


def test_chs16_products_of_signs_are_counts_of_differing_bits():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 77)).astype(np.float32)
    format = Binary("none")
    dot = format.rounded(a, {}, arrays) @ format.rounded(b, {}, arrays)
    bits = [packing.pack(format.encode(x, {}), 1) for x in (a, b)]
    assert dot == 77 - 2 * int(np.unpackbits(bits[0] ^ bits[1]).sum())


def test_a_filter_of_zeros_stays_as_good_as_zero():
    x = np.float32([[0, 1], [0, -1]])
    values = Binary(axis=-1).rounded(x, Binary(axis=-1).fit(x), arrays)
    assert np.abs(values[:, 0]).max() < 1e-37 and values[:, 1].tolist() == [1, -1]


def test_thw17_two_bases_are_those_worked_out_by_hand():
    x = np.float32([[4], [2], [-1], [-3]])
    format = ResidualBinary(2)
    params = format.fit(x)
    # E|x| = 2.5; rests 1.5, -0.5, 1.5, -0.5: E|r| = 1.
    assert params["gain"].tolist() == [2.5, 1]
    assert format.rounded(x, params, arrays).ravel().tolist() == [3.5, 1.5, -1.5, -3.5]
    assert format.encode(x, params).ravel().tolist() == [3, 1, 2, 0]


def test_thw17_the_residual_shrinks_with_every_base():
    x = normal()
    for axis in (None, -1):
        errors = [error(ResidualBinary(bases, axis), x) for bases in range(1, 7)]
        assert all(after < before for before, after in itertools.pairwise(errors))
        assert errors[0] == pytest.approx(error(Binary(axis=axis), x), rel=1e-6)


@pytest.mark.parametrize("bases", range(1, 4))
def test_every_code_of_the_bases_of_normal_values_round_trips(bases):
    format = ResidualBinary(bases)
    params = format.fit(normal())
    codes = np.arange(2**bases, dtype=np.uint8)[:, None]
    np.testing.assert_array_equal(format.encode(format.decode(codes, params), params), codes)


def test_lzp17_one_base_of_centered_weights_is_the_binary_weight():
    x = normal().astype(np.float64)
    x = (x - x.mean()).astype(np.float32)
    found = ShiftedBinary(1).rounded(x, ShiftedBinary(1).fit(x), arrays)
    expected = Binary().rounded(x, Binary().fit(x), arrays)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("bases", [2, 3, 5, 6])
def test_lzp17_signs_and_gains_are_numpys_least_squares(bases):
    x = normal((500, 1))
    wide = x.ravel().astype(np.float64)
    shifts = [-1 + 2 * i / (bases - 1) for i in range(bases)]
    signs = np.stack([np.where(wide - wide.mean() + u * wide.std() >= 0, 1, -1) for u in shifts], 1)
    expected = np.linalg.lstsq(signs, wide, rcond=None)[0]
    for axis in (None, -1):
        gain = ShiftedBinary(bases, axis).fit(x)["gain"]
        np.testing.assert_allclose(gain.ravel(), expected, rtol=1e-5)


def test_lzp17_the_residual_does_not_grow_with_the_bases():
    x = normal((4000, 2))
    errors = [error(ShiftedBinary(bases, axis=-1), x) for bases in range(1, 7)]
    assert all(after <= before for before, after in itertools.pairwise(errors))


def test_equal_columns_share_their_gain():
    x = np.float32([[1], [-1]])  # the deviation is 1: the signs for u = 0 and u = 1 are equal
    params = ShiftedBinary(3).fit(x)
    np.testing.assert_allclose(ShiftedBinary(3).rounded(x, params, arrays), x, rtol=1e-6)


@pytest.mark.parametrize("format", [ResidualBinary(2), ShiftedBinary(3)], ids=str)
def test_noise_rounds_to_the_neighboring_sums_right_on_average(format):
    params = format.fit(normal())
    gains = params["gain"].astype(np.float64)
    sums = sorted(float(np.dot(gains, s)) for s in itertools.product([-1, 1], repeat=len(gains)))
    low, high = sums[1], sums[2]
    value = low + 0.3 * (high - low)
    mean, values = graph_checks.mean_of_stochastic(format, value, params)
    assert values == pytest.approx([low, high])
    assert abs(mean - value) < 5 * (high - low) / 400


def test_thresholds_are_not_stored():
    x = normal((64, 8))
    format = ShiftedBinary(3, axis=-1)
    params = format.fit(x)
    encoded = EncodedTensor(format.encode(x, params), format, params)
    assert encoded.size_bits == 64 * 8 * 3 + 3 * 8 * 32


def test_the_name_gives_one_gain_per_layer_or_filter():
    assert format_of("binary") == Binary()
    assert format_of("binary", axis=-1) == Binary(axis=-1)


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: Binary("max"), "`gain` must be 'none' or 'mean'. Received: 'max'"),
        (lambda: Binary(axis=0), "`axis` must be None .* Received: 0"),
        (lambda: ResidualBinary(0), r"`bases` must be in 1\.\.6. Received: 0"),
        (lambda: ShiftedBinary(7), r"`bases` must be in 1\.\.6. Received: 7"),
    ],
)
def test_an_impossible_format_is_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_codes_and_gains_that_do_not_fit_are_refused():
    params = {"gain": np.float32([1, 2])}
    with pytest.raises(ValueError, match=r"`codes` must lie in \[0, 3\].*max=4"):
        ResidualBinary(2).decode(np.uint8([4]), params)
    with pytest.raises(ValueError, match=r"must have shape \(3,\)"):
        ResidualBinary(3).decode(np.uint8([[4]]), params)

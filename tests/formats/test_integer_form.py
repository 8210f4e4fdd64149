import math

import numpy as np
import pytest

from edgeax.formats import Codebook, EncodedTensor, Float32, Integer
from edgeax.formats.binary import ResidualBinary
from edgeax.formats.integer_form import integer_form, snr_db


def plain(values):
    return EncodedTensor(np.float32(values), Float32(), {})


@pytest.mark.parametrize(
    "levels, codes",
    [
        ([-0.3, 0.0, 0.3], {-1, 0, 1}),  # ternary
        ([-0.3, 0.3], {-1, 1}),  # binary
        ([-1.0, -0.25, 0.0, 0.125, 0.5], {-8, -2, 0, 1, 4}),  # powers of two
        ([0.375, -0.75, 1.0, 3.0], {3, -6, 8, 24}),  # AdaptivFloat<4,2>
    ],
)
def test_values_that_integers_can_express_keep_their_values(levels, codes):
    values = np.random.default_rng(0).choice(levels, size=(40, 6))
    form = integer_form(plain(values))
    assert set(form.codes.ravel()) == codes
    np.testing.assert_allclose(form.decode(), values, rtol=2e-7)
    assert form.snr_db == math.inf and form.trained == Float32()


def test_scales_of_channels_are_kept_beside_the_table():
    values = np.float32([[1, -2], [3, 1]])
    scale = np.float32([0.3, -0.7])
    form = integer_form(EncodedTensor(values, Float32(), {"scale": scale}))
    assert form.codes.tolist() == values.tolist()
    np.testing.assert_allclose(form.params["scale"], scale, rtol=1e-6)


def test_a_table_of_few_values_stays_one():
    levels = np.float32([-1.0, -0.377, -0.11, 0.0, 0.123, 0.4567, 0.9])
    values = np.random.default_rng(1).choice(levels, size=(64, 8))
    form = integer_form(plain(values))
    assert len(np.unique(form.codes)) == len(levels)
    # Rounding to 1/127 of the largest, the worst choice of a step, has an error of 1/254 at most.
    assert np.max(np.abs(form.decode() - values)) <= 1 / 254
    assert 40 < form.snr_db < math.inf


def test_each_channel_of_a_block_format_finds_its_own_power_of_two():
    rng = np.random.default_rng(2)
    mantissas = rng.integers(-127, 128, size=(500, 5))
    values = mantissas * np.float32([1, 0.5, 2**-7, 4, 2**-20])
    form = integer_form(plain(values))
    np.testing.assert_array_equal(form.decode(), values)


def test_what_integers_cannot_express_is_rounded_and_the_cost_is_told():
    values = np.random.default_rng(3).normal(size=(1000, 4)).astype(np.float32)
    form = integer_form(plain(values))
    # A grid of 254 steps over about +-3.2 deviations: noise (3.2 / 127)^2 / 12, 42 dB.
    assert 40 < form.snr_db < 45
    assert form.snr_db == snr_db(values, form.decode())


def test_pruned_values_and_dead_channels_stay_zero():
    table = np.float32([0.1, 0.2, 0.3, 0.0])
    codes = np.uint8([[0, 1], [1, 1], [2, 1]])
    mask = np.array([[True, False], [False, False], [True, False]])
    encoded = EncodedTensor(codes, Codebook(4, value=None), {"codebook": table}, mask)
    form = integer_form(encoded)
    np.testing.assert_array_equal(form.decode() == 0, ~mask)


def test_the_cost_stays_known_when_a_normalization_is_folded_in():
    form = integer_form(plain(np.random.default_rng(4).normal(size=(9, 3))))
    scaled = form.scaled(np.float32([1, -2, 3]))
    assert (scaled.snr_db, scaled.trained) == (form.snr_db, Float32())
    assert scaled.format == Integer(8, axis=-1)


def test_a_tensor_of_zeros_is_exact():
    form = integer_form(plain(np.zeros((4, 2))))
    assert not form.decode().any() and form.snr_db == math.inf


def test_signs_are_cut_by_channels_and_left_out_of_a_kernel_of_another_shape():
    format = ResidualBinary(2)
    values = np.random.default_rng(5).normal(size=(6, 4)).astype(np.float32)
    params = format.fit(values)
    form = integer_form(EncodedTensor(format.encode(values, params), format, params))
    part = form.channels(slice(1, 3))
    np.testing.assert_array_equal(part.bases.digits, form.bases.digits[..., 1:3])
    np.testing.assert_array_equal(part.bases.gains, form.bases.gains[:, 1:3])
    assert form.as_plain().bases is None and form.as_plain().vectors is None

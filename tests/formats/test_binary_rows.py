import re

import numpy as np
import pytest

from edgeax.formats import binary_rows
from tflite_kernels import build_library


def test_a_bit_is_one_where_a_number_is_negative():
    numbers = np.float32([-2, 0, 3, -1, 0.5, 7, 7, 7, -3, 1])
    assert binary_rows.pack_signs(numbers).tolist() == [0b00001001, 0b00000001]
    assert binary_rows.pack_signs(np.float32([-0.0])).tolist() == [0]  # which is not below 0


@pytest.mark.parametrize("count", [1, 7, 8, 9, 64, 65])
def test_unpacked_signs_are_the_packed_ones(count):
    numbers = np.random.default_rng(count).standard_normal((3, count))
    packed = binary_rows.pack_signs(numbers)
    assert packed.shape == (3, -(-count // 8))
    unpacked = binary_rows.unpack_signs(packed, count)
    assert unpacked.dtype == np.int8
    np.testing.assert_array_equal(unpacked, np.sign(numbers))


def test_each_tap_of_a_row_begins_on_a_byte():
    weights = np.float32([[[1, -1, 1], [-1, -1, -1]], [[1, 1, 1], [1, 1, -1]]])
    assert binary_rows.pack_rows(weights).tolist() == [[0b010, 0b111], [0b000, 0b100]]


def test_bits_that_differ_count_the_sum_of_products():
    source = np.random.default_rng(3)
    a, b = source.choice([-1, 1], (2, 77))
    differ = np.bitwise_xor(binary_rows.pack_signs(a), binary_rows.pack_signs(b))
    assert 77 - 2 * np.unpackbits(differ).sum() == a @ b


def test_a_gain_and_an_offset_become_a_scale_and_a_bias():
    scale, bias = binary_rows.fold(np.float64([0.5, -2, 0]), np.float64([-0.75, 3, 0]))
    assert (scale.dtype, bias.dtype) == (np.float32, np.int32)
    assert scale.tolist() == [0.5, -2, 0]
    assert bias.tolist() == [-1.5 * 4096, -1.5 * 4096, 0]


def test_a_folded_sum_is_off_by_half_a_unit_of_the_bias_at_most():
    source = np.random.default_rng(4)
    gain, offset = source.uniform(-0.1, 0.1, 200), source.uniform(-2, 2, 200)
    scale, bias = binary_rows.fold(gain, offset)
    sums = np.arange(-50, 51)[:, None]
    found = scale.astype(np.float64) * (sums + bias / 4096)
    assert np.all(np.abs(found - (gain * sums + offset)) <= np.abs(gain) * (0.5 / 4096 + 1e-5))


@pytest.mark.parametrize(
    "gain, offset", [(0.0, 1.0), (1e-9, 1.0), (np.nan, 0.0), (1.0, np.inf), (1e300, 0.0)]
)
def test_what_no_bias_can_hold_is_refused(gain, offset):
    with pytest.raises(ValueError, match="262144 times `gain`.* in channel 1"):
        binary_rows.fold(np.float64([1, gain]), np.float64([1, offset]))


def test_the_kernels_have_the_same_numbers():
    text = (build_library.KERNELS / "core" / "binary.h").read_text()
    assert re.search(rf"kBinaryFractionBits = {binary_rows.FRACTION_BITS};", text)
    assert "kMaxBinaryBias = 1 << 30;" in text and binary_rows.MAX_BIAS == 1 << 30

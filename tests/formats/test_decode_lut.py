import numpy as np
import pytest

from edgeax.formats import decode_lut
from edgeax.formats.decode_lut import decode, encode, pack, unpack

ZEROS = [0] * 9

# Bytes by hand.


@pytest.mark.parametrize(
    "bits, indices, expected",
    [
        (1, [1, 0, 1, 1, 0, 0, 0, 1, 1], [0xB1, 0x80]),  # the ninth begins a byte, at its top
        (2, [0, 1, 2, 3], [0x1B]),  # 00 01 10 11
        (3, [1, 2, 3], [0x29, 0x80]),  # 001 010 011: the third lies in two bytes
        (4, [1, 2, 15], [0x12, 0xF0]),  # the spare half byte is zero
        (5, [1, 2], [0x08, 0x80]),  # 00001 00010
        (6, [63, 1], [0xFC, 0x10]),  # 111111 000001
        (7, [127, 0, 1], [0xFE, 0x00, 0x08]),  # 1111111 0000000 0000001
    ],
)
def test_indices_lie_first_bit_highest_and_without_gaps(bits, indices, expected):
    assert pack(np.uint8(indices), bits).tolist() == expected
    assert unpack(np.uint8(expected), bits, len(indices)).tolist() == indices


def test_one_table_has_15_for_its_axis():
    encoded = encode(np.int8([[-5, 7], [7, -5]]), None)
    assert encoded.indices.tolist() == [0x60]  # 0 1 1 0
    header = [0, 1, 0, 0, 1, 0xF1, 2, *ZEROS]
    assert encoded.ancillary.tolist() == [*header, 0xFB, 7]
    assert (encoded.bits, encoded.tables, encoded.size_bytes) == (1, 1, 19)


def test_each_channel_has_a_table_of_the_codes_that_it_uses():
    encoded = encode(np.int8([[1, 2, 1], [9, 9, 9]]), 0)
    assert encoded.indices.tolist() == [0x40]  # 010 000
    header = [0, 1, 0, 0, 1, 0x01, 2, *ZEROS]
    assert encoded.ancillary.tolist() == [*header, 1, 2, 9, 0]  # the spare entry is zero


def test_channels_of_a_depthwise_kernel_are_its_last_axis_and_indices_keep_their_order():
    encoded = encode(np.int8([[[[4, -1]], [[5, -1]]]]), 3)
    assert encoded.indices.tolist() == [0x20]  # 4 -1 5 -1 are 0 0 1 0
    header = [0, 1, 0, 0, 1, 0x31, 2, *ZEROS]
    assert encoded.ancillary.tolist() == [*header, 4, 5, 0xFF, 0]


@pytest.mark.parametrize("count, bits", [(1, 1), (2, 1), (3, 2), (16, 4), (17, 5), (128, 7)])
def test_indices_have_as_few_bits_as_the_codes_allow(count, bits):
    encoded = encode(np.arange(-64, 64).astype(np.int8)[:count], None)
    assert encoded.bits == bits
    assert encoded.ancillary[5] == 0xF0 | bits and encoded.ancillary[6] == count


# Back.


@pytest.mark.parametrize("axis", [None, 0, 3])
@pytest.mark.parametrize("count", [1, 2, 5, 16, 100, 128])
def test_decoding_gives_the_codes(axis, count):
    generator = np.random.default_rng(count)
    chosen = generator.permutation(np.arange(-128, 128))[:count]
    codes = generator.choice(chosen, (3, 5, 7, 9)).astype(np.int8)
    encoded = encode(codes, axis)
    np.testing.assert_array_equal(
        decode(encoded.indices, encoded.ancillary, codes.shape, axis), codes
    )


def test_the_number_of_tables_is_that_of_the_scales_whatever_the_header_says():
    codes = np.int8([[1, 2, 1], [9, 9, 9]])
    encoded = encode(codes, 0)
    encoded.ancillary[5] |= 0xF0
    assert decode(encoded.indices, encoded.ancillary, (2, 3), 0).tolist() == codes.tolist()


# Errors.


def test_more_codes_than_a_table_holds_are_refused():
    codes = np.arange(129).astype(np.int8)
    with pytest.raises(ValueError, match=r"at most 128 .*Received: 129\. Cluster"):
        encode(codes, None)
    assert encode(codes.reshape(3, 43), 0).bits == 6  # 43 for each table


@pytest.mark.parametrize("codes", [np.zeros(3, np.uint8), np.zeros(0, np.int8)])
def test_only_int8_codes_are_taken(codes):
    with pytest.raises(ValueError, match="`codes` must be int8 and not empty"):
        encode(codes, None)


def damaged(place, value):
    def damage(indices, ancillary):
        ancillary[place] = value
        return indices, ancillary

    return damage


@pytest.mark.parametrize(
    "damage, message",
    [
        (damaged(0, 2), "type 2 in version 1"),
        (damaged(1, 9), "type 0 in version 9"),
        (damaged(4, 3), "its data in version 3"),
        (damaged(5, 0xF0), "indices of 0 bits"),
        (damaged(5, 0xF8), "indices of 8 bits"),
        (damaged(6, 4), "for 1 tables of 4"),
        (lambda indices, ancillary: (indices, ancillary[:-1]), "18 of tables instead of 3 and 19"),
        (lambda indices, ancillary: (indices[:-1], ancillary), "2 bytes of indices"),
        (lambda indices, ancillary: (indices.view(np.int8), ancillary), "int8 indices for axis"),
        (lambda indices, ancillary: (indices, ancillary[:3]), r"shape \(3,\) as tables"),
        (lambda indices, ancillary: (indices, ancillary.view(np.int8)), "int8 of shape"),
        (lambda indices, ancillary: (indices | 0xC0, ancillary), "the index 3 into a table of 3"),
    ],
)
def test_damaged_tables_are_errors_and_no_reads_outside(damage, message):
    encoded = encode(np.int8([1, 2, 3] * 4), None)
    assert (encoded.indices.size, encoded.ancillary.size) == (3, 19)
    with pytest.raises(ValueError, match=f"{decode_lut.OPERATOR} must be in .*{message}"):
        decode(*damage(encoded.indices, encoded.ancillary), (12,), None)


def test_an_axis_that_the_kernel_lacks_is_an_error():
    encoded = encode(np.int8([1, 2, 3] * 4), None)
    with pytest.raises(ValueError, match=r"for axis 1 of shape \(12,\)"):
        decode(encoded.indices, encoded.ancillary, (12,), 1)

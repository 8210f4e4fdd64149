import numpy as np
import pytest

from edgeax.formats import packing
from tests.golden import cases

SIGNED = {True: np.int8, False: np.uint8}


@pytest.mark.parametrize(
    "bits, codes, expected",
    [
        (4, [1, 2, 3, -4], [0x21, 0xC3]),  # first code in the low nibble
        (4, [7], [0x07]),  # odd length: the spare nibble is zero
        (2, [-2, -1, 0, 1], [0x4E]),  # 10, 11, 00, 01 from the lowest bits up
        (8, [-1], [0xFF]),  # widest code: a plain reinterpretation
        (1, [-1, 0, 0, -1, 0, 0, 0, 0, -1], [0x09, 0x01]),
        (4, [], []),
    ],
)
def test_pack_gives_the_bytes_worked_out_by_hand(bits, codes, expected):
    packed = packing.pack(np.int8(codes), bits)
    assert packed.tolist() == expected
    assert packed.dtype == np.uint8


def test_unsigned_codes_use_the_whole_width():
    assert packing.pack(np.uint8([15, 0, 8]), 4).tolist() == [0x0F, 0x08]


def test_rows_are_packed_one_by_one():
    assert packing.pack(np.int8([[1, 2, 3], [4, 5, 6]]), 4).tolist() == [[0x21, 3], [0x54, 6]]


@pytest.mark.parametrize("case", cases.load("packing.json")["pack"], ids=str)
def test_pack_and_unpack_equal_the_golden_vectors(case):
    codes = np.array(case["codes"], SIGNED[case["signed"]])
    packed = packing.pack(codes, case["bits"])
    assert packed.tolist() == case["packed"]
    unpacked = packing.unpack(packed, case["bits"], codes.size, case["signed"])
    assert np.array_equal(unpacked, codes)
    assert unpacked.dtype == codes.dtype


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_every_pair_of_bytes_survives_unpacking_and_packing(bits, signed):
    packed = np.arange(2**16, dtype="<u2").view(np.uint8).reshape(-1, 2)
    codes = packing.unpack(packed, bits, 16 // bits, signed)
    assert np.array_equal(packing.pack(codes, bits), packed)
    values = np.unique(codes)
    assert (values.size, int(values[0])) == (2**bits, -(2 ** (bits - 1)) if signed else 0)


def test_unpack_ignores_the_spare_bits():
    assert packing.unpack(np.uint8([0xF3]), 4, 1, signed=True).tolist() == [3]


def test_no_rows_are_packed_to_no_rows():
    packed = packing.pack(np.zeros((0, 5), np.uint8), 4)
    assert packed.shape == (0, 3) and packing.unpack(packed, 4, 5, signed=False).shape == (0, 5)


def test_pack_takes_wide_integers():
    assert packing.pack(np.array([1, -8]), 4).tolist() == [0x81]


def test_pack_rejects_a_code_that_does_not_fit_and_says_which():
    with pytest.raises(ValueError, match=r"\[-8, 7\].*max=8"):
        packing.pack(np.int8([8]), bits=4)
    with pytest.raises(ValueError, match=r"\[0, 3\].*max=4"):
        packing.pack(np.uint8([4]), bits=2)
    with pytest.raises(ValueError, match=r"\[-128, 127\].*max=200"):
        packing.pack(np.int16([200]), bits=8)


@pytest.mark.parametrize("bits", [3, 0, 16])
def test_an_unsupported_width_is_rejected(bits):
    with pytest.raises(ValueError, match=rf"`bits` must be one of.*Received: {bits}"):
        packing.pack(np.int8([0]), bits)
    with pytest.raises(ValueError, match=rf"`bits` must be one of.*Received: {bits}"):
        packing.unpack(np.uint8([0]), bits, 1, signed=True)


@pytest.mark.parametrize("codes", [np.float32([1]), np.int8(1)])
def test_pack_rejects_what_is_no_integer_array(codes):
    with pytest.raises(ValueError, match="`codes` must be an integer array"):
        packing.pack(codes, 4)


@pytest.mark.parametrize(
    "packed, count",
    [(np.uint8([1, 2]), 5), (np.uint8([1, 2]), 2), (np.int8([1]), 2), (np.uint8([]), -1)],
)
def test_unpack_rejects_rows_of_another_length_or_type(packed, count):
    with pytest.raises(ValueError, match="`packed` must be uint8 with rows of"):
        packing.unpack(packed, 4, count, signed=True)

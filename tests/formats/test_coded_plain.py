import numpy as np
import pytest

from edgeax.formats import coded_plain


def payload(fields):
    """The bytes of fields that are written as strings of bits."""
    text = "".join(fields)
    return bytes(int(text[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(text), 8))


def encode(codes, bias, is_huffman=False, keeps_all=False):
    codes = np.int8(codes)
    table = np.unique(codes if keeps_all else codes[codes != 0])
    count = codes.size if keeps_all else np.count_nonzero(codes)
    data = coded_plain.encode(codes, np.int32(bias), table, count, is_huffman)
    found = coded_plain.decode(data, *codes.shape, count, table.size, is_huffman)
    for part, expected in zip(found, (codes, bias, table), strict=True):
        assert part.tolist() == np.asarray(expected).tolist()
    return data


def test_places_of_a_bit_are_a_mask_of_what_is_left_out():
    # One code, so it takes no bit. Of 1 bit each: kept, kept, out, kept, out, out, kept.
    assert encode([[4, 4, 0, 4, 0, 0, 4]], [0]) == payload(
        ["10000100", "0001", "000000", "0", "0", "10", "110"]
    )


def test_the_highest_place_stands_for_zeros_alone():
    # 29 are left out, and four times none: places of 3, 4 and 5 bits take 27, 24 and 25 bits.
    codes = [0] * 29 + [-1, 2, 2, 2, 2]
    assert encode([codes], [0]) == payload(
        ["01111111", "10000010", "0100", "000000", "1111", "1110", "0", *["0000", "1"] * 4]
    )


def test_places_run_on_over_rows():
    codes = [[0, 0, 3, 0], [0, 0, 3, 0], [3, 0, 0, 0], [0, 3, 0, 0]]
    # Left out before each: 2, 3, 1, 4; in places of 3 bits 12, of 2 bits 2, 3 0, 1, 3 1 also 12.
    assert encode(codes, [0] * 4) == payload(
        ["10000011", "0010", "000000", "10", "1100", "01", "1101"]
    )


def test_where_all_codes_are_kept_there_are_no_places():
    assert encode([[1, 0, 1, 1]], [0], keeps_all=True) == payload(
        ["10000000", "10000001", "0000", "000000", "1", "0", "1", "1"]
    )


def test_biases_have_a_size_a_sign_and_the_bits_below_the_leading_1():
    bias = [0, 1, -1, 6, -(2**31)]
    sizes = {0: "000000", 1: "000001", 3: "000011", 32: "100000"}
    assert encode([[7]] * 5, bias, keeps_all=True) == payload(
        [
            *("10000111", "0000", "100000"),
            *(sizes[0], sizes[1], "0", sizes[1], "1", sizes[3], "0", "10"),
            *(sizes[32], "1", "0" * 31),
        ]
    )


def test_huffmans_codes_are_told_by_their_lengths():
    # Of the codes -1, 2 and 5, with 1, 1 and 4 of each, the lengths are 2, 2 and 1.
    assert encode([[5, 5, 2, 5, -1, 5]], [0], is_huffman=True, keeps_all=True) == payload(
        [
            *("01111111", "10000010", "10000101", "0000", "000000"),
            *("0010", "0010", "0001"),
            *("0", "0", "11", "0", "10", "0"),
        ]
    )


def test_a_long_table_is_a_mask():
    table = np.arange(-17, 16, dtype=np.int8)  # 33 codes
    data = encode([table], [0], keeps_all=True)
    mask = ["1" if place in table + np.int64(128) else "0" for place in range(256)]
    symbols = [format(symbol, "06b") for symbol in range(33)]
    assert data == payload([*mask, "0000", "000000", *symbols])


@pytest.mark.parametrize("is_huffman", [False, True])
@pytest.mark.parametrize("density", [0.005, 0.03, 0.2, 0.7])
def test_the_width_of_places_is_the_best_of_all(density, is_huffman, monkeypatch):
    random = np.random.default_rng(0)
    codes = np.where(random.random((20, 150)) < density, random.integers(1, 5, (20, 150)), 0)
    best = encode(codes, [0] * 20, is_huffman)
    every = []
    for width in range(1, 9):
        with monkeypatch.context() as patch:
            patch.setattr(coded_plain, "_PLACE_BITS", (width,))
            every.append(len(encode(codes, [0] * 20, is_huffman)))
    assert len(best) == min(every) < max(every)


@pytest.mark.parametrize(
    "fields, message",
    [
        (["10000010", "10000001"], "the table"),  # not ascending
        (["10000001", "10000010", "1001", "000000"], "places of 9 bits"),
        (["10000001", "10000010", "0001", "100001"], "biases of 33"),
        (["10000001", "10000010", "0001", "000000", "11110"], "place 4 of 4"),
        (["10000001", "10000010", "0001", "000000", "111111"], "bits are wanted"),
        (["10000001", "10000010", "0001", "100000", "100000", "0", "1" * 31], "a bias of 32"),
        (["10000001", "10000010", "0001", "100000", "100000", "1", "1" * 31], "a bias of 32"),
    ],
)
def test_damage_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        coded_plain.decode(payload(fields), 1, 4, 2, 2, is_huffman=False)

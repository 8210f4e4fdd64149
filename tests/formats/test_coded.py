import dataclasses
import struct
import zlib

import numpy as np
import pytest

from edgeax.formats import coded, coded_range, sparse
from edgeax.formats.coded import HUFFMAN, PACKED4, RANGE, RAW, SPARSE, CodedRows
from tests.formats import coded_samples
from tests.golden import cases

GOLDEN = cases.load("coded.json")
CODINGS = [RAW, HUFFMAN, RANGE]


def golden_rows(case):
    codes = np.frombuffer(bytes.fromhex(case["codes"]), np.int8).reshape(-1, case["depth"])
    scale = np.float32([float.fromhex(value) for value in case["scale"]])
    return CodedRows(codes, np.int32(case["bias"]), scale)


def rows_of(codes, bias=None, scale=(0.5,)):
    codes = np.int8(codes)
    bias = np.zeros(len(codes), np.int32) if bias is None else np.int32(bias)
    return CodedRows(codes, bias, np.float32(scale))


def sealed(data):
    """The bytes with a checksum that fits them."""
    return bytes(data) + struct.pack("<I", zlib.crc32(data))


def test_the_bytes_are_those_worked_out_by_hand():
    rows = rows_of([[0, 0, 5, 0, -1]], bias=[-3])
    # Places of 2 bits are the shortest: 2 and 1 in 4 bits; of 1 bit, 110 and 10 in 5.
    fields = "0111111110000101"  # the table: -1 and 5, plus 128
    fields += "0010000010"  # places of 2 bits; sizes of biases up to 2
    fields += "1011"  # the bias: size 2, negative, 1 below the leading 1
    fields += "101010"  # two left out, code 1 (5); one left out, code 0 (-1)
    payload = int(fields.ljust(40, "0"), 2).to_bytes(5, "big")
    # Version 1; RAW, one scale, PACKED4 (0); 2 codes; 1 row of 5, 2 are kept; the scale 1/2.
    head = bytes([1, 0, 1, 1, 5, 2]) + struct.pack("<f", 0.5)
    layout = coded.run_time_layout(rows.codes)
    assert (layout.layout, layout.size_bytes) == (PACKED4, 3 + 16)
    assert coded.encode(rows, RAW) == sealed(head + payload)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_golden_buffers_are_decoded(case, coding):
    buffer = bytes.fromhex(case["buffers"][coding])
    rows = golden_rows(case)
    assert coded_samples.same(coded.decode(buffer), rows)
    # Its author chose places, distance and layout without looking for the smallest.
    assert len(coded.encode(rows, coding)) <= len(buffer) + 2


@pytest.mark.parametrize("seed", range(60))
def test_decoding_gives_the_rows(seed):
    rows = coded_samples.draw(seed)
    sizes = []
    for coding in CODINGS:
        buffer = coded.encode(rows, coding)
        assert coded_samples.same(coded.decode(buffer), rows)
        sizes.append(len(buffer))
    assert len(coded.encode(rows)) == min(sizes)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    "codes",
    [[[0]], [[-128]], [[127] * 9] * 4, np.zeros((5, 7)), [[*range(-128, 128)]], np.eye(12) * -128],
    ids=["zero", "one", "equal", "zeros", "all_codes", "diagonal"],
)
def test_unusual_rows_come_back(codes, coding):
    codes = np.asarray(codes).astype(np.int8)
    ends = np.resize(np.int32([-(2**31), 2**31 - 1, 0, -1]), len(codes))
    for scale in (np.float32([-0.0]), np.resize(np.float32([-3e38, 0, 1e-45]), len(codes))):
        rows = CodedRows(codes, ends, scale)
        assert coded_samples.same(coded.decode(coded.encode(rows, coding)), rows)


def test_the_smallest_coding_is_kept():
    random = np.random.default_rng(0)
    noise = rows_of(random.choice([-1, 1], (16, 64)))  # a bit each: nothing to gain
    assert coded.encode(noise) == coded.encode(noise, RAW)
    kept = random.random((60, 200)) < random.gamma(0.3, 0.3, 200)
    columns = rows_of(np.where(kept, random.integers(1, 9, kept.shape), 0))
    sizes = [len(coded.encode(columns, coding)) for coding in CODINGS]
    assert sizes[RANGE] < sizes[HUFFMAN] < sizes[RAW]
    assert coded.encode(columns) == coded.encode(columns, RANGE)


def test_a_sparse_matrix_takes_fewer_bits_than_its_entropy_without_contexts():
    """Of a matrix like LeNet-300-100's: 2 % of 16 values, some columns never used."""
    random = np.random.default_rng(0)
    kept = random.random((300, 784)) < 0.02 * random.gamma(0.5, 2, 784)
    codes = np.where(kept, random.integers(1, 17, kept.shape), 0)
    share = kept.mean()
    positions = -np.log2([share, 1 - share]) @ [share, 1 - share] / share
    bits = 8 * len(coded.encode(rows_of(codes))) / kept.sum()
    assert bits < positions + 4 - 0.5


@pytest.mark.parametrize(
    "codes, layout, size",
    [
        (np.ones((3, 10)), PACKED4, 3 * 5 + 16),
        # 17 codes do not fit 4 bits: values, a bit each, where the row starts and where it ends.
        ([[*range(1, 18)]], SPARSE, 17 + 3 + 2 * 8),
        # Places in 8 bits: a gap for each row, and what is left of all rows but the last.
        (np.eye(40), SPARSE, 40 + 40 + 39 + 41 * 8),
    ],
)
def test_the_layout_is_the_smaller_one(codes, layout, size):
    codes = np.int8(codes)
    found = coded.run_time_layout(codes)
    assert (found.layout, found.size_bytes) == (layout, size)
    buffer = coded.encode(rows_of(codes))
    assert buffer[1] >> 3 & 3 == (0 if layout == PACKED4 else 1 + found.places)
    if layout == SPARSE:
        stored = sparse.smallest(codes)
        assert (found.block, found.places) == (stored.block, stored.places)
        assert found.blocks * found.block == stored.values.size
        assert found.index_bytes == stored.indices.size


SMALL = rows_of([[0, 3, 0, -7], [1, 0, 0, 3]], [5, 0], [0.5, 2])
SMALL_SPARSE = rows_of(np.eye(24) * 5)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("rows", [SMALL, SMALL_SPARSE], ids=["packed4", "sparse"])
def test_every_other_byte_and_every_cut_is_refused(rows, coding):
    buffer = coded.encode(rows, coding)
    for place in range(len(buffer)):
        for change in range(1, 256):
            damaged = bytearray(buffer)
            damaged[place] ^= change
            with pytest.raises(ValueError, match="damaged"):
                coded.decode(bytes(damaged))
    for size in range(len(buffer)):
        with pytest.raises(ValueError, match="damaged"):
            coded.decode(buffer[:size])


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("rows", [SMALL, SMALL_SPARSE], ids=["packed4", "sparse"])
def test_damage_with_a_right_checksum_gives_rows_or_an_error(rows, coding, monkeypatch):
    monkeypatch.setattr(coded, "MAX_CODES", 1 << 10)  # for speed
    buffer = coded.encode(rows, coding)[:-4]
    outcomes = {"rows": 0, "error": 0}
    for place in range(len(buffer)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            damaged = bytearray(buffer)
            damaged[place] ^= change
            try:
                coded.decode(sealed(damaged))
                outcomes["rows"] += 1
            except ValueError:
                outcomes["error"] += 1
    assert min(outcomes.values()) > 20


def test_rows_of_another_layout_than_the_head_says_are_refused():
    buffer = bytearray(coded.encode(SMALL_SPARSE, RAW)[:-4])
    assert buffer[6] == 24  # blocks that are left
    buffer[6] = 25
    with pytest.raises(ValueError, match="another layout"):
        coded.decode(sealed(buffer))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="`coding` must be RAW, HUFFMAN, RANGE or None"):
        coded.encode(SMALL, 3)
    for change, message in (
        ({"codes": np.zeros((2, 4))}, "`codes` must be int8 of shape"),
        ({"codes": np.zeros((2, 0), np.int8)}, "`codes` must have 1 to"),
        ({"bias": np.zeros(3, np.int32)}, "`bias` must be int32 of shape"),
        ({"scale": np.ones(3, np.float32)}, "`scale` must be float32 of shape"),
        ({"scale": np.float32([np.inf])}, "`scale` must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(SMALL, **change)


def test_large_rows_are_encoded_once(monkeypatch):
    """The distance of neighbors is tried with a piece of them."""
    tried, encode = [], coded_range._encode

    def watched(codes, *rest):
        tried.append(codes.size)
        return encode(codes, *rest)

    monkeypatch.setattr(coded_range, "_encode", watched)
    codes = np.zeros((400, 500), np.int8)
    codes[::7, ::9] = 1
    coded.encode(rows_of(codes), RANGE)
    assert tried[-1] == codes.size
    assert sum(tried[:-1]) <= 2 * coded_range._TRIED

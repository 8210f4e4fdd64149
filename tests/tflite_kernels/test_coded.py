"""C++ decodes what Python encodes, refuses what Python refuses, and touches nothing else."""

import numpy as np
import pytest

from edgeax.formats import coded, packing, sparse
from tests.formats import coded_samples
from tests.golden import cases
from tests.tflite_kernels import coded_rows, native
from tests.tflite_kernels.guarded import GuardedArrays
from tflite_kernels import build_library

CODINGS = [coded.RAW, coded.HUFFMAN, coded.RANGE]
GOLDEN = cases.load("coded.json")
DAMAGED = 250  # buffers of a seed
MOST_CODES = 4000  # that Python decodes of one


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_golden_buffers_are_decoded_to_the_golden_bytes(case, coding):
    status, decoded = coded_rows.decode(bytes.fromhex(case["buffers"][coding]))
    assert status == native.OK
    assert decoded.arrays["bias"].tolist() == case["bias"]
    scale = [float.fromhex(value) for value in case["scale"]]
    assert decoded.arrays["scale"].tolist() == scale
    weights = case["values" if case["layout"] == coded.SPARSE else "packed"]
    assert decoded.arrays["weights"].tobytes().hex() == weights
    if case["layout"] == coded.SPARSE:
        assert decoded.arrays["indices"].tobytes().hex() == case["indices"]
    else:
        assert decoded.arrays["codebook"].tobytes().hex() == case["codebook"]


@pytest.mark.parametrize("seed", range(80))
def test_random_rows_are_decoded_to_the_layout_that_python_chose(seed):
    rows = coded_samples.draw(seed)
    layout = coded.run_time_layout(rows.codes)
    memory = GuardedArrays(at_end=seed % 2 == 0)  # a step outside is a crash
    for coding in CODINGS:
        status, decoded = coded_rows.decode(coded.encode(rows, coding), memory)
        assert status == native.OK
        assert decoded.head.layout == layout.layout
        assert coded_samples.same(decoded.rows(), rows)
        if layout.layout == coded.PACKED4:
            check_packed(rows.codes, decoded.arrays)
        else:
            check_sparse(rows.codes, layout, decoded.arrays)


def check_packed(codes, arrays):
    book, index = np.unique(codes, return_inverse=True)
    packed = packing.pack(index.reshape(codes.shape).astype(np.uint8), 4)
    assert arrays["weights"].tobytes() == packed.tobytes()
    assert arrays["codebook"].tolist() == book.tolist() + [0] * (16 - book.size)


def check_sparse(codes, layout, arrays):
    stored = sparse.encode(codes, layout.block, layout.places)
    assert arrays["weights"].tobytes() == stored.values.tobytes()
    assert arrays["indices"].tobytes() == stored.indices.tobytes()
    ends = [sparse.encode(codes[:row], layout.block, layout.places) for row in range(1, len(codes))]
    starts = [(0, 0), *((end.values.size, end.indices.size) for end in [*ends, stored])]
    assert arrays["starts"].reshape(-1, 2).tolist() == [list(start) for start in starts]


def test_a_column_counts_its_kept_codes_to_255():
    random = np.random.default_rng(0)
    codes = np.where(random.random((900, 3)) < 0.9, random.integers(1, 30, (900, 3)), 0)
    rows = coded.CodedRows(codes.astype(np.int8), np.zeros(900, np.int32), np.float32([1]))
    status, decoded = coded_rows.decode(coded.encode(rows, coded.RANGE))
    assert status == native.OK
    assert coded_samples.same(decoded.rows(), rows)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_buffer_with_another_byte_or_less_of_them_is_refused(coding):
    buffer = coded.encode(coded_samples.draw(3), coding)
    for place in range(len(buffer)):
        for bit in range(8):
            damaged = bytearray(buffer)
            damaged[place] ^= 1 << bit
            assert coded_rows.decode(bytes(damaged))[0] == native.BAD_ARGUMENT
        assert coded_rows.decode(buffer[:place])[0] == native.BAD_ARGUMENT


@pytest.mark.parametrize("seed", range(12))
def test_damage_with_a_right_checksum_is_taken_as_python_takes_it(seed):
    """Nothing is touched outside, and what Python reads or refuses C++ does as well."""
    random = np.random.default_rng(seed)
    outcomes = {native.OK: 0, native.BAD_ARGUMENT: 0}
    while sum(outcomes.values()) < DAMAGED:
        rows = coded_samples.draw(int(random.integers(1000)))
        if rows.codes.size > MOST_CODES // 2:
            continue
        buffer = coded.encode(rows, CODINGS[seed % 3])[:-4]
        for _ in range(10):
            damaged = coded_rows.seal(damage(random, buffer))
            memory = GuardedArrays(at_end=random.random() < 0.5)
            status, head = coded_rows.read(memory(np.frombuffer(damaged, np.uint8)))
            if status == native.OK and head.rows * head.depth > MOST_CODES:
                continue
            status, decoded = coded_rows.decode(damaged, memory)
            outcomes[status] += 1
            if status == native.OK:
                assert coded_samples.same(decoded.rows(), coded.decode(damaged))
            else:
                with pytest.raises(ValueError):
                    coded.decode(damaged)
    assert min(outcomes.values()) > 10


def damage(random, buffer):
    """Changes, adds or takes away a few bytes, those of the head more often."""
    damaged = bytearray(buffer)
    for _ in range(random.integers(1, 4)):
        place = int(len(damaged) * random.random() ** 2)
        match random.integers(4):
            case 0:
                damaged[place : place + random.integers(1, 4)] = b""
            case 1:
                damaged[place:place] = random.bytes(random.integers(1, 4))
            case _:
                if place < len(damaged):
                    damaged[place] = random.choice([0, 1, 127, 128, 255, random.integers(256)])
    return bytes(damaged)


@pytest.mark.parametrize(
    "rows, depth, count, size",
    [
        (0, 5, 0, 1),
        (5, 0, 0, 1),
        (1 << 20 | 1, 1, 1, 1),
        (1, 65537, 1, 1),
        (1 << 15, 1 << 16, 1, 1),  # more codes than an index counts
        (2, 3, 7, 1),
        (2, 3, 0, 1),
        ((1 << 35) - 1, 3, 1, 1),
        (1000, 3, 1, 1000),  # a scale for each row, and the buffer ends before
    ],
)
def test_sizes_out_of_range_are_refused_before_memory_is_asked_for(rows, depth, count, size):
    varints = b"".join(coded._varint(number) for number in (rows, depth, count))
    head = bytes([1, 4 if size > 1 else 0, 0]) + varints + np.float32([1, 1]).tobytes()
    status, _ = coded_rows.read(np.frombuffer(coded_rows.seal(head), np.uint8))
    assert status == native.BAD_ARGUMENT
    with pytest.raises(ValueError):
        coded.decode(coded_rows.seal(head))


@pytest.mark.parametrize("blocks, index_bytes", [(7, 2), (1 << 31, 2), (6, 7), (6, 1 << 31)])
def test_sizes_of_a_layout_beyond_the_rows_are_refused(blocks, index_bytes):
    varints = b"".join(coded._varint(number) for number in (2, 3, 6, blocks, index_bytes))
    head = bytes([1, 8, 0]) + varints + np.float32([1]).tobytes()
    status, _ = coded_rows.read(np.frombuffer(coded_rows.seal(head), np.uint8))
    assert status == native.BAD_ARGUMENT


def test_the_readme_shows_the_bytes_that_a_file_holds():
    codes, bias = np.int8([[0, 0, 5, 0, -1]]), np.int32([-3])
    buffer = coded.encode(coded.CodedRows(codes, bias, np.float32([0.5])), coded.RAW)
    readme = (build_library.KERNELS / "README.md").read_text()
    for part in (buffer[:6], buffer[6:10], buffer[10:-4], buffer[-4:]):
        assert f"`{part.hex(' ')}`" in readme


@pytest.mark.parametrize("coding", [coded.RAW, coded.HUFFMAN])
def test_a_code_behind_the_last_row_is_refused(coding):
    codes = np.int8([[0, 0, 3], [0, 0, 0], [0, 3, 0]])
    rows = coded.CodedRows(codes, np.zeros(3, np.int32), np.float32([1]))
    buffer = bytearray(coded.encode(rows, coding)[:-4])
    assert buffer[3:6] == bytes([3, 3, 2])  # rows, depth, codes that are kept
    buffer[4] = 2  # the last code is the eighth
    assert coded_rows.decode(coded_rows.seal(buffer))[0] == native.BAD_ARGUMENT
    with pytest.raises(ValueError, match="a code at place 7 of 6"):
        coded.decode(coded_rows.seal(buffer))


@pytest.mark.parametrize("scale", [np.nan, np.inf, -np.inf])
def test_a_scale_that_is_not_finite_is_refused(scale):
    rows = coded.CodedRows(np.int8([[1]]), np.int32([0]), np.float32([1]))
    buffer = bytearray(coded.encode(rows))
    buffer[6:10] = np.float32([scale]).tobytes()
    assert coded_rows.decode(coded_rows.seal(buffer[:-4]))[0] == native.BAD_ARGUMENT
    with pytest.raises(ValueError, match="finite"):
        coded.decode(coded_rows.seal(buffer[:-4]))

import tracemalloc

import numpy as np
import pytest

from edgeax.formats import sparse
from edgeax.formats.sparse import BITMASK, BLOCKS, RELATIVE4, RELATIVE8

# Rows of the sizes of EIE's example: two zeros, 1, 2, eighteen zeros, 3.
EIE = [0, 0, 1, 2, *[0] * 18, 3]


@pytest.mark.parametrize(
    "row, block, places, values, indices",
    [
        ([0, 0, 5, 0, -1], 1, BITMASK, [5, -1], [0b10100]),
        ([0, 0, 5, 0, -1], 1, RELATIVE4, [5, -1], [0x12]),
        ([0, 0, 5, 0, -1], 1, RELATIVE8, [5, -1], [2, 1]),
        # 15 blocks are jumped over, then three more: no filler value.
        (EIE, 1, RELATIVE4, [1, 2, 3], [0x02, 0x3F]),
        (EIE, 1, BITMASK, [1, 2, 3], [0b1100, 0, 0b1000000]),
        # Three zeros at the end are one entry, although it reaches over the end.
        ([7, 0, 0, 0], 1, RELATIVE4, [7], [0xF0]),
        ([7, 0, 0, 0], 1, RELATIVE8, [7], [0, 255]),
        ([0, 0], 1, RELATIVE4, [], [0x0F]),
        # A block sticks out over the end of the row.
        ([0, 0, 0, 4, 0, 6, 0], 2, BITMASK, [0, 4, 0, 6], [0b0110]),
        ([0, 0, 0, 0, 9], 4, RELATIVE4, [9, 0, 0, 0], [0x01]),
        ([-128], 16, RELATIVE8, [-128, *[0] * 15], [0]),
    ],
)
def test_a_row_is_stored_in_the_bytes_worked_out_by_hand(row, block, places, values, indices):
    stored = sparse.encode(np.int8([row]), block, places)
    assert stored.values.tolist() == values
    assert stored.indices.tolist() == indices
    assert sparse.decode(stored, 1).tolist() == [row]


@pytest.mark.parametrize("places", [BITMASK, RELATIVE4, RELATIVE8])
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("density", [0.0, 0.02, 0.3, 1.0])
def test_decoding_gives_the_codes(places, block, density):
    random = np.random.default_rng(block)
    for depth in (1, 3, 17, 300, 601):
        shape = (5, depth)
        codes = random.integers(-128, 128, shape) * (random.random(shape) < density)
        codes = codes.astype(np.int8)
        assert np.array_equal(sparse.decode(sparse.encode(codes, block, places), 5), codes)


def row_by_row(codes, block, places):
    """The values and indices, one block of one row after the other."""
    values, indices = [], []
    for row in codes:
        row = [*row, *[0] * (-len(row) % block)]
        blocks = [row[at : at + block] for at in range(0, len(row), block)]
        left = [any(one) for one in blocks]
        values += [code for one in blocks if any(one) for code in one]
        bits = {BITMASK: 1, RELATIVE4: 4, RELATIVE8: 8}[places]
        fields = left
        if places != BITMASK:
            most, fields, gap = 2**bits - 1, [], 0
            for is_left in left:
                gap += not is_left
                if is_left or gap == most:
                    fields.append(gap)
                    gap = 0
            fields += [most] * (gap > 0)
        per_byte = 8 // bits
        for at in range(0, len(fields), per_byte):
            part = fields[at : at + per_byte]
            indices.append(sum(int(field) << bits * i for i, field in enumerate(part)))
    return values, indices


def random_codes(random):
    """Rows of a random size and density, zeros in blocks of a random size."""
    rows, depth = random.integers(1, 8), random.choice([1, 2, 3, 15, 16, 17, 31, 64, 300, 520])
    block = random.choice(BLOCKS)
    density = random.choice([0.0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.9, 1.0])
    kept = np.repeat(random.random((rows, -(-depth // block))) < density, block, axis=1)
    return (random.integers(-128, 128, (rows, depth)) * kept[:, :depth]).astype(np.int8)


@pytest.mark.parametrize("seed", range(40))
def test_smallest_is_the_first_of_all_forms_tried_row_by_row(seed):
    codes = random_codes(np.random.default_rng(seed))
    forms = {
        (block, places): row_by_row(codes.tolist(), block, places)
        for block in reversed(BLOCKS)
        for places in (BITMASK, RELATIVE4, RELATIVE8)
    }
    wanted = min(forms, key=lambda form: sum(map(len, forms[form])))
    found = sparse.smallest(codes)
    assert (found.block, found.places) == wanted
    for form, (values, indices) in forms.items():
        stored = sparse.encode(codes, *form)
        assert (stored.values.tolist(), stored.indices.tolist()) == (values, indices), form
    assert (found.values.tolist(), found.indices.tolist()) == forms[wanted]


@pytest.mark.parametrize("density", [0.5, 1.0])
def test_smallest_holds_one_form_at_a_time(density):
    random = np.random.default_rng(0)
    shape = (1024, 1024)
    codes = (random.integers(1, 100, shape) * (random.random(shape) < density)).astype(np.int8)
    tracemalloc.start()
    sparse.smallest(codes)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 12 * codes.size  # of 15 forms, 25 times and more


def test_every_row_begins_on_a_byte():
    stored = sparse.encode(np.int8([[1], [2], [3]]), 1, RELATIVE4)
    assert stored.indices.tolist() == [0, 0, 0]


def test_smallest_takes_the_fewest_bytes():
    random = np.random.default_rng(0)

    def pruned(density, block=1):
        kept = np.repeat(random.random((64, 512 // block)) < density, block, axis=1)
        return (random.integers(1, 100, (64, 512)) * kept).astype(np.int8)

    # A bit each is cheaper above a quarter, then nibbles, and bytes where nibbles only jump.
    assert sparse.smallest(pruned(0.5)).places == BITMASK
    assert sparse.smallest(pruned(0.1)).places == RELATIVE4
    assert sparse.smallest(pruned(0.005)).places == RELATIVE8
    assert sparse.smallest(pruned(0.25, block=4)).block == 4
    # 0.1 * 512 = 51 values, as many nibbles, and a fifth more for jumps over 15.
    assert sparse.smallest(pruned(0.1)).size_bytes < 0.17 * 64 * 512


@pytest.mark.parametrize(
    "places, indices, rows",
    [
        (RELATIVE4, [0x12], 2),  # nothing for the second row
        (RELATIVE4, [0x12, 0x00], 1),  # a byte too many
        (RELATIVE4, [0x32], 1),  # the second block would lie behind the end
        (BITMASK, [], 1),
        (BITMASK, [0b11100], 1),  # three places for two values
    ],
)
def test_a_damaged_file_is_refused(places, indices, rows):
    damaged = sparse.SparseRows(5, 1, places, np.int8([5, -1]), np.uint8(indices))
    with pytest.raises(ValueError, match="`sparse` must"):
        sparse.decode(damaged, rows)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="`codes` must be int8"):
        sparse.encode(np.int8([1]), 1, BITMASK)
    with pytest.raises(ValueError, match="`block` must be one of"):
        sparse.encode(np.int8([[1]]), 3, BITMASK)
    with pytest.raises(ValueError, match="`places` must be"):
        sparse.encode(np.int8([[1]]), 1, 7)


@pytest.mark.parametrize(
    "row, expected",
    [
        ([0] * 12 + [1, -1, 2, -128], True),
        ([0] * 11 + [1, -1, 2, -128, 5], False),
        ([1] * 4, True),
        ([1] * 5, False),
        ([0] * 12 + [1] * 8 + [0] * 12, True),  # four in each group, eight beside each other
        ([0] * 16 + [1] * 5, False),
    ],
)
def test_balanced_are_at_most_4_of_each_16(row, expected):
    assert sparse.is_balanced(np.int8([[0] * len(row), row])) == expected

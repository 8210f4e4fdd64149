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

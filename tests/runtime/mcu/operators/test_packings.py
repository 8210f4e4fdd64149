import numpy as np

from edgeax.formats import grouped_rows, vector_rows
from edgeax.runtime.mcu.operators import packings


def data_of(packing: packings.Packing, name: str) -> list[int]:
    return packing.fields[name].data.tolist()


def test_codes_lie_in_groups_of_16_bytes():
    tile = np.repeat(np.int8([5, 7]), 16)[np.newaxis]  # 16 codes 0, then 16 codes 1
    packed = next(iter(packings.packings_of(tile)))
    assert packed.kernel == "CodebookConv2D" and packed.fields["bits"] == 1
    assert data_of(packed, "codebook") == [5, 7]
    assert data_of(packed, "codes") == [0b10] * 16


def test_a_short_group_has_fewer_bytes():
    tile = np.arange(4, dtype=np.int8)[np.newaxis]
    packed = next(iter(packings.packings_of(tile)))
    assert packed.fields["bits"] == 2 and data_of(packed, "codes") == [0, 1, 2, 3]


def test_many_values_have_no_codes():
    tile = np.arange(32, dtype=np.int8)[np.newaxis]
    assert {way.kernel for way in packings.packings_of(tile)} == {"MaskedConv2D"}


def test_pieces_of_zeros_are_left_out():
    tiles = np.int8([[0, 0, 0, 0, 1, 2, 3, 4], [5, 0, 0, 0, 0, 0, 0, 0]])
    by_piece = {
        way.fields["piece"]: way
        for way in packings.packings_of(tiles)
        if way.kernel == "MaskedConv2D"
    }
    assert data_of(by_piece[4], "masks") == [0b10, 0b01]
    assert data_of(by_piece[4], "starts") == [0, 1]
    assert data_of(by_piece[4], "pieces") == [1, 2, 3, 4, 5, *[0] * 7]  # one more is read
    assert data_of(by_piece[1], "pieces") == [1, 2, 3, 4, 5]
    assert by_piece[1].size_bytes == 2 + 8 + 5


def test_blocks_are_stored_without_others_but_behind_the_last_one():
    tiles = np.zeros((1, 64), np.int8)
    tiles[0, 20] = 9
    packed, most = packings.in_blocks(tiles, 4)
    assert most == 1 and data_of(packed, "starts") == [0, 1]
    assert data_of(packed, "masks") == [0b10]
    assert packed.fields["blocks"].data.size == 64  # 4 are read at once
    assert packings.in_blocks(tiles, 1)[0].fields["blocks"].data.size == 16


def test_vectors_stand_beside_each_other_for_4_channels():
    rows = np.int8([[7, 2, 0, 0], [-1, 4, 7, 2]])
    packed = packings.in_vectors(vector_rows.encode(rows, 2, 1), rows, groups=1)
    words = np.reshape(data_of(packed, "codebook"), (-1, 2))
    first, second = data_of(packed, "indices")[:2], data_of(packed, "indices")[2:]
    assert words[first[0] & 15].tolist() == [7, 2] and words[first[0] >> 4].tolist() == [-1, 4]
    assert words[second[0] & 15].tolist() == [0, 0] and words[second[0] >> 4].tolist() == [7, 2]


def test_groups_have_their_codebooks_first():
    weights = np.repeat(np.int8([[1, 2], [3, 6]]), 16, axis=1)
    packed = packings.in_groups(grouped_rows.grouped_rows(weights, 16), groups=1)
    assert packed.fields["depth"] == 32 and packed.fields["group"] == 16
    content = data_of(packed, "codes")
    assert len(content) == packed.fields["tile_bytes"] == 2 * 4 + 32 * packed.fields["bits"] // 2

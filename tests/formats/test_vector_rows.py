import numpy as np
import pytest

from edgeax.formats import vector_rows
from tests.golden import cases as golden


def test_rows_are_stored_in_the_bytes_worked_out_by_hand():
    # Sub-vectors of 2: the table is (-1, 4), (0, 0), (7, 2), sorted.
    rows = np.int8([[7, 2, 0, 0], [-1, 4, 7, 2], [0, 0, -1, 4]])
    stored = vector_rows.encode(rows, length=2, tables=1)
    assert stored.codebook.tolist() == [[[-1, 0, 7], [4, 0, 2]]]
    # Place 0 of the three channels is 2 0 1, place 1 is 1 2 0.
    assert stored.weights.tolist() == [0x02, 0x01, 0x21, 0x00]
    assert stored.bits == 4
    np.testing.assert_array_equal(vector_rows.decode(stored, 3), rows)


def test_each_place_has_a_table_of_its_own_where_there_are_as_many():
    rows = np.int8([[1, 2, 1, 2], [3, 4, 5, 6]])
    stored = vector_rows.encode(rows, length=2, tables=2)
    assert stored.codebook.tolist() == [[[1, 3], [2, 4]], [[1, 5], [2, 6]]]
    assert stored.weights.tolist() == [0x10, 0x10]
    np.testing.assert_array_equal(vector_rows.decode(stored, 2), rows)


def test_tables_of_input_channels_come_round_at_every_tap():
    rows = np.int8([[1, 9, 2, 8]])  # two taps of two channels
    stored = vector_rows.encode(rows, length=1, tables=2)
    assert stored.codebook.tolist() == [[[1, 2]], [[8, 9]]]
    np.testing.assert_array_equal(vector_rows.decode(stored, 1), rows)


@pytest.mark.parametrize("channels", [1, 127, 128, 129, 300])
@pytest.mark.parametrize("entries", [2, 16, 17, 256])
@pytest.mark.parametrize("length, tables", [(1, 1), (3, 1), (3, 4), (6, 2), (12, 1)])
def test_rows_survive(channels, entries, length, tables):
    source = np.random.default_rng(entries)
    codewords = source.integers(-128, 128, (tables, entries, length), dtype=np.int8)
    indices = source.integers(0, entries, (channels, 12 // length))
    rows = codewords[np.arange(12 // length) % tables, indices].reshape(channels, 12)
    stored = vector_rows.encode(rows, length, tables)
    assert stored.weights.size == 12 // length * -(-channels * stored.bits // 8)
    np.testing.assert_array_equal(vector_rows.decode(stored, channels), rows)


def test_indices_lie_as_in_the_golden_vectors():
    for case in golden.load("vector.json"):
        channels, places = case["weights_index"]["shape"]
        tables, length, entries = case["codebook_shape"]
        packed = golden.pack_indices(case["weights_index"]["data"], places, entries)
        codebook = np.int8(case["codebook"]).reshape(tables, length, entries)
        stored = vector_rows.VectorRows(np.uint8(packed), codebook)
        rows, depth = golden.weight_rows(case)
        found = vector_rows.decode(stored, channels)
        np.testing.assert_array_equal(found, np.int8(rows).reshape(channels, depth))


def test_more_codewords_than_an_index_can_name_are_refused():
    rows = np.arange(-128, 129).astype(np.int16)[:, None] * np.int16([1, 0])
    rows[:, 1] = np.arange(257) // 200
    with pytest.raises(ValueError, match="at most 256 different sub-vectors.*257"):
        vector_rows.encode(rows.astype(np.int8), length=2, tables=1)


@pytest.mark.parametrize("length, tables", [(3, 1), (5, 4), (0, 1), (2, 0), (-2, -5)])
def test_rows_that_cannot_be_cut_are_refused(length, tables):
    message = f"divide the 10 weights of a row. Received: length={length}, tables={tables}"
    with pytest.raises(ValueError, match=message):
        vector_rows.encode(np.zeros((4, 10), np.int8), length, tables)

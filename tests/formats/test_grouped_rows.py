import numpy as np
import pytest

from edgeax.formats import EncodedTensor, GroupedInteger
from edgeax.formats.grouped_rows import NoGroups, grouped_rows, row_codebooks
from edgeax.formats.integer_form import integer_form


def trained(bits, group, shape=(100, 7), seed=0):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    format = GroupedInteger(bits, group, whole=True)
    params = format.fit(x)
    return integer_form(EncodedTensor(format.encode(x, params), format, params)).codes.T


def test_rows_worked_out_by_hand():
    # steps 9 and 2; the codes -1, 0, 1, 7 in use are the indices 0 to 3
    rows = np.int8([[63, -9, 0, 9, 2, 14]])
    found = grouped_rows(rows, 4)
    assert found.codes.tolist() == [[3, 0, 1, 2, 2, 3]]
    assert found.numbers.tolist() == [[1, 0]]
    assert found.codebooks.tolist() == [[-2, 0, 2, 14], [-9, 0, 9, 63]]
    # From the lowest bits up: 11, 00, 01, 10; 10, 11; then the numbers.
    assert found.packed().tolist() == [[0b10010011, 0b1110, 1, 0]]


@pytest.mark.parametrize("bits, stored", [(2, 2), (3, 4), (4, 4)])
@pytest.mark.parametrize("group", [16, 32, 128])
def test_trained_kernels_come_back_in_few_bits(bits, stored, group):
    rows = trained(bits, group)
    found = grouped_rows(rows, group)
    assert found.bits == stored and len(found.codebooks) in (1, 2, 4, 8, 16, 32, 64, 128)
    np.testing.assert_array_equal(found.decode(), rows)
    groups = -(-100 // group)
    assert found.packed().shape == (7, -(-100 * stored // 8) + groups)


def test_zeros_and_the_lowest_code_are_kept():
    rows = np.int8([[0] * 16 + [-128] * 16, [127] * 16 + [0] * 16])
    found = grouped_rows(rows, 16)
    np.testing.assert_array_equal(found.decode(), rows)
    assert not grouped_rows(np.zeros((2, 20), np.int8), 16).decode().any()


def test_seventeen_codes_are_too_many():
    rows = np.int8([[*range(16)]])
    np.testing.assert_array_equal(grouped_rows(rows, 16).decode(), rows)
    with pytest.raises(NoGroups, match="its groups have 17 different codes, more than 16"):
        grouped_rows(np.int8([[*range(17)]]), 32)


def test_each_row_has_a_codebook_worked_out_by_hand():
    rows = np.int8([[5, -3, 5, 0, 1], [5, 1, 0, -3, 5]])
    more = np.int8([[10 * k + n for n in range(5)] for k in range(1, 5)])
    found = row_codebooks(np.concatenate([rows, more]))
    assert found.bits == 4 and found.codebooks.shape == (8, 16)
    assert found.numbers[:2].tolist() == [[0], [0]]  # both rows have the same values
    assert found.codebooks[0].tolist() == [-3, 0, 1, 5] + [0] * 12
    assert found.codes[0].tolist() == [3, 0, 3, 1, 2]
    np.testing.assert_array_equal(found.decode(), np.concatenate([rows, more]))
    assert found.packed().shape == (6, 3 + 1)


def test_one_codebook_serves_all_rows_where_it_can():
    rows = np.random.default_rng(0).choice(np.int8([-128, -1, 0, 127]), (300, 9))
    found = row_codebooks(rows)
    assert found.bits == 2 and found.codebooks.tolist() == [[-128, -1, 0, 127]]
    np.testing.assert_array_equal(found.decode(), rows)


def test_rows_of_many_weights_or_codebooks_are_refused():
    rows = np.int8([[*range(17)]])
    with pytest.raises(NoGroups, match="has 17 different weights, more than 16"):
        row_codebooks(rows)
    many = np.stack([np.arange(257) // 16 - 50, np.arange(257) % 16], axis=1).astype(np.int8)
    np.testing.assert_array_equal(row_codebooks(many[:256]).decode(), many[:256])
    with pytest.raises(NoGroups, match="have 257 different codebooks, more than 256"):
        row_codebooks(many)

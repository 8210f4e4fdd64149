import numpy as np
import pytest

from edgeax.transforms.placed_tables import (
    checked_codes,
    checked_tables,
    sorted_tables,
    zero_first,
)

TABLES = np.float32([[3, 0, -1], [0, 2, 0]])
CODES = np.array([[0, 1, 2, 2], [2, 1, 0, 1]])


def values(tables, codes):
    return np.take_along_axis(tables, codes, axis=1)


@pytest.mark.parametrize(
    "order, tables",
    [(sorted_tables, [[-1, 0, 3], [0, 0, 2]]), (zero_first, [[0, 3, -1], [0, 2, 0]])],
)
def test_another_order_keeps_what_codes_mean(order, tables):
    ordered, codes = order(TABLES, CODES)
    assert ordered.tolist() == tables
    assert np.array_equal(values(ordered, codes), values(TABLES, CODES))
    assert order(TABLES, None)[1] is None


def test_one_table_stands_for_every_group():
    assert checked_tables([1, 2], 3, 2, False, None).tolist() == [[1, 2]] * 3
    assert checked_tables([[1, 2], [3, 4]], 2, 2, False, None).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "centroids, has_zero, top, message",
    [
        ([1, 2], False, None, r"shape \(2, 3\), or \(3,\) for the same.*\(2,\)"),
        ([[1, 2, 3]], False, None, r"Received: shape \(1, 3\)"),
        ([1, np.nan, 3], False, None, "`centroids` must be finite"),
        ([1, np.inf, 3], False, None, "`centroids` must be finite"),
        ([1, 2, 3], True, None, "must hold a 0 in each table"),
        ([[0, 2, 3], [1, 2, 3]], True, None, "must hold a 0 in each table"),
        ([-127, 0, 127], False, 127.0, r"must lie in \[-1, 1\].*up to 127"),
    ],
)
def test_bad_centroids_are_refused(centroids, has_zero, top, message):
    with pytest.raises(ValueError, match=message):
        checked_tables(centroids, 2, 3, has_zero, top)


def test_a_fraction_may_be_1_up_to_rounding():
    assert checked_tables([-1.0000001, 0, 1], 1, 3, True, 127.0).shape == (1, 3)


@pytest.mark.parametrize(
    "codes, message",
    [
        ([[0, 1]], r"integers of the shape of the weight, \(2, 2\).*\(1, 2\)"),
        ([[0.0, 1.0], [0.0, 1.0]], "must be integers.*float64"),
        ([[True, False], [True, False]], "must be integers.*bool"),
        ([[0, 1], [2, 3]], r"\[0, 2\].*max=3"),
        ([[0, 1], [2, -1]], r"\[0, 2\].*min=-1"),
    ],
)
def test_bad_codes_are_refused(codes, message):
    with pytest.raises(ValueError, match=message):
        checked_codes(codes, (2, 2), 3)


def test_codes_of_any_integer_type_are_taken():
    assert checked_codes(np.uint8([[0, 1], [2, 0]]), (2, 2), 3).tolist() == [[0, 1], [2, 0]]

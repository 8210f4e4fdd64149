import numpy as np
import pytest

from edgeax.formats import coded_range
from tests.golden import cases, coded_cases

DISTANCES = {shape[0]: shape[-1] for shape in coded_cases.SHAPES}


def table_and_count(codes):
    if not codes.any():
        return np.int8([0]), codes.size
    return np.unique(codes[codes != 0]), np.count_nonzero(codes)


def size_of(codes, distance=None):
    codes = np.int8(codes)
    table, count = table_and_count(codes)
    bias = np.zeros(len(codes), np.int32)
    if distance is None:
        return len(coded_range.encode(codes, bias, table, count))
    return len(coded_range._encode(codes, bias, table, count, distance))


@pytest.mark.parametrize("case", cases.load("coded.json"), ids=lambda case: case["name"])
def test_the_bytes_are_those_of_the_golden_encoder(case):
    codes = np.frombuffer(bytes.fromhex(case["codes"]), np.int8).reshape(-1, case["depth"])
    table, count = table_and_count(codes)
    bias = np.int32(case["bias"])
    found = coded_range._encode(codes, bias, table, count, DISTANCES[case["name"]])
    golden = bytes.fromhex(case["buffers"][2])[:-4]
    assert golden.endswith(found) and len(found) > 1


def image(rows, height, width, random):
    """Rows that look at a blob of an image of this size each."""
    y, x = np.mgrid[:height, :width]
    centers = random.random((rows, 2)) * [height, width]
    far = (y - centers[:, :1, None]) ** 2 + (x - centers[:, 1:, None]) ** 2
    return np.where(far < 12, random.integers(3, 9, far.shape), 0).reshape(rows, -1)


def test_the_distance_of_neighbors_is_that_of_lines_of_an_image():
    codes = image(60, 19, 23, np.random.default_rng(0)).astype(np.int8)
    assert coded_range._distance(codes) == 23
    assert size_of(codes) == size_of(codes, 23) < 0.6 * size_of(codes, 0)


def test_no_neighbors_are_looked_at_where_they_tell_nothing():
    random = np.random.default_rng(0)
    codes = random.integers(-100, 100, (40, 30))
    assert size_of(codes) == size_of(codes, 0) < size_of(codes, 7)


@pytest.mark.parametrize("shape", [(1, 1), (4, 1), (4, 2)])
def test_short_rows_have_no_neighbors_at_a_distance(shape):
    assert coded_range._distance(np.ones(shape, np.int8)) == 0


def test_unused_columns_cost_little():
    random = np.random.default_rng(0)
    used = random.random(400) < 0.1
    codes = random.integers(1, 3, (100, 400)) * used
    entropy = used.sum() * 100 / 8  # a bit each, if it is known which columns are used
    assert size_of(codes) < 1.25 * entropy


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "`distance` of coded rows must lie in"),  # ones: the largest number
        (b"\xff" * 8, "`table` of coded rows must lie in"),
    ],
)
def test_damage_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        coded_range.decode(data, 3, 4, 5, 200)

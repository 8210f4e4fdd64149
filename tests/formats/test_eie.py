import numpy as np
import pytest

from edgeax.formats import eie


def test_hlm16_column_of_the_paper():
    v, z = eie.write_column(np.uint8([0, 0, 1, 2, *[0] * 18, 3]))
    assert (v.tolist(), z.tolist()) == ([1, 2, 0, 3], [2, 0, 15, 2])
    # A place is the sum of z + 1 so far, less 1: 2, 3, the filler's 19, 22.
    assert eie.read_column(v, z, 23).tolist() == [0, 0, 1, 2, *[0] * 18, 3]


@pytest.mark.parametrize(
    "zeros, v, z",
    [
        (0, [5], [0]),
        (15, [5], [15]),
        (16, [0, 5], [15, 0]),  # a filler is 15 zeros and itself
        (31, [0, 5], [15, 15]),
        (32, [0, 0, 5], [15, 15, 0]),
    ],
)
def test_a_run_is_cut_by_fillers(zeros, v, z):
    found = eie.write_column(np.uint8([*[0] * zeros, 5]))
    assert [part.tolist() for part in found] == [v, z]


def test_zeros_at_the_end_are_not_stored():
    assert [part.tolist() for part in eie.write_column(np.uint8([7, 0, 0]))] == [[7], [0]]
    assert [part.size for part in eie.write_column(np.zeros(40, np.uint8))] == [0, 0]


def test_rows_are_dealt_out_to_elements():
    # Rows 0 and 2 belong to element 0, row 1 to element 1.
    first, second = eie.encode(np.uint8([[1, 0], [0, 2], [0, 3]]), 2)
    assert (first.v.tolist(), first.z.tolist(), first.p.tolist()) == ([1, 3], [0, 1], [0, 1, 2])
    assert (second.v.tolist(), second.z.tolist(), second.p.tolist()) == ([2], [0], [0, 0, 1])


@pytest.mark.parametrize("elements", [1, 3, 4, 64])
@pytest.mark.parametrize("density", [0.0, 0.03, 0.5, 1.0])
def test_decoding_gives_the_matrix(density, elements):
    random = np.random.default_rng(elements)
    shape = (101, 9)
    indices = (random.integers(1, 16, shape) * (random.random(shape) < density)).astype(np.uint8)
    assert np.array_equal(eie.decode(eie.encode(indices, elements)), indices)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="`column` must hold indices"):
        eie.write_column(np.uint8([16]))
    with pytest.raises(ValueError, match="`elements` must be at least 1"):
        eie.encode(np.uint8([[1]]), 0)
    with pytest.raises(ValueError, match="`z` must place every entry before row 3"):
        eie.read_column(np.uint8([1]), np.uint8([3]), 3)

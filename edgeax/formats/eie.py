"""The sparse matrix of the EIE accelerator: 4-bit indices into a codebook, and runs of zeros.

The rows are dealt out to processing elements, row i to element `i % elements`. Of each column, an
element has an entry for each of its weights that is not 0: `v`, the index into the codebook, whose
entry 0 is the weight 0, and `z`, how many zeros come before it. A run of more than 15 zeros is cut
by fillers, `v = 0` and `z = 15`, which are 16 zeros; zeros at the end of a column are not stored.
Pointers say where the entries of each column begin.

Source: [HLM16].
"""

import dataclasses

import numpy as np

from edgeax.formats.methods import implements

_MOST_ZEROS = 15
_ENTRIES = 16  # of the codebook


@dataclasses.dataclass(frozen=True, eq=False)
class ElementColumns:
    """The columns of one processing element.

    Attributes:
        rows: Rows that this element has.
        v: uint8 `(n,)`, indices into the codebook, 0 to 15.
        z: uint8 `(n,)`, zeros before each, 0 to 15.
        p: int32 `(columns + 1,)`, where the entries of each column begin, and where the last ends.
    """

    rows: int
    v: np.ndarray
    z: np.ndarray
    p: np.ndarray


@implements("HLM16", test="tests/formats/test_eie.py::test_hlm16_column_of_the_paper")
def write_column(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns `v` and `z` of a column of indices into the codebook, `(rows,)`, 0 where it is zero.

    Raises:
        ValueError: An index is none of 0 to 15.

    Example: Of 0, 0, 1, 2, eighteen zeros and 3, v is `[1, 2, 0, 3]` and z `[2, 0, 15, 2]`.
    """
    column = np.asarray(column)
    if column.ndim != 1 or np.any((column < 0) | (column >= _ENTRIES)):
        raise ValueError(
            f"`column` must hold indices of 0 to 15, shape (rows,). Received: {column.dtype} of "
            f"shape {column.shape}. Cluster to 15 values beside 0."
        )
    places = np.flatnonzero(column)
    zeros = np.diff(places, prepend=-1) - 1
    fillers = zeros // (_MOST_ZEROS + 1)
    last = np.cumsum(fillers + 1) - 1  # the entry of each weight, behind its fillers
    v = np.zeros(last[-1] + 1 if last.size else 0, np.uint8)
    z = np.full(v.shape, _MOST_ZEROS, np.uint8)
    v[last] = column[places]
    z[last] = zeros % (_MOST_ZEROS + 1)
    return v, z


def read_column(v: np.ndarray, z: np.ndarray, rows: int) -> np.ndarray:
    """Returns the column, uint8 `(rows,)`, that `write_column` was given.

    Raises:
        ValueError: An entry lies behind the last row.
    """
    places = np.cumsum(z.astype(np.int64) + 1) - 1
    if places.size and places[-1] >= rows:
        raise ValueError(
            f"`z` must place every entry before row {rows}. Received: row {places[-1]}. The file "
            "is damaged."
        )
    column = np.zeros(rows, np.uint8)
    column[places] = v
    return column


def encode(indices: np.ndarray, elements: int) -> list[ElementColumns]:
    """Returns what each processing element has of a matrix.

    Args:
        indices: Indices into the codebook, `(rows, columns)`, 0 where the matrix is zero.
        elements: Processing elements, at least 1; 64 in the paper.

    Raises:
        ValueError: There is no element, or an index is none of 0 to 15.
    """
    indices = np.asarray(indices)
    if elements < 1 or indices.ndim != 2 or not indices.size:
        raise ValueError(
            "`elements` must be at least 1 and `indices` of shape (rows, columns), at least one of "
            f"each. Received: elements={elements} and shape {indices.shape}. Reshape to a matrix."
        )
    return [_encode_element(indices[first::elements]) for first in range(elements)]


def decode(columns: list[ElementColumns]) -> np.ndarray:
    """Returns the matrix, uint8 `(rows, columns)`, whose elements `encode` returned.

    Raises:
        ValueError: An entry lies behind the last row of its element.
    """
    matrix = np.zeros((sum(each.rows for each in columns), columns[0].p.size - 1), np.uint8)
    for first, each in enumerate(columns):
        for column, part in enumerate(map(slice, each.p[:-1], each.p[1:])):
            read = read_column(each.v[part], each.z[part], each.rows)
            matrix[first :: len(columns), column] = read
    return matrix


def _encode_element(indices: np.ndarray) -> ElementColumns:
    written = [write_column(column) for column in indices.T]
    v, z = (np.concatenate([np.zeros(0, np.uint8), *part]) for part in zip(*written, strict=True))
    p = np.cumsum([0, *(entries.size for entries, _ in written)], dtype=np.int32)
    return ElementColumns(len(indices), v, z, p)

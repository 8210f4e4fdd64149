"""How pruned int8 rows lie in bytes: the values that are left, and where they stood.

A row is cut into blocks of `block` codes; blocks of zeros are left out. Three ways say which blocks
are left, and each row begins on a byte:

- `BITMASK`: one bit for each block, first block in the lowest bit, 1 where it is left.
- `RELATIVE4`, `RELATIVE8`: for each block that is left, how many left-out blocks come before it,
  in 4 or 8 bits, first one in the low nibble. The highest number (15, 255) is no block: it stands
  for that many left-out blocks and nothing else. A row is over once all its blocks are accounted
  for; left-out blocks at its end are such highest numbers, of which the last may reach too far.

The idea of relative indices is that of [HMD16], without its filler values. C++ twin:
tflite_kernels/core/sparse.h.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from edgeax.formats import packing

BITMASK, RELATIVE4, RELATIVE8 = range(3)
"""How the places of the blocks are written."""

BLOCKS = (1, 2, 4, 8, 16)
"""Codes in a block."""

_INDEX_BITS = {RELATIVE4: 4, RELATIVE8: 8}


@dataclasses.dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows of int8 codes without their zeros.

    Attributes:
        depth: Codes in a row, at least 1.
        block: Codes in a block, one of `BLOCKS`.
        places: `BITMASK`, `RELATIVE4` or `RELATIVE8`.
        values: int8 `(blocks that are left * block,)`, row by row; the last block of a row is
            filled up with zeros.
        indices: uint8, where the blocks stood, row by row.
    """

    depth: int
    block: int
    places: int
    values: np.ndarray
    indices: np.ndarray

    @property
    def size_bytes(self) -> int:
        """Bytes of the values and of their places."""
        return self.values.size + self.indices.size


def encode(codes: np.ndarray, block: int, places: int) -> SparseRows:
    """Returns rows of codes without their zeros.

    Args:
        codes: int8 `(rows, depth)`, at least one of each.
        block: Codes in a block, one of `BLOCKS`.
        places: `BITMASK`, `RELATIVE4` or `RELATIVE8`.

    Raises:
        ValueError: An argument is none of these.

    Example: `encode(np.int8([[0, 0, 5, 0, -1]]), 1, RELATIVE4)` has values `[5, -1]` and indices
        `[0x12]`: two left out, then one.
    """
    _check(codes, block, places)
    depth = codes.shape[1]
    left = _kept(codes != 0, block)
    if places == BITMASK:
        indices = packing.pack(left.astype(np.uint8), bits=1).ravel()
    else:
        indices = _relative(left, _INDEX_BITS[places])
    blocks = np.pad(codes, ((0, 0), (0, -depth % block))).reshape(*left.shape, block)
    return SparseRows(depth, block, places, blocks[left].ravel(), indices)


def smallest(codes: np.ndarray) -> SparseRows:
    """Returns rows of int8 codes `(rows, depth)` in the block and the places that take the fewest
    bytes, of equal ones with the largest block.
    """
    _check(codes, BLOCKS[0], BITMASK)
    codes = np.ascontiguousarray(codes)
    best = min(_sizes(codes), key=lambda way: (way[0], -way[1], way[2]))
    return encode(codes, *best[1:])


def _sizes(codes: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yields bytes, block and places of the ways to store rows, but for those that cannot win."""
    least, nonzero = math.inf, codes != 0
    for block in BLOCKS:
        left = _kept(nonzero, block)
        count = int(np.count_nonzero(left))
        values = count * block
        mask = values + len(left) * -(-left.shape[1] // 8)
        least = min(least, mask)
        yield mask, block, BITMASK
        if 8 * values + _INDEX_BITS[RELATIVE4] * count > 8 * least:
            continue
        gaps, is_end = _gaps(left)
        for places, bits in _INDEX_BITS.items():
            entries = _entries_of_rows(_entries(gaps, is_end, (1 << bits) - 1), is_end)
            size = values + int(np.sum(-(-entries * bits // 8)))
            least = min(least, size)
            yield size, block, places


def is_balanced(codes: np.ndarray) -> bool:
    """Returns whether of each 16 neighboring codes of a row at most 4 are not zero.

    Args:
        codes: int8 `(rows, depth)`; groups begin at multiples of 16, the last one may be shorter.
    """
    groups = np.pad(codes != 0, ((0, 0), (0, -codes.shape[1] % 16))).reshape(len(codes), -1, 16)
    return bool(np.all(np.count_nonzero(groups, axis=2) <= 4))


def decode(sparse: SparseRows, rows: int) -> np.ndarray:
    """Returns the int8 codes `(rows, depth)`.

    Raises:
        ValueError: The indices or the values do not suffice for `rows`, or are too many.
    """
    blocks = -(-sparse.depth // sparse.block)
    left, read = _left(sparse, rows, blocks)
    if read != sparse.indices.size or np.count_nonzero(left) * sparse.block != sparse.values.size:
        raise ValueError(
            f"`sparse` must hold the places and values of exactly {rows} rows of {blocks} blocks. "
            f"Received: {sparse.indices.size} bytes of places of which {read} were read, and "
            f"{sparse.values.size} values. The file is damaged."
        )
    codes = np.zeros((rows, blocks, sparse.block), np.int8)
    codes[left] = sparse.values.reshape(-1, sparse.block)
    return codes.reshape(rows, -1)[:, : sparse.depth]


def _kept(nonzero: np.ndarray, block: int) -> np.ndarray:
    """Returns which blocks of rows are left, bool `(rows, blocks)`, from which codes are not 0."""
    if block == 1:
        return nonzero
    halves = _kept(nonzero, block // 2)
    halves = np.pad(halves, ((0, 0), (0, halves.shape[1] % 2)))
    return halves[:, ::2] | halves[:, 1::2]


def _relative(left: np.ndarray, bits: int) -> np.ndarray:
    """Returns how many blocks are left out before each that is `left`, bool `(rows, blocks)`, as
    bytes.
    """
    most, per_byte = (1 << bits) - 1, 8 // bits
    gaps, is_end = _gaps(left)
    entries = _entries(gaps, is_end, most)
    used = _entries_of_rows(entries, is_end)
    room = -(-used // per_byte) * per_byte
    places = np.cumsum(entries) - 1
    places += np.repeat(np.cumsum(room - used) - (room - used), 1 + left.sum(axis=1))
    fields = np.full(int(room.sum()), most, np.uint8)
    fields[places[~is_end]] = gaps[~is_end] % most
    fields[np.cumsum(room)[room > used] - 1] = 0  # the spare nibble
    return packing.pack(fields, bits)


def _gaps(left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns how many blocks are left out before each that is `left` and before the end of each
    row, and which of these numbers are ends.
    """
    marked = np.pad(left, ((0, 0), (0, 1)), constant_values=True)
    places = np.flatnonzero(marked)
    return np.diff(places, prepend=-1) - 1, places % marked.shape[1] == left.shape[1]


def _entries(gaps: np.ndarray, is_end: np.ndarray, most: int) -> np.ndarray:
    """Returns how many relative places each gap takes; see `_gaps`."""
    return np.where(is_end, -(-gaps // most), gaps // most + 1)


def _entries_of_rows(entries: np.ndarray, is_end: np.ndarray) -> np.ndarray:
    """Returns how many relative places each row takes."""
    return np.diff(np.cumsum(entries)[is_end], prepend=0)


def _left(sparse: SparseRows, rows: int, blocks: int) -> tuple[np.ndarray, int]:
    """Returns which blocks are left, bool `(rows, blocks)`, and how many bytes said so."""
    if sparse.places == BITMASK:
        row_bytes = -(-blocks // 8)
        masks = sparse.indices[: rows * row_bytes].reshape(-1, row_bytes)
        if len(masks) < rows:
            raise _too_short(rows)
        left = packing.unpack(masks, bits=1, count=blocks, signed=False).astype(bool)
        return left, rows * row_bytes
    bits = _INDEX_BITS[sparse.places]
    most, per_byte = (1 << bits) - 1, 8 // bits
    entries = packing.unpack(
        sparse.indices, bits=bits, count=sparse.indices.size * per_byte, signed=False
    )
    left = np.zeros((rows, blocks), bool)
    at = 0
    for row in left:
        at += -at % per_byte
        place = 0
        while place < blocks:
            if at == entries.size:
                raise _too_short(rows)
            entry = int(entries[at])
            place += entry
            if entry < most:
                if place >= blocks:
                    raise ValueError(
                        f"`sparse` must place every block before {blocks}. Received: {place}. The "
                        "file is damaged."
                    )
                row[place] = True
                place += 1
            at += 1
    return left, -(-at // per_byte)


def _too_short(rows: int) -> ValueError:
    return ValueError(
        f"`sparse` must hold the places of {rows} rows. Received: fewer. The file is damaged."
    )


def _check(codes: np.ndarray, block: int, places: int) -> None:
    if codes.ndim != 2 or codes.dtype != np.int8 or not codes.size:
        raise ValueError(
            "`codes` must be int8 of shape (rows, depth), at least one of each. Received: "
            f"{codes.dtype} of shape {codes.shape}. Quantize and reshape first."
        )
    if block not in BLOCKS:
        raise ValueError(f"`block` must be one of {BLOCKS}. Received: block={block}.")
    if places not in (BITMASK, RELATIVE4, RELATIVE8):
        raise ValueError(
            f"`places` must be BITMASK, RELATIVE4 or RELATIVE8. Received: places={places}."
        )

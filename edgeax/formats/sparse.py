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
    blocks = np.pad(codes, ((0, 0), (0, -depth % block))).reshape(len(codes), -1, block)
    left = np.asarray(blocks.any(axis=2))
    if places == BITMASK:
        indices = packing.pack(left.astype(np.uint8), bits=1).ravel()
    else:
        bits = _INDEX_BITS[places]
        rows = [packing.pack(_relative(row, (1 << bits) - 1), bits) for row in left]
        indices = np.concatenate(rows)
    return SparseRows(depth, block, places, blocks[left].ravel(), indices)


def smallest(codes: np.ndarray) -> SparseRows:
    """Returns rows of int8 codes `(rows, depth)` in the block and the places that take the fewest
    bytes, of equal ones with the largest block.
    """
    found = [
        encode(codes, block, places)
        for block in reversed(BLOCKS)
        for places in (BITMASK, RELATIVE4, RELATIVE8)
    ]
    return min(found, key=lambda rows: rows.size_bytes)


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


def _relative(left: np.ndarray, most: int) -> np.ndarray:
    """Returns how many blocks are left out before each that is `left`, bool `(blocks,)`."""
    places = np.flatnonzero(left)
    gaps = np.diff(places, prepend=-1) - 1
    jumps = gaps // most
    entries = np.full(int(jumps.sum()) + gaps.size, most)
    entries[np.cumsum(jumps + 1) - 1] = gaps % most
    tail = left.size - 1 - places[-1] if places.size else left.size
    return np.concatenate([entries, np.full(-(-tail // most), most)]).astype(np.uint8)


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

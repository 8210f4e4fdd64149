"""How kernels have packed weights in flash: tiles in few bytes, see tflite_kernels/micro."""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from edgeax.formats import packing
from edgeax.formats.grouped_rows import GroupedRows
from edgeax.formats.vector_rows import VectorRows, index_bits
from edgeax.runtime.mcu.operators import tiles
from edgeax.runtime.mcu.program import Array, Struct

_GROUP = 16  # bytes of a group of codes, see micro/codebook_conv2d.h
_READ_BEHIND = 4  # pieces of which one more is read
_WIDTHS = (1, 2, 4)
_DIGITS = np.array([1, 4, 16, 64], np.int8)  # of micro/ternary_conv2d.h
PIECES = (1, 4, 16)
"""Weights of a piece of micro/masked_conv2d.h."""
BLOCK = 16
"""Weights of a block of micro/sparse_conv2d.h: 4 of each channel of a tile."""

Field = int | float | str | Struct | Array | None


@dataclasses.dataclass(frozen=True, eq=False)
class Packing:
    """Packed weights of a layer.

    Attributes:
        kernel: The kernel that reads them.
        header: File that declares it.
        fields: Members of its arguments behind the layer.
    """

    kernel: str
    header: str
    fields: Mapping[str, Field]

    @property
    def size_bytes(self) -> int:
        """Bytes of their constants."""
        arrays = [value.data for value in self.fields.values() if isinstance(value, Array)]
        return sum(array.nbytes for array in arrays)


def packings_of(content: np.ndarray) -> Iterator[Packing]:
    """Yields the ways to pack weights of any origin.

    Args:
        content: int8 `(tiles, weights of a tile)`, in the order of tile.h.
    """
    yield from _in_codes(content)
    for piece in PIECES:
        yield _masked(content, piece)


def bits_for(values: int) -> int | None:
    """Returns the bits of a code of so many values; None: kernels have no such codes."""
    return next((bits for bits in _WIDTHS if values <= 1 << bits), None)


def _in_codes(content: np.ndarray) -> Iterator[Packing]:
    """Yields weights in codes, if there are few different ones."""
    codebook = np.unique(content)
    codes = np.searchsorted(codebook, content)
    bits = bits_for(codebook.size)
    if bits is None:
        return
    packed = [_packed_codes(tile, bits) for tile in codes.astype(np.uint8)]
    yield Packing(
        "CodebookConv2D",
        "codebook_conv2d.h",
        {
            "bits": bits,
            "tile_code_bytes": packed[0].size,
            "codebook": Array("codebook", np.pad(codebook, (0, (1 << bits) - codebook.size))),
            "codes": Array("codes", np.concatenate(packed)),
        },
    )


def _packed_codes(codes: np.ndarray, bits: int) -> np.ndarray:
    """Returns the codes of a tile as bytes, see micro/codebook_conv2d.h."""
    whole = _GROUP * (8 // bits)
    parts = []
    for begin in range(0, codes.size, whole):
        part = codes[begin : begin + whole]
        fields = np.zeros((8 // bits, _GROUP), np.uint8)
        fields.reshape(-1)[: part.size] = part
        parts.append(packing.pack(np.transpose(fields), bits).reshape(-1)[: part.size])
    return np.concatenate(parts)


def _masked(content: np.ndarray, piece: int) -> Packing:
    """Returns weights without the pieces that are zeros."""
    filled = np.pad(content, ((0, 0), (0, -content.shape[1] % piece)))
    pieces = filled.reshape(len(filled), -1, piece)
    stored = np.asarray(np.any(pieces, axis=2))
    masks = packing.pack(stored.astype(np.uint8), bits=1)
    starts = np.cumsum(stored.sum(axis=1)) - stored.sum(axis=1)
    values = pieces[stored].reshape(-1)
    if piece == _READ_BEHIND or not values.size:
        values = np.append(values, np.zeros(piece, np.int8))
    return Packing(
        "MaskedConv2D",
        "masked_conv2d.h",
        {
            "piece": piece,
            "tile_mask_bytes": masks.shape[1],
            "masks": Array("masks", masks.reshape(-1)),
            "starts": Array("starts", starts.astype(np.int32)),
            "pieces": Array("pieces", values),
        },
    )


def in_blocks(content: np.ndarray, at_once: int) -> tuple[Packing, int]:
    """Returns the blocks of 4 weights of 4 channels that are not all zeros, and the most of a tile.

    Args:
        content: int8 `(tiles, weights of a tile)`, in such blocks.
        at_once: Blocks that the kernel reads at once, which may be more than a tile has left.
    """
    blocks = content.reshape(len(content), -1, BLOCK)
    stored = np.asarray(np.any(blocks, axis=2))
    parts = [blocks[tile][kept] for tile, kept in enumerate(stored)]
    counts = [len(part) for part in parts]
    ends = np.cumsum(counts)
    reads = [end + -count % at_once for end, count in zip(ends, counts, strict=True) if count]
    most_read = max(reads, default=1)
    kept_blocks = np.pad(np.concatenate(parts), ((0, most_read - ends[-1]), (0, 0)))
    packed = Packing(
        "SparseConv2D",
        "sparse_conv2d.h",
        {
            "most_blocks": max(counts),
            "tile_mask_bytes": -(-stored.shape[1] // 8),
            "masks": Array("masks", packing.pack(stored.astype(np.uint8), bits=1).reshape(-1)),
            "starts": Array("starts", np.cumsum([0, *counts]).astype(np.int32)),
            "blocks": Array("blocks", kept_blocks.reshape(-1)),
        },
    )
    return packed, max(counts)


def in_digits(content: np.ndarray) -> Packing:
    """Returns weights of -1, 0 and 1 as digits, those of 4 channels in a byte.

    Args:
        content: int8 `(tiles, weights of a tile)`, in blocks of one weight.
    """
    digits = content.reshape(-1, tiles.CHANNELS) @ _DIGITS
    return Packing("TernaryConv2D", "ternary_conv2d.h", {"digits": Array("digits", digits)})


def in_vectors(stored: VectorRows, rows: np.ndarray, groups: int) -> Packing:
    """Returns sub-vectors.

    Args:
        stored: The weights as the file has them.
        rows: The same, int8 `(rows, weights of a row)`.
        groups: Groups of the rows.
    """
    tables, length, entries = stored.codebook.shape
    words = stored.codebook.swapaxes(1, 2)
    cut = rows.reshape(len(rows), -1, length)
    found = np.empty(cut.shape[:2], np.uint8)
    for place in range(cut.shape[1]):
        same = (cut[:, place, np.newaxis] == words[place % tables]).all(axis=2)
        found[:, place] = same.argmax(axis=1)
    bits = index_bits(entries)
    of_tiles = _rows_of_tiles(found, groups).swapaxes(1, 2)
    return Packing(
        "VectorConv2D",
        "vector_conv2d.h",
        {
            "places": cut.shape[1],
            "length": length,
            "tables": tables,
            "entries": entries,
            "index_bits": bits,
            "codebook": Array("codebook", np.ascontiguousarray(words).reshape(-1)),
            "indices": Array("indices", packing.pack(of_tiles, bits).reshape(-1)),
        },
    )


def in_groups(stored: GroupedRows, groups: int) -> Packing:
    """Returns codes with a codebook for each group of them.

    Args:
        stored: The weights as the file has them.
        groups: Groups of the rows.
    """
    codes = _rows_of_tiles(stored.codes, groups).swapaxes(1, 2)
    packed = packing.pack(codes, stored.bits).reshape(len(codes), -1)
    numbers = _rows_of_tiles(stored.numbers, groups).swapaxes(1, 2).reshape(len(codes), -1)
    content = np.concatenate([numbers, packed], axis=1)
    return Packing(
        "GroupedConv2D",
        "grouped_conv2d.h",
        {
            "depth": stored.codes.shape[1],
            "group": stored.group,
            "bits": stored.bits,
            "tile_bytes": content.shape[1],
            "codebooks": Array("codebooks", stored.codebooks.reshape(-1)),
            "codes": Array("codes", content.reshape(-1)),
        },
    )


def _rows_of_tiles(rows: np.ndarray, groups: int) -> np.ndarray:
    """Returns rows as `(tiles, channels of a tile, ...)`, filled up with zeros."""
    of_groups = rows.reshape(groups, len(rows) // groups, -1)
    fill = ((0, 0), (0, -of_groups.shape[1] % tiles.CHANNELS), (0, 0))
    return np.pad(of_groups, fill).reshape(-1, tiles.CHANNELS, rows.shape[1])

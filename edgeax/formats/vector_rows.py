"""How rows of sub-vectors lie in a file. C++ twin: tflite_kernels/core/vector_codebook.h."""

import math
from dataclasses import dataclass, replace

import numpy as np

from edgeax.formats import packing
from edgeax.formats.vector_codebook import VectorCodebook

INDEX_BLOCK = 128
"""Output channels whose indices lie together."""

MOST_ENTRIES = 256
"""Codewords of the largest table that an index of 8 bits points into."""

_SMALL = 16  # codewords of the largest table for indices of 4 bits


@dataclass(frozen=True, eq=False)
class VectorCodes:
    """A weight in integer codes with one step for all channels, so that these share sub-vectors.

    Attributes:
        format: How training cut it into sub-vectors.
        codes: int8, canonical layout.
        steps: float64 `(channels,)`: `value = scale * step * code`, where `scale` is that of the
            weight's codes with a step for each channel.
        snr_db: Ratio of the weight's energy to that of the difference.
        least_db: The same in the channel that loses most.
    """

    format: VectorCodebook
    codes: np.ndarray
    steps: np.ndarray
    snr_db: float = math.inf
    least_db: float = math.inf

    def channels(self, part: slice) -> "VectorCodes":
        """Returns some of the output channels."""
        return replace(self, codes=self.codes[..., part], steps=self.steps[part])


@dataclass(frozen=True, eq=False)
class VectorRows:
    """Rows of weights, one of each output channel, as the operators of edgeax hold them.

    Attributes:
        weights: uint8 `(n,)`. Blocks of `INDEX_BLOCK` channels, the last one of those that are left
            over; of each block for each place of a sub-vector the packed indices of its channels.
        codebook: int8 `(tables, length, entries)`: number `i` of codeword `k` stands at `[t, i,
            k]`. The sub-vectors at place `p` point into table `p % tables`.
    """

    weights: np.ndarray
    codebook: np.ndarray

    @property
    def bits(self) -> int:
        """Width of an index."""
        return index_bits(self.codebook.shape[2])


def index_bits(entries: int) -> int:
    """Returns the bits in which an index into a table of so many codewords is stored."""
    return 4 if entries <= _SMALL else 8


def encode(rows: np.ndarray, length: int, tables: int) -> VectorRows:
    """Stores rows of weights, each different sub-vector of a table as a codeword of it.

    Args:
        rows: int8 `(channels, weights)`.
        length: Weights of a sub-vector, 1 or more; it divides those of a row.
        tables: How many tables there are, 1 or more; that divides the sub-vectors of a row.
    Returns:
        The indices of all rows, in 4 bits each if no table has more than 16 codewords, else in 8,
        and the tables, each sorted and filled up with zeros.
    Raises:
        ValueError: The rows cannot be cut like that, or a table would have more codewords than
            `MOST_ENTRIES`.
    """
    channels, depth = rows.shape
    if length < 1 or tables < 1 or depth % (length * tables):
        raise ValueError(
            "`length` and `tables` must be at least 1, and their product must divide the "
            f"{depth} weights of a row. Received: length={length}, tables={tables}. Use shorter "
            "sub-vectors, or tables=1."
        )
    cut = rows.reshape(channels, -1, tables, length)
    found = [np.unique(cut[:, :, t].reshape(-1, length), axis=0, return_inverse=True)
             for t in range(tables)]  # fmt: skip
    entries = max(2, *(len(codewords) for codewords, _ in found))
    if entries > MOST_ENTRIES:
        raise ValueError(
            f"`rows` must have at most {MOST_ENTRIES} different sub-vectors for a table. Received: "
            f"{entries}. Use fewer clusters, or shorter sub-vectors."
        )
    codebook = np.zeros((tables, length, entries), np.int8)
    indices = np.zeros((channels, depth // length), np.uint8)
    for table, (codewords, which) in enumerate(found):
        codebook[table, :, : len(codewords)] = codewords.T
        indices[:, table::tables] = which.reshape(channels, -1)
    blocks = (indices[at : at + INDEX_BLOCK] for at in range(0, channels, INDEX_BLOCK))
    packed = [packing.pack(block.T, index_bits(entries)).ravel() for block in blocks]
    return VectorRows(np.concatenate(packed), codebook)


def decode(stored: VectorRows, channels: int) -> np.ndarray:
    """Undoes `encode`: returns int8 `(channels, weights)`."""
    tables, length, _ = stored.codebook.shape
    places = len(stored.weights) // _row_bytes(channels, stored.bits)
    parts, rest = [], stored.weights
    for first in range(0, channels, INDEX_BLOCK):
        width = min(INDEX_BLOCK, channels - first)
        size = places * _row_bytes(width, stored.bits)
        packed, rest = rest[:size].reshape(places, -1), rest[size:]
        parts.append(packing.unpack(packed, stored.bits, width, signed=False).T)
    indices = np.concatenate(parts)
    found = stored.codebook[np.arange(places) % tables, :, indices]
    return found.reshape(channels, places * length)


def _row_bytes(channels: int, bits: int) -> int:
    return -(-channels * bits // 8)

"""Rows of int8 weights with their biases and scales, in the fewest bytes, as a file holds them.

| bytes | what |
|---|---|
| 1 | version, 1 |
| 1 | from the lowest bit: coding (2 bits), 1 for a scale per row (1), 0 for `PACKED4` or 1 + places for `SPARSE` (2), base-2 logarithm of the block (3) |
| 1 | codes in the table, less 1 |
| varints | rows, depth, codes that are kept; for `SPARSE` also blocks that are left, bytes of places |
| 4 or 4 * rows | scale, float32 |
| any | payload of the coding: table, biases, which codes are kept, those codes |
| 4 | CRC-32 of all before, as zlib's |

All is little-endian; a varint has 7 bits of a number in a byte, the lowest first, and the highest
bit of the byte set when more follow. Codes that are kept are those that are not 0, or all. The
layout is that of the memory that a kernel runs on. C++ twin: tflite_kernels/core/coded.h.
"""  # noqa: E501

import dataclasses
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from edgeax.formats import coded_plain, coded_range, sparse
from edgeax.formats.base import finite_float32

RAW, HUFFMAN, RANGE = range(3)
"""Codings: everything in fields of a width, in Huffman's codes, by an adaptive range coder."""

PACKED4, SPARSE = range(2)
"""Layouts at run time: 4-bit indices into a codebook of 16, and those of `formats.sparse`."""

MAX_ROWS, MAX_DEPTH, MAX_CODES = 1 << 20, 1 << 16, (1 << 31) - (1 << 16)

_VERSION = 1
_CODEBOOK = 16
_START_BYTES = 8  # where the values and the places of a row begin


@dataclasses.dataclass(frozen=True, eq=False)
class CodedRows:
    """What a buffer holds.

    Attributes:
        codes: int8 `(rows, depth)`, a row as the operators have it; 0 is pruned or simply 0.
        bias: int32 `(rows,)`.
        scale: float32, `(1,)` for all rows or `(rows,)`; any that are finite.

    Raises:
        ValueError: An array has another type or shape, or too many rows or columns.
    """

    codes: np.ndarray
    bias: np.ndarray
    scale: np.ndarray

    def __post_init__(self) -> None:
        if self.codes.ndim != 2 or self.codes.dtype != np.int8:
            raise ValueError(
                "`codes` must be int8 of shape (rows, depth). Received: "
                f"{self.codes.dtype} of shape {self.codes.shape}. Quantize and reshape first."
            )
        rows, depth = self.codes.shape
        _check_shape(rows, depth)
        if self.bias.dtype != np.int32 or self.bias.shape != (rows,):
            raise ValueError(
                f"`bias` must be int32 of shape ({rows},). Received: {self.bias.dtype} of shape "
                f"{self.bias.shape}. Pass zeros where there is none."
            )
        if self.scale.dtype != np.float32 or self.scale.shape not in ((1,), (rows,)):
            raise ValueError(
                f"`scale` must be float32 of shape (1,) or ({rows},). Received: "
                f"{self.scale.dtype} of shape {self.scale.shape}. Pass one for each row."
            )
        finite_float32(self.scale, "scale")


@dataclasses.dataclass(frozen=True)
class RunTimeLayout:
    """The memory that rows take while a kernel runs on them.

    Attributes:
        layout: `PACKED4` or `SPARSE`.
        block: Codes in a block of `SPARSE`, else 1.
        places: How `SPARSE` places its blocks, else 0.
        blocks: Blocks that are left of `SPARSE`, else 0.
        index_bytes: Bytes of the places of `SPARSE`, else 0.
        size_bytes: Of indices and codebook, or of values, places and starts of rows.
    """

    layout: int
    block: int
    places: int
    blocks: int
    index_bytes: int
    size_bytes: int


def run_time_layout(codes: np.ndarray) -> RunTimeLayout:
    """Returns the layout that takes the fewest bytes for int8 codes `(rows, depth)`."""
    rows, depth = codes.shape
    stored = sparse.smallest(codes)
    size = stored.size_bytes + _START_BYTES * (rows + 1)
    packed_size = rows * -(-depth // 2) + _CODEBOOK
    if packed_size <= size and np.unique(codes).size <= _CODEBOOK:
        return RunTimeLayout(PACKED4, 1, 0, 0, 0, packed_size)
    blocks = stored.values.size // stored.block
    return RunTimeLayout(SPARSE, stored.block, stored.places, blocks, stored.indices.size, size)


def encode(rows: CodedRows, coding: int | None = None) -> bytes:
    """Returns the bytes of rows.

    Args:
        rows: The rows.
        coding: `RAW`, `HUFFMAN` or `RANGE`; None for the one that takes the fewest bytes.

    Raises:
        ValueError: There is no such coding.
    """
    if coding not in (None, RAW, HUFFMAN, RANGE):
        raise ValueError(
            f"`coding` must be RAW, HUFFMAN, RANGE or None. Received: coding={coding}."
        )
    layout = run_time_layout(rows.codes)
    codings = (RAW, HUFFMAN, RANGE) if coding is None else (coding,)
    ways = (
        _head(rows, layout, each, table, count) + _payload(rows, each, table, count)
        for each in codings
        for table, count in _kept(rows.codes, each)
    )
    best = min(ways, key=len)
    return best + struct.pack("<I", zlib.crc32(best))


def decode(data: bytes) -> CodedRows:
    """Returns the rows that were encoded.

    Raises:
        ValueError: `data` is damaged or from another release.
    """
    checked, crc = data[:-4], data[-4:]
    if len(checked) < 3 or crc != struct.pack("<I", zlib.crc32(checked)):
        raise _damaged(f"{len(data)} bytes with the wrong checksum")
    version, flags, last = checked[:3]
    coding, kind, block = flags & 3, flags >> 3 & 3, 1 << (flags >> 5)
    if version != _VERSION or coding > RANGE or block > (16 if kind else 1):
        raise _damaged(f"version {version}, flags {flags}")
    numbers = iter(checked[3:])
    rows, depth, count = (_read_varint(numbers) for _ in range(3))
    sizes = (_read_varint(numbers), _read_varint(numbers)) if kind else ()
    _check_shape(rows, depth)
    if not 1 <= count <= rows * depth:
        raise _damaged(f"{count} codes of {rows} rows of {depth}")
    payload = bytes(numbers)
    scale = np.frombuffer(payload[: 4 * (rows if flags & 4 else 1)], "<f4").astype(np.float32)
    payload = payload[4 * scale.size :]
    shape = (rows, depth, count, last + 1)
    if coding == RANGE:
        codes, bias, table = coded_range.decode(payload, *shape)
    else:
        codes, bias, table = coded_plain.decode(payload, *shape, coding == HUFFMAN)
    if kind:
        stored = sparse.encode(codes, block, kind - 1)
        is_so = sizes == (stored.values.size // block, stored.indices.size)
    else:
        is_so = np.union1d(table, [0] if count < codes.size else []).size <= _CODEBOOK
    if not is_so:
        raise _damaged(f"codes of another layout than flags {flags} and sizes {sizes}")
    return CodedRows(codes, bias, scale)


def _kept(codes: np.ndarray, coding: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yields which codes can be kept: the table of them, and how many there are."""
    every = np.unique(codes)
    nonzero = int(np.count_nonzero(codes))
    if nonzero:
        yield every[every != 0], nonzero
    if nonzero == 0 or (coding != RANGE and nonzero < codes.size):
        yield every, codes.size


def _payload(rows: CodedRows, coding: int, table: np.ndarray, count: int) -> bytes:
    if coding == RANGE:
        return coded_range.encode(rows.codes, rows.bias, table, count)
    return coded_plain.encode(rows.codes, rows.bias, table, count, coding == HUFFMAN)


def _head(
    rows: CodedRows, layout: RunTimeLayout, coding: int, table: np.ndarray, count: int
) -> bytes:
    kind = 1 + layout.places if layout.layout == SPARSE else 0
    flags = coding | (rows.scale.size > 1) << 2 | kind << 3 | (layout.block.bit_length() - 1) << 5
    numbers = [*rows.codes.shape, count]
    if kind:
        numbers += [layout.blocks, layout.index_bytes]
    varints = b"".join(map(_varint, numbers))
    return bytes([_VERSION, flags, table.size - 1]) + varints + rows.scale.astype("<f4").tobytes()


def _varint(number: int) -> bytes:
    low = bytes([number & 127 | (128 if number > 127 else 0)])
    return low + _varint(number >> 7) if number > 127 else low


def _read_varint(data: Iterator[int]) -> int:
    number = 0
    for shift in range(0, 35, 7):
        byte = next(data, 128)
        number |= (byte & 127) << shift
        if byte < 128:
            return number
    raise _damaged("a number without an end")


def _check_shape(rows: int, depth: int) -> None:
    fits = 1 <= rows <= MAX_ROWS and 1 <= depth <= MAX_DEPTH and rows * depth <= MAX_CODES
    if not fits:
        raise ValueError(
            f"`codes` must have 1 to {MAX_ROWS} rows of 1 to {MAX_DEPTH} codes, {MAX_CODES} in "
            f"all. Received: {rows} rows of {depth}. Split the layer."
        )


def _damaged(received: str) -> ValueError:
    return ValueError(
        f"`data` must hold coded rows. Received: {received}. The file is damaged or from another "
        "release."
    )

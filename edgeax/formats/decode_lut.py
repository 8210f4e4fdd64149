"""How a kernel of few codes lies in the two tensors that TensorFlow Lite Micro's DECODE reads.

`indices` are 1 to 7 bits each, in the order of the kernel, first bit highest, without gaps.
`ancillary` are 16 bytes of header and then tables of int8 codes, all of the same length:

| byte | meaning |
|---|---|
| 0 | 0, look-up tables |
| 1 | 1, version of the header |
| 4 | 1, version of the tables |
| 5 | high half: axis of the channels that have a table each, 15 for one table; low half: bits |
| 6 | entries of a table, at most 128 |

The others are 0. Releases of TensorFlow Lite Micro from November 2025 to October 2026 do not look
at the axis: they take as many tables as the decoded tensor has scales, along its quantized axis. So
a kernel with a scale for each channel must have a table for each channel, and one with one scale
must have one table: everything else gives wrong values without an error.
"""

import dataclasses
import math

import numpy as np

OPERATOR = "TFLM_DECODE"
"""Name of the custom operator."""

MOST_CODES = 128
"""Different codes that a table can hold."""

_HEADER_BYTES = 16
_LOOK_UP, _VERSION = 0, 1
_ONE_TABLE = 15
_MOST_BITS = 7


@dataclasses.dataclass(frozen=True, eq=False)
class Encoded:
    """A kernel as indices into tables.

    Attributes:
        indices: uint8, the packed indices.
        ancillary: uint8, header and tables.
        bits: Bits of one index, 1..7.
        tables: How many tables there are.
    """

    indices: np.ndarray
    ancillary: np.ndarray
    bits: int
    tables: int

    @property
    def size_bytes(self) -> int:
        """Bytes of both tensors."""
        return self.indices.size + self.ancillary.size


def encode(codes: np.ndarray, axis: int | None) -> Encoded:
    """Returns a kernel as indices into tables of the codes in use, sorted and filled up with 0.

    Args:
        codes: int8, in the shape that it has in the file.
        axis: Axis of the channels, each of which gets a table of its own; None for one table.

    Raises:
        ValueError: A table would need more than `MOST_CODES` codes, or an argument is unusable.
    Example: `encode(np.int8([[-5, 7], [7, -5]]), None)` has indices `[0x60]` and, behind its
        header, the table `[-5, 7]`.
    """
    if codes.dtype != np.int8 or not codes.size:
        raise ValueError(
            f"`codes` must be int8 and not empty. Received: {codes.dtype} of shape {codes.shape}. "
            "Only int8 kernels have tables."
        )
    rows = _rows(codes, axis)
    used = [np.unique(row) for row in rows]
    entries = max(table.size for table in used)
    if entries > MOST_CODES:
        raise ValueError(
            f"`codes` must have at most {MOST_CODES} different values for a table. Received: "
            f"{entries}. Cluster the kernel, or leave it as it is."
        )
    bits = max(1, (entries - 1).bit_length())
    found = [np.searchsorted(table, row) for table, row in zip(used, rows, strict=True)]
    tables = np.stack([np.pad(table, (0, entries - table.size)) for table in used])
    indices = _in_order(np.stack(found).astype(np.uint8), codes.shape, axis)
    header = _header(bits, _ONE_TABLE if axis is None else axis, entries)
    ancillary = np.concatenate([header, tables.view(np.uint8).ravel()])
    return Encoded(pack(indices, bits), ancillary, bits, len(rows))


def decode(
    indices: np.ndarray, ancillary: np.ndarray, shape: tuple[int, ...], axis: int | None
) -> np.ndarray:
    """Undoes `encode`, as TensorFlow Lite Micro does.

    Args:
        indices: uint8, the packed indices.
        ancillary: uint8, header and tables.
        shape: Shape of the kernel in the file.
        axis: Axis of the channels that have a scale each; None where it has one scale.
    Returns:
        int8 codes.

    Raises:
        ValueError: The bytes are no tables for such a kernel.
    """
    bits = index_bits(ancillary)
    if indices.dtype != np.uint8 or axis not in (None, *range(len(shape))):
        raise _damaged(f"{indices.dtype} indices for axis {axis} of shape {shape}")
    count, entries = math.prod(shape), int(ancillary[6])
    tables = 1 if axis is None else shape[axis]
    wanted = [-(-count * bits // 8), _HEADER_BYTES + tables * entries]
    if [indices.size, ancillary.size] != wanted:
        raise _damaged(
            f"{indices.size} bytes of indices and {ancillary.size} of tables instead of "
            f"{wanted[0]} and {wanted[1]} for {tables} tables of {entries}"
        )
    found = unpack(indices, bits, count).reshape(shape)
    if found.size and found.max() >= entries:
        raise _damaged(f"the index {found.max()} into a table of {entries}")
    table = ancillary[_HEADER_BYTES:].view(np.int8).reshape(tables, entries)
    rows = np.take_along_axis(table, _rows(found, axis).astype(np.intp), axis=1)
    return _in_order(rows, shape, axis)


def index_bits(ancillary: np.ndarray) -> int:
    """Returns the bits of one index.

    Args:
        ancillary: uint8, header and tables.

    Raises:
        ValueError: They are no look-up tables, or of another version.
    """
    if ancillary.dtype != np.uint8 or ancillary.ndim != 1 or ancillary.size < _HEADER_BYTES:
        raise _damaged(f"{ancillary.dtype} of shape {ancillary.shape} as tables")
    kind, version, _, _, table_version, parameters, *_ = map(int, ancillary[:_HEADER_BYTES])
    bits = parameters & 0x0F
    if (kind, version, table_version) != (_LOOK_UP, _VERSION, _VERSION):
        raise _damaged(f"type {kind} in version {version}, its data in version {table_version}")
    if not 1 <= bits <= _MOST_BITS:
        raise _damaged(f"indices of {bits} bits")
    return bits


def pack(indices: np.ndarray, bits: int) -> np.ndarray:
    """Returns indices as bytes, first bit highest; the last byte is filled up with zeros.

    Args:
        indices: uint8 of any shape, each below `2**bits`.
        bits: Bits of one index, 1..7.
    Returns:
        uint8 `(ceil(size * bits / 8),)`.
    Example: `pack(np.uint8([1, 2, 3]), 3)` is 001 010 011 0..., `[0x29, 0x80]`.
    """
    places = np.arange(bits - 1, -1, -1, dtype=np.uint8)
    return np.packbits((indices.reshape(-1, 1) >> places) & np.uint8(1))


def unpack(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    """Undoes `pack`; returns uint8 `(count,)`."""
    fields = np.unpackbits(packed, count=count * bits).reshape(count, bits)
    return np.packbits(fields, axis=1).reshape(count) >> np.uint8(8 - bits)


def _header(bits: int, axis: int, entries: int) -> np.ndarray:
    header = np.zeros(_HEADER_BYTES, np.uint8)
    header[[0, 1, 4, 5, 6]] = _LOOK_UP, _VERSION, _VERSION, axis << 4 | bits, entries
    return header


def _rows(codes: np.ndarray, axis: int | None) -> np.ndarray:
    """Returns what each table is for, one row each."""
    if axis is None:
        return codes.reshape(1, -1)
    return np.moveaxis(codes, axis, 0).reshape(codes.shape[axis], -1)


def _in_order(rows: np.ndarray, shape: tuple[int, ...], axis: int | None) -> np.ndarray:
    """Undoes `_rows`."""
    if axis is None:
        return rows.reshape(shape)
    others = [size for place, size in enumerate(shape) if place != axis]
    return np.moveaxis(rows.reshape(shape[axis], *others), 0, axis)


def _damaged(what: str) -> ValueError:
    return ValueError(
        f"A kernel of {OPERATOR} must be in look-up tables of version {_VERSION}. Received: "
        f"{what}. Run the file in TensorFlow Lite Micro itself; if that fails too it is damaged."
    )

"""Coded rows in the built library: C++ decodes what Python encoded."""

import ctypes
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeax.formats import coded, packing, sparse
from tests.tflite_kernels import native


class CodedRows(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in "rows depth layout block places".split()),
        *((name, ctypes.c_size_t) for name in "weights_size indices_size scales".split()),
    ]


class DecodedRows(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_void_p) for name in "weights codebook indices starts bias scale".split()
    ]


@dataclass
class Decoded:
    """What C++ made of a buffer.

    Attributes:
        head: What the buffer says of itself.
        arrays: By the names of `DecodedRows`, in one dimension.
    """

    head: CodedRows
    arrays: dict[str, np.ndarray]

    def rows(self) -> coded.CodedRows:
        """The rows that the arrays stand for, by the Python twins of the layouts."""
        if self.head.layout == coded.PACKED4:
            packed = self.arrays["weights"].reshape(self.head.rows, -1)
            index = packing.unpack(packed, 4, self.head.depth, signed=False)
            codes = self.arrays["codebook"][index]
        else:
            values, indices = self.arrays["weights"].view(np.int8), self.arrays["indices"]
            stored = (self.head.depth, self.head.block, self.head.places, values, indices)
            codes = sparse.decode(sparse.SparseRows(*stored), self.head.rows)
        return coded.CodedRows(codes, self.arrays["bias"], self.arrays["scale"])


def read(buffer: np.ndarray) -> tuple[int, CodedRows]:
    """Checks a buffer, uint8; returns the status and, when it is 0, what the buffer says."""
    head = CodedRows()
    return native.load().edgeax_coded_read(*_span(buffer), ctypes.byref(head)), head


def decode(data: bytes, memory: Any = np.ascontiguousarray) -> tuple[int, Decoded | None]:
    """Decodes a buffer; returns the status and, when it is 0, what was decoded.

    Args:
        data: The buffer.
        memory: Places an array into memory of its own: array -> array.
    """
    buffer = memory(np.frombuffer(data, np.uint8))
    status, head = read(buffer)
    if status:
        return status, None
    arrays = {
        "weights": memory(np.full(head.weights_size, 77, np.uint8)),
        "codebook": memory(np.full(16, 77, np.int8)),
        "indices": memory(np.full(head.indices_size, 77, np.uint8)),
        "starts": memory(np.full(2 * (head.rows + 1), 77, np.int32)),
        "bias": memory(np.full(head.rows, 77, np.int32)),
        "scale": memory(np.full(head.scales, 77, np.float32)),
    }
    pointers = DecodedRows(**{name: array.ctypes.data for name, array in arrays.items()})
    status = native.load().edgeax_coded_decode(*_span(buffer), ctypes.byref(pointers))
    return status, None if status else Decoded(head, arrays)


def seal(data: bytes) -> bytes:
    """Adds the checksum of `data`."""
    return bytes(data) + struct.pack("<I", zlib.crc32(data))


def _span(buffer: np.ndarray) -> tuple[ctypes.c_void_p, ctypes.c_size_t]:
    return ctypes.c_void_p(buffer.ctypes.data), ctypes.c_size_t(buffer.size)

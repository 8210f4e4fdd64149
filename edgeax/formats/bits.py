"""Streams of bits: fields of any width, one after the other.

A stream begins at the highest bit of its first byte and a field at its own highest bit, so that the
bytes read as the fields do. C++ twin: tflite_kernels/core/bits.h.
"""

from typing import Any

import numpy as np


class BitWriter:
    """Makes a stream of fields."""

    def __init__(self) -> None:
        self._values = [np.zeros(0, np.int64)]
        self._widths = [np.zeros(0, np.int64)]

    def write(self, values: Any, widths: Any) -> None:
        """Adds fields.

        Args:
            values: Whole numbers, shape `(n,)`, each in `[0, 2**width - 1]`.
            widths: Bits of each field, 0 to 40, shape `(n,)` or `()`.
        """
        self._values.append(np.asarray(values, np.int64))
        self._widths.append(np.broadcast_to(np.int64(widths), self._values[-1].shape))

    def finish(self) -> bytes:
        r"""Returns the stream; the bits that fill its last byte are 0.

        Example: The fields 1 and 5 of widths 2 and 3 are 01101000, `b"\x68"`.
        """
        values, widths = np.concatenate(self._values), np.concatenate(self._widths)
        places = np.repeat(np.cumsum(widths), widths) - 1 - np.arange(widths.sum())
        return np.packbits((np.repeat(values, widths) >> places & 1).astype(np.uint8)).tobytes()


class BitReader:
    """Reads the fields of a stream in their order."""

    def __init__(self, data: bytes) -> None:
        self._data, self._next = data, 0

    def read(self, width: int) -> int:
        """Returns the next field, of `width` bits.

        Raises:
            ValueError: The stream ends before.
        """
        begin, self._next = self._next, self._next + width
        if self._next > 8 * len(self._data):
            raise ValueError(
                f"`data` must hold all bits that are read. Received: {len(self._data)} bytes, and "
                f"{self._next} bits are wanted. The file is damaged."
            )
        around = int.from_bytes(self._data[begin >> 3 : (self._next + 7) >> 3], "big")
        return around >> -self._next % 8 & ((1 << width) - 1)

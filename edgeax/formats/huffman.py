"""Canonical Huffman codes: the more frequent a symbol, the shorter its code.

The lengths tell the codes: shorter ones come first, of equally long ones that of the lower symbol,
and each is the former plus 1, with zeros behind it to its length. C++ twin:
tflite_kernels/core/huffman.h.

Source: [SH16], for the weights' codes and places.
"""

from collections.abc import Sequence

import numpy as np

from edgeax.formats.bits import BitReader, BitWriter
from edgeax.formats.methods import implements

LONGEST = 15
"""Bits of the longest code: a length has 4 bits."""


@implements("SH16", test="tests/formats/test_huffman.py::test_sh16_lengths_are_those_of_huffman")
def code_lengths(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Returns the lengths of the codes that take the fewest bits, none above `LONGEST`.

    Args:
        counts: How often each symbol occurs, shape `(n,)`, n from 1 to 2**15.

    Returns:
        uint8 `(n,)`, bits of each symbol's code; 0 of one that does not occur, and of the only one
        that there is when n is 1.

    Example: `code_lengths([5, 1, 0, 1])` is `[1, 2, 0, 2]`: the codes 0, 10 and 11.
    """
    lengths = np.zeros(len(counts), np.uint8)
    leaves = sorted((int(count), (symbol,)) for symbol, count in enumerate(counts) if count)
    if len(leaves) == 1:
        lengths[leaves[0][1]] = len(counts) > 1
        return lengths
    # Package-merge: the cheapest 2n - 2 packages of leaves; a code is as long as there are packages
    # that hold its leaf, and a package holds it LONGEST times at most.
    packages: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(LONGEST):
        pairs = zip(packages[::2], packages[1::2], strict=False)
        packages = sorted([*leaves, *((a + b, left + right) for (a, left), (b, right) in pairs)])
    for _, symbols in packages[: 2 * len(leaves) - 2]:
        np.add.at(lengths, list(symbols), 1)  # a package may hold a leaf several times
    return lengths


class Code:
    """A canonical code.

    Attributes:
        lengths: Bits of each symbol's code, shape `(n,)`; 0 where there is none.
        codes: int64 `(n,)`, the codes.
    """

    def __init__(self, lengths: np.ndarray) -> None:
        """Makes the codes of symbols.

        Raises:
            ValueError: No codes have such lengths: two would begin alike.
        """
        self.lengths = np.asarray(lengths)
        self.codes = np.zeros(self.lengths.size, np.int64)
        code = 0
        for length in range(1, LONGEST + 1):
            symbols = np.flatnonzero(self.lengths == length)
            self.codes[symbols] = 2 * code + np.arange(symbols.size)
            code = 2 * code + symbols.size
            if code > 1 << length:
                raise ValueError(
                    f"`lengths` must leave {length} bits for {code} codes and beginnings of codes. "
                    f"Received: {self.lengths.tolist()}. The file is damaged."
                )
        pairs = zip(self.lengths.tolist(), self.codes.tolist(), strict=True)
        self._symbols = {pair: symbol for symbol, pair in enumerate(pairs) if pair[0]}

    def read(self, reader: BitReader) -> int:
        """Returns the next symbol of a stream; the only one that there is takes no bit of it.

        Raises:
            ValueError: The stream ends, or no code follows.
        """
        if self.lengths.size == 1:
            return 0
        code = 0
        for length in range(1, LONGEST + 1):
            code = code << 1 | reader.read(1)
            symbol = self._symbols.get((length, code))
            if symbol is not None:
                return symbol
        raise ValueError(
            f"`data` must hold codes. Received: {code:015b}, which begins with none. The file is "
            "damaged."
        )


def encode(symbols: np.ndarray, lengths: np.ndarray) -> bytes:
    r"""Returns the codes of symbols, whole numbers of shape `(count,)`, as a stream of bits.

    Example: `encode([0, 3, 0], code_lengths([5, 1, 0, 1]))` is 01100000, `b"\x60"`.
    """
    code, writer = Code(lengths), BitWriter()
    writer.write(code.codes[symbols], code.lengths[symbols])
    return writer.finish()


def decode(data: bytes, lengths: np.ndarray, count: int) -> np.ndarray:
    """Returns the `count` symbols, int64, that `encode` was given.

    Raises:
        ValueError: `data` is no such stream.
    """
    code, reader = Code(lengths), BitReader(data)
    return np.array([code.read(reader) for _ in range(count)], np.int64)

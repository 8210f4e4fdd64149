"""The payload of coded rows as a stream of codes, all of a width or by Huffman; see
edgeax/formats/coded.py.

Three kinds of symbols are coded: places, the codes' numbers in the table, and sizes of biases. The
rows being joined, a place is how many codes are left out before the next one that is kept. The
highest of the `2**width` places is none: it stands for so many left-out codes alone. So places of
1 bit are a bit mask, 0 where a code is kept. Where all codes are kept the width is 0.

The stream holds the table, 8 bits each or a mask of 256 bits when that is shorter; the width of
places in 4 bits, the largest size in 6; by Huffman, the lengths of the three alphabets' codes in
4 bits each, but for alphabets of one symbol, which takes no bit; for each bias its size, which is
its width without the sign, then if it is not 0 the sign and the bits below the leading 1; for each
code that is kept the places up to it and its number.

C++ twin: tflite_kernels/core/coded_plain.h. Source: [SH16], without its filler zeros.
"""

import numpy as np

from edgeax.formats.bits import BitReader, BitWriter
from edgeax.formats.huffman import Code, code_lengths

_PLACE_BITS = range(1, 9)
_MOST_LISTED = 32  # codes of a table
_MOST_SIZE = 32


def encode(
    codes: np.ndarray, bias: np.ndarray, table: np.ndarray, count: int, is_huffman: bool
) -> bytes:
    """Returns the payload.

    Args:
        codes: int8 `(rows, depth)`.
        bias: int32 `(rows,)`.
        table: int8, every code that is kept, ascending.
        count: Codes that are kept: those that are not 0, or all.
        is_huffman: Whether the code of a symbol is the shorter the more frequent it is, or all have
            one width.
    """
    flat = codes.ravel()
    kept = np.arange(flat.size) if count == flat.size else np.flatnonzero(flat)
    width, places, ends = _places(kept, flat.size, is_huffman)
    symbols = np.searchsorted(table, flat[kept])
    sizes = np.array([abs(value).bit_length() for value in bias.tolist()])
    largest = int(sizes.max())
    of_places = _code(places, 1 << width, is_huffman)
    of_symbols = _code(symbols, table.size, is_huffman)
    of_sizes = _code(sizes, largest + 1, is_huffman)

    writer = BitWriter()
    _write_table(writer, table)
    writer.write([width, largest], [4, 6])
    for code in (of_places, of_symbols, of_sizes):
        if is_huffman and code.lengths.size > 1:
            writer.write(code.lengths, 4)
    below = np.abs(bias.astype(np.int64)) - (1 << sizes >> 1)
    signed = below | (bias < 0).astype(np.int64) << np.maximum(sizes, 1) - 1
    writer.write(
        np.stack([of_sizes.codes[sizes], signed], axis=1).ravel(),
        np.stack([of_sizes.lengths[sizes], sizes], axis=1).ravel(),
    )
    writer.write(
        np.insert(of_places.codes[places], ends, of_symbols.codes[symbols]),
        np.insert(of_places.lengths[places], ends, of_symbols.lengths[symbols]),
    )
    return writer.finish()


def decode(
    data: bytes, rows: int, depth: int, count: int, distinct: int, is_huffman: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns codes, bias and table.

    Args:
        data: The payload.
        rows: Of the codes.
        depth: Codes in a row.
        count: Codes that are kept.
        distinct: Codes in the table.
        is_huffman: As in `encode`.

    Raises:
        ValueError: The payload is none of such rows.
    """
    reader = BitReader(data)
    table = _read_table(reader, distinct)
    width, largest = reader.read(4), reader.read(6)
    if width > _PLACE_BITS[-1] or largest > _MOST_SIZE:
        raise _damaged(f"places of {width} bits and biases of {largest}")
    of_places, of_symbols, of_sizes = (
        Code(_read_lengths(reader, symbols, is_huffman))
        for symbols in (1 << width, distinct, largest + 1)
    )
    bias = [_read_bias(reader, of_sizes.read(reader)) for _ in range(rows)]
    codes, place = np.zeros(rows * depth, np.int8), -1
    for _ in range(count):
        place += 1 + _read_place(reader, of_places)
        if place >= codes.size:
            raise _damaged(f"a code at place {place} of {codes.size}")
        codes[place] = table[of_symbols.read(reader)]
    return codes.reshape(rows, depth), np.array(bias, np.int32), table


def _places(kept: np.ndarray, total: int, is_huffman: bool) -> tuple[int, np.ndarray, np.ndarray]:
    """Returns the width of places that takes the fewest bits, the places, and for each code that is
    kept how many of them there are up to it.
    """
    if kept.size == total:
        return 0, np.zeros(0, np.int64), np.zeros(total, np.int64)
    gaps = np.diff(kept, prepend=-1) - 1
    found = []
    for width in _PLACE_BITS:
        most = (1 << width) - 1
        ends = np.cumsum(gaps // most + 1)
        places = np.full(ends[-1], most)
        places[ends - 1] = gaps % most
        code = _code(places, 1 << width, is_huffman)
        bits = np.sum(code.lengths[places], dtype=np.int64) + 4 * code.lengths.size * is_huffman
        found.append((int(bits), width, places, ends))
    return min(found, key=lambda way: way[:2])[1:]


def _code(symbols: np.ndarray, alphabet: int, is_huffman: bool) -> Code:
    if is_huffman and symbols.size:
        return Code(code_lengths(np.bincount(symbols, minlength=alphabet)))
    return Code(np.full(alphabet, (alphabet - 1).bit_length()))


def _read_lengths(reader: BitReader, alphabet: int, is_huffman: bool) -> np.ndarray:
    if is_huffman and alphabet > 1:
        return np.array([reader.read(4) for _ in range(alphabet)])
    return np.full(alphabet, (alphabet - 1).bit_length())


def _read_place(reader: BitReader, code: Code) -> int:
    """Returns how many codes are left out before the next one."""
    most, total = code.lengths.size - 1, 0
    while most:
        place = code.read(reader)
        total += place
        if place < most:
            break
    return total


def _read_bias(reader: BitReader, size: int) -> int:
    if size == 0:
        return 0
    is_negative = reader.read(1)
    value = 1 << size - 1 | reader.read(size - 1)
    if value > (1 << 31) - 1 + is_negative:
        raise _damaged(f"a bias of {size} bits")
    return -value if is_negative else value


def _write_table(writer: BitWriter, table: np.ndarray) -> None:
    places = table.astype(np.int64) + 128
    if places.size <= _MOST_LISTED:
        writer.write(places, 8)
    else:
        writer.write(np.isin(np.arange(256), places), 1)


def _read_table(reader: BitReader, distinct: int) -> np.ndarray:
    if distinct <= _MOST_LISTED:
        places = np.array([reader.read(8) for _ in range(distinct)])
    else:
        places = np.flatnonzero([reader.read(1) for _ in range(256)])
    if places.size != distinct or np.any(np.diff(places) <= 0):
        raise _damaged(f"the table {places.tolist()}")
    return (places - 128).astype(np.int8)


def _damaged(received: str) -> ValueError:
    return ValueError(f"`data` must hold coded rows. Received: {received}. The file is damaged.")

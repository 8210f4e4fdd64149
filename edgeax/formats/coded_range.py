"""The payload of coded rows by an adaptive range coder; see edgeax/formats/coded.py.

One function says what is coded in which contexts, to the encoder and to the decoder: the distance
of neighbors, the table of codes, the biases, then row by row which codes are kept and what they
are. Whether a code is kept has three contexts: how many are kept in its column above it, how dense
its row was of late, and which of four neighbors before it in its row are kept. These are the last
one and the three around the one at the distance, which the encoder finds: a line of an image or the
channels of a pixel in most networks. What a code is has the sum of the neighbors as context.

C++ twin: tflite_kernels/core/coded_range.h.
"""

import numpy as np

from edgeax.formats.range_coding import NUMBER_CONTEXTS, Coder, RangeDecoder, RangeEncoder

_COLUMN = 0  # and 0 to 8, the bits of how many are kept above, which counts to 255
_DENSITY = 9  # and 0 to 16, the bits of a running mean, 65535 where all are kept
_PATTERN = 26  # and 0 to 15, a bit for each neighbor
_SIGN = 42
_NUMBER = 43
_BIAS = _NUMBER + NUMBER_CONTEXTS
_CODE = _BIAS + NUMBER_CONTEXTS
_SUMS = 11  # 0, or one of 5 sizes above or below it
_TRIED = 1 << 16  # codes that a distance is tried with


def encode(codes: np.ndarray, bias: np.ndarray, table: np.ndarray, count: int) -> bytes:
    """Returns the payload.

    Args:
        codes: int8 `(rows, depth)`.
        bias: int32 `(rows,)`.
        table: int8, every code that is kept, ascending.
        count: Codes that are kept: those that are not 0, or all.
    """
    distance = _distance(codes)
    if distance:
        head = codes[: max(1, _TRIED // codes.shape[1])]
        kept = head.size if count == codes.size else int(np.count_nonzero(head))
        sizes = [len(_encode(head, bias[:0], table, kept, tried)) for tried in (distance, 0)]
        distance = distance if sizes[0] < sizes[1] else 0
    return _encode(codes, bias, table, count, distance)


def decode(
    data: bytes, rows: int, depth: int, count: int, distinct: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns codes, bias and table.

    Args:
        data: The payload.
        rows: Of the codes.
        depth: Codes in a row.
        count: Codes that are kept.
        distinct: Codes in the table.

    Raises:
        ValueError: A number in it is out of its range.
    """
    codes, bias, table = [[0] * depth for _ in range(rows)], [0] * rows, [0] * distinct
    _code(RangeDecoder(_contexts(distinct), data), codes, bias, table, count, 0)
    return np.array(codes, np.int8), np.array(bias, np.int32), np.array(table, np.int8)


def _encode(
    codes: np.ndarray, bias: np.ndarray, table: np.ndarray, count: int, distance: int
) -> bytes:
    coder = RangeEncoder(_contexts(table.size))
    _code(coder, codes.tolist(), bias.tolist(), table.tolist(), count, distance)
    return coder.finish()


def _contexts(distinct: int) -> int:
    return _CODE + (_SUMS << (distinct - 1).bit_length())


def _code(
    coder: Coder,
    codes: list[list[int]],
    bias: list[int],
    table: list[int],
    count: int,
    distance: int,
) -> None:
    """Codes everything, and writes what a decoder reads to where an encoder finds it."""
    distance = coder.number(distance, _NUMBER)
    _check("distance", distance, 0, len(codes[0]) - 1)
    _code_table(coder, table)
    for row, value in enumerate(bias):
        size = coder.number(abs(value), _BIAS)
        is_negative = size and coder.bit(int(value < 0), _SIGN)
        bias[row] = -size if is_negative else size
        _check("bias", bias[row], -(1 << 31), (1 << 31) - 1)
    _code_rows(coder, codes, table, count, distance)


def _code_table(coder: Coder, table: list[int]) -> None:
    lowest = -128
    for place, code in enumerate(table):
        table[place] = lowest + coder.number(code - lowest, _NUMBER)
        _check("table", table[place], -128, 127)
        lowest = table[place] + 1


def _code_rows(
    coder: Coder, codes: list[list[int]], table: list[int], count: int, distance: int
) -> None:
    symbols = {code: symbol for symbol, code in enumerate(table)}
    symbol_bits = (len(table) - 1).bit_length()
    above = [0] * len(codes[0])
    left, rest = count, len(codes) * len(above)
    last = one = two = three = 0
    for row in codes:
        past = [0] * (distance + 1) + row
        density = 0
        for column, code in enumerate(row):
            if distance:
                last = past[column + distance]
                one, two, three = past[column : column + 3]
            is_kept = int(left > 0)
            if 0 < left < rest:
                pattern = (last != 0) + 2 * (one != 0) + 4 * (two != 0) + 8 * (three != 0)
                is_kept = coder.bit(
                    int(code != 0),
                    _COLUMN + above[column].bit_length(),
                    _DENSITY + density.bit_length(),
                    _PATTERN + pattern,
                )
                density += 65535 - density >> 5 if is_kept else -(density >> 5)
            rest -= 1
            if is_kept:
                left -= 1
                above[column] = min(above[column] + 1, 255)
                total = last + one + two + three
                size = abs(total).bit_length() + 1 >> 1
                first = _CODE + ((size if total >= 0 else size + 5) << symbol_bits)
                symbol = coder.symbol(symbols.get(code, 0), len(table), first)
                row[column] = past[column + distance + 1] = table[symbol]


def _distance(codes: np.ndarray) -> int:
    """Returns the distance, 2 or more, at which codes of a row are most alike; 0 without any."""
    rows, depth = codes.shape
    alike = np.zeros(depth)
    step = max(1, (1 << 20) // depth)
    for first in range(0, rows, step):
        spectrum = np.fft.rfft(codes[first : first + step].astype(np.float64), 2 * depth)
        alike += np.fft.irfft(np.sum(np.abs(spectrum) ** 2, axis=0), 2 * depth)[:depth]
    alike = np.rint(alike)[2:]  # whole numbers, the same on every machine
    return int(np.argmax(alike)) + 2 if alike.size and alike.max() > 0 else 0


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(
            f"`{name}` of coded rows must lie in [{low}, {high}]. Received: {value}. The file is "
            "damaged."
        )

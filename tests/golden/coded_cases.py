"""Golden vectors of coded rows: an encoder that follows the description of the bytes in
edgeax/formats/coded.py and its payloads literally, one number at a time; see cases.py.

A case of `coded.json` holds codes (row by row), bias, scale (hex floats), what the layout makes of
them (packed and codebook, or block, places, values and indices), and a buffer of each coding. All
bytes are in hex.
"""

import heapq
import itertools
import math
import random
import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from tests.golden.cases import INT32_MAX, INT32_MIN, float32, pack, store

RAW, HUFFMAN, RANGE = range(3)
ONE = 2**16


def bits_of(number: int, width: int) -> str:
    return format(number, f"0{width}b") if width else ""


def varint(number: int) -> bytes:
    groups = [number >> shift & 127 for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([*(group | 128 for group in groups[:-1]), groups[-1]])


# Fields.


def huffman_lengths(symbols: Sequence[int], alphabet: int) -> list[int]:
    """Huffman's own way: the two rarest trees become one."""
    counts = Counter(symbols)
    trees = [(count, number, [symbol]) for number, (symbol, count) in enumerate(counts.items())]
    lengths = [0] * alphabet
    if len(trees) == 1 and alphabet > 1:
        lengths[trees[0][2][0]] = 1
    heapq.heapify(trees)
    for number in itertools.count(len(trees)):
        if len(trees) == 1:
            return lengths
        one, other = heapq.heappop(trees), heapq.heappop(trees)
        for symbol in one[2] + other[2]:
            lengths[symbol] += 1
        heapq.heappush(trees, (one[0] + other[0], number, one[2] + other[2]))
    raise AssertionError


def canonical(lengths: list[int]) -> list[str]:
    """The codes as strings of bits."""
    codes, code, former = [""] * len(lengths), -1, 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths)):
        if length:
            code = code + 1 << length - former
            codes[symbol], former = bits_of(code, length), length
    return codes


def plain_payload(
    case: dict[str, Any], kept: list[int], table: list[int], width: int, is_huffman: bool
) -> bytes:
    """Args: `kept`: where codes are kept in the joined rows; `width`: of places."""
    codes = case["codes"]
    most = 2**width - 1
    entries: list[list[int]] = []  # the places up to each code that is kept
    for before, place in itertools.pairwise([-1, *kept]):
        gap = place - before - 1
        entries.append([most] * (gap // most) + [gap % most] if width else [])
    symbols = [table.index(codes[place]) for place in kept]
    sizes = [abs(value).bit_length() for value in case["bias"]]
    streams = [(list(itertools.chain(*entries)), 2**width), (symbols, len(table))]
    streams.append((sizes, max(sizes) + 1))

    if len(table) > 32:
        text = "".join("01"[place - 128 in table] for place in range(256))
    else:
        text = "".join(bits_of(code + 128, 8) for code in table)
    text += bits_of(width, 4) + bits_of(max(sizes), 6)
    alphabets = []
    for stream, alphabet in streams:
        lengths = [(alphabet - 1).bit_length()] * alphabet
        if is_huffman and alphabet > 1:
            lengths = huffman_lengths(stream, alphabet)
            text += "".join(bits_of(length, 4) for length in lengths)
        alphabets.append(canonical(lengths))
    for value, size in zip(case["bias"], sizes, strict=True):
        text += alphabets[2][size]
        if size:
            text += "01"[value < 0] + bits_of(abs(value), size)[1:]
    for places, symbol in zip(entries, symbols, strict=True):
        text += "".join(alphabets[0][place] for place in places) + alphabets[1][symbol]
    text += "0" * (-len(text) % 8)
    return int("1" + text, 2).to_bytes(len(text) // 8 + 1, "big")[1:]


# The range coder, its low end being one long number.


class RangeCoder:
    def __init__(self) -> None:
        self.low, self.range, self.size = 0, 2**32 - 1, 4
        self.weights: dict[Hashable, int] = defaultdict(int)
        self.told: dict[Hashable, int] = defaultdict(int)

    def chance(self, bit: int, one: int) -> None:
        split = self.range // ONE * one
        self.low, self.range = (self.low, split) if bit else (self.low + split, self.range - split)
        while self.range < 2**24:
            self.low, self.range, self.size = self.low * 256, self.range * 256, self.size + 1

    def bit(self, bit: int, *contexts: Hashable) -> None:
        logit = sum(self.weights[context] for context in contexts)
        halves, rest = divmod(min(abs(logit), 10 * ONE - 1), ONE // 2)
        above, below = (round(ONE / (1 + math.exp(at / 2))) for at in (halves, halves + 1))
        unlikely = above - (above - below) * rest // (ONE // 2)
        one = unlikely if logit < 0 else ONE - unlikely
        self.chance(bit, one)
        for context in contexts:
            step = abs(bit * ONE - one) * (ONE // 2) // ((ONE + self.told[context]) // 2)
            self.weights[context] += step if bit else -step
            if self.told[context] < 49 * ONE:
                self.told[context] += one * (ONE - one) // ONE

    def symbol(self, symbol: int, alphabet: int, *kind: Hashable) -> None:
        """The symbol's bits, highest first, each in the context of those before it."""
        width = (alphabet - 1).bit_length()
        text = bits_of(symbol, width)
        for place in range(width):
            # The lowest symbol with a 1 here.
            if int(text[:place] + "1" + "0" * (width - place - 1), 2) < alphabet:
                self.bit(int(text[place]), (*kind, text[:place]))

    def number(self, number: int, kind: str) -> None:
        width = number.bit_length()
        self.symbol(width, 33, kind, "width")
        text = bits_of(number, width)[1:]
        for place, digit in enumerate(text):
            if place == 0:
                self.bit(int(digit), (kind, "second", width))
            else:
                self.chance(int(digit), ONE // 2)

    def finish(self) -> bytes:
        for zeros in range(32, -1, -1):
            number = -(-self.low // 2**zeros) * 2**zeros
            if number < self.low + self.range:
                return number.to_bytes(self.size, "big").rstrip(b"\0")
        raise AssertionError


def range_payload(case: dict[str, Any], kept: list[int], table: list[int], distance: int) -> bytes:
    coder, (rows, depth) = RangeCoder(), (len(case["bias"]), case["depth"])
    coder.number(distance, "number")
    for before, code in itertools.pairwise([-129, *table]):
        coder.number(code - before - 1, "number")
    for value in case["bias"]:
        coder.number(abs(value), "bias")
        if value:
            coder.bit(int(value < 0), "sign")
    left, rest, is_kept = len(kept), rows * depth, set(kept)
    for row in range(rows):
        density = 0
        for k in range(depth):
            at = row * depth + k

            def neighbor(back: int, at: int = at, k: int = k) -> int:
                return case["codes"][at - back] if distance and back <= k else 0

            around = [neighbor(back) for back in (1, distance + 1, distance, distance - 1)]
            if 0 < left < rest:
                above = sum(at - up * depth in is_kept for up in range(1, row + 1))
                coder.bit(
                    int(at in is_kept),
                    ("column", min(above, 255).bit_length()),
                    ("density", density.bit_length()),
                    ("pattern", *(code != 0 for code in around)),
                )
                density += (65535 - density) // 32 if at in is_kept else -(density // 32)
            rest -= 1
            if at in is_kept:
                left -= 1
                total = sum(around)
                size = (abs(total).bit_length() + 1) // 2
                coder.symbol(table.index(case["codes"][at]), len(table), "code", size, total < 0)
    return coder.finish()


# Buffers.


def buffer(case: dict[str, Any], coding: int, places: int, distance: int) -> bytes:
    """Args: `places`: bits of a place, or 0 to keep all codes; `distance`: of neighbors."""
    codes, scale, rows = case["codes"], case["scale"], len(case["bias"])
    sparse = case["layout"] == 1
    every = coding != RANGE and places == 0 or not any(codes)
    kept = [at for at, code in enumerate(codes) if every or code]
    table = sorted({codes[at] for at in kept})
    flags = coding + 4 * (len(scale) > 1)
    numbers = [rows, case["depth"], len(kept)]
    if sparse:
        flags += 8 * (1 + case["places"]) + 32 * (case["block"].bit_length() - 1)
        numbers += [len(case["values"]) // case["block"], len(case["indices"])]
    head = bytes([1, flags, len(table) - 1]) + b"".join(map(varint, numbers))
    head += struct.pack(f"<{len(scale)}f", *(float.fromhex(each) for each in scale))
    if coding == RANGE:
        whole = head + range_payload(case, kept, table, distance)
    else:
        width = places if len(kept) < len(codes) else 0
        whole = head + plain_payload(case, kept, table, width, coding == HUFFMAN)
    return whole + struct.pack("<I", zlib.crc32(whole))


# Cases.

# name, rows, depth, distinct codes beside 0, share of them, bits of a bias, whether there is a
# scale per row, block and places of the sparse layout, bits of places, distance of neighbors
SHAPES: list[tuple[str, int, int, int, float, int, bool, tuple[int, int] | None, int, int]] = [
    ("one_code", 1, 1, 1, 1.0, 3, False, None, 1, 0),
    ("one_zero", 1, 1, 1, 0.0, 0, False, (1, 2), 1, 0),
    ("all_zeros", 3, 5, 1, 0.0, 0, True, (1, 1), 1, 0),
    ("all_equal", 4, 7, 1, 1.0, 2, False, None, 2, 3),
    ("one_row", 1, 45, 6, 0.3, 8, True, (1, 0), 1, 0),
    ("one_column", 29, 1, 5, 0.4, 5, False, (1, 0), 2, 0),
    ("sixteen_values", 7, 33, 16, 1.0, 12, False, None, 1, 2),
    ("fifteen_and_zero", 6, 18, 15, 0.5, 12, True, None, 0, 6),
    ("nibbles", 12, 60, 16, 0.1, 10, False, (1, 1), 4, 12),
    ("bytes", 9, 300, 8, 0.01, 31, True, (1, 2), 6, 28),
    ("blocks_of_4", 8, 26, 20, 0.1, 9, False, (4, 1), 3, 4),
    ("blocks_of_2", 6, 9, 3, 0.5, 32, False, (2, 0), 8, 8),
    ("dense_int8", 5, 40, 120, 0.95, 6, True, (16, 0), 1, 5),
    ("long", 30, 40, 14, 0.15, 14, False, (1, 1), 3, 10),
]


def coded() -> Iterator[dict[str, Any]]:
    for name, rows, depth, distinct, share, bits, per_row, sparse, places, distance in SHAPES:
        source = random.Random(f"coded {name}")
        choice = source.sample([code for code in range(-128, 128) if code], distinct)
        codes = [
            source.choice(choice) if source.random() < share else 0 for _ in range(rows * depth)
        ]
        if bits == 32:
            bias = [INT32_MIN, INT32_MAX, 0, -1, 1, INT32_MIN + 1]
        else:
            bias = [source.choice([0, 1, -1]) * source.randrange(2**bits) for _ in range(rows)]
        scales = [source.choice([-1.0, 0.0, 0.01, 3e38]) for _ in range(rows if per_row else 1)]
        case: dict[str, Any] = {"name": name, "depth": depth, "layout": int(sparse is not None)}
        case |= {"codes": codes, "bias": bias, "scale": [float32(x).hex() for x in scales]}
        split = [codes[at : at + depth] for at in range(0, len(codes), depth)]
        if sparse is None:
            book = sorted(set(codes))
            packed = [byte for row in split for byte in pack([book.index(code) for code in row], 4)]
            case |= {"packed": packed, "codebook": book + [0] * (16 - len(book))}
        else:
            values, indices = store(split, *sparse)
            case |= {"block": sparse[0], "places": sparse[1], "values": values, "indices": indices}
        buffers = [buffer(case, coding, places, distance) for coding in (RAW, HUFFMAN, RANGE)]
        # Bytes as hex, which takes half the room of numbers.
        for part in ("codes", "values", "codebook", "packed", "indices"):
            if part in case:
                case[part] = bytes(code % 256 for code in case[part]).hex()
        yield case | {"buffers": [each.hex() for each in buffers]}

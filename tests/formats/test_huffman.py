import heapq
import math

import numpy as np
import pytest

from edgeax.formats import huffman


def cost_of_merging(counts):
    """Bits of all symbols by Huffman's algorithm: the sum of the trees that are made."""
    trees = [count for count in counts if count]
    heapq.heapify(trees)
    cost = 0
    while len(trees) > 1:
        merged = heapq.heappop(trees) + heapq.heappop(trees)
        cost += merged
        heapq.heappush(trees, merged)
    return cost


def test_sh16_lengths_are_those_of_huffman():
    # The example of textbooks: a to f of 45, 13, 12, 16, 9 and 5 take 224 bits of 100 letters.
    assert huffman.code_lengths([45, 13, 12, 16, 9, 5]).tolist() == [1, 3, 3, 3, 4, 4]
    random = np.random.default_rng(0)
    for symbols in (2, 3, 16, 32, 256):
        counts = random.geometric(0.05, symbols) * (random.random(symbols) < 0.8)
        counts[:2] += 1
        lengths = huffman.code_lengths(counts)
        assert lengths @ counts == cost_of_merging(counts.tolist())
        share = counts[counts > 0] / counts.sum()
        entropy = -np.sum(share * np.log2(share))
        assert entropy <= lengths @ counts / counts.sum() < entropy + 1


def test_no_code_is_longer_than_15_bits():
    fibonacci = [1, 1]
    while len(fibonacci) < 30:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    lengths = huffman.code_lengths(fibonacci)  # of which Huffman's own codes have up to 29 bits
    assert lengths.max() == huffman.LONGEST
    assert math.fsum(2.0**-length for length in lengths.tolist()) == 1  # no code is left unused
    excess = lengths.astype(np.int64) @ fibonacci / cost_of_merging(fibonacci)
    assert 1 < excess < 1.01


def test_a_symbol_alone_takes_a_bit_unless_there_is_no_other():
    assert huffman.code_lengths([0, 7, 0]).tolist() == [0, 1, 0]
    assert huffman.code_lengths([7]).tolist() == [0]
    assert huffman.decode(b"", np.uint8([0]), 3).tolist() == [0, 0, 0]


def test_codes_follow_from_their_lengths():
    # Shorter ones first, of equally long ones that of the lower symbol: 0, 100, 101, 1100.
    code = huffman.Code(np.uint8([3, 1, 4, 3]))
    assert code.codes.tolist() == [0b100, 0b0, 0b1100, 0b101]


def test_the_stream_is_the_one_worked_out_by_hand():
    lengths = huffman.code_lengths([5, 1, 0, 1])
    assert lengths.tolist() == [1, 2, 0, 2]  # 0, 10, none, 11
    assert huffman.encode(np.array([0, 3, 0]), lengths) == b"\x60"
    assert huffman.decode(b"\x60", lengths, 3).tolist() == [0, 3, 0]


@pytest.mark.parametrize("alphabet", [2, 7, 16, 256])
def test_decoding_gives_the_symbols(alphabet):
    random = np.random.default_rng(alphabet)
    symbols = np.minimum(random.geometric(0.1, 3000) - 1, alphabet - 1)
    for lengths in (
        huffman.code_lengths(np.bincount(symbols, minlength=alphabet)),
        np.full(alphabet, (alphabet - 1).bit_length()),
    ):
        data = huffman.encode(symbols, lengths)
        assert huffman.decode(data, lengths, symbols.size).tolist() == symbols.tolist()


def test_damaged_codes_are_refused():
    with pytest.raises(ValueError, match="`lengths` must leave 1 bits for 3 codes"):
        huffman.Code(np.uint8([1, 1, 1]))
    with pytest.raises(ValueError, match="which begins with none"):
        huffman.decode(b"\xff\xff", np.uint8([1, 2, 3]), 1)
    with pytest.raises(ValueError, match="1 bytes, and 9 bits are wanted"):
        huffman.decode(b"\xff", np.uint8([1, 1]), 9)

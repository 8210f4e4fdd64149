import math
from fractions import Fraction

import numpy as np
import pytest

from edgeax.formats import range_coding
from edgeax.formats.range_coding import NUMBER_CONTEXTS, RangeDecoder, RangeEncoder

NUMBERS = [0, 1, 2, 3, 4, 7, 8, 1000, 2**31 - 1, 2**31, 2**32 - 1]


def test_chances_of_logits_are_those_of_the_logistic_function():
    expected = [round(65536 / (1 + math.exp(half / 2))) for half in range(21)]
    assert list(range_coding._UNLIKELY) == expected


def test_fields_give_the_bytes_worked_out_by_hand():
    """Fields split the range in halves, 1 being the lower one."""
    low, whole = Fraction(0), Fraction(1)
    encoder = RangeEncoder(0)
    encoder.field(0b01101, 5)
    for bit in (0, 1, 1, 0, 1):
        low, whole = low + (whole / 2 if bit == 0 else 0), whole / 2
    assert low == Fraction(0b10010, 32)
    assert encoder.finish() == bytes([0b10010000])


def test_a_learned_bit_takes_its_entropy():
    random = np.random.default_rng(0)
    bits = (random.random(40000) < 0.03).astype(int).tolist()
    encoder = RangeEncoder(1)
    for bit in bits:
        encoder.bit(bit, 0)
    share = sum(bits) / len(bits)
    entropy = -share * math.log2(share) - (1 - share) * math.log2(1 - share)
    size = 8 * len(encoder.finish()) / len(bits)
    assert entropy < size < 1.03 * entropy


def test_contexts_add_up():
    """Odds that are a product of a row's and a column's are learned from both."""
    random = np.random.default_rng(1)
    rows, columns = random.normal(-2, 1.5, 60), random.normal(0, 1.5, 200)
    chances = 1 / (1 + np.exp(-(rows[:, None] + columns)))
    bits = random.random(chances.shape) < chances
    encoder = RangeEncoder(260)
    for row, column in np.ndindex(bits.shape):
        encoder.bit(int(bits[row, column]), row, 60 + column)
    size = 8 * len(encoder.finish())
    known = -np.log2(np.where(bits, chances, 1 - chances)).sum()
    apart = sum(
        -np.log2(np.where(line, share, 1 - share)).sum()
        for line, share in zip(bits, bits.mean(axis=1).clip(0.001, 0.999), strict=True)
    )
    assert known < size < known + 0.5 * (apart - known)


def test_a_bit_that_never_comes_costs_almost_nothing():
    encoder = RangeEncoder(1)
    for _ in range(100_000):
        encoder.bit(0, 0)
    assert len(encoder.finish()) < 50


@pytest.mark.parametrize("seed", range(20))
def test_a_decoder_gives_what_the_encoder_was_given(seed):
    random = np.random.default_rng(seed)
    contexts = 2 * NUMBER_CONTEXTS + 520

    def code(coder, given):
        got = []
        for kind, value, extra in given:
            if kind == 0:
                got.append(coder.bit(value, *extra))
            elif kind == 1:
                got.append(coder.field(value, extra))
            elif kind == 2:
                got.append(coder.symbol(value, extra, 2 * NUMBER_CONTEXTS))
            else:
                got.append(coder.number(value, extra))
        return got

    given = []
    rare = random.random() ** 3
    for _ in range(400):
        kind = int(random.integers(4))
        if kind == 0:
            chosen = random.integers(0, 9, random.integers(1, 4)).tolist()
            given.append((0, int(random.random() < rare), chosen))
        elif kind == 1:
            width = int(random.integers(0, 33))
            given.append((1, int(random.integers(1 << width)), width))
        elif kind == 2:
            count = int(random.integers(1, 257))
            given.append((2, int(random.integers(count)), count))
        else:
            given.append((3, int(random.choice(NUMBERS)), int(random.choice([0, 97]))))
    encoder = RangeEncoder(contexts)
    values = [value for _, value, _ in given]
    assert code(encoder, given) == values
    data = encoder.finish()
    hidden = [(kind, 0, extra) for kind, _, extra in given]
    assert code(RangeDecoder(contexts, data), hidden) == values


class Watched(RangeEncoder):
    """Counts the carries that reach beyond the byte before them."""

    far = 0

    def _shift(self):
        self.far += self._low > 0xFFFFFFFF and self._data[-1:] == b"\xff"
        super()._shift()


def test_a_carry_runs_through_bytes_of_255():
    random = np.random.default_rng(3)
    bits = (random.random(60_000) < 0.4).astype(int).tolist()
    encoder = Watched(1)
    for bit in bits:
        encoder.bit(bit, 0)
    assert encoder.far > 2
    decoder = RangeDecoder(1, encoder.finish())
    assert [decoder.bit(0, 0) for _ in bits] == bits


def test_a_choice_that_there_is_not_takes_no_bit():
    encoder = RangeEncoder(8)
    for _ in range(1000):
        encoder.symbol(0, 1, 0)
    assert encoder.finish() == b""
    # Of 5 symbols the last one has no other beside it: its first bit says all.
    decoder = RangeDecoder(8, bytes(4))  # zeros are ones, as 1 is the lower part of a range
    assert decoder.symbol(0, 5, 0) == 4


def test_zeros_at_the_end_are_left_out():
    encoder = RangeEncoder(0)
    encoder.field((1 << 32) - 1, 32)  # the lower end
    assert encoder.finish() == b""
    assert RangeDecoder(0, b"").field(0, 32) == (1 << 32) - 1


def test_any_bytes_are_some_bits():
    random = np.random.default_rng(0)
    for size in (0, 1, 3, 50):
        decoder = RangeDecoder(NUMBER_CONTEXTS, random.bytes(size))
        assert all(0 <= decoder.number(0, 0) < 1 << 32 for _ in range(100))
    decoder = RangeDecoder(NUMBER_CONTEXTS, b"\xff" * 50)  # beyond any range
    assert all(0 <= decoder.number(0, 0) < 1 << 32 for _ in range(100))

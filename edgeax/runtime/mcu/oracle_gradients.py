"""Gradients, losses and moves of weights in integers: twin of gradients.cc, losses.cc, sign_update.

A gradient is codes and an exponent, real = codes * 2**exponent; what they mean stands in
tflite_kernels/micro/gradients.h.
"""

import dataclasses

import numpy as np

from edgeax.formats import rounding

MOST_BIAS = 2**30
_NO_EXPONENT = -1_000_000
_ONE = 2**15  # of probabilities
_LN2 = 45426  # in units of 2**-16


@dataclasses.dataclass(frozen=True, eq=False)
class Gradient:
    """A gradient, or sums that become one.

    Attributes:
        codes: int64 of int16 range, of sums of int32 range.
        exponent: Of all of them.
    """

    codes: np.ndarray
    exponent: int


def shifted_right(x: np.ndarray, bits: int) -> np.ndarray:
    """Returns `x / 2**bits`, halves up."""
    return x if bits == 0 else (x + (1 << (bits - 1))) >> bits


def narrowed(sums: Gradient) -> Gradient:
    """Returns sums as codes whose largest magnitude has 15 bits."""
    largest = int(np.abs(sums.codes).max(initial=0))
    if largest == 0:
        return Gradient(sums.codes, _NO_EXPONENT)
    shift = largest.bit_length() - 15
    codes = sums.codes << -shift if shift < 0 else shifted_right(sums.codes, shift)
    return Gradient(np.clip(codes, 1 - _ONE, _ONE - 1), sums.exponent + shift)


def joined(a: Gradient, b: Gradient) -> Gradient:
    """Returns the sum of two gradients."""
    large, small = (a, b) if a.exponent >= b.exponent else (b, a)
    unit = max(large.exponent - 15, small.exponent)
    right = min(unit - small.exponent, 31)
    sums = (large.codes << (large.exponent - unit)) + shifted_right(small.codes, right)
    return narrowed(Gradient(sums, unit))


def cross_entropy(
    scores: np.ndarray, label: int, exponentials: np.ndarray, loss_step: int, least_error: int
) -> tuple[Gradient, int]:
    """Returns probabilities less the wanted ones in units of 2**-15, and the loss, of 2**-16."""
    differences = int(scores.max()) - scores.astype(np.int64)
    terms = exponentials[differences].astype(np.int64)
    total = int(terms.sum())
    errors = (terms * _ONE + total // 2) // total
    errors[label] -= _ONE
    of_sum = (log2(total) - (15 << 16)) * _LN2 >> 16
    codes = _cleared(np.clip(errors, 1 - _ONE, _ONE - 1), least_error)
    return Gradient(codes, -15), int(differences[label]) * loss_step + of_sum


def mean_square(
    output: np.ndarray, target: np.ndarray, factor: tuple[int, int], least_error: int
) -> tuple[Gradient, int]:
    """Returns differences of codes in units of 2**-7, and the loss in units of 2**-16."""
    differences = output.astype(np.int64) - target
    squares = np.int32(np.square(differences).sum())
    loss = int(rounding.requantize(np.array(squares), *factor, "double"))
    return Gradient(_cleared(differences * 128, least_error), -7), loss


def _cleared(codes: np.ndarray, least: int) -> np.ndarray:
    return codes if np.abs(codes).max() >= least else np.zeros_like(codes)


class Random:
    """The numbers of Marsaglia's xorshift, 13, 17, 5.

    Attributes:
        state: The last one, above 0.
    """

    def __init__(self, state: int) -> None:
        self.state = state

    def drawn(self, count: int, bits: int) -> np.ndarray:
        """Returns for each of so many whether one of `2**bits` cases comes up."""
        return np.array([bits == 0 or self._next() % (1 << bits) == 0 for _ in range(count)], bool)

    def _next(self) -> int:
        x = self.state
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self.state = x
        return x


def least_gradient(dead_zone: int, largest: int) -> int:
    """Returns the magnitude from which on gradients move weights."""
    return max((dead_zone * largest + 255) >> 8, 1)


def moved_weights(
    weights: np.ndarray, gradients: np.ndarray, least: int, rate_bits: int, random: Random
) -> np.ndarray:
    """Returns int8 weights that moved by one code against the signs of their gradients.

    Args:
        weights: int8.
        gradients: Of the same shape, those that rest are 0.
        least: The least magnitude that moves a weight, above 0.
        rate_bits: One of `2**rate_bits` moves.
        random: What draws it.
    """
    moving = np.flatnonzero(np.abs(gradients) >= least)
    chosen = moving[random.drawn(len(moving), rate_bits)]
    result = weights.reshape(-1).astype(np.int64)
    result[chosen] -= np.sign(gradients.reshape(-1)[chosen])
    result[chosen] = np.clip(result[chosen], -127, 127)
    return result.astype(np.int8).reshape(weights.shape)


def moved_bias(
    bias: np.ndarray, sums: np.ndarray, least: int, rate_bits: int, step: int, random: Random
) -> np.ndarray:
    """Returns int32 biases that moved by a step against the signs of their gradients."""
    moving = np.flatnonzero(np.abs(sums) >= max(least, 1))
    chosen = moving[random.drawn(len(moving), rate_bits)]
    result = bias.astype(np.int64)
    result[chosen] -= step * np.sign(sums[chosen])
    return np.clip(result, -MOST_BIAS, MOST_BIAS).astype(np.int32)


def log2(x: int) -> int:
    """Returns log2 in units of 2**-16, rounded down one squaring after the other."""
    whole = x.bit_length() - 1
    mantissa = x << (31 - whole)
    result = whole
    for _ in range(16):
        square = mantissa * mantissa >> 31
        bit = square >> 32
        mantissa = square >> bit
        result = 2 * result + bit
    return result

"""How many bits of mantissa a sum of products needs, from how much of its variance it retains."""

import math

import numpy as np

from edgeax.formats.methods import implements

_MOST_BITS = 23
_CUTOFF = math.log(50.0)


@implements(
    "SWC19",
    test="tests/training/test_accumulator.py::test_swc19_a_bit_more_serves_sums_four_times_as_long",
)
def accumulator_bits(length: int, chunk: int | None = None) -> int:
    """Returns the fewest bits of mantissa with which a sum of `length` products can be trained.

    The variance that the rounding of partial sums retains must be so near to all of it that
    `exp(length * (1 - ratio)) < 50`. The lemma behind `variance_retained` is as recalled from the
    paper, which adds a term for partial swamping, and is pessimistic: of 1024 products 5 bits
    retain 0.98 of the variance when simulated, 0.69 by the lemma. What holds is the law: about one
    bit more for sums four times as long, and far fewer bits in chunks.

    Source: [SWC19].

    Args:
        length: Products of a sum: the inputs of an output, or for a gradient of weights the batch
            times the positions; at least 1.
        chunk: Products of a chunk as in `Arithmetic(chunk=...)`; None for one sum over all.

    Raises:
        ValueError: A length is below 1, or 23 bits do not suffice.

    Example: `accumulator_bits(4096, chunk=64)` is less than `accumulator_bits(4096)`.
    """
    _check("length", length)
    if chunk is not None:
        _check("chunk", chunk)
    for bits in range(1, _MOST_BITS + 1):
        retained = _retained(length, bits, chunk)
        if length * (1.0 - retained) < _CUTOFF:
            return bits
    raise ValueError(
        f"`length` must be one for which {_MOST_BITS} bits of mantissa suffice. Received: "
        f"length={length}, chunk={chunk}. Sum up in chunks, for example of {math.isqrt(length)}."
    )


def variance_retained(length: int, bits: int) -> float:
    """Returns which share of the variance of a sum of normal products its rounding retains.

    `sum(i * q_i, n * q) / (n * (sum(q_i) + q))` with q_i the chance that the sum has grown past
    `2**bits` of a product just at product i, and q that it never does: `q_i = 2 Q(2**m / sqrt(i))
    * (1 - 2 Q(2**m / sqrt(i - 1)))` and `q = 1 - 2 Q(2**m / sqrt(n))`.

    Source: [SWC19], the lemma as recalled.

    Args:
        length: n, products of the sum, at least 1.
        bits: m, of the mantissa of the sum, at least 1.
    """
    places = np.arange(2, length + 1, dtype=np.float64)
    swamped = _beyond(2.0**bits / np.sqrt(places))
    before = 1.0 - _beyond(2.0**bits / np.sqrt(places - 1.0))
    first = swamped * before
    never = 1.0 - float(_beyond(np.array([2.0**bits / math.sqrt(length)]))[0])
    total = float(first.sum()) + never
    return (float((places * first).sum()) + length * never) / (length * total)


def _retained(length: int, bits: int, chunk: int | None) -> float:
    if chunk is None or chunk >= length:
        return variance_retained(length, bits)
    return variance_retained(chunk, bits) * variance_retained(math.ceil(length / chunk), bits)


def _beyond(x: np.ndarray) -> np.ndarray:
    """Returns the chance of a normal variable to lie further from 0 than `x`."""
    from_table = np.vectorize(math.erfc, otypes=[np.float64])
    return from_table(x / math.sqrt(2.0))


def _check(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}.")

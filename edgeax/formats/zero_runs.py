"""Zeros by run lengths, as the Eyeriss accelerator keeps activations in DRAM.

A 64-bit word holds three pairs from the lowest bits up: 5 bits that say how many zeros come before
a value (0 to 31), and the 16-bit value. Its highest bit is 1 in the last word. A longer run is cut
by pairs of 31 zeros and the value 0; what is behind the last value is zeros.

Source: [CES16].
"""

import numpy as np

from edgeax.formats.methods import implements

_MOST_ZEROS = 31
_RUN_BITS, _PAIR_BITS, _PAIRS = 5, 21, 3


@implements("CES16", test="tests/formats/test_zero_runs.py::test_ces16_words_worked_out_by_hand")
def write_zero_runs(values: np.ndarray) -> np.ndarray:
    """Returns the words, uint64 `(n,)`, at least one.

    Args:
        values: Integers that fit into int16, any shape; read in row-major order.

    Raises:
        ValueError: A value is no integer or does not fit.

    Example: Of 0, 0, 7 the only word is `(1 << 63) | (7 << 5) | 2`.
    """
    flat = np.asarray(values).reshape(-1)
    limits = np.iinfo(np.int16)
    fits = np.issubdtype(flat.dtype, np.integer) and not np.any(
        (flat < limits.min) | (flat > limits.max)
    )
    if not fits:
        raise ValueError(
            f"`values` must be integers that fit into int16. Received: {flat.dtype} with "
            f"min={flat.min()}, max={flat.max()}. Quantize before."
        )
    places = np.flatnonzero(flat)
    zeros = np.diff(places, prepend=-1) - 1
    last = np.cumsum(zeros // (_MOST_ZEROS + 1) + 1) - 1
    count = int(last[-1]) + 1 if last.size else 0
    pairs = np.zeros(max(-(-count // _PAIRS), 1) * _PAIRS, np.uint64)
    pairs[:count] = _MOST_ZEROS
    codes = flat[places].astype(np.int16).view(np.uint16).astype(np.uint64)
    runs = (zeros % (_MOST_ZEROS + 1)).astype(np.uint64)
    pairs[last] = codes << np.uint64(_RUN_BITS) | runs
    shifts = np.arange(_PAIRS, dtype=np.uint64) * np.uint64(_PAIR_BITS)
    words = np.bitwise_or.reduce(pairs.reshape(-1, _PAIRS) << shifts, axis=1)
    words[-1] |= np.uint64(1 << 63)
    return words


def read_zero_runs(words: np.ndarray, count: int) -> np.ndarray:
    """Returns the values, int16 `(count,)`, that `write_zero_runs` was given.

    Raises:
        ValueError: The last word is not marked, or a value lies behind `count`.
    """
    words = np.asarray(words, np.uint64)
    if not words.size or not words[-1] >> np.uint64(63):
        raise ValueError(
            f"`words` must end with a word that is marked as the last. Received: {words.size} "
            "words. The data is cut off."
        )
    shifts = np.arange(_PAIRS, dtype=np.uint64) * np.uint64(_PAIR_BITS)
    pairs = (words[:, np.newaxis] >> shifts & np.uint64((1 << _PAIR_BITS) - 1)).reshape(-1)
    runs = (pairs & np.uint64(_MOST_ZEROS)).astype(np.int64)
    codes = (pairs >> np.uint64(_RUN_BITS)).astype(np.uint16).view(np.int16)
    places = np.cumsum(runs + 1) - 1
    held = codes != 0
    if np.any(places[held] >= count):
        raise ValueError(
            f"`words` must hold {count} values. Received: one at {places[held][-1]}. Read as many "
            "as were written."
        )
    values = np.zeros(count, np.int16)
    values[places[held]] = codes[held]
    return values

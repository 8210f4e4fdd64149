"""Sums in a narrow floating-point format, addition by addition, as hardware keeps them."""

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.methods import implements
from edgeax.formats.minifloat import Minifloat

_TEST = "tests/formats/test_accumulation.py::"


@implements("WCB18", test=_TEST + "test_wcb18_sums_of_65536_stall_unless_they_are_chunked")
def narrow_sum(
    terms: np.ndarray,
    format: Minifloat,
    chunk: int | None = None,
    noise: np.random.Generator | None = None,
) -> np.ndarray:
    """Returns the sum over the first axis where each addition is rounded to `format`.

    With `chunk`, terms are summed up in chunks of that many, one after the other, and then their
    sums: no sum grows much beyond what is added to it, so that little is swamped.

    Source: [WCB18].

    Args:
        terms: float32, at least one axis; the first may have any length from 0 on.
        format: The accumulator, without a scale.
        chunk: Terms of a chunk, at least 1; None for one sum over all.
        noise: Rounds stochastically with numbers from it; None to nearest.

    Raises:
        ValueError: `chunk` is below 1.

    Example: `narrow_sum(np.ones(65536, np.float32), Minifloat(6, 9))` is 1024.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"`chunk` must be at least 1. Received: chunk={chunk}. Use 64.")
    terms = np.asarray(terms, np.float32)
    if chunk is None:
        return _running_sum(terms, format, noise)
    missing = -len(terms) % chunk
    padded = np.concatenate([terms, np.zeros((missing, *terms.shape[1:]), np.float32)])
    chunks = padded.reshape(-1, chunk, *terms.shape[1:]).swapaxes(0, 1)
    return _running_sum(_running_sum(chunks, format, noise), format, noise)


def _running_sum(
    terms: np.ndarray, format: Minifloat, noise: np.random.Generator | None
) -> np.ndarray:
    total = np.zeros(terms.shape[1:], np.float32)
    for term in terms:
        drawn = None if noise is None else noise.random(total.shape, np.float32)
        total = np.asarray(format.rounded(total + term, {}, arrays, drawn))
    return total

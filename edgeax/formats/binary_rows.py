"""How numbers that are +1 or -1 lie in bytes for the binary operators, a bit each.

A bit is 1 where a number is negative, the first in the lowest bit of a byte; a pixel of an image, a
vector, and each tap of a row of weights begin on a byte. Of two rows of n numbers the sum of
products is `n - 2 * (bits that differ)` [CHS16]. C++ twin: tflite_kernels/core/binary.h.
"""

import numpy as np

from edgeax.formats import packing

FRACTION_BITS = 12
"""A unit of a bias is `2**-FRACTION_BITS` of a sum."""

MAX_BIAS = 2**30
"""No bias of the file is farther from 0."""


def pack_signs(numbers: np.ndarray) -> np.ndarray:
    """Returns the bits of numbers along their last axis, spare bits 0.

    Args:
        numbers: Of any real dtype, `(..., n)`; those that are negative count as -1, others as +1.
    Returns:
        uint8 `(..., ceil(n / 8))`.
    Example: `pack_signs(np.float32([-2, 0, 3, -1]))` is `[0b1001]`.
    """
    return packing.pack((np.asarray(numbers) < 0).astype(np.uint8), bits=1)


def unpack_signs(packed: np.ndarray, count: int) -> np.ndarray:
    """Undoes `pack_signs`.

    Args:
        packed: uint8 `(..., ceil(count / 8))`.
        count: Numbers in a row.
    Returns:
        int8 `(..., count)` of +1 and -1.
    """
    bits = packing.unpack(packed, 1, count, signed=False).astype(np.int8)
    return (1 - 2 * bits).astype(np.int8)


def pack_rows(weights: np.ndarray) -> np.ndarray:
    """Returns the rows of a binary operator's weights.

    Args:
        weights: `(rows, taps, channels)`: output channel, position in the window, input channel of
            a group; a matrix has one tap.
    Returns:
        uint8 `(rows, taps * ceil(channels / 8))`.
    """
    return pack_signs(weights).reshape(len(weights), -1)


def fold(gain: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Writes `gain * sum + offset`, what a batch norm makes of a sum [GMC18], as scale and bias.

    Args:
        gain: float64 `(channels,)`, negative ones too.
        offset: float64 `(channels,)`.
    Returns:
        float32 scales and int32 biases with `scale * (sum + bias / 2**FRACTION_BITS)` near the
        above: scales are rounded to float32 and biases to a unit.
    Raises:
        ValueError: A gain is too small beside its offset (0, if the offset is not) for a bias of
            at most `MAX_BIAS`; or a number is not finite.
    Example: `fold([0.5], [-0.75])` is `([0.5], [-6144])`.
    """
    gain, offset = np.asarray(gain, np.float64), np.asarray(offset, np.float64)
    with np.errstate(all="ignore"):
        scale = gain.astype(np.float32)
        bias = np.rint(offset / scale.astype(np.float64) * 2**FRACTION_BITS)
    bias = np.where((scale == 0) & (offset == 0), 0, bias)
    bad = ~(np.isfinite(scale) & (np.abs(bias) <= MAX_BIAS))
    if bad.any():
        channel = int(np.argmax(bad))
        raise ValueError(
            f"`offset` must be within {MAX_BIAS >> FRACTION_BITS} times `gain`, and both finite. "
            f"Received: {offset[channel]} and {gain[channel]} in channel {channel}. Keep the "
            "built-in operator for this layer."
        )
    return scale, bias.astype(np.int32)

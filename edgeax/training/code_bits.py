"""Integer codes of a tensor in training, and the most significant bits of the same codes."""

from typing import Literal

import tensorflow as tf

from edgeax.formats.methods import implements

Kind = Literal["batch", "sample", "kernel", "gradient"]


def limit_of(tensor: tf.Tensor, kind: Kind) -> tf.Tensor:
    """Returns the magnitude that codes reach to, above 0, broadcast against `tensor`.

    Args:
        tensor: float32.
        kind: `"batch"`: the mean over samples of each one's largest magnitude; `"sample"`: each
            one's own; `"kernel"`: that of each output channel, on the last axis; `"gradient"`: that
            of the whole tensor.
    """
    magnitude, rank = tf.abs(tensor), len(tensor.shape)
    if kind == "gradient":
        limit = tf.reduce_max(magnitude)
    elif kind == "kernel":
        limit = tf.reduce_max(magnitude, axis=list(range(rank - 1)), keepdims=True)
    else:
        limit = tf.reduce_max(magnitude, axis=list(range(1, rank)), keepdims=True)
        limit = tf.reduce_mean(limit) if kind == "batch" else limit
    return tf.where(limit > 0.0, limit, 1.0)


def codes_of(
    tensor: tf.Tensor, limit: tf.Tensor, bits: int, most: int | None = None, carry: bool = False
) -> tf.Tensor:
    """Returns the codes that `coded` gives the values of: whole numbers in float32."""
    step = 2.0 * limit / 2.0**bits
    low, high = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1.0
    codes = tf.clip_by_value(tf.round(tensor / step), low, high)
    if most is not None and most < bits:
        cut = 2.0 ** (bits - most)
        top = tf.floor(codes / cut + (0.5 if carry else 0.0))
        codes = cut * tf.minimum(top, 2.0 ** (most - 1) - 1.0)
    return codes


@implements("WJC19", test="tests/training/test_code_bits.py::test_wjc19_codes_worked_out_by_hand")
def coded(
    tensor: tf.Tensor, limit: tf.Tensor, bits: int, most: int | None = None, carry: bool = False
) -> tf.Tensor:
    """Returns the values of a tensor's codes, or of their most significant bits.

    Codes are two's-complement integers of `bits` bits in steps of `2 * limit / 2**bits`, rounded to
    nearest. Of the most significant bits alone, the others read as zero.

    Source: [WJC19].

    Args:
        tensor: float32.
        limit: From `limit_of`.
        bits: Width of a code.
        most: How many of its bits are read; None for all.
        carry: Whether the highest bit that is not read rounds those that are. Without, values lie
            half a step too low in the mean, which a sum over small values does not bear.
    """
    return codes_of(tensor, limit, bits, most, carry) * (2.0 * limit / 2.0**bits)

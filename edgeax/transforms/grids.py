"""Integer grids in the graph: the TensorFlow twin of `edgeax.formats.Integer`."""

import numpy as np
import tensorflow as tf

from edgeax.formats import Integer
from edgeax.transforms.gradients import straight_through


def top_code(grid: Integer) -> float:
    """Returns the largest code of a symmetric grid, `2**(bits-1) - 1`."""
    return float(2 ** (grid.bits - 1) - 1)


def live_scale(tensor: tf.Tensor, grid: Integer) -> tf.Tensor:
    """Returns the scale of `grid` for `tensor`, 0 where all values are zero (or subnormal).

    Args:
        tensor: float32, canonical layout.
        grid: Symmetric; its axis says whether each output channel has a scale.

    Returns:
        float32, shape `(channels,)`, or `()` for one scale per tensor.
    """
    axes = None if grid.axis is None else list(range(len(tensor.shape) - 1))
    largest = tf.reduce_max(tf.abs(tensor), axis=axes)
    scale = _divided(largest, top_code(grid))
    return tf.where(scale < np.finfo(np.float32).tiny, 0.0, scale)


def symmetric_scale(tensor: tf.Tensor, grid: Integer) -> tf.Tensor:
    """Returns `live_scale` with 1 instead of 0, as `Integer.fit` does."""
    return nonzero(live_scale(tensor, grid))


def nonzero(scale: tf.Tensor) -> tf.Tensor:
    """Returns `scale` with 1 instead of 0, to divide by."""
    return tf.where(tf.equal(scale, 0.0), 1.0, scale)


def on_symmetric_grid(tensor: tf.Tensor, grid: Integer) -> tf.Tensor:
    """Returns `tensor` rounded to `grid`, half to even; the gradient passes straight through."""
    scale = tf.stop_gradient(symmetric_scale(tensor, grid))
    codes = tf.clip_by_value(tf.round(tensor / scale), -top_code(grid), top_code(grid))
    return straight_through(tensor, scale * codes)


def on_affine_grid(tensor: tf.Tensor, low: tf.Tensor, high: tf.Tensor, bits: int) -> tf.Tensor:
    """Returns `tensor` rounded to the affine grid of a range, on which zero lies. Source: [JKC18].

    Inside the range the gradient passes straight through, outside there is none. TensorFlow's own
    `fake_quant_with_min_max_vars` is the same up to the last bits, but compiled by XLA it does not
    keep zero at zero.

    Args:
        tensor: float32, any shape.
        low: float32 scalar, at most 0.
        high: float32 scalar, at least 0, above `low` by more than rounding.
        bits: Width of a code, 2 to 8.
    """
    levels = float(2**bits - 1)
    scale = nonzero(_divided(high - low, levels))
    below_zero = tf.floor(tf.cast(-low / scale, tf.float64) + 0.5)
    lowest = -tf.clip_by_value(tf.cast(below_zero, tf.float32), 0.0, levels)
    return _between(tensor, scale, lowest, lowest + levels)


@tf.custom_gradient
def _between(real: tf.Tensor, scale: tf.Tensor, lowest: tf.Tensor, highest: tf.Tensor) -> tf.Tensor:
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None, None, None]:
        inside = tf.logical_and(real >= scale * lowest, real <= scale * highest)
        return tf.where(inside, upstream, 0.0), None, None, None

    return scale * tf.clip_by_value(tf.round(real / scale), lowest, highest), gradient


def _divided(span: tf.Tensor, steps: float) -> tf.Tensor:
    """Returns span / steps as float32.

    Graph compilers turn a division by a constant into a product with its reciprocal, which rounds
    otherwise than the division in `formats`. From float64 both come to the same float32.
    """
    return tf.cast(tf.cast(span, tf.float64) / steps, tf.float32)

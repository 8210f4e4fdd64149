"""Symmetric integer grids in the graph: the TensorFlow twin of `edgeax.formats.Integer`."""

import tensorflow as tf

from edgeax.formats import Integer
from edgeax.transforms.gradients import straight_through


def top_code(grid: Integer) -> float:
    """Returns the largest code of a symmetric grid, `2**(bits-1) - 1`."""
    return float(2 ** (grid.bits - 1) - 1)


def symmetric_scale(tensor: tf.Tensor, grid: Integer) -> tf.Tensor:
    """Returns the scale of `grid` for `tensor`, 1 where all values are zero.

    Args:
        tensor: float32, canonical layout.
        grid: Symmetric; its axis says whether each output channel has a scale.

    Returns:
        float32, shape `(channels,)`, or `()` for one scale per tensor.
    """
    axes = None if grid.axis is None else list(range(len(tensor.shape) - 1))
    largest = tf.reduce_max(tf.abs(tensor), axis=axes)
    return tf.where(largest > 0.0, largest / top_code(grid), tf.ones_like(largest))


def on_symmetric_grid(tensor: tf.Tensor, grid: Integer) -> tf.Tensor:
    """Returns `tensor` rounded to `grid`, half to even; the gradient passes straight through."""
    scale = tf.stop_gradient(symmetric_scale(tensor, grid))
    codes = tf.clip_by_value(tf.round(tensor / scale), -top_code(grid), top_code(grid))
    return straight_through(tensor, scale * codes)

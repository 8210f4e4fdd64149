"""Integer grids in the graph: the TensorFlow twin of `edgeax.formats.Integer`."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Integer
from edgeax.formats.rounding import Halves, averaged_codes, rounded_steps
from edgeax.transforms.gradients import clipped, straight_through

_LOWEST_INT8 = 128.0


def top_code(grid: Integer) -> float:
    """Returns the largest code of a symmetric grid, `2**(bits-1) - 1`."""
    return float(2 ** (grid.bits - 1) - 1)


def live_scale(
    tensor: tf.Tensor,
    grid: Integer,
    top: tf.Tensor | None = None,
    limit: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns the scale of `grid` for `tensor`, 0 where all values are zero (or subnormal).

    Args:
        tensor: float32, canonical layout.
        grid: Symmetric; its axis says whether each output channel has a scale.
        top: The largest code, float32 scalar, where a schedule changes it; None: that of `grid`.
        limit: The largest magnitude that a code stands for, in the shape of the result; where it
            is 0, or None, the largest that there is.

    Returns:
        float32, shape `(channels,)`, or `()` for one scale per tensor.
    """
    axes = None if grid.axis is None else list(range(len(tensor.shape) - 1))
    largest = tf.reduce_max(tf.abs(tensor), axis=axes)
    if limit is not None:
        largest = tf.where(limit > 0.0, limit, largest)
    scale = _divided(largest, top_code(grid) if top is None else top)
    return tf.where(scale < np.finfo(np.float32).tiny, 0.0, scale)


def symmetric_scale(
    tensor: tf.Tensor,
    grid: Integer,
    top: tf.Tensor | None = None,
    limit: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns `live_scale` with 1 instead of 0, as `Integer.fit` does."""
    return nonzero(live_scale(tensor, grid, top, limit))


def nonzero(scale: tf.Tensor) -> tf.Tensor:
    """Returns `scale` with 1 instead of 0, to divide by."""
    return tf.where(tf.equal(scale, 0.0), 1.0, scale)


def on_symmetric_grid(
    tensor: tf.Tensor,
    grid: Integer,
    noise: tf.Tensor | None = None,
    top: tf.Tensor | None = None,
    limit: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns `tensor` rounded to `grid`; the gradient passes straight through.

    Args:
        tensor: float32, canonical layout.
        grid: Symmetric.
        noise: None rounds to nearest, half to even; uniform in [0, 1) in the shape of `tensor`
            rounds stochastically.
        top: As for `live_scale`.
        limit: As for `live_scale`; values beyond it are clipped.
    """
    scale = tf.stop_gradient(symmetric_scale(tensor, grid, top, limit))
    ends = top_code(grid) if top is None else top
    codes = tf.clip_by_value(_steps(tensor / scale, noise), -ends, ends)
    return straight_through(tensor, scale * codes)


def _steps(x: tf.Tensor, noise: tf.Tensor | None) -> tf.Tensor:
    return rounded_steps(x, noise, keras.ops)


def on_unit_grid(tensor: tf.Tensor, bits: int) -> tf.Tensor:
    """Returns `round(clip(x, 0, 1) * n) / n` with `n = 2**bits - 1`, halves to even.

    Args:
        tensor: float32, any shape, one that gets no gradient.
        bits: Width of a code, 1 to 8.
    """
    steps = float(2**bits - 1)
    return np.float32(1.0 / steps) * tf.round(tf.clip_by_value(tensor, 0.0, 1.0) * steps)


def on_affine_grid(
    tensor: tf.Tensor,
    low: tf.Tensor,
    high: tf.Tensor,
    bits: int,
    noise: tf.Tensor | None = None,
    top: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns `tensor` rounded to the affine grid of a range, on which zero lies. Source: [JKC18].

    Inside the range the gradient passes straight through, outside there is none. TensorFlow's own
    `fake_quant_with_min_max_vars` is the same up to the last bits, but compiled by XLA it does not
    keep zero at zero.

    Args:
        tensor: float32, any shape.
        low: float32 scalar, at most 0.
        high: float32 scalar, at least 0, above `low` by more than rounding.
        bits: Width of a code, 1 to 8.
        noise: As for `on_symmetric_grid`.
        top: The number of steps from low to high, float32 scalar, where a schedule changes it;
            None: that of `bits`.
    """
    levels = float(2**bits - 1) if top is None else top
    scale, lowest = _scale_and_lowest(low, high, levels)
    codes = tf.clip_by_value(
        _steps(tf.stop_gradient(tensor) / scale, noise), lowest, lowest + levels
    )
    return clipped(tensor, scale * codes, scale * lowest, scale * (lowest + levels))


@dataclasses.dataclass(frozen=True)
class EightBitGrid:
    """An affine grid of up to 8 bits in the graph, as `on_affine_grid` has it.

    Attributes:
        low: float32 scalar, lowest value, at most 0.
        high: float32 scalar, highest value.
        bits: Width of a code; the device has the lowest one at -128 in any case.
        ready: bool scalar, whether values are rounded to it already.
    """

    low: tf.Tensor
    high: tf.Tensor
    bits: int
    ready: tf.Tensor


def averages_on_grid(tensor: tf.Tensor, grid: EightBitGrid, halves: Halves = "away") -> tf.Tensor:
    """Returns averages of values of a grid, rounded to it as averaging operators of TFLite do. The
    gradient passes straight through.

    Args:
        tensor: float32, any shape.
        grid: The grid of what was averaged.
        halves: Where halves go: `"away"` from code 0, or `"up"`.
    """
    scale, lowest = _scale_and_lowest(grid.low, grid.high, float(2**grid.bits - 1))
    offset = lowest + _LOWEST_INT8
    codes = tf.stop_gradient(tensor) / scale - offset
    steps = averaged_codes(codes, halves, keras.ops)
    return straight_through(tensor, scale * (steps + offset))


def on_symmetric_range(
    tensor: tf.Tensor,
    low: tf.Tensor,
    high: tf.Tensor,
    grid: Integer,
    noise: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns `tensor` rounded to a symmetric grid that reaches the farther end of a range.

    Inside the grid the gradient passes straight through, outside there is none.

    Args:
        tensor: float32, any shape.
        low: float32 scalar.
        high: float32 scalar.
        grid: Symmetric, one scale.
        noise: As for `on_symmetric_grid`.
    """
    scale = symmetric_scale(tf.stack([low, high]), grid)
    codes = tf.clip_by_value(
        _steps(tf.stop_gradient(tensor) / scale, noise), -top_code(grid), top_code(grid)
    )
    return clipped(tensor, scale * codes, -top_code(grid) * scale, top_code(grid) * scale)


def _scale_and_lowest(
    low: tf.Tensor, high: tf.Tensor, levels: tf.Tensor | float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the scale of an affine grid, and its lowest code where 0 is that of zero."""
    scale = nonzero(_divided(high - low, levels))
    below_zero = tf.floor(tf.cast(-low / scale, tf.float64) + 0.5)
    return scale, -tf.clip_by_value(tf.cast(below_zero, tf.float32), 0.0, levels)


def _divided(span: tf.Tensor, steps: tf.Tensor | float) -> tf.Tensor:
    """Returns span / steps as float32.

    Graph compilers turn a division by a constant into a product with its reciprocal, which rounds
    otherwise than the division in `formats`. From float64 both come to the same float32.
    """
    return tf.cast(tf.cast(span, tf.float64) / tf.cast(steps, tf.float64), tf.float32)

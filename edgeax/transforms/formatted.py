"""Any number format in the graph: rounding by the format's own arithmetic, over tensors."""

from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Integer, NumberFormat
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.minifloat import Minifloat
from edgeax.transforms.gradients import Estimator, clipped
from edgeax.transforms.grids import on_symmetric_grid
from edgeax.transforms.native import native_type, through_native


def in_format(
    tensor: tf.Tensor, format: ArrayFormat, estimate: Estimator, noise: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns a weight as `format` stores it, its params found in the weight itself.

    Args:
        tensor: float32, canonical layout.
        format: The format.
        estimate: Gradient estimator.
        noise: None rounds to nearest; uniform in [0, 1) in the shape of `tensor` rounds
            stochastically.
    """
    fixed = tf.stop_gradient(tensor)
    return estimate(tensor, rounded_in(fixed, format, noise))


def rounded_in(tensor: tf.Tensor, format: ArrayFormat, noise: tf.Tensor | None = None) -> tf.Tensor:
    """Returns `tensor` as `format` stores it, its params found in itself: by a cast where
    TensorFlow has the format as a type, else by the format's own arithmetic, to the same bits.

    Args:
        tensor: float32, finite; gets no gradient.
        format: The format.
        noise: As for `in_format`.
    """
    if noise is None and isinstance(format, Minifloat) and native_type(format) is not None:
        return through_native(tensor, format)
    return format.rounded(tensor, format.found(tensor, keras.ops), keras.ops, noise)


def rounded_to(
    tensor: tf.Tensor,
    format: NumberFormat,
    noise: tf.Tensor | None = None,
    count: tf.Tensor | float | None = None,
) -> tf.Tensor:
    """Returns `tensor` in any format that finds its params in the tensor itself.

    Args:
        tensor: float32, finite, canonical layout; gets no gradient.
        format: An `ArrayFormat` or a symmetric `Integer`.
        noise: As for `in_format`.
        count: Number of codes of an `Integer`, where it changes; None: that of `format`.
    """
    if isinstance(format, ArrayFormat):
        return rounded_in(tensor, format, noise)
    top = None if count is None else count / 2.0 - 1.0
    return on_symmetric_grid(tensor, cast(Integer, format), noise, top)


def in_format_of_range(
    tensor: tf.Tensor,
    format: ArrayFormat,
    ends: tuple[tf.Tensor, tf.Tensor],
    estimate: Estimator | None,
    noise: tf.Tensor | None = None,
    params: dict[str, Any] | None = None,
) -> tf.Tensor:
    """Returns an activation as `format` stores it.

    Args:
        tensor: float32, any shape.
        format: The format.
        ends: float32 scalars, the lowest and the highest value.
        estimate: Gradient estimator; None: straight through within the range, nothing outside.
        noise: As for `in_format`.
        params: Of the format; None: those found in `ends`.
    """
    params = params_of_range(format, ends) if params is None else params
    rounded = format.rounded(tf.stop_gradient(tensor), params, keras.ops, noise)
    if estimate is None:
        return clipped(tensor, rounded, *ends)
    return estimate(tensor, rounded)


def params_of_range(format: ArrayFormat, ends: tuple[tf.Tensor, tf.Tensor]) -> dict[str, Any]:
    """Returns the params of an activation with the range `ends`."""
    return format.found(tf.stack(ends), keras.ops)


def encoded_in(format: ArrayFormat, value: np.ndarray, mask: np.ndarray | None) -> EncodedTensor:
    """Returns a weight in codes, its params found by the same operators as in training.

    Args:
        format: The format.
        value: float32, canonical layout.
        mask: As `EncodedTensor` takes it.
    """
    found = format.found(tf.constant(value), keras.ops)
    params = {name: np.asarray(tensor) for name, tensor in found.items()}
    return EncodedTensor(format.encode(value, params), format, params, mask)


def noise_like(tensor: tf.Tensor, seed: int, step: tf.Tensor) -> tf.Tensor:
    """Returns uniform random float32 in [0, 1) in the shape of `tensor`, the same at every repeat
    of a step.
    """
    return tf.random.stateless_uniform(tf.shape(tensor), seed=tf.stack([seed, step]))

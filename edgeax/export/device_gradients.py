"""Layers whose own gradients no runtime has, so that theirs are made of operators that all have.

What they compute is the same; gradients are equal up to rounding.
"""

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_layers = keras.layers

_NEAR_ZERO = 1e-3


def prepare(layers: Iterable[keras.layers.Layer]) -> None:
    """Changes layers, and those within them, so that their gradients need no loop and no erf.

    Recurrent layers are unrolled: the gradient of a loop keeps lists that no runtime has.
    """
    for layer in layers:
        for part in layer._flatten_layers():
            if isinstance(part, _layers.RNN):
                part.unroll = True
            if getattr(part, "activation", None) is keras.activations.gelu:
                part.activation = gelu


def run(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls a layer or an operation."""
    if isinstance(operation, _layers.UpSampling2D) and operation.data_format == "channels_last":
        return resized(operation, *args)
    if isinstance(operation, (_layers.UpSampling1D, _layers.RepeatVector)):
        return repeated(operation, *args)
    return operation(*args, **kwargs)


@tf.custom_gradient
def gelu(x: tf.Tensor) -> Any:
    """Returns Keras's gelu, `x * Phi(x)`, whose gradient takes `Phi` from the result."""
    outputs = keras.activations.gelu(x)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        density = tf.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
        near = 0.5 + x / math.sqrt(2.0 * math.pi)
        below = tf.where(tf.abs(x) < _NEAR_ZERO, near, outputs / x)
        return upstream * (below + x * density)

    return outputs, gradient


def resized(layer: Any, inputs: tf.Tensor) -> tf.Tensor:
    """Returns what a layer makes of images that resizes rows and columns, each by themselves.

    Its gradient is a product with a matrix for each axis.
    """
    rows, columns = (_weights(layer, axis, inputs.shape[axis]) for axis in (1, 2))

    @tf.custom_gradient
    def interpolated(inputs: tf.Tensor) -> Any:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            turned = tf.tensordot(upstream, tf.constant(rows), [[1], [0]])
            turned = tf.tensordot(turned, tf.constant(columns), [[1], [0]])
            return tf.transpose(turned, (0, 2, 3, 1))

        return layer(inputs), gradient

    return interpolated(inputs)


def repeated(layer: Any, inputs: tf.Tensor) -> tf.Tensor:
    """Returns what a layer makes of sequences by repeating each of their steps.

    Its gradient is the sum over the copies of a step; TensorFlow sums in more dimensions than
    runtimes have.
    """
    copies, features = getattr(layer, "size", None) or layer.n, inputs.shape[-1]

    @tf.custom_gradient
    def copied(inputs: tf.Tensor) -> Any:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            parts = tf.reshape(upstream, (-1, copies, features))
            return tf.reshape(tf.reduce_sum(parts, 1), inputs.shape)

        return layer(inputs), gradient

    return copied(inputs)


def _weights(layer: Any, axis: int, size: int) -> np.ndarray:
    """Returns float32 `(outputs, inputs)` of one axis of images, by what becomes of each input."""
    shape = [size, 1, 1, 1]
    shape[axis] = size
    with tf.init_scope():
        found = layer(tf.reshape(tf.eye(size), shape)).numpy()
    return np.ascontiguousarray(found.take(0, 3 - axis)[..., 0].T)

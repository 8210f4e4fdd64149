"""What the device rounds inside a layer, and training therefore too: averages, the sigmoid in a
swish, and what passes from one half of a separable convolution to the other.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.rounding import Halves
from edgeax.transforms.gradients import straight_through
from edgeax.transforms.grids import EightBitGrid, averages_on_grid, on_affine_grid

_layers = keras.layers

_AVERAGING = (_layers.AveragePooling1D, _layers.AveragePooling2D, _layers.AveragePooling3D)

SIGMOID_RANGE = (0.0, 255.0 / 256.0)
"""The range that TFLite prescribes behind a sigmoid."""


def averages(layer: Any) -> bool:
    """Returns whether a layer gives averages of values, which the device rounds to their grid."""
    if isinstance(layer, _layers.UpSampling2D):
        return bool(layer.interpolation != "nearest")
    return isinstance(layer, _AVERAGING)


def halves_of_averages(layer: Any) -> Halves:
    """Returns where averages halfway between two codes go on the device: pooling rounds them away
    from code 0, XNNPACK's interpolation up.
    """
    return "up" if isinstance(layer, _layers.UpSampling2D) else "away"


def note_grid(tensor: Any, grid: EightBitGrid | None) -> None:
    """Notes at a tensor on which grid its values are, for the layer that gets it next."""
    if grid is not None:
        tensor._edgeax_grid = grid


def rounded_averages(layer: Any, inputs: Any, outputs: Any) -> Any:
    """Returns the outputs of a layer as the device rounds them, where it averages values of which
    the grid was noted; the outputs as they are elsewhere.
    """
    grid = getattr(inputs, "_edgeax_grid", None)
    if grid is None or not averages(layer):
        return outputs
    wide = tf.cast(outputs, tf.float32)
    rounded = averages_on_grid(wide, grid, halves_of_averages(layer))
    outputs = tf.where(grid.ready, tf.cast(rounded, outputs.dtype), outputs)
    note_grid(outputs, grid)
    return outputs


def is_swish(function: Any) -> bool:
    """Returns whether an activation is Keras's swish."""
    return function is keras.activations.silu


def activated(function: Any, tensor: Any, grid: EightBitGrid | None) -> Any:
    """Returns an activation of a tensor as the device computes it if its result is rounded to
    `grid`: in a swish, the sigmoid is rounded before it is multiplied.
    """
    result = function(tensor)
    if grid is None or not is_swish(function):
        return result
    gate = on_affine_grid(tf.sigmoid(tf.cast(tensor, tf.float32)), *_ends(), bits=8)
    rounded = tf.cast(gate, tensor.dtype) * tf.stop_gradient(tensor)
    return tf.where(grid.ready, straight_through(result, tf.stop_gradient(rounded)), result)


def is_separable(layer: Any) -> bool:
    """Returns whether a layer is two convolutions, a depthwise one and a pointwise one."""
    return isinstance(layer, (_layers.SeparableConv1D, _layers.SeparableConv2D))


def in_halves(layer: Any, inputs: Any, between: Callable[[Any], Any]) -> Any:
    """Returns what a separable convolution makes of its inputs, where `between` does something to
    the result of its first half.
    """
    inputs = keras.ops.cast(inputs, layer.compute_dtype)
    half = keras.ops.depthwise_conv(
        inputs,
        keras.ops.cast(layer.depthwise_kernel, layer.compute_dtype),
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )
    outputs = keras.ops.conv(
        between(half),
        keras.ops.cast(layer.pointwise_kernel, layer.compute_dtype),
        strides=1,
        padding="valid",
        data_format=layer.data_format,
    )
    if layer.use_bias:
        channels_last = layer.data_format == "channels_last"
        ones = [1] * (len(outputs.shape) - 1)
        shape = (*ones, -1) if channels_last else (1, -1, *ones[1:])
        outputs += keras.ops.reshape(keras.ops.cast(layer.bias, outputs.dtype), shape)
    return outputs if layer.activation is None else layer.activation(outputs)


def _ends() -> tuple[tf.Tensor, tf.Tensor]:
    low, high = SIGMOID_RANGE
    return tf.constant(low), tf.constant(high)

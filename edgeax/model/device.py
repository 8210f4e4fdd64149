"""What the device rounds inside an operator, and training therefore too: averages, and the sigmoid
in a swish.
"""

from typing import Any

import keras
import tensorflow as tf

from edgeax.transforms.gradients import straight_through
from edgeax.transforms.grids import EightBitGrid, averages_on_grid, on_affine_grid

_layers = keras.layers

_AVERAGING = (_layers.AveragePooling1D, _layers.AveragePooling2D, _layers.AveragePooling3D)

# What TFLite prescribes behind a sigmoid.
_SIGMOID_RANGE = (0.0, 255.0 / 256.0)


def averages(layer: Any) -> bool:
    """Returns whether a layer gives averages of values, which the device rounds to the grid of
    these: where they lie halfway between two codes, away from code 0.
    """
    if isinstance(layer, _layers.UpSampling2D):
        return bool(layer.interpolation != "nearest")
    return isinstance(layer, _AVERAGING)


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
    rounded = averages_on_grid(tf.cast(outputs, tf.float32), grid)
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


def _ends() -> tuple[tf.Tensor, tf.Tensor]:
    low, high = _SIGMOID_RANGE
    return tf.constant(low), tf.constant(high)

"""Weights that stay int8 codes while they are trained: their steps, and how they move.

A change of less than half a step would vanish where codes are rounded, and cut off it would pull
every weight toward 0. Here a weight that moves moves by one step at least, as far up as down.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Integer
from edgeax.model.graph import Graph
from edgeax.model.rewrite import paths_of_compressed

_BITS = 8
_TOP = 2 ** (_BITS - 1) - 1
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


def steps_of_kernels(model: keras.Model, graph: Graph) -> dict[str, np.ndarray]:
    """Returns the steps of the codes of each kernel, by the path of its layer.

    Args:
        model: Sequential or functional. A kernel that it compresses to int8 keeps these steps; all
            others get one for each output channel, by which its largest value is 127.
        graph: Of the model's plain copy.

    Returns:
        float32 arrays of the kernels' number of axes, of size 1 along those where steps are equal.
    """
    trained = {path: _trained_steps(layer) for path, layer in paths_of_compressed(model).items()}
    found = {}
    for call in graph.calls:
        path, kernel = graph.path(call.operation), getattr(call.operation, "kernel", None)
        if kernel is not None:
            steps = trained.get(path)
            found[path] = _steps(call.operation, kernel) if steps is None else steps
    return found


def codes_of(kernel: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Returns the int8 codes nearest to a kernel's values."""
    return np.clip(np.rint(kernel / steps), -_TOP, _TOP).astype(np.int8)


def moved(codes: tf.Tensor, change: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Returns codes after a change of the values that they stand for.

    Args:
        codes: int8.
        change: float32 of that shape: what is taken off the values.
        steps: float32 that multiplies codes to values.

    Example: Of a step of 1.0, a change by 0.3 makes 5 to 4, and one by -0.3 makes it 6.
    """
    count = tf.maximum(tf.round(tf.abs(change) / steps), 1.0)
    values = tf.cast(codes, tf.float32) - tf.sign(change) * count
    return tf.cast(tf.clip_by_value(values, -float(_TOP), float(_TOP)), tf.int8)


def _trained_steps(layer: Any) -> np.ndarray | None:
    """Returns the steps of a kernel in int8 codes, None for one in another format."""
    kernel = getattr(layer.layer, "kernel", None)
    for variable, layout, encoded in layer.freeze_weights():
        format = encoded.format
        if variable is kernel and isinstance(format, Integer) and format.bits == _BITS:
            ones = format.decode(np.ones_like(encoded.codes), encoded.params)
            return _reduced(np.asarray(layout.from_canonical(ones)))
    return None


def _steps(layer: Any, kernel: keras.Variable) -> np.ndarray:
    value = np.abs(keras.ops.convert_to_numpy(kernel))
    kept = 2 if isinstance(layer, _DEPTHWISE) else 1
    largest = value.max(tuple(range(value.ndim - kept)), keepdims=True)
    return np.maximum(largest / _TOP, 1e-12).astype(np.float32)


def _reduced(steps: np.ndarray) -> np.ndarray:
    """Returns steps with size 1 along the axes where they are equal."""
    for axis in range(steps.ndim):
        first = np.take(steps, [0], axis)
        if np.array_equal(np.broadcast_to(first, steps.shape), steps):
            steps = first
    return steps.astype(np.float32)

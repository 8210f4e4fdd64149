"""Layers that multiply columns of their inputs by a matrix, and these columns and matrices."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_layers = keras.layers
_DEPTHWISE = (_layers.DepthwiseConv1D, _layers.DepthwiseConv2D)
_CONVOLUTIONS = (_layers.Conv1D, _layers.Conv2D)


def why_not_linear(layer: keras.layers.Layer) -> str:
    """Returns why a layer cannot be seen as a product with a matrix, `""` if it can."""
    if isinstance(layer, _layers.Dense):
        return ""
    if not isinstance(layer, (*_CONVOLUTIONS, *_DEPTHWISE)):
        return f"it is a {type(layer).__name__}"
    if layer.data_format != "channels_last":
        return "its channels come first"
    if layer.padding not in ("same", "valid"):
        return f"its padding is {layer.padding!r}"
    if getattr(layer, "groups", 1) != 1:
        return f"it has {layer.groups} groups"
    return ""


def columns(layer: keras.layers.Layer, inputs: Any) -> tf.Tensor:
    """Returns what the kernel of a layer multiplies.

    Args:
        layer: A layer that `why_not_linear` has no word against.
        inputs: A batch of its inputs.

    Returns:
        float32 `(groups, rows, size)`: one group, or one for each input channel of a depthwise
        convolution.
    """
    inputs = tf.cast(inputs, tf.float32)
    if isinstance(layer, _layers.Dense):
        return tf.reshape(inputs, (1, -1, inputs.shape[-1]))
    if len(inputs.shape) == 3:  # one axis of places: as an image of one row
        inputs = inputs[:, None]
    sizes, strides, rates = (
        [1, *([1] if len(given) == 1 else []), *given, 1]
        for given in (layer.kernel_size, layer.strides, layer.dilation_rate)
    )
    patches = tf.image.extract_patches(inputs, sizes, strides, rates, layer.padding.upper())
    if not isinstance(layer, _DEPTHWISE):
        return tf.reshape(patches, (1, -1, patches.shape[-1]))
    channels = inputs.shape[-1]
    rows = tf.reshape(patches, (-1, patches.shape[-1] // channels, channels))
    return tf.transpose(rows, (2, 0, 1))


def as_matrix(layer: keras.layers.Layer, kernel: np.ndarray) -> np.ndarray:
    """Returns a kernel as `(groups, size, outputs of a group)`, float64."""
    kernel = np.asarray(kernel, np.float64)
    if isinstance(layer, _DEPTHWISE):
        return np.moveaxis(kernel.reshape(-1, *kernel.shape[-2:]), 1, 0)
    return kernel.reshape(1, -1, kernel.shape[-1])


def as_kernel(layer: keras.layers.Layer, matrix: np.ndarray) -> np.ndarray:
    """Returns the kernel of a matrix that `as_matrix` gave, float32."""
    shape = tuple(layer.kernel.shape)
    if isinstance(layer, _DEPTHWISE):
        matrix = np.moveaxis(matrix, 0, 1)
    return matrix.reshape(shape).astype(np.float32)


@dataclasses.dataclass(eq=False)
class Moments:
    """Sums over the inputs of a layer: as the float model has them, and as the rounded one has.

    Attributes:
        teacher: float64 `(groups, size, size)`: mean of `x x^T`, x a column of the float model.
        student: The same of the rounded model.
        cross: Mean of `x_student x_teacher^T`.
        teacher_mean: float64 `(groups, size)`: mean column of the float model.
        student_mean: The same of the rounded model.
        rows: How many columns each group had.
    """

    teacher: np.ndarray
    student: np.ndarray
    cross: np.ndarray
    teacher_mean: np.ndarray
    student_mean: np.ndarray
    rows: int


def moments_of(pairs: Any, with_grams: bool = True) -> Moments:
    """Returns the moments of pairs of batches of columns, of the float and of the rounded model.

    Args:
        pairs: Yields what `columns` returned for each.
        with_grams: Whether the Gram matrices are computed, which are empty otherwise.
    """
    sums: list[Any] = []
    rows = 0
    for teacher, student in pairs:
        products = ((teacher, teacher), (student, student), (student, teacher))
        batch = [
            tf.matmul(one, other, transpose_a=True) if with_grams else tf.zeros((0, 0, 0))
            for one, other in products
        ]
        batch += [tf.reduce_sum(teacher, 1), tf.reduce_sum(student, 1)]
        found = [np.asarray(tensor, np.float64) for tensor in batch]
        sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else found
        rows += int(teacher.shape[1])
    teacher, student, cross, *means = (total / max(rows, 1) for total in sums)
    return Moments(teacher, student, cross, means[0], means[1], rows)

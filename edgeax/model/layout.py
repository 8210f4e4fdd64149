"""Canonical layout: every weight seen with its output channels on the last axis.

Keras lays kernels out in several ways. Transforms and number formats know only one.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a weight of a layer goes to canonical layout and back.

    Attributes:
        shape: The weight's shape in the layer.
        order: Axes of the layer's weight in canonical order.
        canonical_shape: Shape in canonical layout, output channels last.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    canonical_shape: tuple[int, ...]

    def to_canonical(self, weight: Any) -> Any:
        """Returns `weight` (tensor or array of `shape`) in canonical layout."""
        moved = keras.ops if not isinstance(weight, np.ndarray) else np
        if self.order != tuple(range(len(self.shape))):
            weight = moved.transpose(weight, self.order)
        return weight if self._same_rank() else moved.reshape(weight, self.canonical_shape)

    def from_canonical(self, weight: Any) -> Any:
        """Returns `weight` (tensor or array of `canonical_shape`) as the layer wants it."""
        moved = keras.ops if not isinstance(weight, np.ndarray) else np
        if not self._same_rank():
            weight = moved.reshape(weight, [self.shape[axis] for axis in self.order])
        if self.order != tuple(range(len(self.shape))):
            weight = moved.transpose(weight, [int(axis) for axis in np.argsort(self.order)])
        return weight

    def _same_rank(self) -> bool:
        return self.canonical_shape == tuple(self.shape[axis] for axis in self.order)


def layout_of(owner: keras.layers.Layer, name: str, shape: Sequence[int]) -> Layout:
    """Returns the layout of the weight `name` that the layer `owner` created.

    A depthwise kernel's channels are its input channels times the multiplier. A transposed
    convolution has its output channels before its input channels. An einsum kernel's output axes,
    which may be several, become one. An embedding has no output channels: it gets a last axis of 1.
    """
    shape = tuple(int(size) for size in shape)
    axes = tuple(range(len(shape)))
    if name.endswith("bias"):
        return Layout(shape, axes, shape)
    if isinstance(owner, _DEPTHWISE) or name == "depthwise_kernel":
        return Layout(shape, axes, (*shape[:-2], shape[-2] * shape[-1]))
    if isinstance(owner, _TRANSPOSED):
        return Layout(shape, (*axes[:-2], axes[-1], axes[-2]), (*shape[:-2], shape[-1], shape[-2]))
    if isinstance(owner, keras.layers.EinsumDense):
        return _einsum_layout(owner, shape)
    if isinstance(owner, keras.layers.Embedding):
        return Layout(shape, axes, (*shape, 1))
    return Layout(shape, axes, shape)


def einsum_axes(layer: keras.layers.EinsumDense) -> tuple[str, str, str]:
    """Returns the letters of the axes of input, kernel and output, an ellipsis left out."""
    operands, output = layer.equation.replace(" ", "").replace(".", "").split("->")
    given, kernel = operands.split(",")
    return given, kernel, output


def _einsum_layout(owner: keras.layers.EinsumDense, shape: tuple[int, ...]) -> Layout:
    _, letters, result = einsum_axes(owner)
    inputs = tuple(axis for axis, letter in enumerate(letters) if letter not in result)
    outputs = tuple(axis for axis, letter in enumerate(letters) if letter in result)
    channels = math.prod(shape[axis] for axis in outputs)
    return Layout(shape, (*inputs, *outputs), (*(shape[axis] for axis in inputs), channels))

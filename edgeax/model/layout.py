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

LSTM_GATES = 4
"""Input, forget, cell and output gate, in this order in Keras and TFLite."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a weight of a layer goes to canonical layout and back.

    Attributes:
        shape: The weight's shape in the layer.
        order: Axes of the layer's weight in canonical order.
        canonical_shape: Shape in canonical layout, output channels last.
        split_shape: The shape whose axes `order` means, where one axis of `shape` holds several
            things in a row; None: `shape` itself.
        input_axes: Canonical axes along which a filter goes through its input channels; None: the
            last but one.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    canonical_shape: tuple[int, ...]
    split_shape: tuple[int, ...] | None = None
    input_axes: tuple[int, ...] | None = None

    def to_canonical(self, weight: Any) -> Any:
        """Returns `weight` (tensor or array of `shape`) in canonical layout."""
        moved = keras.ops if not isinstance(weight, np.ndarray) else np
        if self.split_shape is not None:
            weight = moved.reshape(weight, self.split_shape)
        if not self._in_order():
            weight = moved.transpose(weight, self.order)
        return weight if self._same_rank() else moved.reshape(weight, self.canonical_shape)

    def from_canonical(self, weight: Any) -> Any:
        """Returns `weight` (tensor or array of `canonical_shape`) as the layer wants it."""
        moved = keras.ops if not isinstance(weight, np.ndarray) else np
        if not self._same_rank():
            weight = moved.reshape(weight, self._ordered_shape())
        if not self._in_order():
            weight = moved.transpose(weight, [int(axis) for axis in np.argsort(self.order)])
        return weight if self.split_shape is None else moved.reshape(weight, self.shape)

    def _in_order(self) -> bool:
        return self.order == tuple(range(len(self.order)))

    def _ordered_shape(self) -> tuple[int, ...]:
        shape = self.split_shape or self.shape
        return tuple(shape[axis] for axis in self.order)

    def _same_rank(self) -> bool:
        return self.canonical_shape == self._ordered_shape()


def layout_of(owner: keras.layers.Layer, name: str, shape: Sequence[int]) -> Layout:
    """Returns the layout of the weight `name` that the layer `owner` created.

    A depthwise kernel's channels are its input channels times the multiplier. A transposed
    convolution has its output channels before its input channels. An einsum kernel's output axes,
    which may be several, become one. An embedding has no output channels: it gets a last axis of 1.
    The channels of an LSTM's kernels are its four gates, because the device's operator has one
    scale for each gate.
    """
    shape = tuple(int(size) for size in shape)
    axes = tuple(range(len(shape)))
    if name.endswith("bias"):
        return Layout(shape, axes, shape)
    if isinstance(owner, _DEPTHWISE) or name == "depthwise_kernel":
        return Layout(shape, axes, (*shape[:-2], shape[-2] * shape[-1]), input_axes=())
    if isinstance(owner, _TRANSPOSED):
        return Layout(shape, (*axes[:-2], axes[-1], axes[-2]), (*shape[:-2], shape[-1], shape[-2]))
    if isinstance(owner, keras.layers.EinsumDense):
        return _einsum_layout(owner, shape)
    if isinstance(owner, keras.layers.LSTMCell):
        split = (shape[0], LSTM_GATES, shape[1] // LSTM_GATES)
        return Layout(shape, (0, 2, 1), (split[0], split[2], split[1]), split, input_axes=(0,))
    if isinstance(owner, keras.layers.Embedding):
        return Layout(shape, axes, (*shape, 1), input_axes=())
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
    return Layout(
        shape,
        (*inputs, *outputs),
        (*(shape[axis] for axis in inputs), channels),
        input_axes=tuple(range(len(inputs))),
    )

"""Where tensors are rounded, so that training and the integer file round in the same place.

The device computes a convolution, its batch normalization and its ReLU as one operator: there is
one rounding, behind the last of them. Layers that only move values round nothing.
"""

from typing import Any

import keras

from edgeax.model.device import SIGMOID_RANGE
from edgeax.model.graph import Call, Graph
from edgeax.model.layout import einsum_axes
from edgeax.model.wrapper import Compressed

_layers = keras.layers


class Moving(keras.layers.Layer):
    """Base of our own layers whose outputs are their inputs' values in another place or shape."""


MOVING = (
    Moving,
    _layers.InputLayer,
    _layers.Identity,
    _layers.Flatten,
    _layers.Reshape,
    _layers.Permute,
    _layers.RepeatVector,
    _layers.Dropout,
    _layers.SpatialDropout1D,
    _layers.SpatialDropout2D,
    _layers.SpatialDropout3D,
    _layers.GaussianDropout,
    _layers.GaussianNoise,
    _layers.ActivityRegularization,
    _layers.Masking,
    _layers.MaxPooling1D,
    _layers.MaxPooling2D,
    _layers.MaxPooling3D,
    _layers.GlobalMaxPooling1D,
    _layers.GlobalMaxPooling2D,
    _layers.GlobalMaxPooling3D,
    _layers.AveragePooling1D,
    _layers.AveragePooling2D,
    _layers.AveragePooling3D,
    _layers.ZeroPadding1D,
    _layers.ZeroPadding2D,
    _layers.ZeroPadding3D,
    _layers.Cropping1D,
    _layers.Cropping2D,
    _layers.Cropping3D,
    _layers.UpSampling1D,
    _layers.UpSampling2D,
)
"""Layers whose outputs are their inputs' values, or averages of them, on the same scale."""

LINEAR = (
    _layers.Dense,
    _layers.EinsumDense,
    _layers.Conv1D,
    _layers.Conv2D,
    _layers.DepthwiseConv1D,
    _layers.DepthwiseConv2D,
    _layers.SeparableConv1D,
    _layers.SeparableConv2D,
    _layers.Conv1DTranspose,
    _layers.Conv2DTranspose,
)
"""Layers that a following batch normalization can be folded into."""

_FUSING = ("Add", "Subtract", "Multiply", "BatchNormalization")
"""Further layers and `keras.ops` operations that can apply a ReLU as part of themselves."""

FIXED_RANGES = {
    "softmax": (0.0, 255.0 / 256.0),
    "sigmoid": SIGMOID_RANGE,
    "tanh": (-1.0, 127.0 / 128.0),
}
"""Output ranges that TFLite prescribes."""

_RECTIFIERS = ("relu", "relu6")

NONNEGATIVE = (*_RECTIFIERS, "sigmoid", "softmax", "hard_sigmoid")
"""Activations behind which no value lies below 0."""

_FUSED = ("linear", *_RECTIFIERS)


def plain(operation: Any) -> Any:
    """Returns the layer inside a `Compressed`, or the operation itself."""
    return operation.layer if isinstance(operation, Compressed) else operation


def activation_name(layer: Any) -> str:
    """Returns the name of the activation that a layer applies last.

    `"linear"` for layers that have none and for all that are not Keras's own: what these do with
    an attribute of that name nobody knows. `"unknown"` for a function that is not Keras's own.
    """
    if isinstance(layer, Compressed):
        taken = layer.taken_activation
        return _function_name(taken) if taken is not None else activation_name(layer.layer)
    if isinstance(layer, _layers.ReLU):
        plain = not layer.negative_slope and not layer.threshold
        if plain and layer.max_value in (None, 6):
            return "relu" if layer.max_value is None else "relu6"
        return "leaky_relu"
    if isinstance(layer, _layers.Softmax):
        return "softmax"
    if isinstance(layer, (*LINEAR, _layers.Activation, _layers.Conv3D)):
        return _function_name(layer.activation)
    return "linear"


def _function_name(activation: Any) -> str:
    """Returns the name of one of Keras's functions; a name alone proves nothing."""
    if activation is None:
        return "linear"
    name = getattr(activation, "__name__", "")
    return name if getattr(keras.activations, name or "?", None) is activation else "unknown"


def is_fused_activation(layer: Any) -> bool:
    """Returns whether a layer is but an activation that the operator before it can apply."""
    if not isinstance(plain(layer), (_layers.Activation, _layers.ReLU)):
        return False
    return activation_name(layer) in _FUSED


def is_relu(layer: Any) -> bool:
    """Returns whether a layer is but a ReLU, without limit or slope."""
    return is_fused_activation(layer) and activation_name(plain(layer)) == "relu"


def splits_activation(layer: Any) -> bool:
    """Returns whether a layer's activation is an operator of its own on the device."""
    return isinstance(plain(layer), LINEAR) and activation_name(layer) not in _FUSED


def folded_normalization(graph: Graph, call: Call) -> Call | None:
    """Returns the batch normalization that can be folded into the layer of `call`, or None."""
    foldable = (
        isinstance(plain(call.operation), LINEAR) and activation_name(call.operation) == "linear"
    )
    after = graph.only_consumer(call) if foldable else None
    if after is None or not isinstance(plain(after.operation), _layers.BatchNormalization):
        return None
    axis = plain(after.operation).axis
    channels_last = axis in (-1, len(call.output_tensors[0].shape) - 1)
    return after if channels_last and _channels_are_last(plain(call.operation)) else None


def _channels_are_last(layer: Any) -> bool:
    """Returns whether the last axis of a layer's output is that of its canonical kernel."""
    if not isinstance(layer, _layers.EinsumDense):
        return getattr(layer, "data_format", "channels_last") == "channels_last"
    _, letters, output = einsum_axes(layer)
    channels = "".join(letter for letter in letters if letter in output)
    if layer.equation.endswith("...") or channels != output[-1]:
        return False
    return layer.bias_axes in (None, "", channels)


def last_of_group(graph: Graph, call: Call) -> Call:
    """Returns the call behind which the device rounds what `call` computes."""
    if isinstance(plain(call.operation), MOVING) or activation_name(call.operation) != "linear":
        return call
    end = folded_normalization(graph, call) or call
    after = graph.only_consumer(end)
    if after is not None and is_fused_activation(after.operation) and _can_fuse(end.operation):
        return after
    return end


def _can_fuse(operation: Any) -> bool:
    layer = plain(operation)
    return isinstance(layer, LINEAR) or type(layer).__name__ in _FUSING


def concatenation_of(graph: Graph, call: Call) -> Call | None:
    """Returns the concatenation in whose range the device computes the result of `call`, or None.

    All that is concatenated has the scale of the whole. What nothing else uses is computed in that
    scale at once, and rounded once.
    """
    after = graph.only_consumer(call)
    if after is None or not isinstance(plain(after.operation), _layers.Concatenate):
        return None
    operation = call.operation
    free = _can_fuse(operation) or is_fused_activation(operation)
    return after if free and activation_name(operation) in _FUSED else None


def rounds(call: Call) -> bool:
    """Returns whether the device rounds behind this call when it computes in integers."""
    outputs = call.output_tensors
    if isinstance(plain(call.operation), MOVING) or len(outputs) != 1:
        return False
    return bool(keras.backend.is_float_dtype(outputs[0].dtype))

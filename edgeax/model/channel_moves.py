"""What layers and operations without kernels do with the channels of a tensor, on its last axis.

A move is a function of arrays, one value per channel of each input, so that it carries labels and
numbers alike. Where several positions of the inputs come to stand in one channel, it gives a row
for each.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from edgeax.model.graph import Call

_layers = keras.layers

Move = Callable[[Call, list[np.ndarray]], np.ndarray | str]
"""Gets the call and `(channels,)` of each input; returns `(channels,)` or `(rows, channels)` of the
output, or why it cannot.
"""

_KEEPING = (
    *(_layers.Identity, _layers.ActivityRegularization, _layers.RepeatVector),
    *(_layers.Dropout, _layers.GaussianDropout, _layers.GaussianNoise, _layers.AlphaDropout),
    *(_layers.SpatialDropout1D, _layers.SpatialDropout2D, _layers.SpatialDropout3D),
    *(_layers.MaxPooling1D, _layers.MaxPooling2D, _layers.MaxPooling3D),
    *(_layers.AveragePooling1D, _layers.AveragePooling2D, _layers.AveragePooling3D),
    *(_layers.GlobalMaxPooling1D, _layers.GlobalMaxPooling2D, _layers.GlobalMaxPooling3D),
    _layers.GlobalAveragePooling1D,
    _layers.GlobalAveragePooling2D,
    _layers.GlobalAveragePooling3D,
    *(_layers.Cropping1D, _layers.Cropping2D, _layers.Cropping3D),
    *(_layers.UpSampling1D, _layers.UpSampling2D, _layers.UpSampling3D),
)
"""Layers that leave each channel where it is; one that is constant keeps its value at inference."""

_PADDING = (_layers.ZeroPadding1D, _layers.ZeroPadding2D, _layers.ZeroPadding3D)

_CHANGING = (_layers.Softmax, _layers.Resizing)
"""Layers that leave each channel where it is, but not its values."""

_FUNCTIONS = (
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish"),
    *("sigmoid", "hard_sigmoid", "hard_silu", "log_sigmoid", "sparse_sigmoid", "tanh", "hard_tanh"),
    *("tanh_shrink", "soft_shrink", "hard_shrink", "softplus", "softsign", "sparse_plus"),
    *("squareplus", "exponential", "threshold"),
)
"""Activations of Keras that act on each value alone."""

_VALUE_LAYERS = (_layers.ReLU, _layers.LeakyReLU, _layers.ELU)

_VALUE_OPERATIONS = {
    *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Silu", "Sigmoid", "HardSilu"),
    *("HardSigmoid", "LogSigmoid", "SparseSigmoid", "Tanh", "HardTanh", "TanhShrink", "Softplus"),
    *("SoftShrink", "HardShrink", "Softsign", "SparsePlus", "Squareplus", "Threshold"),
    *("Absolute", "Negative", "Square", "Sqrt", "Rsqrt", "Reciprocal", "Exp", "Expm1"),
    *("Log", "Log1p", "Sign", "Round", "Floor", "Ceil", "Sin", "Cos", "Erf"),
    *("Cast", "StopGradient", "Copy"),
}
"""Operations of `keras.ops` that act on each value of one tensor alone."""

_MERGING_LAYERS = (
    *(_layers.Add, _layers.Subtract, _layers.Multiply, _layers.Average),
    *(_layers.Maximum, _layers.Minimum),
)

_MERGING_OPERATIONS = {
    *("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum"),
}


def kind_of(operation: Any) -> str:
    """Returns the name of the class of an operation of `keras.ops`, `""` for anything else."""
    own = type(operation).__module__.startswith("keras.")
    return type(operation).__name__ if own and not isinstance(operation, _layers.Layer) else ""


def given_tensors(call: Call) -> list[keras.KerasTensor]:
    """Returns the tensors whose channels a call works on: of a layer those of its first argument,
    of an operation all.
    """
    tensors = call.input_tensors
    if not isinstance(call.operation, _layers.Layer):
        return tensors
    return [leaf for leaf in call.first_argument if isinstance(leaf, keras.KerasTensor)]


def acts_on_values(call: Call) -> bool:
    """Returns whether a call computes each value of its result from one value of its one input."""
    operation = call.operation
    if len(call.input_tensors) != 1:
        return False
    if type(operation) is _layers.Activation:
        return is_value_function(operation.activation)
    if type(operation) is _layers.Rescaling:
        return np.ndim(operation.scale) == 0 and np.ndim(operation.offset) == 0
    if kind_of(operation) == "Clip":
        return np.ndim(operation.x_min) == 0 and np.ndim(operation.x_max) == 0
    return type(operation) in _VALUE_LAYERS or kind_of(operation) in _VALUE_OPERATIONS


def merges(call: Call) -> bool:
    """Returns whether a call computes each value of its result from one value of each input."""
    return type(call.operation) in _MERGING_LAYERS or kind_of(call.operation) in _MERGING_OPERATIONS


def keeps_constants(call: Call) -> bool:
    """Returns whether a call that moves channels leaves one that is constant as it is."""
    changes = type(call.operation) in _CHANGING or kind_of(call.operation) in ("Resize", "Pad")
    return not changes and not brings_values(call) and not keeps_zeros_only(call)


def keeps_zeros_only(call: Call) -> bool:
    """Returns whether a call that moves channels changes constants but 0: it pads or adds up."""
    return type(call.operation) in _PADDING or kind_of(call.operation) == "Sum"


def brings_values(call: Call) -> bool:
    """Returns whether a call that moves channels puts values of its own among theirs: a border, or
    what a maximum or minimum starts from.
    """
    border = call.args[1] if kind_of(call.operation) == "Pad" and len(call.args) > 1 else None
    border = call.kwargs.get("constant_values", border)
    return border is not None or getattr(call.operation, "initial", None) is not None


def is_value_function(activation: Any) -> bool:
    """Returns whether an activation is known to act on each value alone."""
    if activation is None or type(activation) in _VALUE_LAYERS:
        return True
    return any(activation is getattr(keras.activations, name, None) for name in _FUNCTIONS)


def has_channels_last(layer: Any) -> bool:
    """Returns whether the channels of a layer that may have them elsewhere are last."""
    return getattr(layer, "data_format", None) in (None, "channels_last")


def move_of(call: Call) -> Move | None:
    """Returns what a call does with the channels of its inputs, None if it is not known."""
    operation = call.operation
    if acts_on_values(call):
        return _same
    if isinstance(operation, _layers.Layer):
        move = _LAYERS.get(type(operation))
    else:
        move = _OPERATIONS.get(kind_of(operation))
    return move if len(given_tensors(call)) == 1 or move is _concatenate else None


def _same(call: Call, given: list[np.ndarray]) -> np.ndarray | str:
    if not has_channels_last(call.operation):
        return "has its channels not last"
    noise = getattr(call.operation, "noise_shape", None)
    if noise is not None and noise[-1] not in (None, 1):
        return "fixes their number by its noise_shape"
    return given[0]


def _flatten(call: Call, given: list[np.ndarray]) -> np.ndarray | str:
    if not has_channels_last(call.operation):
        return "has its channels not last"
    shape = given_tensors(call)[0].shape[1:]
    if None in shape:
        return "flattens axes of unknown size"
    return np.tile(given[0], math.prod(shape[:-1]))


def _reshape(call: Call, given: list[np.ndarray]) -> np.ndarray | str:
    before, after = given_tensors(call)[0].shape[1:], call.output_tensors[0].shape[1:]
    if not after:
        return "mixes samples and channels"
    if after[-1] == given[0].size:
        return given[0]
    if None in before or None in after or math.prod(before) != math.prod(after):
        return "takes channels apart by sizes that are not known"
    return np.tile(given[0], math.prod(before[:-1])).reshape(-1, after[-1])


def _permute(call: Call, given: list[np.ndarray]) -> np.ndarray | str:
    last = len(call.output_tensors[0].shape) - 1
    if isinstance(call.operation, _layers.Permute):
        keeps = call.operation.dims[-1] == last  # it counts from 1, samples left out
    else:
        axes = call.operation.axes
        keeps = axes is not None and axes[0] == 0 and axes[-1] in (last, -1)
    return given[0] if keeps else "moves the axis of the channels"


def _concatenate(call: Call, given: list[np.ndarray]) -> np.ndarray | str:
    rank = len(call.output_tensors[0].shape)
    axis = call.operation.axis % rank
    if axis == rank - 1:
        return np.concatenate(given)
    return np.stack(given) if axis else "joins samples"


def _reduce(call: Call, given: list[np.ndarray]) -> np.ndarray | str:
    rank = len(given_tensors(call)[0].shape)
    axes = call.operation.axis
    if axes is None or (rank - 1) in [axis % rank for axis in np.atleast_1d(axes)]:
        return "mixes channels"
    return given[0]


def _with_axis(call: Call, given: list[np.ndarray]) -> np.ndarray | str:
    """Of an operation that adds or takes away axes of size 1."""
    before, after = given_tensors(call)[0].shape, call.output_tensors[0].shape
    axes, rank = call.operation.axis, max(len(before), len(after))
    if axes is None or (rank - 1) in [axis % rank for axis in np.atleast_1d(axes)]:
        return "moves the axis of the channels"
    return given[0]


def _take(call: Call, given: list[np.ndarray]) -> np.ndarray | str:
    key = call.args[1] if len(call.args) > 1 else call.kwargs["key"]
    keys = key if isinstance(key, (tuple, list)) else (key,)
    plain = all(isinstance(part, (int, slice)) for part in keys)
    if not plain or len(keys) >= len(given_tensors(call)[0].shape):
        return "takes some of the channels"
    return given[0]


def _softmax(call: Call, given: list[np.ndarray]) -> np.ndarray | str:
    rank = len(call.output_tensors[0].shape)
    if (rank - 1) in [axis % rank for axis in np.atleast_1d(call.operation.axis)]:
        return "mixes channels"
    return given[0]


def _pad(call: Call, given: list[np.ndarray]) -> np.ndarray | str:
    width = np.asarray(call.operation.pad_width)
    alone = width.ndim == 2 and not width[-1].any() and not width[0].any()
    return given[0] if alone else "may pad channels"


_LAYERS: dict[type, Move] = {
    **dict.fromkeys((*_KEEPING, *_PADDING, _layers.Resizing), _same),
    _layers.Flatten: _flatten,
    _layers.Reshape: _reshape,
    _layers.Permute: _permute,
    _layers.Concatenate: _concatenate,
    _layers.Softmax: _softmax,
}

_OPERATIONS: dict[str, Move] = {
    **dict.fromkeys(("MaxPool", "AveragePool", "Resize"), _same),
    **dict.fromkeys(("Mean", "Sum", "Max", "Min", "Amax", "Amin"), _reduce),
    **dict.fromkeys(("ExpandDims", "Squeeze"), _with_axis),
    "Reshape": _reshape,
    "Transpose": _permute,
    "Concatenate": _concatenate,
    "GetItem": _take,
    "Pad": _pad,
}

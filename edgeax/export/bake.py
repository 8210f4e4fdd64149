"""Bake: the plain layers that the device computes a layer as, kernels on the grids of training."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.export.placeholder import Placeholder
from edgeax.export.rounding import wanted_format
from edgeax.export.weights import Kernels
from edgeax.formats import EncodedTensor, Float32, Integer
from edgeax.formats.integer_form import IntegerForm, integer_form, snr_db
from edgeax.model import placement
from edgeax.model.copying import plain_copy, set_transformed
from edgeax.model.device import is_swish
from edgeax.model.graph import Call
from edgeax.model.layout import layout_of
from edgeax.model.rewrite import fold_into, normalization_gain_and_shift, scaled_kernel, with_bias
from edgeax.model.wrapper import Compressed, slot_of

_layers = keras.layers

_BITS = 8


@dataclasses.dataclass(frozen=True)
class Part:
    """A plain layer of the frozen model, one of those that stand for a layer.

    Attributes:
        layer: The layer, or an operation such as `keras.ops.add`.
        kernel: Its kernel in integer codes, canonical layout, normalization folded in; or None.
        trained: Where the file computes in float, its kernel in the codes of training, the same.
        moves: Whether it only moves values: the result stays on the grid of its input.
        limit: Up to where its values must be rounded, if that is what limits them.
        suffix: What to put behind the path of the layer, `""` unless several parts have a kernel.
    """

    layer: Any
    kernel: EncodedTensor | None = None
    moves: bool = False
    suffix: str = ""
    limit: float | None = None
    trained: EncodedTensor | None = None


def bake(
    call: Call, normalization: Call | None, integer: bool, known: Kernels | None = None
) -> list[Part]:
    """Returns the plain layers that compute a call with the weights that training ended with.

    Args:
        call: Of a layer, compressed or plain, or of an operation.
        normalization: The batch normalization behind it that it takes in, or None.
        integer: Whether kernels must lie on integer grids.
        known: Codes of a plain layer's kernels, where training ended with some.
    """
    layer = placement.plain(call.operation)
    if not isinstance(layer, _layers.Layer) or isinstance(layer, Placeholder):
        return [Part(call.operation)]
    if integer:
        gain_and_shift = _gain_and_shift(layer, call)
        if gain_and_shift is not None:
            return _as_depthwise(*gain_and_shift, call.input_tensors[0])
        if isinstance(layer, _layers.Activation):
            lowered = limited_activation(call.operation, call.input_tensors[0])
            if lowered is not None:
                return lowered
            if is_swish(layer.activation):
                return [Part(as_on_device(layer.activation, call.operation, integer))]
    baked = _baked(call)
    kernels = _encoded_kernels(call.operation)
    if integer:
        found = {**kernels, **_coded(known or {})}
        kernels = {name: integer_form(kernel) for name, kernel in found.items()}
    if normalization is not None:
        baked, kernels = _folded(baked, kernels, placement.plain(normalization.operation), call)
    if not integer or not isinstance(layer, placement.LINEAR):
        moves = isinstance(layer, placement.MOVING)
        return [Part(baked, moves=moves, trained=kernels.get("kernel"))]
    kernels |= _rounded_kernels(baked, without=kernels)
    return _split(baked, kernels, call)


def shifted(part: Part, by: float) -> Part:
    """Returns the same with `by` added to its bias, which it gets where it has none."""
    layer = with_bias(part.layer)
    layer.build(part.layer.input.shape)
    values = {variable.name: np.asarray(variable) for variable in part.layer.weights}
    values["bias"] = np.asarray(values.get("bias", 0.0) + np.float32(by), np.float32)
    for variable in layer.weights:
        variable.assign(np.broadcast_to(values[variable.name], variable.shape))
    layer.name = part.layer.name
    return dataclasses.replace(part, layer=layer)


def _baked(call: Call) -> keras.layers.Layer:
    """Returns a plain layer with the weights that the layer of a call computes with, in float32."""
    operation = call.operation
    baked = plain_copy(operation)
    for layer in baked._flatten_layers():
        layer.dtype_policy = "float32"
    if placement.splits_activation(operation):
        baked.activation = keras.activations.linear
    baked(*call.args, **call.kwargs)
    if isinstance(operation, Compressed):
        set_transformed(baked, operation)
    else:
        baked.set_weights(operation.get_weights())
    if isinstance(baked, _layers.Normalization):
        baked.finalize_state()
    return baked


def _encoded_kernels(operation: Any) -> Kernels:
    """Returns the kernels of a layer that training put into a number format."""
    if not isinstance(operation, Compressed) or not isinstance(operation.layer, placement.LINEAR):
        return {}
    return _coded({v.name: encoded for v, _, encoded in operation.freeze_weights()})


def _coded(weights: Kernels) -> Kernels:
    """Returns the kernels among some weights that have a number format."""
    return {
        name: tensor
        for name, tensor in weights.items()
        if slot_of(name) == "kernel" and not isinstance(tensor.format, Float32)
    }


def _rounded_kernels(layer: keras.layers.Layer, without: Kernels) -> Kernels:
    """Puts the float kernels of a layer that computes in integers onto 8-bit grids."""
    grid = Integer(_BITS, axis=-1)
    kernels: Kernels = {}
    for variable in layer.weights:
        if slot_of(variable.name) == "kernel" and variable.name not in without:
            layout = layout_of(layer, variable.name, variable.shape)
            value = layout.to_canonical(np.asarray(variable.value))
            params = grid.fit(value)
            encoded = IntegerForm(grid.encode(value, params), grid, params, None, Float32())
            rounded = encoded.decode()
            variable.assign(layout.from_canonical(rounded))
            cost = snr_db(value, rounded)
            kernels[variable.name] = dataclasses.replace(encoded, snr_db=cost)
    return kernels


def _folded(
    layer: keras.layers.Layer,
    kernels: Kernels,
    normalization: keras.layers.BatchNormalization,
    call: Call,
) -> tuple[keras.layers.Layer, Kernels]:
    """Returns a layer that includes the normalization, and its kernels: only scales change."""
    target = with_bias(layer)
    target(*call.args, **call.kwargs)
    fold_into(target, layer, normalization)
    gain, _ = normalization_gain_and_shift(normalization)
    last = scaled_kernel(layer)
    return target, {
        name: encoded.scaled(gain) if name == last else encoded for name, encoded in kernels.items()
    }


def _split(layer: keras.layers.Layer, kernels: Kernels, call: Call) -> list[Part]:
    """Returns the layers that the device computes a linear layer as.

    A separable convolution is two, and the values between them are rounded too.
    """
    if not isinstance(layer, (_layers.SeparableConv1D, _layers.SeparableConv2D)):
        return [Part(layer, kernels["kernel"])]
    one_dimensional = isinstance(layer, _layers.SeparableConv1D)
    first = _layers.DepthwiseConv1D if one_dimensional else _layers.DepthwiseConv2D
    second = _layers.Conv1D if one_dimensional else _layers.Conv2D
    depthwise = first(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        depth_multiplier=layer.depth_multiplier,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
        use_bias=False,
    )
    pointwise = second(
        layer.filters,
        1,
        data_format=layer.data_format,
        activation=layer.activation,
        use_bias=layer.use_bias,
    )
    pointwise(depthwise(*call.args, **call.kwargs))
    depthwise.set_weights([np.asarray(layer.depthwise_kernel)])
    bias = [np.asarray(layer.bias)] if layer.use_bias else []
    pointwise.set_weights([np.asarray(layer.pointwise_kernel), *bias])
    return [
        Part(depthwise, kernels["depthwise_kernel"], suffix="/depthwise"),
        Part(pointwise, kernels["pointwise_kernel"], suffix="/pointwise"),
    ]


def _gain_and_shift(layer: keras.layers.Layer, call: Call) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns float32 `(channels,)` gain and shift of a layer that only scales each channel.

    None for other layers, and where the shape is not known.
    """
    given = call.input_tensors[0]
    shape = given.shape[1:]
    if isinstance(layer, _layers.BatchNormalization) and layer.axis in (-1, len(shape)):
        gain, shift = normalization_gain_and_shift(layer)
    elif isinstance(layer, _layers.Rescaling):
        gain, shift = np.asarray(layer.scale), np.asarray(layer.offset)
    elif isinstance(layer, _layers.Normalization) and not layer.invert:
        deviation = np.sqrt(np.asarray(layer.variance, np.float32).ravel())
        gain = 1.0 / np.maximum(deviation, keras.config.epsilon())
        shift = -np.asarray(layer.mean, np.float32).ravel() * gain
    else:
        return None
    channels = shape[-1:]
    fits = all(np.shape(values) in ((), (1,), channels) for values in (gain, shift))
    if not fits or not _has_channels(given):
        return None
    return np.broadcast_to(gain, channels), np.broadcast_to(shift, channels)


def as_on_device(activation: Any, operation: Any, integer: bool) -> keras.layers.Layer:
    """Returns the layer that stands for an activation: where values are 8-bit integers, the sigmoid
    in a swish is rounded as TFLite prescribes.

    Args:
        activation: The function.
        operation: The layer that applies it last.
        integer: Whether the file computes in integers.
    """
    format = wanted_format(operation, "output")
    narrow = format is None or (isinstance(format, Integer) and format.bits <= _BITS)
    if integer and narrow and is_swish(activation):
        return RoundedSwish()
    return _layers.Activation(activation)


class RoundedSwish(keras.layers.Layer):
    """`x * sigmoid(x)`, the sigmoid rounded to 8 bits."""

    def call(self, tensor: Any) -> Any:
        """Returns the product."""
        low, high = placement.FIXED_RANGES["sigmoid"]
        gate = tf.quantization.fake_quant_with_min_max_args(tf.sigmoid(tensor), low, high)
        return tensor * gate

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape


def limited_activation(operation: Any, given: keras.KerasTensor) -> list[Part] | None:
    """Returns the layers that stand for an activation made of straight pieces which has no operator
    of its own: one that scales each channel and rounds in a range that limits the values.

    None for other activations, and where training rounds to values that the file has no integers
    for.

    Args:
        operation: The layer that applies the activation last.
        given: What the activation is applied to.
    """
    if placement.activation_name(operation) != "hard_sigmoid" or not _has_channels(given):
        return None
    if not isinstance(wanted_format(operation, "output"), (Integer, type(None))):
        return None
    channels = given.shape[-1:]
    gain, shift = np.full(channels, 1.0 / 6.0, np.float32), np.full(channels, 0.5, np.float32)
    return _as_depthwise(gain, shift, given, activation="relu", limit=1.0)


def _has_channels(given: keras.KerasTensor) -> bool:
    """Returns whether a tensor can be seen as an image of a known number of channels."""
    shape = given.shape[1:]
    known = len(shape) > 0 and None not in (shape[-1:] if len(shape) == 3 else shape)
    return known and bool(keras.backend.is_float_dtype(given.dtype))


def _as_depthwise(
    gain: np.ndarray,
    shift: np.ndarray,
    given: keras.KerasTensor,
    activation: str = "linear",
    limit: float | None = None,
) -> list[Part]:
    """Returns a scaling of channels as the 1x1 convolution that it is: that has int8 operators."""
    shape = given.shape[1:]
    depthwise = _layers.DepthwiseConv2D(1, activation=activation)
    depthwise.build((None, None, None, gain.size))
    depthwise.set_weights([gain.reshape(1, 1, -1, 1), shift])
    if len(shape) == 3:
        return [Part(depthwise, limit=limit)]
    image = _layers.Reshape((-1, 1, gain.size))
    back = _layers.Reshape(shape)
    return [Part(image, moves=True), Part(depthwise, limit=limit), Part(back, moves=True)]

"""XNOR-Net's convolution in operators of the device: one of signs, which counts bits, times a map
of how large the inputs are.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.export.rounding import Formatted, as_signs, wanted_format
from edgeax.export.weights import Builder, Weights
from edgeax.formats import Integer
from edgeax.formats.array_format import ArrayFormat
from edgeax.model.padding import PaddedConv2D
from edgeax.model.wrapper import Compressed
from edgeax.model.xnor import XnorConv2D
from edgeax.transforms.signs import Sign

_layers = keras.layers


class Magnitude(keras.layers.Layer):
    """The magnitudes of values."""

    def call(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns the magnitudes."""
        return tf.abs(tensor)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape


def why_not_xnor(layer: XnorConv2D) -> str:
    """Returns why the parts of a layer cannot be emitted, `""` if they can."""
    if layer.data_format != "channels_last":
        return "its channels come first"
    quantizer = layer.quantizer
    format = None if quantizer is None else quantizer.number_format
    params = None if quantizer is None else quantizer.activation_params()
    if params is None or not isinstance(format, ArrayFormat):
        return "its inputs are no signs"
    signs = as_signs(Formatted(format, params))
    return "" if signs is not None and signs.magnitude == 1.0 else "its inputs are no signs"


def rounds_to_other_values(operation: Any) -> bool:
    """Returns whether training gives results of a layer values that integers are not."""
    formats = [wanted_format(operation, slot) for slot in ("before_activation", "output")]
    return not all(isinstance(format, (Integer, type(None))) for format in formats)


def xnor(
    build: Builder, layer: XnorConv2D, weights: Weights, path: str, images: Any, extremes: Any
) -> Any:
    """Emits the parts of a layer; returns its output.

    Args:
        build: Where to emit.
        layer: The layer.
        weights: What it computes with.
        path: Its path.
        images: Its input.
        extremes: Range of its output if known.
    """
    signs = Compressed(_layers.Activation("linear"), output=[Sign()])
    convolution = build.once(layer, "products", lambda: _products(build, layer, weights))
    products = build.call(convolution, path, build.call(signs, f"{path}/signs", images))
    magnitudes = build.call(Magnitude(), f"{path}/magnitudes", images)
    channels = images.shape[-1]
    mean = build.once(layer, "scales", lambda: _scales(layer, channels))
    build.constants.add(id(mean))
    scales = build.call(mean, f"{path}/scales", magnitudes)
    is_last = layer.bias is None and layer.activation is keras.activations.linear
    range_of_last = extremes if is_last else None
    result = build.call(
        _layers.Multiply(), f"{path}/scaled", [products, scales], extremes=range_of_last
    )
    if is_last:
        return result
    ending = build.once(layer, "ending", lambda: _ending(layer, weights))
    build.constants.add(id(ending))
    return build.call(ending, f"{path}/bias", result, extremes=extremes)


def _window(layer: XnorConv2D) -> dict[str, Any]:
    return {
        "kernel_size": layer.kernel_size,
        "strides": layer.strides,
        "dilation_rate": layer.dilation_rate,
        "padding": "same" if layer.pads else "valid",
        "use_bias": False,
    }


def _products(build: Builder, layer: XnorConv2D, weights: Weights) -> keras.layers.Layer:
    """Returns the convolution of signs."""
    convolution = PaddedConv2D(layer.filters, pad_values=layer.pad_values, **_window(layer))
    convolution.build((None, None, None, layer.kernel.shape[2]))
    convolution.kernel.assign(weights.value(layer.kernel))
    encoded = weights.encoded(layer.kernel)
    build.kernels[id(convolution)] = {} if encoded is None else {convolution.kernel.name: encoded}
    return convolution


def _scales(layer: XnorConv2D, channels: int) -> keras.layers.Layer:
    """Returns the convolution that makes K of magnitudes: their mean over channels and window."""
    mean = _layers.Conv2D(1, **_window(layer))
    mean.build((None, None, None, channels))
    mean.kernel.assign(np.full(mean.kernel.shape, 1.0 / np.prod(mean.kernel.shape), np.float32))
    return mean


def _ending(layer: XnorConv2D, weights: Weights) -> keras.layers.Layer:
    """Returns what adds the bias and applies the activation."""
    ending = _layers.DepthwiseConv2D(1, activation=layer.activation)
    ending.build((None, None, None, layer.filters))
    bias = np.zeros(layer.filters) if layer.bias is None else weights.value(layer.bias)
    ending.set_weights([np.ones(ending.kernel.shape, np.float32), bias])
    return ending

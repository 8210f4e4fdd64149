"""Kernels of which the first input channels are trained, and layers that compute with these."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.model.trained_weights import TrainedWeight

_layers = keras.layers


def part_of(weight: TrainedWeight) -> np.ndarray:
    """Returns what is trained of a weight."""
    value = keras.ops.convert_to_numpy(weight.variable)
    if weight.channels is None:
        return np.asarray(value)
    return np.asarray(np.take(value, np.arange(weight.channels), weight.axis))


def whole_of(weight: TrainedWeight, part: tf.Tensor, whole: tf.Tensor) -> tf.Tensor:
    """Returns the value of a weight of which a part is a variable."""
    if weight.channels is None:
        return part
    _, rest = _split(whole, weight)
    return tf.concat([part, rest], weight.axis)


def _split(tensor: tf.Tensor, weight: TrainedWeight) -> list[tf.Tensor]:
    size = tensor.shape[weight.axis]
    channels = weight.channels or size
    return tf.split(tensor, [channels, size - channels], weight.axis)


def run_with_part(
    weight: TrainedWeight, part: tf.Tensor, kernel: tf.Tensor, inputs: tf.Tensor
) -> tf.Tensor:
    """Returns what a layer makes of its inputs; on the way back only a part of its kernel counts.

    Nothing is computed for the rest, and of the inputs only their first channels are kept.
    """
    layer = weight.layer
    depth = inputs.shape[-1]

    @tf.custom_gradient
    def product(inputs: tf.Tensor, part: tf.Tensor) -> Any:
        first = inputs[..., : weight.channels]

        def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = _product(layer, weight.variable, kernel, inputs)
            to_inputs = tape.gradient(outputs, inputs, upstream)
            if isinstance(layer, _layers.DepthwiseConv2D):
                upstream = upstream[..., : upstream.shape[-1] // depth * first.shape[-1]]
            with tf.GradientTape() as tape:
                tape.watch(part)
                outputs = _product(layer, weight.variable, part, first)
            return to_inputs, tape.gradient(outputs, part, upstream)

        return _product(layer, weight.variable, kernel, inputs), gradients

    outputs = product(inputs, part)
    if layer.bias is not None:
        outputs = outputs + keras.ops.convert_to_tensor(layer.bias)
    return layer.activation(outputs)


def _product(layer: Any, variable: keras.Variable, kernel: tf.Tensor, inputs: Any) -> tf.Tensor:
    """Returns what a layer's kernel makes of inputs, without bias and activation."""
    if isinstance(layer, _layers.Dense):
        return tf.matmul(inputs, kernel)
    convolution = (
        keras.ops.depthwise_conv if isinstance(layer, _layers.DepthwiseConv2D) else keras.ops.conv
    )
    return convolution(
        inputs,
        kernel,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )

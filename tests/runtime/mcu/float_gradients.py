"""Gradients of the real numbers that an int8 file stands for, by TensorFlow."""

import numpy as np
import tensorflow as tf

from edgeax.formats.flatbuffer import Model, Subgraph, Tensor

_CLIPS = {"NONE": (-np.inf, np.inf), "RELU": (0.0, np.inf), "RELU6": (0.0, 6.0)}


def gradients(data: bytes, x: np.ndarray, label: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Returns those of the cross entropy by kernel and bias, by the place of the layer.

    Args:
        data: The file, its activations fused, no PAD.
        x: Codes of its input.
        label: The class.
    """
    graph = Model.from_bytes(data).subgraphs[0]
    known = {graph.inputs[0]: tf.constant(_real(graph.tensors[graph.inputs[0]], x))}
    weights: dict[int, tuple[tf.Variable, tf.Variable]] = {}
    with tf.GradientTape() as tape:
        for place, operator in enumerate(graph.operators):
            if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
                kernel, bias = (graph.tensors[index] for index in operator.inputs[1:])
                scales = np.asarray(kernel.scale) * graph.tensors[operator.inputs[0]].scale
                first = _real(kernel, kernel.data), (bias.data * scales).astype(np.float32)
                weights[place] = (tf.Variable(first[0]), tf.Variable(first[1]))
            found = _computed(graph, operator, known, weights.get(place))
            known[operator.outputs[0]] = _activated(graph, operator, found)
        scores = known[graph.outputs[0]]
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits([label], scores)
    found = tape.gradient(loss, weights)
    return {place: tuple(one.numpy() for one in pair) for place, pair in found.items()}


def _activated(graph: Subgraph, operator, found):  # type: ignore[no-untyped-def]
    """Cuts off what an activation cuts off, and what no code tells, as the file does."""
    output = graph.tensors[operator.outputs[0]]
    name = operator.name if operator.name == "RELU" else "NONE"
    name = operator.options.get("fused_activation_function", name)
    least, most = _real(output, np.array([-128, 127]))
    if name == "NONE":  # gradients pass codes at the ends of the range
        return found + tf.stop_gradient(tf.clip_by_value(found, least, most) - found)
    low, high = _CLIPS[name]
    return tf.clip_by_value(found, max(low, least), min(high, most))


def _computed(graph: Subgraph, operator, known, weights):  # type: ignore[no-untyped-def]
    x, options = known[operator.inputs[0]], operator.options
    if weights is not None and operator.name == "FULLY_CONNECTED":
        return x @ tf.transpose(weights[0]) + weights[1]
    if weights is not None:
        strides = [1, options["stride_h"], options["stride_w"], 1]
        if operator.name == "CONV_2D":
            kernel = tf.transpose(weights[0], (1, 2, 3, 0))
            return tf.nn.conv2d(x, kernel, strides, options["padding"]) + weights[1]
        _, height, width, channels = weights[0].shape
        kernel = tf.reshape(weights[0], (height, width, x.shape[3], channels // x.shape[3]))
        return tf.nn.depthwise_conv2d(x, kernel, strides, options["padding"]) + weights[1]
    if operator.name.endswith("POOL_2D"):
        taps = options["filter_height"], options["filter_width"]
        strides = options["stride_h"], options["stride_w"]
        pool = tf.nn.max_pool2d if operator.name.startswith("MAX") else tf.nn.avg_pool2d
        return pool(x, taps, strides, options["padding"])
    if operator.name == "ADD":
        return x + known[operator.inputs[1]]
    if operator.name == "MEAN":
        return tf.reduce_mean(x, (1, 2))
    if operator.name == "RESHAPE":
        return tf.reshape(x, graph.tensors[operator.outputs[0]].shape)
    return tf.nn.relu(x)


def _real(tensor: Tensor, codes: np.ndarray) -> np.ndarray:
    scale = np.asarray(tensor.scale, np.float64)
    if scale.size > 1:
        shape = [1] * codes.ndim
        shape[tensor.quantized_axis or 0] = -1
        scale = scale.reshape(shape)
    zero = 0 if tensor.zero_point is None else int(tensor.zero_point[0])
    return ((codes.astype(np.float64) - zero) * scale).astype(np.float32)

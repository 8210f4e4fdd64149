"""Layers whose weights are variables: cases."""

from typing import Any

import numpy as np
import tensorflow as tf

from tests.tflite_kernels.gradient_cases import GradientCase

CONVOLUTION, DEPTHWISE = "EdgeaxVariableConv2D", "EdgeaxVariableDepthwiseConv2D"
DENSE = "EdgeaxVariableFullyConnected"

_ACTIVATIONS = {
    "NONE": tf.identity,
    "RELU": tf.nn.relu,
    "RELU6": tf.nn.relu6,
    "RELU_N1_TO_1": lambda x: tf.clip_by_value(x, -1, 1),
}


def convolution(
    operator: str,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    seed: int = 0,
    **attributes: Any,
) -> GradientCase:
    """A case of drawn numbers; `attributes` beside those of a plain layer."""
    source = np.random.default_rng((11, seed))
    channels = kernel[2] * kernel[3] if operator == DEPTHWISE else kernel[-1]
    inputs = {
        name: source.standard_normal(one).astype(np.float32)
        for name, one in (("input", shape), ("filter", kernel), ("bias", (channels,)))
    }
    if operator == DENSE:
        output: tuple[int, ...] = (*shape[:-1], channels)
    else:
        plain = {"strides": [1, 1, 1, 1], "padding": "SAME", "dilations": [1, 1, 1, 1]}
        attributes = {**plain, "data_format": "NHWC", **attributes}
        sizes = []
        for axis in (1, 2):
            covered = shape[axis]
            if attributes["padding"] == "VALID":
                covered -= (kernel[axis - 1] - 1) * attributes["dilations"][axis]
            sizes.append(-(-covered // attributes["strides"][axis]))
        output = (shape[0], *sizes, channels)
    return GradientCase(f"{operator}_{seed}", operator, attributes, inputs, output)


def draw(seed: int, operator: str) -> GradientCase:
    """One case of an operator; the same for the same seed."""
    source = np.random.default_rng((13, seed))

    def one_of(*values: Any) -> Any:
        return values[source.integers(len(values))]

    attributes = {"activation": one_of(*_ACTIVATIONS)}
    depth, outputs = one_of(1, 3, 8, 17), one_of(1, 3, 16, 33, 50)
    if operator == DENSE:
        leading = tuple(int(size) for size in source.integers(1, 20, one_of(1, 2)))
        return convolution(operator, (*leading, depth), (depth, outputs), seed, **attributes)
    shape = (one_of(1, 2), *(int(size) for size in source.integers(7, 18, 2)), depth)
    taps = tuple(int(size) for size in source.integers(1, 4, 2))
    stride = one_of(1, 2, 3)
    dilation = one_of(1, 2) if stride == 1 else 1  # as TensorFlow has it
    more = (depth, one_of(1, 2) if operator == DEPTHWISE else outputs)
    return convolution(
        operator,
        shape,
        (*taps, *more),
        seed,
        strides=[1, stride, stride, 1],
        dilations=[1, dilation, dilation, 1],
        padding=one_of("SAME", "VALID"),
        **attributes,
    )


def call_tensorflow(case: GradientCase, magnitudes: bool = False) -> np.ndarray:
    """What TensorFlow makes of a case; with absolute values, sums of these without activation."""
    x, weights, bias = (np.abs(a) if magnitudes else a for a in case.inputs.values())
    names = ("strides", "padding")
    if case.operator == DENSE:
        sums = tf.tensordot(x, weights, 1)
    elif case.operator == DEPTHWISE:
        dilations = case.attributes["dilations"][1:3]
        given = [case.attributes[name] for name in names]
        sums = tf.nn.depthwise_conv2d(x, weights, *given, dilations=dilations)
    else:
        given = [case.attributes[name] for name in names]
        sums = tf.nn.conv2d(x, weights, *given, dilations=case.attributes["dilations"])
    activation = "NONE" if magnitudes else case.attributes.get("activation", "NONE")
    return _ACTIVATIONS[activation](sums + bias).numpy()

"""Tiny convolutional classifiers in int8, whose values spread over their codes, to be trained."""

import math
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.runtime.mcu import image_networks
from tests.tflite_kernels.models import Model, Operator, Tensor

_CODES = schema.BuiltinOperator
_KINDS = schema.BuiltinOptions
_ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU6": 3}
_RMS = 3.0  # of what every layer computes
_LEFT = {"NONE": 3.0, "RELU": 2.1, "RELU6": 2.0}  # of it behind an activation
_CLASSES = 5


class Net:
    """A network that grows from one image; its methods return the number of what they add.

    Args:
        shape: Of the image.
        seed: Of the weights.
    """

    def __init__(self, shape: tuple[int, ...], seed: int = 0) -> None:
        self.model = Model(inputs=[0])
        self._rng = np.random.default_rng(seed)
        self._rms = {self.model.add(Tensor("x", shape, np.int8, _RMS / 64, 0)): _RMS}

    def conv(
        self,
        source: int,
        channels: int,
        kernel: int,
        stride: int = 1,
        padding: str = "SAME",
        activation: str = "NONE",
    ) -> int:
        """Adds a convolution."""
        options = schema.Conv2DOptionsT()
        options.dilationHFactor = options.dilationWFactor = 1
        depth = self._shape(source)[3]
        weights = (channels, kernel, kernel, depth)
        return self._window(source, weights, 0, stride, padding, activation, options)

    def depthwise(
        self,
        source: int,
        kernel: int,
        stride: int = 1,
        multiplier: int = 1,
        activation: str = "NONE",
    ) -> int:
        """Adds a depthwise convolution."""
        options = schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = multiplier
        options.dilationHFactor = options.dilationWFactor = 1
        weights = (1, kernel, kernel, self._shape(source)[3] * multiplier)
        return self._window(source, weights, 3, stride, "SAME", activation, options)

    def pool(self, source: int, kind: str, kernel: int, stride: int, padding: str = "VALID") -> int:
        """Adds a pool, `kind` "MAX" or "AVERAGE"."""
        options = schema.Pool2DOptionsT()
        options.filterHeight = options.filterWidth = kernel
        options.strideH = options.strideW = stride
        options.padding = getattr(schema.Padding, padding)
        batch, *image, channels = self._shape(source)
        spatial = [_size(size, kernel, stride, padding) for size in image]
        code = getattr(_CODES, f"{kind}_POOL_2D")
        shape = (batch, *spatial, channels)
        return self._like(source, shape, [source], code, options, _KINDS.Pool2DOptions)

    def pad(self, source: int) -> int:
        """Adds a border of one pixel."""
        output = image_networks.pad(self.model, source, (1, 1), (1, 1))
        self._rms[output] = self._rms[source]
        return output

    def add(self, one: int, other: int, activation: str = "NONE") -> int:
        """Adds a sum."""
        options = schema.AddOptionsT()
        options.fusedActivationFunction = _ACTIVATIONS[activation]
        output = self._output(self._shape(one), activation)
        return self._operator([one, other], output, _CODES.ADD, options, _KINDS.AddOptions)

    def relu(self, source: int) -> int:
        """Adds a RELU of its own, whose codes differ."""
        output = self._output(self._shape(source), "RELU")
        return self._operator([source], output, _CODES.RELU, None, 0)

    def mean(self, source: int) -> int:
        """Adds the mean of an image."""
        options = schema.ReducerOptionsT()
        axes = self.model.add(
            Tensor(f"axes{source}", (2,), np.int32, data=np.array([1, 2], np.int32))
        )
        batch, _, _, channels = self._shape(source)
        inputs = [source, axes]
        kind = _KINDS.ReducerOptions
        return self._like(source, (batch, channels), inputs, _CODES.MEAN, options, kind)

    def reshape(self, source: int) -> int:
        """Adds what makes a row of an image."""
        options = schema.ReshapeOptionsT()
        batch, *sizes = self._shape(source)
        shape = (batch, math.prod(sizes))
        options.newShape = [*shape]
        data = np.array(shape, np.int32)
        wanted = self.model.add(Tensor(f"shape{source}", (2,), np.int32, data=data))
        inputs = [source, wanted]
        kind = _KINDS.ReshapeOptions
        return self._like(source, shape, inputs, _CODES.RESHAPE, options, kind)

    def dense(self, source: int, outputs: int = _CLASSES, activation: str = "NONE") -> int:
        """Adds a dense layer."""
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = _ACTIVATIONS[activation]
        batch, depth = self._shape(source)
        inputs = [source, *self._weights(source, (outputs, depth), 0, depth)]
        output = self._output((batch, outputs), activation)
        kind = _KINDS.FullyConnectedOptions
        return self._operator(inputs, output, _CODES.FULLY_CONNECTED, options, kind)

    def channels(self, tensor: int) -> int:
        """Returns how many channels an image has."""
        return self._shape(tensor)[3]

    def write(self, output: int) -> bytes:
        """Returns the file."""
        self.model.outputs = [output]
        return self.model.write()

    def _window(
        self,
        source: int,
        shape: tuple[int, ...],
        axis: int,
        stride: int,
        padding: str,
        activation: str,
        options: Any,
    ) -> int:
        options.strideH = options.strideW = stride
        options.padding = getattr(schema.Padding, padding)
        options.fusedActivationFunction = _ACTIVATIONS[activation]
        batch, *image, _ = self._shape(source)
        spatial = [_size(size, shape[1], stride, padding) for size in image]
        depth = shape[1] * shape[2] * (shape[3] if axis == 0 else 1)
        inputs = [source, *self._weights(source, shape, axis, depth)]
        output = self._output((batch, *spatial, shape[axis]), activation)
        is_depthwise = axis == 3
        code = _CODES.DEPTHWISE_CONV_2D if is_depthwise else _CODES.CONV_2D
        kind = _KINDS.DepthwiseConv2DOptions if is_depthwise else _KINDS.Conv2DOptions
        return self._operator(inputs, output, code, options, kind)

    def _weights(self, source: int, shape: tuple[int, ...], axis: int, depth: int) -> list[int]:
        weights = self._rng.integers(-127, 128, shape).astype(np.int8)
        channels = shape[axis]
        one = _RMS / (73 * math.sqrt(depth) * self._rms[source])
        scales = self._rng.uniform(0.5, 1.5, channels) * one
        bias = self._rng.integers(-500, 500, channels).astype(np.int32)
        name = f"w{len(self.model.tensors)}"
        return [
            self.model.add(Tensor(name, shape, np.int8, scales.tolist(), 0, weights, axis)),
            self.model.add(Tensor(f"{name}_bias", (channels,), np.int32, None, 0, bias)),
        ]

    def _output(self, shape: tuple[int, ...], activation: str) -> int:
        scale, zero_point = {
            "NONE": (3 * _RMS / 127, 4),
            "RELU": (3 * _RMS / 255, -128),
            "RELU6": (6 / 255, -128),
        }[activation]
        name = f"t{len(self.model.tensors)}"
        output = self.model.add(Tensor(name, shape, np.int8, scale, zero_point))
        self._rms[output] = _LEFT[activation]
        return output

    def _like(
        self,
        source: int,
        shape: tuple[int, ...],
        inputs: list[int],
        code: int,
        options: Any,
        kind: int,
    ) -> int:
        same = self.model.tensors[source]
        name = f"t{len(self.model.tensors)}"
        output = self.model.add(Tensor(name, shape, np.int8, same.scale, same.zero_point))
        self._rms[output] = self._rms[source]
        return self._operator(inputs, output, code, options, kind)

    def _operator(self, inputs: list[int], output: int, code: int, options: Any, kind: int) -> int:
        self.model.operators.append(
            Operator(inputs, [output], builtin=code, options=options, options_type=kind)
        )
        return output

    def _shape(self, tensor: int) -> tuple[int, ...]:
        return self.model.tensors[tensor].shape


def blocks() -> bytes:
    """A residual block, all kinds of layers, strides, borders, pools and activations."""
    net = Net((1, 11, 9, 3))
    x = net.conv(0, 8, 3, stride=2, activation="RELU6")  # 6 x 5
    way = net.depthwise(x, 3, activation="RELU6")
    way = net.conv(way, 8, 1)
    x = net.add(x, way, "RELU")
    x = net.pool(x, "MAX", 2, 1, "SAME")
    x = net.depthwise(x, 3, stride=2, multiplier=2)  # 3 x 3
    x = net.relu(x)
    x = net.pool(x, "AVERAGE", 2, 1)  # 2 x 2
    x = net.conv(x, 12, 2, padding="SAME", activation="RELU")
    x = net.dense(net.mean(x), 16, "RELU6")
    return net.write(net.dense(x))


def pixels() -> bytes:
    """A convolution of more than 256 pixels, and a reshape."""
    net = Net((1, 20, 20, 2))
    x = net.conv(0, 4, 3, activation="RELU")
    x = net.pool(net.conv(x, 4, 3, activation="RELU"), "AVERAGE", 5, 5)
    return net.write(net.dense(net.reshape(x)))


def mobile_net() -> tuple[bytes, dict[int, float]]:
    """MobileNetV2 of width 0.35 on images of 64 x 64 x 3, for 10 classes; drawn weights.

    Returns:
        The file, and what a sparse update trains: the dense layer, parts of the pointwise kernels
        of the last three blocks and of the convolution behind them, and the biases from there on.
    """
    net = Net((1, 64, 64, 3))
    x = net.conv(0, 16, 3, stride=2, activation="RELU6")
    blocks = [(1, 8, 1), (6, 8, 2), (6, 8, 1)]
    blocks += [(6, 16, 2), *[(6, 16, 1)] * 2, (6, 24, 2), *[(6, 24, 1)] * 3, *[(6, 32, 1)] * 3]
    blocks += [(6, 56, 2), *[(6, 56, 1)] * 2, (6, 112, 1)]
    shares: dict[int, float] = {}
    for at, (widening, channels, stride) in enumerate(blocks):
        first, source, depth = len(net.model.operators), x, net.channels(x)
        if widening > 1:
            x = net.conv(x, depth * widening, 1, activation="RELU6")
        x = net.conv(net.depthwise(x, 3, stride, activation="RELU6"), channels, 1)
        if at >= len(blocks) - 3:
            shares |= {first: 0.5, first + 1: 0.0, first + 2: 0.25}
        if stride == 1 and channels == depth:
            x = net.add(source, x)
    shares |= {len(net.model.operators): 0.25}
    x = net.conv(x, 448, 1, activation="RELU6")
    shares |= {len(net.model.operators) + 1: 1.0}
    return net.write(net.dense(net.mean(x), 10)), shares


def _size(size: int, kernel: int, stride: int, padding: str) -> int:
    return -(-size // stride) if padding == "SAME" else (size - kernel) // stride + 1

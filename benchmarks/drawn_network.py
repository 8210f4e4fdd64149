"""A small network for microcontrollers that needs no data: weights are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.tflite_kernels.models import Model, Operator, Tensor

_IMAGE = (1, 24, 24, 3)
_FIRST, _BLOCKS, _CLASSES = 8, ((16, 2), (24, 1), (24, 2)), 5
_STEP = 0.05


def separable_network() -> bytes:
    """Returns a file: a convolution, separable blocks, an addition, the mean and a dense layer."""
    builder = _Builder(np.random.default_rng(7))
    x = builder.conv(builder.input(), _FIRST, 3, 2)
    for channels, stride in _BLOCKS:
        x = builder.conv(builder.depthwise(x, stride), channels, 1, 1)
    x = builder.add(x, builder.conv(x, _BLOCKS[-1][0], 3, 1))
    return builder.classified(x)


class _Builder:
    """Adds layers with drawn weights, each with a step of its output that suits its sums."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._model = rng, Model()

    def input(self) -> int:
        x = self._model.add(Tensor("image", _IMAGE, np.int8, _STEP, -5))
        self._model.inputs = [x]
        return x

    def conv(self, x: int, channels: int, kernel: int, stride: int) -> int:
        shape = (channels, kernel, kernel, self._model.tensors[x].shape[3])
        options = self._image_options(schema.Conv2DOptionsT(), stride)
        return self._layer("CONV_2D", x, shape, 0, channels, stride, options)

    def depthwise(self, x: int, stride: int) -> int:
        channels = self._model.tensors[x].shape[3]
        options = self._image_options(schema.DepthwiseConv2DOptionsT(), stride)
        options.depthMultiplier = 1
        shape = (1, 3, 3, channels)
        return self._layer("DEPTHWISE_CONV_2D", x, shape, 3, channels, stride, options)

    def add(self, x: int, y: int) -> int:
        shape = self._model.tensors[x].shape
        scale = 1.5 * max(self._scale(x), self._scale(y))
        return self._operator("ADD", [x, y], Tensor("sum", shape, np.int8, scale, 2))

    def classified(self, x: int) -> bytes:
        channels = self._model.tensors[x].shape[3]
        axes = self._model.add(Tensor("axes", (2,), np.int32, data=np.int32([1, 2])))
        options = schema.ReducerOptionsT()
        mean = Tensor("mean", (1, channels), np.int8, self._scale(x) / 2, 4)
        mean_number = self._operator("MEAN", [x, axes], mean, options, "ReducerOptions")
        options = schema.FullyConnectedOptionsT()
        logits = self._layer(
            "FULLY_CONNECTED", mean_number, (_CLASSES, channels), None, _CLASSES, 0, options
        )
        options = schema.SoftmaxOptionsT()
        options.beta = _STEP / self._scale(logits)
        last = Tensor("classes", (1, _CLASSES), np.int8, 1 / 256, -128)
        self._model.outputs = [self._operator("SOFTMAX", [logits], last, options, "SoftmaxOptions")]
        return self._model.write()

    def _scale(self, number: int) -> float:
        scale = self._model.tensors[number].scale
        return scale if isinstance(scale, float) else _STEP

    def _image_options(self, options: Any, stride: int) -> Any:
        options.padding = schema.Padding.SAME
        options.strideH = options.strideW = stride
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = schema.ActivationFunctionType.RELU
        return options

    def _layer(
        self,
        name: str,
        x: int,
        shape: tuple[int, ...],
        axis: int | None,
        outputs: int,
        stride: int,
        options: Any,
    ) -> int:
        """Adds a layer with weights of a shape, whose scales lie along an axis."""
        source = self._model.tensors[x]
        weights = self._rng.integers(-127, 128, shape).astype(np.int8)
        depth = weights.size // outputs
        scales = self._rng.uniform(0.005, 0.015, 1 if axis is None else outputs).tolist()
        bias = self._rng.integers(-2000, 2000, outputs).astype(np.int32)
        given = self._scale(x)
        inputs = [
            x,
            self._model.add(Tensor("weights", shape, np.int8, scales, 0, weights, axis or 0)),
            self._model.add(
                Tensor("bias", (outputs,), np.int32, [given * s for s in scales], 0, bias)
            ),
        ]
        size = (*(-(-side // stride) for side in source.shape[1:3]), outputs) if stride else ()
        output = Tensor(
            name.lower(), (1, *size) if size else (1, outputs), np.int8, given * depth**0.5 * 0.7, 1
        )
        return self._operator(name, inputs, output, options, _TABLES[name])

    def _operator(
        self, name: str, inputs: list[int], output: Tensor, options: Any = None, table: str = ""
    ) -> int:
        number = self._model.add(output)
        kind = getattr(schema.BuiltinOptions, table) if table else 0
        code = getattr(schema.BuiltinOperator, name)
        self._model.operators.append(
            Operator(inputs, [number], builtin=code, options=options, options_type=kind)
        )
        return number


_TABLES = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
}

"""Tiny convolutional networks in int8 whose images are large beside their weights."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.tflite_kernels.models import Model, Operator, Tensor

_CODES = schema.BuiltinOperator
_KINDS = schema.BuiltinOptions
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
_SCALE = 0.05


def separable() -> bytes:
    """Two halvings with depthwise and pointwise layers, odd sizes, a dilated one, VALID at last."""
    model = image((1, 23, 19, 3))
    x = conv(model, 0, 8, 3, stride=2)
    x = depthwise(model, x, 3)
    x = conv(model, x, 12, 1)
    x = depthwise(model, x, 3, stride=2)
    x = conv(model, x, 8, 1)
    x = conv(model, x, 6, 2, dilation=2)
    model.outputs = [conv(model, x, 5, 3, padding=VALID)]
    return model.write()


def residual() -> bytes:
    """A residual block of equal sizes, and one that halves with a convolution on its short way."""
    model = image((1, 17, 14, 3))
    x = conv(model, 0, 8, 3)
    x = add(model, conv(model, conv(model, x, 8, 3), 8, 3), x)
    way = conv(model, conv(model, x, 8, 3, stride=2), 8, 3)
    model.outputs = [add(model, conv(model, x, 8, 1, stride=2), way)]
    return model.write()


def conv(
    model: Model,
    source: int,
    channels: int,
    kernel: int,
    stride: int = 1,
    dilation: int = 1,
    padding: int = SAME,
) -> int:
    """Adds a convolution with drawn weights; returns its output."""
    options = schema.Conv2DOptionsT()
    depth = model.tensors[source].shape[3]
    shape = (channels, kernel, kernel, depth)
    return _window(model, source, shape, 0, stride, dilation, padding, options)


def depthwise(model: Model, source: int, kernel: int, stride: int = 1, padding: int = SAME) -> int:
    """Adds a depthwise convolution with drawn weights; returns its output."""
    options = schema.DepthwiseConv2DOptionsT()
    options.depthMultiplier = 1
    shape = (1, kernel, kernel, model.tensors[source].shape[3])
    return _window(model, source, shape, 3, stride, 1, padding, options)


def pad(
    model: Model,
    source: int,
    rows: tuple[int, int],
    columns: tuple[int, int],
    code: int | None = None,
) -> int:
    """Adds a border of zeros, or by PADV2 of a code; returns the image with it."""
    borders = np.int32([(0, 0), rows, columns, (0, 0)])
    inputs = [source, model.add(Tensor(f"p{len(model.tensors)}", (4, 2), np.int32, data=borders))]
    kind = model.tensors[source]
    if code is not None:
        value = np.int8([code])
        inputs.append(model.add(Tensor("code", (1,), np.int8, kind.scale, kind.zero_point, value)))
    _, height, width, channels = kind.shape
    shape = (1, height + sum(rows), width + sum(columns), channels)
    name = f"padded{len(model.tensors)}"
    output = model.add(Tensor(name, shape, np.int8, kind.scale, kind.zero_point))
    operator = _CODES.PAD if code is None else _CODES.PADV2
    options = schema.PadOptionsT() if code is None else schema.PadV2OptionsT()
    kinds = _KINDS.PadOptions if code is None else _KINDS.PadV2Options
    _add(model, inputs, output, operator, options, kinds)
    return output


def image(shape: tuple[int, ...]) -> Model:
    """Returns a model of nothing but an input, tensor 0."""
    model = Model(inputs=[0])
    model.add(Tensor("x", shape, np.int8, _SCALE, 3))
    return model


def add(model: Model, one: int, other: int) -> int:
    """Adds a sum of two images; returns its output."""
    output = _image(model, model.tensors[one].shape)
    _add(model, [one, other], output, _CODES.ADD, schema.AddOptionsT(), _KINDS.AddOptions)
    return output


def _window(
    model: Model,
    source: int,
    shape: tuple[int, int, int, int],
    axis: int,
    stride: int,
    dilation: int,
    padding: int,
    options: Any,
) -> int:
    rng = np.random.default_rng(len(model.tensors))
    weights = rng.integers(-127, 128, shape).astype(np.int8)
    channels = shape[axis]
    taps = weights.size // channels
    scales = [0.02 / np.sqrt(taps)] * channels
    bias = rng.integers(-500, 500, channels).astype(np.int32)
    inputs = [
        source,
        model.add(Tensor(f"w{len(model.tensors)}", shape, np.int8, scales, 0, weights, axis=axis)),
        model.add(Tensor(f"b{len(model.tensors)}", bias.shape, np.int32, scales, 0, bias)),
    ]
    options.strideH = options.strideW = stride
    options.dilationHFactor = options.dilationWFactor = dilation
    options.padding = padding
    reach = (shape[1] - 1) * dilation
    rows, width = (
        -(-size // stride) if padding == SAME else (size - reach - 1) // stride + 1
        for size in model.tensors[source].shape[1:3]
    )
    output = _image(model, (1, rows, width, channels))
    name = "CONV_2D" if axis == 0 else "DEPTHWISE_CONV_2D"
    kind = _KINDS.Conv2DOptions if axis == 0 else _KINDS.DepthwiseConv2DOptions
    _add(model, inputs, output, getattr(_CODES, name), options, kind)
    return output


def _image(model: Model, shape: tuple[int, ...]) -> int:
    return model.add(Tensor(f"image{len(model.tensors)}", shape, np.int8, _SCALE, -4))


def _add(model: Model, inputs: list[int], output: int, code: int, options: Any, kind: int) -> None:
    model.operators.append(
        Operator(inputs, [output], builtin=code, options=options, options_type=kind)
    )

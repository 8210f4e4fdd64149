"""A file of many layers side by side, which CMSIS-NN computes or must leave to us."""

import dataclasses
import math
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.tflite_kernels.models import Model, Operator, Tensor

SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
_SCALE = 0.05
Pair = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution or a depthwise one.

    Attributes:
        image: Shape of its input.
        kernel: Height and width.
        channels: Of the output.
        stride, dilation: In rows and columns.
        padding: SAME or VALID.
        depthwise: Whether it is a depthwise one.
        groups: Of a convolution.
        is_theirs: Whether CMSIS-NN computes it.
    """

    image: tuple[int, int, int, int]
    kernel: Pair
    channels: int
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: int = SAME
    depthwise: bool = False
    groups: int = 1
    is_theirs: bool = True


LAYERS = (
    Layer((1, 9, 7, 3), (3, 3), 5),
    Layer((1, 8, 8, 8), (3, 3), 8, stride=(2, 2)),  # one column of zeros, on the right
    Layer((1, 9, 8, 4), (3, 3), 6, stride=(2, 2), padding=VALID),  # a row is left
    Layer((1, 9, 9, 4), (3, 2), 4, dilation=(2, 3)),
    Layer((1, 6, 6, 8), (3, 3), 4, groups=2),
    Layer((1, 5, 6, 16), (1, 1), 9),
    Layer((1, 5, 6, 8), (1, 1), 6, stride=(2, 2)),
    Layer((1, 5, 6, 8), (1, 1), 6, dilation=(2, 1)),
    Layer((2, 5, 6, 3), (3, 3), 4),
    Layer((1, 1, 20, 4), (1, 5), 8),
    Layer((1, 1, 21, 8), (1, 4), 8),
    Layer((1, 6, 12, 4), (1, 3), 8),
    Layer((1, 1, 3, 4), (1, 5), 8),  # wider than the image
    Layer((1, 1, 20, 4), (1, 3), 8, stride=(1, 2), padding=VALID, is_theirs=False),  # a column left
    Layer((1, 1, 21, 4), (1, 3), 8, stride=(1, 2), is_theirs=False),  # strides over zeros
    Layer((1, 9, 7, 8), (3, 3), 8, depthwise=True),
    Layer((1, 8, 8, 7), (3, 3), 7, stride=(2, 2), depthwise=True),
    Layer((1, 9, 9, 5), (5, 3), 5, depthwise=True),
    Layer((1, 7, 7, 130), (3, 5), 130, stride=(1, 2), depthwise=True),
    Layer((1, 7, 8, 1), (3, 3), 8, depthwise=True),
    Layer((1, 7, 8, 3), (3, 3), 6, depthwise=True),
    Layer((1, 7, 8, 2), (3, 3), 8, depthwise=True),
    Layer((1, 9, 8, 6), (3, 3), 6, dilation=(2, 2), depthwise=True),
    Layer((2, 5, 5, 6), (3, 3), 6, depthwise=True),
)


def layers() -> bytes:
    """Returns a file with an input and an output for each layer."""
    model = Model()
    for number, layer in enumerate(LAYERS):
        source = _image(model, layer.image, f"x{number}", 3)
        model.inputs.append(source)
        model.outputs.append(window(model, source, layer))
    return model.write()


def others() -> bytes:
    """Returns a file with dense layers, sums, products, pools and softmax."""
    model = Model()
    for shape, outputs, per_channel in (
        ((1, 13), 7, False),
        ((3, 16), 5, False),
        ((1, 20), 6, True),
        ((5, 12), 4, False),
    ):
        model.inputs.append(_image(model, shape, f"d{len(model.tensors)}", -7))
        model.outputs.append(_dense(model, model.inputs[-1], outputs, per_channel))
    for name, table in (("ADD", "Add"), ("MUL", "Mul")):
        for scale in (0.05, 0.031):
            one = _image(model, (1, 3, 5, 3), f"a{len(model.tensors)}", 3)
            other = model.add(Tensor(f"b{len(model.tensors)}", (1, 3, 5, 3), np.int8, scale, -128))
            output = _image(model, (1, 3, 5, 3), f"y{len(model.tensors)}", 9, 0.11)
            _operator(model, name, table, [one, other], output)
            model.inputs += [one, other]
            model.outputs.append(output)
    for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        for stride, padding, size in ((2, SAME, (4, 4)), (1, VALID, (5, 6))):
            source = _image(model, (1, 7, 8, 5), f"p{len(model.tensors)}", 3)
            output = _image(model, (1, *size, 5), f"y{len(model.tensors)}", 3)
            options = dict(filterHeight=3, filterWidth=3, padding=padding)
            options |= dict(strideH=stride, strideW=stride)
            _operator(model, name, "Pool2D", [source], output, **options)
            model.inputs.append(source)
            model.outputs.append(output)
    model.inputs.append(_image(model, (3, 11), "s", 5))
    model.outputs.append(model.add(Tensor("probabilities", (3, 11), np.int8, 1 / 256, -128)))
    _operator(model, "SOFTMAX", "Softmax", model.inputs[-1:], model.outputs[-1], beta=1.0)
    return model.write()


def window(model: Model, source: int, layer: Layer) -> int:
    """Adds a convolution of any kind with drawn weights; returns its output."""
    rng = np.random.default_rng(len(model.tensors))
    depth = layer.image[3] // layer.groups
    shape = (layer.channels, *layer.kernel, depth)
    axis, options = 0, {}
    if layer.depthwise:
        shape, axis = (1, *layer.kernel, layer.channels), 3
        options["depthMultiplier"] = layer.channels // layer.image[3]
    weights = rng.integers(-127, 128, shape).astype(np.int8)
    taps = math.prod(layer.kernel) * (1 if layer.depthwise else depth)
    scales = (rng.uniform(0.01, 0.03, layer.channels) / np.sqrt(taps)).tolist()
    bias = rng.integers(-500, 500, layer.channels).astype(np.int32)
    inputs = [
        source,
        model.add(Tensor(f"w{source}", shape, np.int8, scales, 0, weights, axis=axis)),
        model.add(Tensor(f"b{source}", bias.shape, np.int32, scales, 0, bias)),
    ]
    sizes = [
        -(-size // step) if layer.padding == SAME else (size - (taps - 1) * apart - 1) // step + 1
        for size, taps, step, apart in zip(
            layer.image[1:3], layer.kernel, layer.stride, layer.dilation, strict=True
        )
    ]
    output = _image(model, (layer.image[0], *sizes, layer.channels), f"y{source}", -4)
    name = "DEPTHWISE_CONV_2D" if layer.depthwise else "CONV_2D"
    table = "DepthwiseConv2D" if layer.depthwise else "Conv2D"
    options |= dict(strideH=layer.stride[0], strideW=layer.stride[1], padding=layer.padding)
    options |= dict(dilationHFactor=layer.dilation[0], dilationWFactor=layer.dilation[1])
    _operator(model, name, table, inputs, output, **options)
    return output


def _dense(model: Model, source: int, outputs: int, per_channel: bool) -> int:
    rng = np.random.default_rng(len(model.tensors))
    rows, depth = model.tensors[source].shape
    weights = rng.integers(-127, 128, (outputs, depth)).astype(np.int8)
    scales: Any = (rng.uniform(0.01, 0.03, outputs) / np.sqrt(depth)).tolist()
    scales = scales if per_channel else scales[0]
    bias = rng.integers(-500, 500, outputs).astype(np.int32)
    inputs = [
        source,
        model.add(Tensor(f"w{source}", weights.shape, np.int8, scales, 0, weights)),
        model.add(Tensor(f"b{source}", bias.shape, np.int32, scales, 0, bias)),
    ]
    output = _image(model, (rows, outputs), f"y{source}", 11)
    _operator(model, "FULLY_CONNECTED", "FullyConnected", inputs, output)
    return output


def _image(
    model: Model, shape: tuple[int, ...], name: str, zero_point: int, scale: float = _SCALE
) -> int:
    return model.add(Tensor(name, shape, np.int8, scale, zero_point))


def _operator(
    model: Model, name: str, table: str, inputs: list[int], output: int, **options: Any
) -> None:
    content = getattr(schema, f"{table}OptionsT")()
    for key, value in options.items():
        setattr(content, key, value)
    kind = getattr(schema.BuiltinOptions, f"{table}Options")
    code = getattr(schema.BuiltinOperator, name)
    model.operators.append(
        Operator(inputs, [output], builtin=code, options=content, options_type=kind)
    )

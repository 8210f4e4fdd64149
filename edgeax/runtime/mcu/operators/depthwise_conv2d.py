"""DEPTHWISE_CONV_2D."""

import dataclasses

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, tiles, windows
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct

BLOCK = 4
"""Input channels that are taken apart together: kDepthwiseBlock of micro/depthwise_conv2d.h."""

_SLACK = 16  # kDepthwiseSlack
_LEAST_BYTES, _MOST_BYTES = 640, 2048  # of all planes, where they may be chosen
_COLUMN = 6  # kColumn of micro/depthwise_columns_helium.h
_MOST_TAPS = 65536


@dataclasses.dataclass(frozen=True)
class Planes:
    """How much of an image is taken apart at a time.

    Attributes:
        group_rows: Output rows that are computed then.
        rows: Rows of a plane.
        pitch: Elements of a row of a plane.
    """

    group_rows: int
    rows: int
    pitch: int

    def scratch_bytes(self, element_bytes: int) -> int:
        """Bytes of scratch."""
        elements = BLOCK * self.rows * self.pitch + _SLACK
        return -(-elements * element_bytes // 8) * 8


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """The numbers of a depthwise convolution.

    Attributes:
        height, width: How windows lie on the image.
        multiplier: Output channels of an input channel.
        weights: int8, shape (1, height, width, output channels).
        bias: int32, with what the zero point of the input adds unless `read_layer` left it out.
        factors: From sums to output codes.
        limits: Least and largest of the output's codes.
    """

    height: windows.Axis
    width: windows.Axis
    multiplier: int
    weights: np.ndarray
    bias: np.ndarray
    factors: tiles.ScaledFactors
    limits: tuple[int, int]


def depthwise_conv2d(node: Node) -> Lowered:
    """Returns the step of a DEPTHWISE_CONV_2D."""
    return [depthwise(node, read_layer(node))]


def read_layer(node: Node, folds: bool = True) -> Layer:
    """Returns the numbers of a DEPTHWISE_CONV_2D, all checked.

    Args:
        node: The operator.
        folds: Whether the bias gets what the zero point of the input adds.
    """
    x, output = node.input(0), node.output()
    codes.require_dtype(node, x, ("int8", "int16"), "its input")
    codes.require_dtype(node, output, (x.dtype,), "its output")
    weights = _weights(node)
    height, width = windows.axes_of(node, weights.shape[1:3], has_dilation=True)
    zero_point = codes.zero_point_of(node, x, "its input")
    return Layer(
        height,
        width,
        _multiplier(node, weights.shape[3]),
        weights,
        _bias(node, weights, zero_point if folds else 0),
        _factors(node, weights.shape[3]),
        codes.limits_of(node),
    )


def depthwise(node: Node, layer: Layer) -> Step:
    """Returns the step of a depthwise convolution."""
    x, output = node.input(0), node.output()
    height, width, multiplier = layer.height, layer.width, layer.multiplier
    channels = layer.weights.shape[3]
    is_3x3 = (height.stride, width.reach, height.reach) in ((1, 3, 3), (2, 3, 3))
    is_3x3 = is_3x3 and height.stride == width.stride and width.kernel == height.kernel == 3
    if is_3x3 and multiplier == 1 and node.target.has_helium and x.dtype == "int8":
        planes = Planes(4 // height.stride, _COLUMN, _pitch(width))
    else:
        planes = planes_for(height, width, 1 if x.dtype == "int8" else 2, _room(node))
    arguments = Struct(
        "DepthwiseConv2DArgs",
        {
            "batch": x.shape[0],
            "height": height.size,
            "width": width.size,
            "channels": x.shape[3],
            "depth_multiplier": multiplier,
            "output_height": height.output,
            "output_width": width.output,
            "kernel_height": height.kernel,
            "kernel_width": width.kernel,
            "stride_height": height.stride,
            "stride_width": width.stride,
            "dilation_height": height.dilation,
            "dilation_width": width.dilation,
            "pad_top": height.pad,
            "pad_left": width.pad,
            "input_zero_point": codes.zero_point_of(node, x, "its input"),
            "output_zero_point": codes.zero_point_of(node, output, "its output"),
            "clamp": codes.clamp(layer.limits),
            "group_rows": planes.group_rows,
            "plane_rows": planes.rows,
            "plane_pitch": planes.pitch,
            "weights": Array("weights", layer.weights.reshape(-1, channels)),
            "weight_step": channels,
            "bias": Array("bias", layer.bias),
            "factors": _struct(layer.factors),
        },
    )
    taps = height.kernel * width.kernel
    return Step(
        label=node.label,
        kernel="DepthwiseConv2D",
        header="depthwise_conv2d.h",
        arguments=arguments,
        reads=(node.inputs[0],),
        writes=(node.outputs[0],),
        extent=height.window,
        rounds=x.dtype == "int8",
        scratch_bytes=planes.scratch_bytes(1 if x.dtype == "int8" else 2),
        in_place=((0, 0),) if multiplier == 1 else (),
        macs=int(np.prod(output.shape)) * taps,
    )


def planes_for(
    height: windows.Axis, width: windows.Axis, element_bytes: int, room_bytes: int
) -> Planes:
    """Returns planes that fit some bytes, or of the rows of one output row."""
    pitch = _pitch(width)
    room = room_bytes // (BLOCK * pitch * element_bytes)
    group_rows = max(1, min(height.output, (room - height.reach) // height.stride + 1))
    return Planes(group_rows, (group_rows - 1) * height.stride + height.reach, pitch)


def _pitch(width: windows.Axis) -> int:
    return max(width.pad + width.size, (width.output - 1) * width.stride + width.reach)


def _room(node: Node) -> int:
    """Returns the bytes of planes that do not make the model larger, by a rule of thumb.

    A model needs at least room for a step's input and output; where this step has the largest, it
    gets little, elsewhere a part of what is free.
    """
    if node.is_thrifty:
        return _LEAST_BYTES
    computed = [tensor for tensor in node.tensors if not tensor.is_constant]
    largest = sorted((tensor.size_bytes or 0 for tensor in computed), reverse=True)[:2]
    own = sum(tensor.size_bytes or 0 for tensor in (node.input(0), node.output()))
    return min(max((sum(largest) - own) // 4, _LEAST_BYTES), _MOST_BYTES)


def _weights(node: Node) -> np.ndarray:
    tensor = node.input(1)
    codes.require_symmetric_weights(node, tensor)
    node.require(
        len(tensor.shape) == 4
        and tensor.shape[0] == 1
        and 0 < tensor.shape[1] * tensor.shape[2] <= _MOST_TAPS,
        f"its weights must have the shape (1, height, width, channels), {_MOST_TAPS} taps at most",
        tensor.shape,
    )
    return node.constant(1)


def _multiplier(node: Node, channels: int) -> int:
    x, output = node.input(0).shape, node.output().shape
    multiplier = channels // x[3] if x[3] else 0
    node.require(
        multiplier > 0
        and channels == x[3] * multiplier == output[3]
        and node.options["depth_multiplier"] in (0, multiplier),
        "its output channels must be its input channels times the depth multiplier",
        f"{x[3]} and {output[3]} channels, weights of {channels}, multiplier "
        f"{node.options['depth_multiplier']}",
    )
    return multiplier


def _bias(node: Node, weights: np.ndarray, zero_point: int) -> np.ndarray:
    """Returns the bias with what the zero point of the input adds, wrapped to int32."""
    bias = np.zeros(weights.shape[3], np.int64)
    if node.has_input(2):
        codes.require_dtype(node, node.input(2), ("int32", "int64"), "its bias")
        bias = node.constant(2).reshape(-1).astype(np.int64)
    node.require(
        bias.size == weights.shape[3], f"its bias must have {weights.shape[3]} numbers", bias.size
    )
    ends = np.iinfo(np.int32)
    node.require(
        bool(np.all((bias >= ends.min) & (bias <= ends.max))),
        "its bias must fit int32",
        f"{bias.min()} to {bias.max()}",
    )
    bias -= zero_point * weights.astype(np.int64).sum(axis=(0, 1, 2))
    return ((bias - ends.min) % 2**32 + ends.min).astype(np.int32)


def _factors(node: Node, channels: int) -> tiles.ScaledFactors:
    scales = node.input(1).scale
    is_right = scales is not None and (
        scales.size == 1 or (scales.size == channels and node.input(1).quantized_axis == 3)
    )
    if scales is None or not is_right or not np.all(np.isfinite(scales) & (scales >= 0)):
        received = None if scales is None else scales.shape
        node.fail(f"its weights must have one scale, or {channels} along axis 3", received)
    input_scale = codes.scale_of(node, node.input(0), "its input")
    output_scale = codes.scale_of(node, node.output(), "its output")
    ratios = np.broadcast_to(input_scale * scales.astype(np.float64) / output_scale, (channels,))
    return tiles.factors_of(ratios)


def _struct(factors: tiles.ScaledFactors) -> Struct:
    fields = {
        "multiplier": Array("multiplier", factors.multiplier),
        "shift": Array("shift", factors.shift),
    }
    return Struct("Factors", dict(fields))


HANDLERS = {"DEPTHWISE_CONV_2D": depthwise_conv2d}

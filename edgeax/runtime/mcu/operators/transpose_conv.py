"""TRANSPOSE_CONV."""

import dataclasses
import math

import numpy as np

from edgeax.formats.same_padding import same_padding
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import products, tiles
from edgeax.runtime.mcu.operators.conv2d import Plan, Shape, arguments_int16, patch_of
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct

_SHAPE, _WEIGHTS, _INPUT, _BIAS = range(4)


@dataclasses.dataclass(frozen=True, eq=False)
class Phase:
    """Outputs that are one convolution: TransposePhase of micro/transpose_conv.h, and its weights.

    Attributes:
        place: First row and column, rows and columns of the output.
        pad: Rows above and columns left of the input.
        weights: int8, (output channels, height, width, input channels), taps in reverse order.
    """

    place: tuple[int, int, int, int]
    pad: tuple[int, int]
    weights: np.ndarray


def transpose_conv(node: Node) -> Lowered:
    """Returns the step of a TRANSPOSE_CONV."""
    found = products.read_products(node, (_INPUT, _WEIGHTS, _BIAS))
    shape = _shape(node, found.weights.shape)
    if found.bias.dtype == np.int64:
        return [_int16(node, found, shape)]
    layers = [
        (phase, dataclasses.replace(found, weights=phase.weights))
        for phase in phases(shape, found.weights)
    ]
    patches = [patch_of(node.target, _phase_shape(shape, phase)) for phase, _ in layers]
    plan = Plan(
        patches[0], patches=1, sweep_channels=tiles.CHANNELS, room=tiles.Room(0, is_expanded=False)
    )
    layout = tiles.layout_for(node.target)
    weights = [
        tiles.tiled(phase.weights.reshape(1, shape.output_channels, patch.runs, -1), layout)
        for (phase, _), patch in zip(layers, patches, strict=True)
    ]
    numbers = [
        (*phase.place, *phase.weights.shape[1:3], *phase.pad, *dataclasses.astuple(patch))
        for (phase, _), patch in zip(layers, patches, strict=True)
    ]
    quick = all(layer.is_quick(node) for _, layer in layers)
    arguments = Struct(
        "TransposeConvArgs",
        {
            "shape": shape.struct(),
            "plan": plan.struct(),
            "tile": found.tile_plan(node, plan.room, quick),
            "input_zero_point": found.input_zero_point,
            "factors": found.factors.struct(),
            "bias": Array(
                "bias", np.concatenate([tiles.per_tile(part.folded_bias, 1) for _, part in layers])
            ),
            "weights": tiles.weights_array(weights, layout, [patch.run_bytes for patch in patches]),
            "phases": len(layers),
            "numbers": Array("phases", np.array(numbers, np.int32).reshape(-1)),
        },
    )
    largest = max(patches, key=lambda patch: patch.runs * patch.run_bytes)
    return [
        Step(
            label=node.label,
            kernel="TransposeConv",
            header="transpose_conv.h",
            arguments=arguments,
            reads=(node.inputs[_INPUT],),
            writes=(node.outputs[0],),
            rounds=True,
            scratch_bytes=dataclasses.replace(plan, patch=largest).scratch_bytes,
            macs=_macs(node, found),
        )
    ]


def _int16(node: Node, found: products.Products, shape: Shape) -> Step:
    """Returns the step of int16 codes."""
    return Step(
        label=node.label,
        kernel="TransposeConv",
        header="transpose_conv_int16.h",
        arguments=arguments_int16("TransposeConvInt16Args", found, shape),
        reads=(node.inputs[_INPUT],),
        writes=(node.outputs[0],),
        macs=_macs(node, found),
    )


def _macs(node: Node, found: products.Products) -> int:
    return math.prod(node.input(_INPUT).shape) * found.weights[..., 0].size


def phases(shape: Shape, weights: np.ndarray) -> list[Phase]:
    """Returns the convolutions that make a transposed one."""
    rows = _axis_phases(
        shape.output_height, shape.kernel_height, shape.stride_height, shape.pad_top
    )
    columns = _axis_phases(
        shape.output_width, shape.kernel_width, shape.stride_width, shape.pad_left
    )
    return [
        Phase(
            (row.first, column.first, row.count, column.count),
            (row.pad, column.pad),
            _taps(
                _taps(weights, 1, row.tap, shape.stride_height), 2, column.tap, shape.stride_width
            ),
        )
        for row in rows
        for column in columns
    ]


@dataclasses.dataclass(frozen=True)
class _AxisPhase:
    """Outputs `first`, `first + stride`, ... along an axis; their taps begin with `tap`."""

    first: int
    count: int
    tap: int
    pad: int


def _axis_phases(size: int, kernel: int, stride: int, pad: int) -> list[_AxisPhase]:
    found = []
    for first in range(min(stride, size)):
        tap = (first + pad) % stride
        taps = max(-(-(kernel - tap) // stride), 1)
        newest = (first + pad) // stride
        found.append(_AxisPhase(first, -(-(size - first) // stride), tap, taps - 1 - newest))
    return found


def _taps(weights: np.ndarray, axis: int, first: int, stride: int) -> np.ndarray:
    """Returns every `stride`-th tap from `first` on, last first; where there is none, zeros."""
    if first >= weights.shape[axis]:
        return np.zeros_like(weights.take([0], axis))
    taps = np.arange(first, weights.shape[axis], stride)[::-1]
    return weights.take(taps, axis)


def _phase_shape(shape: Shape, phase: Phase) -> Shape:
    return dataclasses.replace(
        shape,
        output_height=phase.place[2],
        output_width=phase.place[3],
        kernel_height=phase.weights.shape[1],
        kernel_width=phase.weights.shape[2],
        stride_height=1,
        stride_width=1,
        pad_top=phase.pad[0],
        pad_left=phase.pad[1],
    )


def _shape(node: Node, weights: tuple[int, ...]) -> Shape:
    x, output, options = node.input(_INPUT).shape, node.output().shape, node.options
    node.require(
        len(x) == len(output) == len(weights) == 4,
        "its input, weights and output must have 4 axes",
        f"{x}, {weights} and {output}",
    )
    channels, height, width, depth = weights
    stride = options["stride_h"], options["stride_w"]
    node.require(min(stride) > 0, "its strides must be above 0", stride)
    node.require(
        depth == x[3] and output[0] == x[0] and output[3] == channels,
        "its weights must suit input and output",
        f"{x}, {weights} and {output}",
    )
    sizes = list(zip(x[1:3], output[1:3], (height, width), stride, strict=True))
    expected = [
        -(-out // step) if options["padding"] == "SAME" else (out - taps + step) // step
        for _, out, taps, step in sizes
    ]
    node.require(
        expected == list(x[1:3]),
        f"the convolution of its output must have the size of its input, {x[1:3]}",
        expected,
    )
    same = options["padding"] == "SAME"
    pads = [same_padding(out, taps, step)[0] if same else 0 for _, out, taps, step in sizes]
    return Shape(
        batches=x[0],
        input_height=x[1],
        input_width=x[2],
        input_channels=depth,
        output_height=output[1],
        output_width=output[2],
        output_channels=channels,
        kernel_height=height,
        kernel_width=width,
        stride_height=stride[0],
        stride_width=stride[1],
        pad_top=pads[0],
        pad_left=pads[1],
    )


HANDLERS = {"TRANSPOSE_CONV": transpose_conv}

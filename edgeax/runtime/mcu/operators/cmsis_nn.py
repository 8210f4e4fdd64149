"""Layers that CMSIS-NN computes, bit for bit as our kernels do: micro/cmsis_nn.h.

It takes weights as the file has them, and windows over some rows of an image as over a whole one.
Layers stay ours where its integers or its windows would be others.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgeax.formats.rounding import quantize_multiplier
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import (
    arithmetic,
    broadcasts,
    cmsis_nn_scratch,
    codes,
    conv2d,
    depthwise_conv2d,
    fully_connected,
    pool2d,
    products,
    softmax,
    tiles,
    windows,
)
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct

HEADER = "cmsis_nn.h"
_MOST_SIZE = 2**15 - 1  # of an axis: it counts in 16 bits
_LEAST_SHIFT = -30
_MOST_SHIFT_OF_PRODUCTS = 31 - 17  # of two codes less their zero points


def step_of(node: Node) -> Step | None:
    """Returns the step of an operator by CMSIS-NN; None where the operator is not for it.

    Args:
        node: The operator; its program rounds twice, and its target is a Cortex-M.
    """
    find = _STEPS.get(node.operator.name)
    if find is None or node.input(0).dtype != "int8" or node.output().dtype != "int8":
        return None
    return find(node)


def _conv2d(node: Node) -> Step | None:
    found = products.read_products(node, (0, 1, 2))
    return _convolution(node, found, conv2d.shape_of(node, found.weights.shape))


def _convolution(node: Node, found: products.Products, shape: conv2d.Shape) -> Step | None:
    found = products.without_constant_channels(found, node.rounding)
    shape = _normal(shape)
    if not _is_served(shape) or not _is_exact(found.bias, found.rows, found.factors):
        return None
    return _windowed(
        node,
        "CmsisConv2D",
        shape,
        cmsis_nn_scratch.convolution_bytes(shape, node.target),
        found.weights,
        found.bias,
        found.factors,
    )


def _depthwise(node: Node) -> Step | None:
    layer = depthwise_conv2d.read_layer(node, folds=False)
    channels = node.input(0).shape[3]
    shape = _normal(_shape(node, layer.height, layer.width, groups=channels))
    rows = layer.weights.reshape(-1, shape.output_channels).T
    if not _is_served_depthwise(shape, node) or not _is_exact(layer.bias, rows, layer.factors):
        return None
    return _windowed(
        node,
        "CmsisDepthwiseConv2D",
        shape,
        cmsis_nn_scratch.depthwise_bytes(shape, node.target),
        layer.weights,
        layer.bias,
        layer.factors,
    )


def _windowed(
    node: Node,
    kernel: str,
    shape: conv2d.Shape,
    scratch_bytes: int,
    weights: np.ndarray,
    bias: np.ndarray,
    factors: tiles.ScaledFactors,
) -> Step:
    """Returns the step of a convolution of any kind."""
    arguments = Struct(
        "CmsisConv2DArgs",
        {
            "shape": shape.struct(),
            "input_zero_point": codes.zero_point_of(node, node.input(0), "its input"),
            "output_zero_point": codes.zero_point_of(node, node.output(), "its output"),
            "clamp": codes.clamp(codes.limits_of(node)),
            "scratch_bytes": scratch_bytes,
            "multiplier": Array("multipliers", factors.multiplier),
            "shift": Array("shifts", factors.shift.astype(np.int32)),
            "bias": Array("bias", bias),
            "weights": Array("weights", weights.reshape(-1)),
        },
    )
    return Step(
        label=node.label,
        kernel=kernel,
        header=HEADER,
        arguments=arguments,
        reads=(node.inputs[0],),
        writes=(node.outputs[0],),
        extent=shape.window,
        scratch_bytes=scratch_bytes,
        macs=shape.macs,
    )


def _fully_connected(node: Node) -> Step | None:
    found, shape = fully_connected.read_layer(node)
    if shape.input_width > fully_connected.FEW_ROWS or not found.factors.is_one:
        return _convolution(node, found, shape)
    bias = found.folded_bias
    if not _is_exact(bias, found.rows, found.factors):
        return None
    arguments = Struct(
        "CmsisFullyConnectedArgs",
        {
            "rows": shape.input_width,
            "depth": shape.input_channels,
            "outputs": shape.output_channels,
            "output_zero_point": found.output_zero_point,
            "clamp": codes.clamp(found.output_limits),
            "factor": codes.requantization(
                int(found.factors.multiplier[0]), int(found.factors.shift[0])
            ),
            "bias": Array("bias", bias),
            "weights": Array("weights", found.weights.reshape(-1)),
        },
    )
    return Step(
        label=node.label,
        kernel="CmsisFullyConnected",
        header=HEADER,
        arguments=arguments,
        reads=(node.inputs[0],),
        writes=(node.outputs[0],),
        macs=shape.macs,
    )


def _add(node: Node) -> Step | None:
    broadcasts.check_operands(node, ("int8",))
    operands = broadcasts.operands_of(node, (0, 1))
    *inputs, (scale, zero) = arithmetic.scales_of(node)
    (a_scale, a_zero), (b_scale, b_zero) = sorted(inputs, key=lambda one: -one[0])  # as ours
    left, twice = arithmetic.LEFT_SHIFT["int8"], 2 * a_scale
    if not operands.is_plain or not twice < (1 << left) * scale:
        return None
    arguments = Struct(
        "CmsisAddArgs",
        {
            "a_zero_point": a_zero,
            "b_zero_point": b_zero,
            "output_zero_point": zero,
            "left_shift": left,
            "a_factor": codes.factor(a_scale / twice),
            "b_factor": codes.factor(b_scale / twice),
            "output_factor": codes.factor(twice / ((1 << left) * scale)),
            "clamp": codes.clamp_of(node),
        },
    )
    return _instead(arithmetic.add(node), "CmsisAdd", arguments)


def _mul(node: Node) -> Step | None:
    ours = arithmetic.mul(node)
    (a_scale, _), (b_scale, _), (scale, _) = arithmetic.scales_of(node)
    _, shift = quantize_multiplier(a_scale * b_scale / scale)
    is_exact = _LEAST_SHIFT <= shift <= _MOST_SHIFT_OF_PRODUCTS
    is_plain = broadcasts.operands_of(node, (0, 1)).is_plain
    return _instead(ours, "CmsisMultiply") if is_exact and is_plain else None


def _average_pool(node: Node) -> Step | None:
    scratch_bytes = cmsis_nn_scratch.average_pool_bytes(node.input(0).shape[-1], node.target)
    return _pool(node, pool2d.average_pool2d(node), "CmsisAveragePool2D", scratch_bytes)


def _max_pool(node: Node) -> Step | None:
    return _pool(node, pool2d.max_pool2d(node), "CmsisMaxPool2D", 0)


def _pool(node: Node, ours: Lowered, kernel: str, scratch_bytes: int) -> Step | None:
    taps = node.options["filter_height"], node.options["filter_width"]
    shape = _shape(node, *windows.axes_of(node, taps, has_dilation=False))
    if not _has_small_axes(shape):
        return None
    arguments = Struct(
        "CmsisPool2DArgs",
        {
            "shape": shape.struct(),
            "clamp": codes.clamp_of(node),
            "scratch_bytes": scratch_bytes,
        },
    )
    return _instead(ours, kernel, arguments, in_place=(), scratch_bytes=scratch_bytes)


def _softmax(node: Node) -> Step | None:
    ours = softmax.softmax(node)
    return _instead(ours, "CmsisSoftmax", in_place=())


def _instead(
    ours: Lowered, kernel: str, arguments: Struct | None = None, **changes: Any
) -> Step | None:
    """Returns one of our steps by a function of CMSIS-NN; None where ours is no single step.

    Args:
        ours: What we have for the operator.
        kernel: The function of cmsis_nn.h.
        arguments: Its arguments; None: those of ours, under the name of the function.
        changes: What else is different.
    """
    (step,) = ours
    if not isinstance(step, Step):
        return None
    arguments = arguments or Struct(f"{kernel}Args", step.arguments.fields)
    return dataclasses.replace(
        step, kernel=kernel, header=HEADER, arguments=arguments, rounds=False, **changes
    )


def _shape(node: Node, height: windows.Axis, width: windows.Axis, groups: int = 1) -> conv2d.Shape:
    """Returns the shapes of an operator whose windows are known."""
    batches, _, _, inputs = node.input(0).shape
    outputs = node.output().shape[3]
    return conv2d.Shape.of_windows(batches, height, width, inputs, outputs, groups)


def _normal(shape: conv2d.Shape) -> conv2d.Shape:
    """Returns the same shapes without dilations of single taps, which bar functions."""
    return dataclasses.replace(
        shape,
        dilation_height=shape.dilation_height if shape.kernel_height > 1 else 1,
        dilation_width=shape.dilation_width if shape.kernel_width > 1 else 1,
    )


def _is_served(shape: conv2d.Shape) -> bool:
    is_row = shape.kernel_height == shape.dilation_width == shape.groups == 1
    is_row = is_row and not cmsis_nn_scratch.is_point(shape)
    return _has_small_axes(shape) and not (is_row and not _pads_rows_well(shape))


def _is_served_depthwise(shape: conv2d.Shape, node: Node) -> bool:
    if cmsis_nn_scratch.is_depthwise_as_dense(shape, node.target):
        return _is_served(dataclasses.replace(shape, groups=1))
    # Its function for windows of 3 x 3 reads the middle column, wherever it lies.
    is_3x3 = cmsis_nn_scratch.is_depthwise_3x3(shape) and shape.dilation_width == 1
    return _has_small_axes(shape) and not (is_3x3 and _pad_right(shape) > 1)


def _has_small_axes(shape: conv2d.Shape) -> bool:
    return max(dataclasses.astuple(shape)) <= _MOST_SIZE


def _pads_rows_well(shape: conv2d.Shape) -> bool:
    """Returns whether what Helium has for rows knows such a padding: as much on the right as on
    the left, or one more; and with strides none.
    """
    total = shape.pad_left + _pad_right(shape)
    is_even = total in (2 * shape.pad_left, 2 * shape.pad_left + 1)
    return is_even and (total == 0 or shape.stride_width == 1)


def _pad_right(shape: conv2d.Shape) -> int:
    """Returns how many columns the last window reads beyond the image; below 0: it ends before."""
    reach = (shape.kernel_width - 1) * shape.dilation_width + 1
    last = (shape.output_width - 1) * shape.stride_width - shape.pad_left + reach
    return last - shape.input_width


def _is_exact(bias: np.ndarray, weights: np.ndarray, factors: tiles.ScaledFactors) -> bool:
    """Returns whether sums fit 32 bits after they were shifted left: CMSIS-NN lets them wrap.

    Args:
        bias: int32, one per channel.
        weights: int8, shape (channels, weights of a channel).
        factors: One per channel.
    """
    most = 255 * np.abs(weights.astype(np.int64)).sum(axis=1) + np.abs(bias.astype(np.int64))
    left = np.maximum(factors.shift, 0).astype(np.int64)
    return bool(np.all(most << left < 2**31) and np.all(factors.shift >= _LEAST_SHIFT))


_STEPS: Mapping[str, Callable[[Node], Step | None]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _average_pool,
    "CONV_2D": _conv2d,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _max_pool,
    "MUL": _mul,
    "SOFTMAX": _softmax,
}

"""ADD, SUB and MUL."""

import math

import numpy as np

from edgeax.formats.rounding import quantize_multiplier
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import broadcasts, codes
from edgeax.runtime.mcu.program import Lowered, Struct

_DTYPES = ("int8", "int16")
LEFT_SHIFT = {"int8": 20, "int16": 15}
"""Bits that codes are shifted left by before they are scaled and added, by their type."""


def add(node: Node) -> Lowered:
    """Returns the step of an ADD."""
    return _sum(node, 1)


def sub(node: Node) -> Lowered:
    """Returns the step of a SUB."""
    return _sum(node, -1)


def mul(node: Node) -> Lowered:
    """Returns the step of a MUL."""
    broadcasts.check_operands(node, _DTYPES)
    (a_scale, a_zero), (b_scale, b_zero), (scale, zero) = scales_of(node)
    arguments = Struct(
        "MultiplyArgs",
        {
            "a_zero_point": a_zero,
            "b_zero_point": b_zero,
            "output_zero_point": zero,
            "factor": codes.factor(a_scale * b_scale / scale),
            "clamp": codes.clamp_of(node),
        },
    )
    return broadcasts.step_of(
        node,
        broadcasts.operands_of(node, (0, 1)),
        "Multiply",
        "multiply.h",
        arguments,
        rounds=node.input(0).dtype == "int8",
    )


def _sum(node: Node, sign: int) -> Lowered:
    broadcasts.check_operands(node, _DTYPES)
    if node.rounding == "single" and node.input(0).dtype == "int8":
        weighted = _weighted(node, sign)
        if weighted is not None:
            operands = broadcasts.operands_of(node, (0, 1))
            return broadcasts.step_of(node, operands, "AddWeighted", "add.h", weighted, False)
    positions, arguments = _rescaled(node, sign)
    operands = broadcasts.operands_of(node, positions)
    return broadcasts.step_of(node, operands, "Add", "add.h", arguments, False)


def _rescaled(node: Node, sign: int) -> tuple[tuple[int, int], Struct]:
    """Returns the order of the operands, the one with the larger scale first, and `AddArgs`."""
    *inputs, (scale, zero_point) = scales_of(node)
    left = LEFT_SHIFT[node.input(0).dtype]
    positions = (0, 1) if inputs[0][0] >= inputs[1][0] else (1, 0)
    signs = (1, sign)
    (a_scale, a_zero), (b_scale, b_zero) = (inputs[position] for position in positions)
    ratio = 2 * a_scale / ((1 << left) * scale)
    if sign < 0:
        ratio = float(np.float32(2 * a_scale) / (np.float32(1 << left) * np.float32(scale)))
    node.require(ratio < 1, "its output's scale must not be far below its inputs'", ratio)
    multiplier, shift = quantize_multiplier(b_scale / (2 * a_scale))
    if shift == 0:  # a half, or nothing
        left, shift = left + 1, -1
    a_sign, b_sign = (signs[position] for position in positions)
    arguments = Struct(
        "AddArgs",
        {
            "a_zero_point": a_zero,
            "b_zero_point": b_zero,
            "output_zero_point": zero_point,
            "a_weight": a_sign << (LEFT_SHIFT[node.input(0).dtype] - 1),
            "b_weight": b_sign,
            "b_shift": left,
            "b_factor": codes.requantization(multiplier, shift),
            "output_factor": codes.factor(ratio),
            "clamp": codes.clamp_of(node),
        },
    )
    return positions, arguments


def _weighted(node: Node, sign: int) -> Struct | None:
    """Returns `WeightedAddArgs`, None where XNNPACK leaves the operator to TFLite's own kernel."""
    *inputs, (scale, zero_point) = scales_of(node)
    ratios = [np.float32(of_input) / np.float32(scale) for of_input, _ in inputs]
    if not all(2.0**-10 <= ratio < 2.0**8 for ratio in ratios):
        return None
    shift = 21 - math.frexp(max(ratios))[1]
    a_weight, b_weight = (round(math.ldexp(float(ratio), shift)) for ratio in ratios)
    b_weight *= sign
    bias = (1 << (shift - 1)) - a_weight * inputs[0][1] - b_weight * inputs[1][1]
    arguments = Struct(
        "WeightedAddArgs",
        {
            "bias": bias,
            "a_weight": a_weight,
            "b_weight": b_weight,
            "shift": shift,
            "output_zero_point": zero_point,
            "clamp": codes.clamp_of(node),
        },
    )
    return arguments


def scales_of(node: Node) -> list[tuple[float, int]]:
    """Returns scale and zero point of both inputs and of the output."""
    tensors = {
        "its first input": node.input(0),
        "its second input": node.input(1),
        "its output": node.output(),
    }
    return [
        (codes.scale_of(node, tensor, what), codes.zero_point_of(node, tensor, what))
        for what, tensor in tensors.items()
    ]


HANDLERS = {"ADD": add, "SUB": sub, "MUL": mul}

"""Operators between one tensor and several that lie side by side in it."""

import math
from collections.abc import Sequence

import numpy as np

from edgeax.formats import flatbuffer
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, operands
from edgeax.runtime.mcu.program import Alias, Array, Lowered, Step, Struct

_HEADER = "move.h"


def concatenation(node: Node) -> Lowered:
    """CONCATENATION: the codes as they are, as TFLite does it."""
    node.require(len(node.inputs) > 0, "it must have inputs", 0)
    activation = node.options.get("fused_activation_function", "NONE")
    node.require(activation == "NONE", "it must have no fused activation", activation)
    parts, whole = _inputs(node), node.output()
    rank = len(whole.shape)
    axis = operands.axis_of(node, node.options.get("axis", 0), max(rank, 1))
    _check_parts(node, parts, whole, axis)
    if whole.dtype == "int8":
        _check_codes(node, parts, whole)
    return _concatenate(node, parts, whole, axis)


def pack(node: Node) -> Lowered:
    """PACK."""
    node.require(len(node.inputs) > 0, "it must have inputs", 0)
    parts, whole = _inputs(node), node.output()
    axis = operands.axis_of(node, node.options.get("axis", 0), len(parts[0].shape) + 1)
    shape = parts[0].shape
    for part in parts:
        operands.check_shape(node, part, shape)
    operands.check_shape(node, whole, (*shape[:axis], len(parts), *shape[axis:]))
    return _concatenate(node, parts, whole, axis)


def split(node: Node) -> Lowered:
    """SPLIT: input 0 is the axis."""
    node.require(len(node.inputs) == 2, "it must have 2 inputs", len(node.inputs))
    return _split_along(node, node.input(1), 1, operands.whole_numbers(node, 0))


def split_v(node: Node) -> Lowered:
    """SPLIT_V: input 1 are the sizes, which the outputs have, input 2 the axis."""
    node.require(len(node.inputs) == 3, "it must have 3 inputs", len(node.inputs))
    return _split_along(node, node.input(0), 0, operands.whole_numbers(node, 2))


def unpack(node: Node) -> Lowered:
    """UNPACK."""
    operands.check_counts(node, 1, len(node.outputs))
    whole, parts = node.input(0), _outputs(node)
    axis = operands.axis_of(node, node.options.get("axis", 0), len(whole.shape))
    node.require(
        whole.shape[axis] == len(parts),
        f"it must have as many outputs as its input has along axis {axis}, {whole.shape[axis]}",
        len(parts),
    )
    for part in parts:
        operands.check_shape(node, part, whole.shape[:axis] + whole.shape[axis + 1 :])
    return _split(node, whole, 0, parts, axis)


def _split_along(
    node: Node, whole: flatbuffer.Tensor, position: int, axis: Sequence[int]
) -> Lowered:
    node.require(len(axis) == 1, "its axis must be one number", axis)
    place = operands.axis_of(node, axis[0], max(len(whole.shape), 1))
    parts = _outputs(node)
    _check_parts(node, parts, whole, place)
    return _split(node, whole, position, parts, place)


def _inputs(node: Node) -> list[flatbuffer.Tensor]:
    return [node.input(position) for position in range(len(node.inputs))]


def _outputs(node: Node) -> list[flatbuffer.Tensor]:
    return [node.output(position) for position in range(len(node.outputs))]


def _check_parts(
    node: Node, parts: Sequence[flatbuffer.Tensor], whole: flatbuffer.Tensor, axis: int
) -> None:
    """Checks that the parts, side by side along an axis, have the shape of the whole."""
    for part in parts:
        node.require(
            len(part.shape) == len(whole.shape) > 0,
            f"{part.name!r} must have the rank of {whole.name!r}, at least 1",
            f"shapes {part.shape} and {whole.shape}",
        )
        size = part.shape[axis]
        operands.check_shape(node, part, (*whole.shape[:axis], size, *whole.shape[axis + 1 :]))
    total = sum(part.shape[axis] for part in parts)
    node.require(
        total == whole.shape[axis],
        f"the parts of {whole.name!r} must be as long as it along axis {axis}, {whole.shape[axis]}",
        total,
    )


def _check_codes(node: Node, parts: Sequence[flatbuffer.Tensor], whole: flatbuffer.Tensor) -> None:
    wanted = codes.meaning_of(node, whole)
    for part in parts:
        found = codes.meaning_of(node, part)
        node.require(
            found == wanted,
            f"{part.name!r} must have the scale and zero point of the output, "
            f"{float(wanted[0])} and {wanted[1]}",
            f"{float(found[0])} and {found[1]}",
            "Quantize the model again with a converter that gives them one scale.",
        )


def _concatenate(
    node: Node, parts: Sequence[flatbuffer.Tensor], whole: flatbuffer.Tensor, axis: int
) -> Lowered:
    operands.check_types(node, operands.MOVED, whole, *parts)
    if len(parts) == 1 and not parts[0].is_constant:
        return [Alias(node.label, node.inputs[0], node.outputs[0])]
    reads = tuple(operands.read(node, position) for position in range(len(parts)))
    arguments = _arguments(parts, whole, axis)
    return [Step(node.label, "Concatenate", _HEADER, arguments, reads, node.outputs)]


def _split(
    node: Node,
    whole: flatbuffer.Tensor,
    position: int,
    parts: Sequence[flatbuffer.Tensor],
    axis: int,
) -> Lowered:
    operands.check_types(node, operands.MOVED, whole, *parts)
    if len(parts) == 1 and not whole.is_constant:
        return [Alias(node.label, node.inputs[position], node.outputs[0])]
    arguments = _arguments(parts, whole, axis)
    reads = (operands.read(node, position),)
    return [Step(node.label, "Split", _HEADER, arguments, reads, node.outputs)]


def _arguments(parts: Sequence[flatbuffer.Tensor], whole: flatbuffer.Tensor, axis: int) -> Struct:
    rows = math.prod(whole.shape[:axis])
    runs = [math.prod(part.shape) // rows * operands.element_bytes(whole) for part in parts]
    return Struct(
        "JoinArgs",
        {"rows": rows, "count": len(parts), "runs": Array("runs", np.array(runs, np.int32))},
    )


HANDLERS = {
    "CONCATENATION": concatenation,
    "PACK": pack,
    "SPLIT": split,
    "SPLIT_V": split_v,
    "UNPACK": unpack,
}

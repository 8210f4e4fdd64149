"""PAD and PADV2."""

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, operands
from edgeax.runtime.mcu.program import Alias, Array, Lowered, Step, Struct

MOST_AXES = 6  # kMaxPadRank of micro/move.h
_TYPES = ("int8", "int16", "int32")


def pad(node: Node) -> Lowered:
    """PAD: the border is the code of 0.0."""
    operands.check_counts(node, 2)
    operands.check_types(node, _TYPES, node.output())
    is_coded = node.output().dtype in operands.CODES
    return _pad(node, codes.meaning_of(node, node.output())[1] if is_coded else 0)


def pad_v2(node: Node) -> Lowered:
    """PADV2: the border is the code of input 2, a constant."""
    operands.check_counts(node, 3)
    value = node.constant(2)
    operands.check_types(node, _TYPES, node.output(), node.input(2))
    node.require(value.size == 1, "its value must be one number", value.shape)
    if node.output().dtype == "int8":
        node.require(
            codes.meaning_of(node, node.input(2)) == codes.meaning_of(node, node.output()),
            "its value must have the scale and zero point of the output",
            f"{codes.meaning_of(node, node.input(2))}",
        )
    return _pad(node, int(value.reshape(-1)[0]))


def _pad(node: Node, value: int) -> Lowered:
    operands.check_types(node, _TYPES, node.input(0), node.output())
    shape = node.input(0).shape
    borders = np.array(operands.whole_numbers(node, 1))
    node.require(
        borders.size == 2 * len(shape) and bool(np.all(borders >= 0)),
        f"its paddings must be {2 * len(shape)} numbers from 0 up",
        borders.tolist(),
    )
    node.require(0 < len(shape) <= MOST_AXES, f"its rank must lie in [1, {MOST_AXES}]", len(shape))
    axes = [
        (before, size, behind)
        for (before, behind), size in zip(borders.reshape(-1, 2).tolist(), shape, strict=True)
    ]
    operands.check_shape(node, node.output(), [sum(axis) for axis in axes])
    if not borders.any() and not node.input(0).is_constant:
        return [Alias(node.label, node.inputs[0], node.outputs[0])]
    reads = (operands.read(node, 0),)
    return [
        Step(
            node.label,
            "Pad",
            "move.h",
            Struct(
                "PadArgs",
                {
                    "value": value,
                    "element": operands.element_bytes(node.output()),
                    "rank": len(shape),
                    "axes": Array("axes", np.array(axes, np.int32)),
                },
            ),
            reads,
            node.outputs,
        )
    ]


HANDLERS = {"PAD": pad, "PADV2": pad_v2}

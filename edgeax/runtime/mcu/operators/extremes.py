"""ARG_MAX, ARG_MIN, MAXIMUM, MINIMUM."""

import functools
import math

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import broadcasts, operands
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct


def arg_extreme(node: Node, extreme: str) -> Lowered:
    """ARG_MAX, ARG_MIN: input 1 is the axis."""
    operands.check_counts(node, 2)
    shape, output = node.input(0).shape, node.output()
    operands.check_types(node, operands.CODES, node.input(0))
    node.require(
        output.dtype in ("int32", "int64"), "its output must be int32 or int64", output.dtype
    )
    axes = operands.whole_numbers(node, 1)
    node.require(len(axes) == 1, "its axis must be one number", axes)
    axis = operands.axis_of(node, axes[0], max(len(shape), 1))
    node.require(len(shape) > 0, "its input must have a dimension", shape)
    operands.check_shape(node, output, shape[:axis] + shape[axis + 1 :])
    arguments = Struct(
        "ArgExtremeArgs",
        {
            "extreme": extreme,
            "outer": math.prod(shape[:axis]),
            "size": shape[axis],
            "inner": math.prod(shape[axis + 1 :]),
        },
    )
    reads = (operands.read(node, 0),)
    return [Step(node.label, "ArgExtreme", "extremes.h", arguments, reads, node.outputs)]


def extreme_of(node: Node, extreme: str) -> Lowered:
    """MAXIMUM, MINIMUM: of the codes as they are, as TFLite does it."""
    broadcasts.check_operands(node, operands.CODES)
    spread = broadcasts.operands_of(node, (0, 1))
    loops = Array("loops", spread.loops.reshape(-1))
    broadcast = Struct("Broadcast", {"loops": loops, "loop_count": len(spread.loops)})
    step = Step(
        node.label,
        "ExtremeOf",
        "extremes.h",
        Struct("ExtremeArgs", {"extreme": extreme, "broadcast": broadcast}),
        (operands.read(node, 0), operands.read(node, 1)),
        node.outputs,
        in_place=tuple(
            (place, 0)
            for place in (0, 1)
            if node.input(place).shape == node.output().shape and not node.input(place).is_constant
        ),
    )
    return [step]


HANDLERS = {
    "ARG_MAX": functools.partial(arg_extreme, extreme="Extreme::kMaximum"),
    "ARG_MIN": functools.partial(arg_extreme, extreme="Extreme::kMinimum"),
    "MAXIMUM": functools.partial(extreme_of, extreme="Extreme::kMaximum"),
    "MINIMUM": functools.partial(extreme_of, extreme="Extreme::kMinimum"),
}

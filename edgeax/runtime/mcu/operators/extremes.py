"""ARG_MAX, ARG_MIN, MAXIMUM, MINIMUM."""

import functools
import math
from collections.abc import Sequence

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import operands
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct

MOST_AXES = 6  # kMaxExtremeAxes of micro/extremes.h


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
    operands.check_counts(node, 2)
    first, second, output = node.input(0), node.input(1), node.output()
    operands.check_types(node, operands.CODES, first, second, output)
    shapes = [_of_rank(tensor.shape, len(output.shape)) for tensor in (first, second)]
    node.require(
        all(len(shape) == len(output.shape) for shape in shapes)
        and tuple(map(max, *shapes)) == output.shape
        and all(
            size in (1, whole)
            for shape in shapes
            for size, whole in zip(shape, output.shape, strict=True)
        ),
        f"its inputs must fit the output, shape {output.shape}",
        f"{first.shape} and {second.shape}",
    )
    axes = loops(output.shape, [strides(shape) for shape in shapes])
    node.require(
        len(axes) <= MOST_AXES,
        f"it must go along at most {MOST_AXES} dimensions",
        f"{len(axes)} that cannot be joined",
    )
    step = Step(
        node.label,
        "ExtremeOf",
        "extremes.h",
        Struct(
            "ExtremeArgs",
            {
                "extreme": extreme,
                "axis_count": len(axes),
                "axes": Array("axes", np.array(axes, np.int32)),
            },
        ),
        (operands.read(node, 0), operands.read(node, 1)),
        node.outputs,
        in_place=tuple(
            (place, 0)
            for place, tensor in enumerate((first, second))
            if tensor.shape == output.shape and not tensor.is_constant
        ),
    )
    return [step]


def strides(shape: Sequence[int]) -> list[int]:
    """Returns the elements from one place to the next along each dimension, 0 along size 1."""
    return [math.prod(shape[axis + 1 :]) if size > 1 else 0 for axis, size in enumerate(shape)]


def loops(shape: Sequence[int], steps: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Returns the loops of micro/extremes.h over an output, as few as possible.

    Args:
        shape: That of the output.
        steps: Elements of each input along each of its dimensions.
    """
    joined: list[tuple[int, list[int]]] = []
    for count, *step in reversed([*zip(shape, *steps, strict=True)]):
        if count == 1:
            continue
        if joined and step == [joined[0][0] * inner for inner in joined[0][1]]:
            joined[0] = (joined[0][0] * count, joined[0][1])
        else:
            joined.insert(0, (count, step))
    joined = joined or [(1, [0] * len(steps))]
    result: list[tuple[int, ...]] = [(joined[-1][0], *joined[-1][1])]
    within = [0] * len(steps)
    for count, step in reversed(joined[:-1]):
        result.insert(0, (count, *(s - w for s, w in zip(step, within, strict=True))))
        within = [w + (count - 1) * s for s, w in zip(step, within, strict=True)]
    return result


def _of_rank(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(shape)) + shape


HANDLERS = {
    "ARG_MAX": functools.partial(arg_extreme, extreme="Extreme::kMaximum"),
    "ARG_MIN": functools.partial(arg_extreme, extreme="Extreme::kMinimum"),
    "MAXIMUM": functools.partial(extreme_of, extreme="Extreme::kMaximum"),
    "MINIMUM": functools.partial(extreme_of, extreme="Extreme::kMinimum"),
}

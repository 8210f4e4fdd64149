"""Operators whose output is elements of the input in another order: slices and transpositions."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import operands
from edgeax.runtime.mcu.program import Alias, Array, Lowered, Step, Struct

MOST_AXES = 6  # kMaxMoveAxes of micro/move.h


@dataclasses.dataclass(frozen=True)
class Loop:
    """A dimension of the output: how often, and the input elements from one to the next."""

    count: int
    step: int


def transpose(node: Node) -> Lowered:
    """TRANSPOSE."""
    operands.check_counts(node, 2)
    shape = node.input(0).shape
    order = operands.whole_numbers(node, 1)
    node.require(
        sorted(order) == [*range(len(shape))],
        f"its permutation must be one of {[*range(len(shape))]}",
        order,
    )
    operands.check_shape(node, node.output(), [shape[axis] for axis in order])
    steps = _steps(shape)
    return move(node, 0, [Loop(shape[axis], steps[axis]) for axis in order])


def slice_(node: Node) -> Lowered:
    """SLICE: input 1 are the first places, input 2 the sizes, -1 being all that follow."""
    operands.check_counts(node, 3)
    shape = node.input(0).shape
    begins, sizes = operands.whole_numbers(node, 1), operands.whole_numbers(node, 2)
    node.require(
        len(begins) == len(sizes) == len(shape),
        f"its begin and size must have {len(shape)} numbers",
        f"{len(begins)} and {len(sizes)}",
    )
    sizes = [
        whole - begin if size == -1 else size
        for whole, begin, size in zip(shape, begins, sizes, strict=True)
    ]
    for whole, begin, size in zip(shape, begins, sizes, strict=True):
        node.require(
            0 <= begin and 0 < size <= whole - begin,
            f"its slices must lie in the input, shape {shape}",
            f"begin {begins}, size {sizes}",
        )
    operands.check_shape(node, node.output(), sizes)
    steps = _steps(shape)
    begin = sum(first * step for first, step in zip(begins, steps, strict=True))
    return move(node, begin, [Loop(*loop) for loop in zip(sizes, steps, strict=True)])


def strided_slice(node: Node) -> Lowered:
    """STRIDED_SLICE, all of its masks."""
    operands.check_counts(node, 4)
    shape = node.input(0).shape
    begins, ends, strides = (operands.whole_numbers(node, position) for position in (1, 2, 3))
    node.require(
        len(begins) == len(ends) == len(strides),
        "its begin, end and strides must have one length",
        f"{len(begins)}, {len(ends)} and {len(strides)}",
    )
    node.require(0 not in strides, "its strides must not be 0", strides)
    steps, axes = _steps(shape), iter(range(len(shape)))
    begin = 0
    loops: list[Loop] = []
    output: list[int] = []
    for kind, place in _dimensions(node, len(begins), len(shape)):
        if kind == "new":
            output.append(1)
            continue
        axis = next(axes)
        first, count, stride = 0, shape[axis], 1
        if kind != "whole":
            interval = (begins[place], ends[place], strides[place])
            first, count, stride = _taken(node, place, shape[axis], *interval)
        node.require(count > 0, "it must take elements", f"none along axis {axis}")
        begin += first * steps[axis]
        loops.append(Loop(count, steps[axis] * stride))
        output += [] if kind == "one" else [count]
    operands.check_shape(node, node.output(), output)
    return move(node, begin, loops)


def move(node: Node, begin: int, loops: Sequence[Loop]) -> Lowered:
    """Returns the step that takes elements of input 0.

    Args:
        node: The operator.
        begin: The first element.
        loops: The dimensions of the output, the outermost first.
    """
    operands.check_types(node, operands.MOVED, node.input(0), node.output())
    loops = merged(loops)
    block = 1
    if loops and loops[-1].step == 1:
        block = loops.pop().count
    if not loops and block == math.prod(node.input(0).shape) and not node.input(0).is_constant:
        return [Alias(node.label, node.inputs[0], node.outputs[0])]
    loops = loops or [Loop(1, 0)]
    node.require(
        len(loops) <= MOST_AXES,
        f"it must go along at most {MOST_AXES} dimensions",
        f"{len(loops)} that cannot be joined",
    )
    size = operands.element_bytes(node.input(0))
    axes = [(loop.count, size * carry) for loop, carry in zip(loops, carries(loops), strict=True)]
    arguments = Struct(
        "MoveArgs",
        {
            "begin": size * begin,
            "block": size * block,
            "axis_count": len(loops),
            "axes": Array("axes", np.array(axes, np.int32)),
        },
    )
    return [Step(node.label, "Move", "move.h", arguments, (operands.read(node, 0),), node.outputs)]


def merged(loops: Sequence[Loop]) -> list[Loop]:
    """Returns loops that take the same elements in the same order, as few as possible."""
    result: list[Loop] = []
    for loop in reversed(loops):
        if loop.count == 1:
            continue
        if result and loop.step == result[0].count * result[0].step:
            result[0] = Loop(result[0].count * loop.count, result[0].step)
        else:
            result.insert(0, loop)
    return result


def carries(loops: Sequence[Loop]) -> list[int]:
    """Returns how far each loop goes on from where the last turn of those within it began.

    The innermost loop begins its turns where it is left, so it goes back by nothing.
    """
    result: list[int] = []
    within = 0
    for loop in reversed(loops):
        result.insert(0, loop.step - within)
        within += (loop.count - 1) * loop.step if result[1:] else 0
    return result


def _steps(shape: Sequence[int]) -> list[int]:
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _dimensions(node: Node, places: int, rank: int) -> list[tuple[str, int]]:
    """Returns what the places of begin, end and strides take, and the place.

    A dimension of the input is taken "whole", in a "range", or "one" element of it is, and the
    dimension vanishes from the output; a "new" one has no dimension of the input.
    """
    kinds = [_kind(node, 1 << place) for place in range(places)]
    node.require(kinds.count("...") <= 1, "it must have one ellipsis at most", kinds.count("..."))
    others = rank - kinds.count("range") - kinds.count("one")
    node.require(others >= 0, f"it must take from at most {rank} dimensions", rank - others)
    kinds += [] if "..." in kinds else ["..."]
    result = []
    for place, kind in enumerate(kinds):
        result += [("whole", place)] * others if kind == "..." else [(kind, place)]
    return result


def _kind(node: Node, bit: int) -> str:
    for mask, kind in (
        ("ellipsis_mask", "..."),
        ("new_axis_mask", "new"),
        ("shrink_axis_mask", "one"),
    ):
        if node.options.get(mask, 0) & bit:
            return kind
    return "range"


def _taken(
    node: Node, place: int, size: int, begin: int, end: int, stride: int
) -> tuple[int, int, int]:
    """Returns the first element along a dimension, how many, and the stride."""

    def is_set(mask: str) -> bool:
        return bool(node.options.get(mask, 0) >> place & 1)

    low, high = (0, size) if stride > 0 else (-1, size - 1)
    first = min(max(begin + size if begin < 0 else begin, low), high)
    if is_set("begin_mask"):
        first = 0 if stride > 0 else size - 1
    if is_set("shrink_axis_mask"):
        node.require(0 <= first < size, f"it must take one of {size} elements", begin)
        return first, 1, 1
    end += first if node.options.get("offset", False) else 0
    last = min(max(end + size if end < 0 else end, low), high)
    if is_set("end_mask"):
        last = size if stride > 0 else -1
    return first, max(-((first - last) // stride), 0), stride


HANDLERS = {"SLICE": slice_, "STRIDED_SLICE": strided_slice, "TRANSPOSE": transpose}

"""Operators whose output has elements of the input again and again: TILE and BROADCAST_TO."""

import math

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import operands
from edgeax.runtime.mcu.operators.slices import Loop, move
from edgeax.runtime.mcu.program import Lowered


def tile(node: Node) -> Lowered:
    """TILE: input 1 is how often the input stands along each axis."""
    operands.check_counts(node, 2)
    shape = node.input(0).shape
    times = operands.whole_numbers(node, 1)
    node.require(
        len(times) == len(shape) and min(times, default=1) > 0,
        f"it must have {len(shape)} numbers above 0",
        times,
    )
    wanted = [size * count for size, count in zip(shape, times, strict=True)]
    operands.check_shape(node, node.output(), wanted)
    loops = []
    for axis, (size, count) in enumerate(zip(shape, times, strict=True)):
        loops += [Loop(count, 0), Loop(size, math.prod(shape[axis + 1 :]))]
    return move(node, 0, loops)


def broadcast_to(node: Node) -> Lowered:
    """BROADCAST_TO: input 1 is the shape of the output."""
    operands.check_counts(node, 2)
    wanted = operands.whole_numbers(node, 1)
    operands.check_shape(node, node.output(), wanted)
    given = node.input(0).shape
    shape = (1,) * (len(wanted) - len(given)) + given
    node.require(
        len(shape) == len(wanted)
        and all(size in (1, out) for size, out in zip(shape, wanted, strict=True)),
        f"its shape must be one that {given} becomes where sizes of 1 are repeated",
        wanted,
    )
    loops = [
        Loop(out, math.prod(shape[axis + 1 :]) if size == out else 0)
        for axis, (size, out) in enumerate(zip(shape, wanted, strict=True))
    ]
    return move(node, 0, loops)


HANDLERS = {"BROADCAST_TO": broadcast_to, "TILE": tile}

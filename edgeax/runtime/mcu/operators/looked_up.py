"""Convolutions and matrix products of inputs on points: their points first, then their products."""

import math

import numpy as np

from edgeax.formats.flatbuffer import Subgraph
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import packed_conv2d, packed_rows
from edgeax.runtime.mcu.program import Array, Elements, Lowered, Step, Struct

_POINTS, _CODES = 5, 6  # inputs; the latter is what `add_points` adds
_COUNT = 256


def add_points(graph: Subgraph) -> None:
    """Gives operators a tensor for the points of their input, in its place; codes come last."""
    for operator in graph.operators:
        if operator.name in HANDLERS and len(operator.inputs) == _CODES:
            number, *constants = operator.inputs
            x = graph.tensors[number]
            name = f"points of {x.name}"
            points = graph.add_state(name, x.dtype, x.shape, 1.0, 0, is_variable=False)
            operator.inputs = (points, *constants, number)


def looked_up(node: Node) -> Lowered:
    """Returns the steps of an operator that `add_points` has been given."""
    node.require(len(node.inputs) > _CODES, f"it must have {_CODES} inputs", len(node.inputs))
    points = packed_rows.constant(node, _POINTS, "int8", (_COUNT,), "its points")
    layer = packed_conv2d.packed(node)
    step = Step(
        label=node.label,
        kernel="Lookup",
        header="lookup.h",
        arguments=Struct("LookupArgs", {"table": Array("table", np.roll(points, _COUNT // 2))}),
        reads=(node.inputs[_CODES],),
        writes=(node.inputs[0],),
        extent=Elements(math.prod(node.input(0).shape)),
        in_place=((0, 0),),
    )
    return [step, *layer]


HANDLERS = {f"EdgeaxLookup{kind}": looked_up for kind in ("Conv2D", "FullyConnected")}

"""Operators that change nothing but the shape: the output is the memory of the input."""

import functools

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.program import Alias, Lowered


def reshape(node: Node, counts: tuple[int, ...]) -> Lowered:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: input 1 is the shape, or the axis.

    Args:
        node: The operator.
        counts: How many inputs it may have.
    """
    node.require(
        len(node.inputs) in counts,
        f"it must have {' or '.join(map(str, counts))} inputs",
        len(node.inputs),
    )
    if node.has_input(1):
        node.constant(1)
    node.require(
        node.input(0).size_bytes == node.output().size_bytes,
        "input and output must have as many elements",
        f"{node.input(0).shape} and {node.output().shape}",
    )
    return [Alias(node.label, node.inputs[0], node.outputs[0])]


HANDLERS = {
    "RESHAPE": functools.partial(reshape, counts=(1, 2)),
    "SQUEEZE": functools.partial(reshape, counts=(1,)),
    "EXPAND_DIMS": functools.partial(reshape, counts=(2,)),
}

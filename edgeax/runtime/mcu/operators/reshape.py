"""Operators that change nothing but the shape: the output is the memory of the input."""

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.program import Alias, Lowered


def reshape(node: Node) -> Lowered:
    """RESHAPE, SQUEEZE, EXPAND_DIMS."""
    node.require(
        node.input(0).size_bytes == node.output().size_bytes,
        "input and output must have as many elements",
        f"{node.input(0).shape} and {node.output().shape}",
    )
    return [Alias(node.label, node.inputs[0], node.outputs[0])]


HANDLERS = {"RESHAPE": reshape, "SQUEEZE": reshape, "EXPAND_DIMS": reshape}

"""Resource variables: as if every assignment were a copy, which `read_state.py` then improves on.

The number of a handle stands for the state; handles themselves do not exist in a program.
"""

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.program import Alias, Array, Lowered, Step, Struct


def assignment(label: str, source: int | Array, to: int, size_bytes: int) -> Step:
    """Returns the step that copies a content."""
    arguments = Struct("AssignArgs", {"bytes": size_bytes})
    return Step(label, "Assign", "assign.h", arguments, (source,), (to,))


def nothing(node: Node) -> Lowered:
    """VAR_HANDLE, CALL_ONCE: known when the program is generated."""
    return []


def read_variable(node: Node) -> Lowered:
    """READ_VARIABLE."""
    return [Alias(node.label, node.inputs[0], node.outputs[0])]


def assign_variable(node: Node) -> Lowered:
    """ASSIGN_VARIABLE."""
    handle, index = node.inputs[:2]
    stored = node.input(1)
    source = Array("value", node.constant(1)) if stored.is_constant else index
    label = f"{node.index} {node.operator.name}, {stored.name}"
    return [assignment(label, source, handle, node.value(index).size_bytes)]


HANDLERS = {
    "VAR_HANDLE": nothing,
    "CALL_ONCE": nothing,
    "READ_VARIABLE": read_variable,
    "ASSIGN_VARIABLE": assign_variable,
}

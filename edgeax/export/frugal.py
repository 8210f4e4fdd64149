"""Frugal: the operators of a graph in the order in which the fewest bytes live at once."""

from edgeax.formats.flatbuffer import Operator, Subgraph
from edgeax.formats.memory_order import Task, best_order

_FIRST = ("CALL_ONCE", "VAR_HANDLE")


def order_frugally(graph: Subgraph) -> None:
    """Puts the operators of a graph in the order that needs the least memory, as far as is found.

    What reads and writes a variable stays in its order.

    Args:
        graph: Each of its variables must have one handle.
    """
    first = [operator for operator in graph.operators if operator.name in _FIRST]
    rest = [operator for operator in graph.operators if operator.name not in _FIRST]
    tensors = graph.tensors
    sizes = {
        index: tensor.size_bytes or 0
        for index, tensor in enumerate(tensors)
        if not tensor.is_constant and tensor.dtype != "resource"
    }
    handles = {index for index, tensor in enumerate(tensors) if tensor.dtype == "resource"}
    order = best_order([_task(one) for one in rest], sizes, graph.inputs, graph.outputs, handles)
    graph.operators = [*first, *(rest[number] for number in order)]


def _task(operator: Operator) -> Task:
    reads = tuple(index for index in operator.inputs if index >= 0)
    return Task(reads, tuple(index for index in operator.outputs if index >= 0))

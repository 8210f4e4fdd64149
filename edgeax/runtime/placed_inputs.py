"""Placed inputs: files of one int8 operator whose inputs are put on few values before, by the
built-in operators that an export writes where no operator of edgeax does it.
"""

from collections.abc import Sequence

import numpy as np

from edgeax.formats.flatbuffer import Model, Subgraph

_GATHER_OF_INT8 = _COMPARISON_OF_INT8 = 2  # versions


def on_points(file: bytes, points: np.ndarray) -> bytes:
    """Looks the inputs up in a table.

    Args:
        file: One operator that reads int8.
        points: int8 `(256,)`, what stands for each code, from -128 on.
    """
    model, graph, found = _with_inputs(file)
    given = graph.tensors[found]
    codes, places = (_like(graph, name, "int32", found) for name in ("codes", "places"))
    first = graph.add_tensor("first", np.array([128], np.int32))
    table = graph.add_tensor("points", points, given.scale)
    graph.insert(0, "CAST", graph.inputs, (codes,))
    graph.insert(1, "ADD", (codes, first), (places,))
    graph.insert(2, "GATHER", (table, places), (found,), _GATHER_OF_INT8)
    return model.to_bytes()


def on_steps(file: bytes, ends: Sequence[int], levels: Sequence[int]) -> bytes:
    """Compares the inputs with numbers.

    Args:
        file: One operator that reads int8.
        ends: The codes, ascending, from which on the next level stands for them.
        levels: As int8 codes, one more than `ends`.
    """
    model, graph, found = _with_inputs(file)
    scale = graph.tensors[found].scale
    values, *others = (
        graph.add_tensor(f"level_{number}", np.array([level], np.int8), scale)
        for number, level in enumerate(levels)
    )
    for number, (end, level) in enumerate(zip(ends, others, strict=True)):
        limit = graph.add_tensor(f"end_{number}", np.array([end], np.int8), scale)
        reaches = _like(graph, f"reaches_{number}", "bool", found)
        is_last = number == len(ends) - 1
        result = found if is_last else _like(graph, f"below_{number}", "int8", found)
        place = 2 * number
        graph.insert(
            place, "GREATER_EQUAL", (*graph.inputs, limit), (reaches,), _COMPARISON_OF_INT8
        )
        graph.insert(place + 1, "SELECT_V2", (reaches, level, values), (result,))
        values = result
    return model.to_bytes()


def _with_inputs(file: bytes) -> tuple[Model, Subgraph, int]:
    """Returns a model and its graph, whose operator reads a tensor of its own, and that tensor."""
    model = Model.from_bytes(file)
    graph = model.subgraphs[0]
    (source,), (operator,) = graph.inputs, graph.operators
    found = _like(graph, "placed", "int8", source)
    operator.inputs = (found, *operator.inputs[1:])
    return model, graph, found


def _like(graph: Subgraph, name: str, dtype: str, tensor: int) -> int:
    """Adds a tensor with the shape of another, and with its scale if it has its type too."""
    given = graph.tensors[tensor]
    scale = given.scale if dtype == given.dtype else None
    return graph.add_state(name, dtype, given.shape, scale, is_variable=False)

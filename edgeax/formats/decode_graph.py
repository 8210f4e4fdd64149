"""Kernels behind TensorFlow Lite Micro's DECODE operator in a graph, and back to plain ones."""

import numpy as np

from edgeax.formats import decode_lut
from edgeax.formats.flatbuffer import Model, Operator, Subgraph, Tensor


def insert_decode(graph: Subgraph, kernel: int, encoded: decode_lut.Encoded) -> None:
    """Makes every operator that reads a kernel read what a DECODE operator before it writes.

    Each gets one of its own: what is decoded lies in the arena only until the next operator.

    Args:
        graph: The graph.
        kernel: Index of a constant int8 tensor; afterwards nothing reads it.
        encoded: Its codes, with a table for each of its scales.
    """
    tensor = graph.tensors[kernel]
    inputs = [
        graph.add_tensor("indices", encoded.indices),
        graph.add_tensor("tables", encoded.ancillary),
    ]
    for reader in [graph.operators[place] for place in graph.consumers(kernel)]:
        decoded = graph.add_state(
            tensor.name, tensor.dtype, tensor.shape, tensor.scale, tensor.zero_point, False
        )
        graph.tensors[decoded].quantized_axis = tensor.quantized_axis or 0
        place = graph.operators.index(reader)
        graph.insert(place, decode_lut.OPERATOR, inputs, [decoded], is_custom=True)
        reader.inputs = [decoded if index == kernel else index for index in reader.inputs]


def expand(model: Model) -> None:
    """Makes constants of all that DECODE operators write, and removes these, in place.

    All tensors keep their indices.

    Raises:
        ValueError: A DECODE operator has other tensors than an int8 kernel in look-up tables.
    """
    for graph in model.subgraphs:
        for operator in graph.operators:
            if is_decode(operator):
                _expand(graph, operator)
        graph.operators = [one for one in graph.operators if not is_decode(one)]


def is_decode(operator: Operator) -> bool:
    """Returns whether an operator is DECODE."""
    return operator.is_custom and operator.name == decode_lut.OPERATOR


def axis_of(tensor: Tensor) -> int | None:
    """Returns the axis along which a kernel has tables, None where it has one table."""
    scale = tensor.scale
    return None if scale is None or scale.size == 1 else tensor.quantized_axis


def index_bits(graph: Subgraph, operator: Operator) -> int | None:
    """Returns the bits of an index that a DECODE operator reads, the most where it has several
    kernels; None where they are in no look-up tables that `expand` takes.
    """
    try:
        return max(decode_lut.index_bits(tables) for _, tables, _ in _pairs(graph, operator))
    except ValueError:
        return None


def _expand(graph: Subgraph, operator: Operator) -> None:
    for indices, ancillary, tensor in _pairs(graph, operator):
        tensor.data = decode_lut.decode(indices, ancillary, tensor.shape, axis_of(tensor))


def _pairs(graph: Subgraph, operator: Operator) -> list[tuple[np.ndarray, np.ndarray, Tensor]]:
    """Returns the indices, the tables and the kernel of each kernel that DECODE writes."""
    inputs = [graph.tensors[index].data for index in operator.inputs if index >= 0]
    outputs = [graph.tensors[index] for index in operator.outputs if index >= 0]
    found = [array for array in inputs if array is not None]
    dtypes = [tensor.dtype for tensor in outputs]
    if not outputs or len(found) != 2 * len(outputs) or {*dtypes} != {"int8"}:
        raise _odd(f"{len(found)} for outputs of {dtypes}")
    return [*zip(found[::2], found[1::2], outputs, strict=True)]


def _odd(what: str) -> ValueError:
    return ValueError(
        f"{decode_lut.OPERATOR} must have two constant inputs for each int8 output. Received: "
        f"{what}. Run this file in TensorFlow Lite Micro itself."
    )

"""Operators that become part of their neighbors: borders of zeros, and activations.

A model that pads by an operator of its own and convolves without padding, as PyTorch and Keras's
ZeroPadding2D make it, then holds and writes no padded image. An activation that only cuts codes off
is done by the operator that writes them.
"""

import numpy as np

from edgeax.formats.flatbuffer import Operator, Subgraph, Tensor
from edgeax.runtime.mcu.node import Borders

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_CUTTING = (
    *(*_CONVOLUTIONS, "TRANSPOSE_CONV", "FULLY_CONNECTED", "ADD", "SUB", "MUL"),
    *("AVERAGE_POOL_2D", "MAX_POOL_2D"),
)
_ACTIVATIONS = {"RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}  # numbers of the schema


def fold_pads(graph: Subgraph) -> tuple[dict[int, Borders], set[int]]:
    """Lets convolutions read images before PAD and PADV2 where they can pad themselves.

    The operators that were folded stay in the graph; nothing reads what they write.

    Returns:
        The zeros around the first input of operators, by their place; and the places of the
        operators that need not run.
    """
    borders: dict[int, Borders] = {}
    folded: set[int] = set()
    for place, operator in enumerate(graph.operators):
        found = _borders(graph, operator)
        readers = _readers(graph, operator.outputs[0]) if found else []
        if found is None or operator.outputs[0] in graph.outputs or not readers:
            continue
        if all(_can_pad(graph, graph.operators[reader], operator, found) for reader in readers):
            folded.add(place)
            for reader in readers:
                borders[reader] = found
                inputs = graph.operators[reader].inputs
                graph.operators[reader].inputs = (operator.inputs[0], *inputs[1:])
    return borders, folded


def fold_activations(graph: Subgraph) -> set[int]:
    """Lets operators do the activation that alone reads their output, in the same codes.

    Returns:
        The places of the activations, which need not run.
    """
    folded: set[int] = set()
    for place, operator in enumerate(graph.operators):
        writer = _cutting_writer(graph, operator) if operator.name in _ACTIVATIONS else None
        if writer is not None:
            number = _ACTIVATIONS[operator.name]
            writer.retarget(writer.version, {"fusedActivationFunction": number})
            writer.outputs = operator.outputs
            folded.add(place)
    return folded


def _cutting_writer(graph: Subgraph, activation: Operator) -> Operator | None:
    """Returns the operator that can do an activation itself; None: it must stay."""
    (source, *_), (result, *_) = activation.inputs, activation.outputs
    place = graph.producer(source)
    writer = None if place is None else graph.operators[place]
    if writer is None or writer.name not in _CUTTING or source in graph.outputs:
        return None
    is_plain = writer.options.get("fused_activation_function", "NONE") == "NONE"
    before, after = graph.tensors[source], graph.tensors[result]
    same = _codes(before) == _codes(after) and before.shape == after.shape
    return writer if is_plain and same and len(_readers(graph, source)) == 1 else None


def _readers(graph: Subgraph, tensor: int) -> list[int]:
    return [place for place, other in enumerate(graph.operators) if tensor in other.inputs]


def _borders(graph: Subgraph, operator: Operator) -> Borders | None:
    """Returns the zeros that an operator puts around images; None: it does something else."""
    if operator.name not in ("PAD", "PADV2") or len(operator.inputs) < 2:
        return None
    before, after = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    given = graph.tensors[operator.inputs[1]].data if operator.inputs[1] >= 0 else None
    if given is None or given.size != 8 or len(before.shape) != 4 or before.is_constant:
        return None
    (no_batch, rows, columns, no_channels) = given.reshape(4, 2).tolist()
    expected = tuple(
        size + sum(pair) for size, pair in zip(before.shape, given.reshape(4, 2), strict=True)
    )
    is_right = min(*rows, *columns) >= 0 and not any((*no_batch, *no_channels))
    if not is_right or after.shape != expected or _codes(before) != _codes(after):
        return None
    if operator.name == "PADV2" and not _is_zero(graph, operator, after):
        return None
    return (rows[0], rows[1]), (columns[0], columns[1])


def _codes(tensor: Tensor) -> tuple[str, list[float], list[int]]:
    scale, zero_point = tensor.scale, tensor.zero_point
    return (
        tensor.dtype,
        [] if scale is None else scale.tolist(),
        [] if zero_point is None else zero_point.tolist(),
    )


def _is_zero(graph: Subgraph, operator: Operator, output: Tensor) -> bool:
    """Returns whether the border of a PADV2 is the code of 0.0."""
    value = graph.tensors[operator.inputs[2]].data if len(operator.inputs) == 3 else None
    zero_point = 0 if output.zero_point is None else int(np.ravel(output.zero_point)[0])
    return value is not None and value.size == 1 and int(np.ravel(value)[0]) == zero_point


def _can_pad(graph: Subgraph, reader: Operator, pad: Operator, borders: Borders) -> bool:
    """Returns whether an operator is a convolution all of whose windows see the image."""
    if reader.name not in _CONVOLUTIONS or reader.options.get("padding") != "VALID":
        return False
    if list(reader.inputs).count(pad.outputs[0]) != 1 or reader.inputs[0] != pad.outputs[0]:
        return False
    weights = graph.tensors[reader.inputs[1]].shape
    dilations = reader.options["dilation_h_factor"], reader.options["dilation_w_factor"]
    return len(weights) == 4 and all(
        max(border) <= (taps - 1) * dilation
        for border, taps, dilation in zip(borders, weights[1:3], dilations, strict=True)
    )

"""Lower bits: what one binary operator writes and only binary operators read becomes bits."""

from collections.abc import Iterable, Mapping

import numpy as np

from edgeax.export.constants import Constants
from edgeax.export.lower_custom import padding_of
from edgeax.formats.flatbuffer import Model, Operator, Subgraph
from edgeax.formats.operators import OPERATORS

Thresholds = dict[int, np.ndarray]
"""Biases for bits that go out, by the tensor that a binary operator writes."""

_POOL = "MAX_POOL_2D"
_POOL_OF_BITS = "EdgeaxBinaryMaxPool2D"


def pack_bits(model: Model, constants: Constants, thresholds: Mapping[int, np.ndarray]) -> None:
    """Makes tensors between binary operators bits, in place; max pooling and reshaping between
    them too.

    Args:
        model: With kernels as `lower` writes them.
        constants: Adds to its graph.
        thresholds: As `lower_binary` found them.
    """
    graph = model.subgraphs[0]
    for place, operator in enumerate(graph.operators):
        threshold = thresholds.get(operator.outputs[0])
        found: list[int] = []
        if threshold is not None and _can_be_bits(graph, operator.outputs[0], found):
            for tensor in found:
                _make_bits(model, tensor)
            _write_bits(model, constants, place, threshold)


def _can_be_bits(graph: Subgraph, tensor: int, found: list[int]) -> bool:
    """Returns whether only signs of a tensor are read, by operators that can read bits; lists it
    and those made of it.
    """
    found.append(tensor)
    readers = [graph.operators[index] for index in graph.consumers(tensor)]
    if tensor in graph.outputs or not readers:
        return False
    for reader in readers:
        if _is_binary(reader):
            continue
        moves = _is_pool(reader) or _is_reshape(graph, reader)
        if not moves or not _can_be_bits(graph, reader.outputs[0], found):
            return False
    return True


def _is_binary(operator: Operator) -> bool:
    spec = OPERATORS.get(operator.name)
    return spec is not None and spec.has_binary_weights


def _is_pool(operator: Operator) -> bool:
    return operator.name == _POOL and operator.options["fused_activation_function"] == "NONE"


def _is_reshape(graph: Subgraph, operator: Operator) -> bool:
    """Returns whether an operator reshapes rows of whole bytes to such."""
    ends = (operator.inputs[0], operator.outputs[0])
    whole = all(graph.tensors[index].shape[-1] % 8 == 0 for index in ends)
    return operator.name == "RESHAPE" and whole


def _make_bits(model: Model, tensor: int) -> None:
    """Makes a tensor bits, for all that reads it."""
    graph = model.subgraphs[0]
    channels = graph.tensors[tensor].shape[-1]
    for index in graph.consumers(tensor):
        reader = graph.operators[index]
        if _is_pool(reader):
            options = _pool_options(reader, channels)
            model.replace_with_custom(graph, index, _POOL_OF_BITS, (tensor,), options)
        elif reader.name == "RESHAPE":
            _reshape_bytes(graph, reader)
        else:
            _replace(model, index, reader.inputs, input_packed=1)
    bits = graph.tensors[tensor]
    bits.scale, bits.dtype = None, "uint8"
    bits.shape = (*bits.shape[:-1], -(-channels // 8))


def _pool_options(operator: Operator, channels: int) -> bytes:
    options = operator.options
    return OPERATORS[_POOL_OF_BITS].pack_options(
        kernel_height=options["filter_height"],
        kernel_width=options["filter_width"],
        stride_height=options["stride_h"],
        stride_width=options["stride_w"],
        padding=padding_of(operator),
        input_channels=channels,
    )


def _reshape_bytes(graph: Subgraph, operator: Operator) -> None:
    """Gives a reshaping operator the shape in bytes."""
    *rest, last = graph.tensors[operator.outputs[0]].shape
    shape = np.array([*rest, last // 8], np.int32)
    name = graph.tensors[operator.outputs[0]].name
    operator.inputs = (operator.inputs[0], graph.add_tensor(f"{name}/shape", shape))


def _write_bits(model: Model, constants: Constants, place: int, threshold: np.ndarray) -> None:
    """Lets a binary operator write bits."""
    graph = model.subgraphs[0]
    source, weights, bias, scale = graph.operators[place].inputs
    threshold_of = constants.add(graph.tensors[bias].name, threshold)
    _replace(model, place, (source, weights, threshold_of, scale), output_packed=1)


def _replace(model: Model, place: int, inputs: Iterable[int], **changes: int) -> None:
    """Gives a binary operator other inputs and options."""
    graph = model.subgraphs[0]
    operator = graph.operators[place]
    spec = OPERATORS[operator.name]
    options = spec.pack_options(**{**spec.unpack_options(operator.custom_options), **changes})
    model.replace_with_custom(graph, place, operator.name, inputs, options)

"""Signs of activations: the layer that the converter keeps whole, and the operators it becomes."""

from collections.abc import Collection
from typing import Any

import numpy as np
import tensorflow as tf

from edgeax.export.constants import Constants, zero_point_of
from edgeax.export.placeholder import PREFIX, Placeholder, integer_output, kept_whole
from edgeax.export.rounding import SIGN_TOP
from edgeax.formats.flatbuffer import Model, Operator, Subgraph, Tensor
from edgeax.formats.sums import TINY

_OPERATOR = f"{PREFIX}Sign"
"""Name in the converter's file, until `lower_signs` replaces it."""

COMPARISON, CHOICE = "GREATER_EQUAL", "SELECT_V2"
"""The operators that signs become."""

INTEGER_COMPARISON = 2  # version that takes 8-bit integers


class WholeSign(Placeholder):
    """`magnitude` where a value is at least 0, else its negative."""

    operator = _OPERATOR

    def __init__(self, magnitude: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.magnitude = magnitude
        self._whole = kept_whole(self._signs, self.operator)

    def call(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns the signs."""
        return tf.ensure_shape(self._whole(tensor), tensor.shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape

    def _signs(self, tensor: tf.Tensor) -> tf.Tensor:
        return tf.where(tensor >= -TINY, self.magnitude, -self.magnitude)


def lower_signs(model: Model) -> None:
    """Gives every sign the built-in operators that compute it, in place: in integers where it is
    one of integers.

    Args:
        model: As the converter made it.
    """
    graph = model.subgraphs[0]
    signs = [operator for operator in graph.operators if operator.name == _OPERATOR]
    if not signs:
        return
    constants = Constants(graph)
    for operator in signs:
        _lower_sign(graph, constants, operator)
    graph.drop_unread("DEQUANTIZE")
    model.prune()


def _lower_sign(graph: Subgraph, constants: Constants, operator: Operator) -> None:
    whole = graph.tensors[operator.outputs[0]].name
    target = integer_output(graph, graph.operators.index(operator), whole)
    name = graph.tensors[target].name
    place = graph.operators.index(operator)
    graph.operators.remove(operator)
    source = integers_behind(graph, operator.inputs[0])
    given, made = graph.tensors[source], graph.tensors[target]
    is_positive = graph.add_state(f"{name}/positive", "bool", given.shape, is_variable=False)
    if given.dtype == "int8":
        zero = like(constants, f"{name}/zero", given, zero_point_of(given))
        graph.insert(place, COMPARISON, (source, zero), (is_positive,), INTEGER_COMPARISON)
    else:
        least = constants.add(f"{name}/least", np.array([-TINY], np.float32))
        graph.insert(place, COMPARISON, (source, least), (is_positive,))
    ends = [like(constants, f"{name}/{sign}", made, sign * SIGN_TOP) for sign in (1, -1)]
    graph.insert(place + 1, CHOICE, (is_positive, *ends), (target,))


def place_in_integers(model: Model, names: Collection[str]) -> None:
    """Lets what stands for one step of activations read and write 8-bit integers, in place.

    Args:
        model: As the converter made it.
        names: Of the operators that do.
    """
    graph = model.subgraphs[0]
    for operator in [operator for operator in graph.operators if operator.name in names]:
        name = graph.tensors[operator.outputs[0]].name
        target = integer_output(graph, graph.operators.index(operator), name)
        operator.inputs = (integers_behind(graph, operator.inputs[0]),)
        operator.outputs = (target,)
    if names:
        graph.drop_unread("DEQUANTIZE")
        model.prune()


def signs_of(graph: Subgraph, tensor: int) -> int | None:
    """Returns the tensor whose signs an 8-bit tensor holds, itself where that has no integers; None
    if it holds no signs.
    """
    choice = graph.producer(tensor)
    if choice is None or graph.operators[choice].name != CHOICE:
        return None
    condition, high, low = graph.operators[choice].inputs
    comparison = graph.producer(condition)
    if (_value(graph, high), _value(graph, low)) != (SIGN_TOP, -SIGN_TOP) or comparison is None:
        return None
    if graph.operators[comparison].name != COMPARISON:
        return None
    source, limit = graph.operators[comparison].inputs
    given = graph.tensors[source]
    is_integer = given.dtype == "int8" and _value(graph, limit) == zero_point_of(given)
    return source if is_integer else tensor


def _value(graph: Subgraph, tensor: int) -> float | None:
    """Returns the first number of a constant, None for a tensor that is none."""
    data = graph.tensors[tensor].data
    return None if data is None else float(data.flat[0])


def is_conversion(graph: Subgraph, operator: Operator) -> bool:
    """Returns whether an operator only takes part in making signs in integers of floats."""
    if operator.name != COMPARISON:
        return False
    readers = [graph.operators[index] for index in graph.consumers(operator.outputs[0])]
    return all(
        reader.name == CHOICE and graph.tensors[reader.outputs[0]].dtype == "int8"
        for reader in readers
    )


def drop_unread_signs(graph: Subgraph) -> None:
    """Removes what computes signs that nothing reads, and what pads them."""
    for name in ("PAD", "PADV2", CHOICE, COMPARISON):
        graph.drop_unread(name)


def integers_behind(graph: Subgraph, tensor: int) -> int:
    """Returns the 8-bit integers that a tensor was made of, or the tensor."""
    producer = graph.producer(tensor)
    if producer is None or graph.operators[producer].name != "DEQUANTIZE":
        return tensor
    (source,) = graph.operators[producer].inputs
    return source if graph.tensors[source].dtype == "int8" else tensor


def like(constants: Constants, name: str, tensor: Tensor, code: int) -> int:
    """Returns the index of an 8-bit code on the grid of a tensor."""
    return constants.add(
        name, np.array([code], np.int8), tensor.scale, zero_point=zero_point_of(tensor)
    )

"""Cut: a model in two, the layers in front of all that is trained and the rest."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from edgeax.model.copying import clone, copy_weights, fresh_copy, plain_copy
from edgeax.model.graph import Call, Graph, trace
from edgeax.model.trained_weights import TrainedWeight


@dataclasses.dataclass(frozen=True)
class Cut:
    """A model in two parts.

    Attributes:
        front: The layers that what is trained does not reach, as compressed as in the model; None
            where none of them has weights: they are then with the rest.
        front_inputs: Which of the model's inputs the front part reads, by their number.
        back: The plain layers that are trained and those behind them. Its inputs are a list: first
            outputs of the front part in their order, then inputs of the model.
        back_inputs: Which of the model's inputs these are, by their number.
    """

    front: keras.Model | None
    front_inputs: tuple[int, ...]
    back: Graph
    back_inputs: tuple[int, ...]


def plain_graph(model: keras.Model) -> Graph:
    """Returns the graph of a plain copy of a model, with its weights as they will be used."""
    return _traced(model, plain_copy)


def cut(model: keras.Model, graph: Graph, weights: Sequence[TrainedWeight]) -> Cut:
    """Returns a model in two parts.

    Args:
        model: Sequential or functional, compressed or plain. Not changed.
        graph: As `plain_graph` returned it.
        weights: What is trained of it.
    """
    numbers = _in_front(graph, weights)
    if not any(_has_weights(graph.calls[number]) for number in numbers):
        numbers = []
    rest = [call for number, call in enumerate(graph.calls) if number not in {*numbers}]
    made = {id(tensor) for call in rest for tensor in call.output_tensors}
    read = {id(tensor) for call in rest for tensor in call.input_tensors} - made
    borders = [
        (number, place)
        for number in numbers
        for place, tensor in enumerate(graph.calls[number].output_tensors)
        if id(tensor) in read
    ]
    inputs = list(keras.tree.flatten(graph.inputs))
    own = [number for number, tensor in enumerate(inputs) if id(tensor) in read]
    given = [graph.calls[number].output_tensors[place] for number, place in borders]
    back = Graph([*given, *(inputs[number] for number in own)], graph.outputs, rest, graph.paths)
    if not borders:
        return Cut(None, (), back, tuple(own))
    front, used = _front(_traced(model, fresh_copy), numbers, borders, model.name)
    return Cut(front, used, back, tuple(own))


def _traced(model: keras.Model, copy: Callable[[Any], Any]) -> Graph:
    made: dict[int, Any] = {}
    copied = clone(model, copy, made)
    copy_weights(model, made)
    return trace(copied)


def _has_weights(call: Call) -> bool:
    return bool(getattr(call.operation, "weights", ()))


def _in_front(graph: Graph, weights: Sequence[TrainedWeight]) -> list[int]:
    """Returns the numbers of the calls that what is trained does not reach."""
    trained = {id(weight.layer) for weight in weights}
    reached: set[int] = set()
    front = []
    for number, call in enumerate(graph.calls):
        if id(call.operation) in trained or any(id(t) in reached for t in call.input_tensors):
            reached |= {id(tensor) for tensor in call.output_tensors}
        else:
            front.append(number)
    return front


def _front(
    graph: Graph, numbers: list[int], borders: list[tuple[int, int]], name: str
) -> tuple[keras.Model, tuple[int, ...]]:
    """Returns some calls as a model, and which of the inputs it reads."""
    calls = [graph.calls[number] for number in numbers]
    read = {id(tensor) for call in calls for tensor in call.input_tensors}
    inputs = list(keras.tree.flatten(graph.inputs))
    used = [number for number, tensor in enumerate(inputs) if id(tensor) in read]
    wanted = [graph.calls[number].output_tensors[place] for number, place in borders]
    part = Graph([inputs[number] for number in used], wanted, calls, graph.paths)
    fresh = [
        keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)
        for tensor in part.inputs
    ]
    outputs = part.rebuild(lambda call, args, kwargs: call.operation(*args, **kwargs), fresh)
    return keras.Model(fresh, outputs, name=name), tuple(used)

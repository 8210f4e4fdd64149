"""A model as a flat list of calls, nested models opened, for planning and for rebuilding.

Only public Keras functions are used: a clone of the model is run symbolically and every call noted.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras


@dataclasses.dataclass
class Call:
    """One use of one operation.

    Attributes:
        operation: A Keras layer, or an operation such as `keras.ops.add`.
        args: Positional arguments, tensors among them symbolic.
        kwargs: Keyword arguments.
        outputs: Symbolic result, a structure of KerasTensors.
    """

    operation: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: Any

    @property
    def input_tensors(self) -> list[keras.KerasTensor]:
        """The symbolic tensors among the arguments."""
        return _tensors((self.args, self.kwargs))

    @property
    def first_argument(self) -> list[Any]:
        """What the first argument holds, in order."""
        first = self.args[0] if self.args else next(iter(self.kwargs.values()), ())
        return list(keras.tree.flatten(first))

    @property
    def output_tensors(self) -> list[keras.KerasTensor]:
        """The symbolic results."""
        return _tensors(self.outputs)


@dataclasses.dataclass
class Graph:
    """A model's calls in the order in which they run.

    Attributes:
        inputs: Structure of symbolic inputs.
        outputs: Structure of symbolic outputs.
        calls: All calls, nested models opened.
        paths: Path of each operation, nested models' names in front, by id.
    """

    inputs: Any
    outputs: Any
    calls: list[Call]
    paths: dict[int, str]

    def __post_init__(self) -> None:
        self._consumers: dict[int, list[Call]] = {}
        for call in self.calls:
            for tensor in call.input_tensors:
                self._consumers.setdefault(id(tensor), []).append(call)
        self._producers = {
            id(tensor): call for call in self.calls for tensor in call.output_tensors
        }
        self._results = {id(tensor) for tensor in _tensors(self.outputs)}
        self._given = {id(tensor) for tensor in _tensors(self.inputs)}

    def path(self, operation: Any) -> str:
        """Returns the operation's path, such as `backbone/conv1`."""
        return self.paths[id(operation)]

    def calls_of(self, operation: Any) -> list[Call]:
        """Returns the calls of an operation."""
        return [call for call in self.calls if call.operation is operation]

    def is_input(self, tensor: keras.KerasTensor) -> bool:
        """Returns whether a tensor is an input of the model."""
        return id(tensor) in self._given

    def producer(self, tensor: keras.KerasTensor) -> Call | None:
        """Returns the call whose result a tensor is, or None if it is none's."""
        return self._producers.get(id(tensor))

    def is_output(self, call: Call) -> bool:
        """Returns whether a result of `call` is an output of the model."""
        return any(id(tensor) in self._results for tensor in call.output_tensors)

    def consumers(self, tensor: keras.KerasTensor) -> list[Call]:
        """Returns the calls that use a tensor."""
        return self._consumers.get(id(tensor), [])

    def only_consumer(self, call: Call) -> Call | None:
        """Returns the one call that uses the result of `call`, or None if there are others too."""
        outputs = call.output_tensors
        if len(outputs) != 1 or self.is_output(call):
            return None
        consumers = self._consumers.get(id(outputs[0]), [])
        return consumers[0] if len(consumers) == 1 else None

    def without_unread(self) -> "Graph":
        """Returns the graph of those calls that the outputs depend on."""
        wanted, found = {id(tensor) for tensor in _tensors(self.outputs)}, []
        for call in reversed(self.calls):
            if any(id(tensor) in wanted for tensor in call.output_tensors):
                wanted |= {id(tensor) for tensor in call.input_tensors}
                found.append(call)
        return dataclasses.replace(self, calls=found[::-1])

    def rebuild(
        self, emit: Callable[[Call, tuple[Any, ...], dict[str, Any]], Any], inputs: Any
    ) -> Any:
        """Runs the graph on other inputs.

        Args:
            emit: Called for each call with its actual arguments; returns the results.
            inputs: Structure like `self.inputs`.

        Returns:
            Structure like `self.outputs`.
        """
        values = dict(zip(map(id, _tensors(self.inputs)), keras.tree.flatten(inputs), strict=True))

        def actual(structure: Any) -> Any:
            return keras.tree.map_structure(lambda leaf: values.get(id(leaf), leaf), structure)

        for call in self.calls:
            results = emit(call, actual(call.args), actual(call.kwargs))
            for symbol, value in zip(call.output_tensors, keras.tree.flatten(results), strict=True):
                values[id(symbol)] = value
        return actual(self.outputs)


def trace(model: keras.Model, opens_blocks: bool = False) -> Graph:
    """Returns the calls of a Sequential or functional model, nested ones opened.

    The model's layers are called once more, which adds to their inbound nodes: trace a clone.

    Args:
        model: The model.
        opens_blocks: Whether the calls of a block stand for the layer that holds it, see
            `block_of`, and what decides on blocks is left out.
    """
    tracer = _Tracer(opens_blocks)
    inputs = new_inputs(model)
    outputs = tracer.run(model, inputs, "")
    graph = tracer.graph(inputs, outputs)
    return graph.without_unread() if tracer.opened_blocks else graph


class _Tracer:
    """Runs models symbolically and notes their calls.

    A nested model runs on inputs of its own, because the names of its layers need be unique in it
    only. What connects it to the model around it is noted aside, and put in at the end.
    """

    def __init__(self, opens_blocks: bool) -> None:
        self._opens_blocks = opens_blocks
        self.opened_blocks = False
        self._calls: list[Call] = []
        self._paths: dict[int, str] = {}
        # Tensors on either side of a nested model's border: the first is in truth the second.
        self._borders: list[tuple[keras.KerasTensor, keras.KerasTensor]] = []

    def run(self, model: keras.Model, inputs: Any, prefix: str) -> Any:
        def record(operation: Any, *args: Any, **kwargs: Any) -> Any:
            return self._record(f"{prefix}{operation.name}", operation, args, kwargs)

        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                inputs = record(layer, inputs)
            return inputs
        copy = keras.models.clone_model(
            model,
            input_tensors=keras.tree.pack_sequence_as(model.input, keras.tree.flatten(inputs)),
            clone_function=lambda operation: operation,
            call_function=record,
        )
        return copy.output

    def _record(
        self, path: str, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        # Keras notes `mask=None` with calls that had no mask; operations that take none refuse it.
        kwargs = {
            name: value for name, value in kwargs.items() if name != "mask" or value is not None
        }
        outputs = operation(*args, **kwargs)
        block = block_of(operation) if self._opens_blocks else None
        if block is None and not is_nested(operation):
            self._calls.append(Call(operation, args, kwargs, outputs))
            self._paths.setdefault(id(operation), path)
            return outputs
        outside = _tensors(args[0] if args else kwargs["inputs"])
        if block is not None:
            operation, outside, self.opened_blocks = block, outside[:1], True
        inside = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype) for tensor in outside]
        results = _tensors(
            self.run(operation, inside[0] if len(inside) == 1 else inside, f"{path}/")
        )
        self._borders += zip(inside, outside, strict=True)
        self._borders += zip(_tensors(outputs), results, strict=True)
        return outputs

    def graph(self, inputs: Any, outputs: Any) -> Graph:
        truth = {id(tensor): same for tensor, same in self._borders}

        def true(structure: Any) -> Any:
            return keras.tree.map_structure(true_leaf, structure)

        def true_leaf(leaf: Any) -> Any:
            while id(leaf) in truth:
                leaf = truth[id(leaf)]
            return leaf

        for call in self._calls:
            call.args, call.kwargs = true(call.args), true(call.kwargs)
        return Graph(inputs, true(outputs), self._calls, self._paths)


def new_inputs(model: keras.Model) -> Any:
    """Returns fresh symbolic inputs like the model's own."""
    return keras.tree.map_structure(
        lambda given: keras.Input(batch_shape=given.shape, dtype=given.dtype, name=given.name),
        inputs_of(model),
    )


def inputs_of(model: keras.Model) -> Any:
    """Returns the symbolic inputs of a model in the structure that its maker gave them."""
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def is_nested(operation: Any) -> bool:
    """Returns whether an operation is a Sequential or functional model."""
    return isinstance(operation, keras.Sequential) or is_functional(operation)


def block_of(layer: Any) -> Any:
    """Returns the model within a layer that runs it in a way of its own, such as a SelectiveBlock,
    and has a method `with_block` that returns one of the same settings around another model. None
    for other layers.
    """
    block = getattr(layer, "block", None)
    holds = callable(getattr(type(layer), "with_block", None))
    return block if holds and is_nested(block) else None


def is_functional(model: Any) -> bool:
    """Returns whether a model was made from symbolic inputs and outputs."""
    return isinstance(model, keras.Model) and isinstance(model, keras.Function)


def _tensors(structure: Any) -> list[keras.KerasTensor]:
    return [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, keras.KerasTensor)]

"""Residual blocks of a network, found in its graph and made ones that a step can skip."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.model.copying import clone, copy_weights, fresh_copy
from edgeax.model.graph import Call, Graph, new_inputs, trace
from edgeax.model.placement import is_relu, plain
from edgeax.model.rewrite import check_model, name_when_folded
from edgeax.model.wrapper import Compressed, has_kernel
from edgeax.training.selection_gate import SelectionGate
from edgeax.training.selective_block import SelectiveBlock


@implements(
    "WJC19",
    test="tests/training/test_residual_blocks.py::test_wjc19_all_blocks_but_the_first_can_be_skipped",
)
def with_selective_blocks(
    model: keras.Model, gate: SelectionGate | float, blocks: Iterable[str] | None = None
) -> keras.Model:
    """Returns a copy of a model whose residual blocks are `SelectiveBlock`s, not compiled.

    A residual block adds to a tensor what it computes from that tensor alone: `x + f(x)`, with a
    kernel in `f`. It ends at the addition, whose name the `SelectiveBlock` has. A ReLU behind that
    belongs to the block where the tensor is a ReLU's result too, which another one would not
    change; any other activation stays where it is, and a ReLU that serves several places too. Of
    blocks in blocks the inner ones are taken. Layers of nested models become the copy's own, named
    by their paths. What `edgeax.compress` wrapped stays so.

    Source: [WJC19].

    Args:
        model: Sequential or functional, built, plain or compressed.
        gate: A new SelectionGate for all of them, or the probability of running each, in (0, 1].
        blocks: Names of the additions that end them, or of nested models that hold them. None: all
            that are found but the first, which always runs in [WJC19].

    Raises:
        ValueError: The model has no graph, or no such residual block.

    Example: `with_selective_blocks(resnet, edgeax.layers.SelectionGate(target=0.4))`
    """
    check_model(model)
    copies: dict[int, Any] = {}
    skeleton = clone(model, fresh_copy, copies)
    copy_weights(model, copies)
    graph = trace(skeleton)
    found = _residual_blocks(graph)
    names = [graph.path(block.addition.operation) for block in found]
    chosen = found[1:] if blocks is None else _named(found, names, [*blocks])
    if not chosen:
        raise ValueError(
            "`model` must have residual blocks that add what they make to what they get: two at "
            f"least, for the first always runs, or name one in `blocks`. Received: {names}."
        )
    block_of = {id(call): block for block in chosen for call in block.calls}
    inputs_of: dict[int, Any] = {}

    def plainly(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        _rename(call.operation, name_when_folded(graph, call.operation))
        return call.operation(*args, **kwargs)

    def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        block = block_of.get(id(call))
        if block is None:
            return plainly(call, args, kwargs)
        if call is block.addition:
            inputs_of[id(block)] = keras.tree.flatten((args, kwargs))[block.shortcut]
        if call is not block.calls[-1]:
            return call.outputs  # nothing outside the block reads it
        given = keras.Input(batch_shape=block.given.shape, dtype=block.given.dtype)
        part = Graph(block.given, call.outputs, block.calls, graph.paths)
        name = name_when_folded(graph, block.addition.operation)
        inner = keras.Model(given, part.rebuild(plainly, given), name=f"{name}_block")
        seed = None if isinstance(gate, SelectionGate) else chosen.index(block)
        return SelectiveBlock(inner, gate, seed, name=name)(inputs_of[id(block)])

    inputs = new_inputs(skeleton)
    return keras.Model(inputs, graph.rebuild(emit, inputs), name=model.name)


def without_selective_blocks(model: keras.Model, samples: Any = None) -> keras.Model:
    """Returns a plain copy of a model, without gates, to export; not compiled.

    In place of a SelectiveBlock stand its block and `share * block(x) + (1 - share) * x`, the share
    its fixed probability, or the mean of what the gate says of `samples`. With a gate the copy is
    as close to the model as these decisions are to their mean.

    Args:
        model: Sequential or functional.
        samples: Inputs of the model, where a gate decides.

    Raises:
        ValueError: The model has no graph, or has a gate and there are no samples.
    """
    check_model(model)
    copies: dict[int, Any] = {}
    skeleton = clone(model, fresh_copy, copies)
    copy_weights(model, copies)
    graph = trace(skeleton)
    calls = [call for call in graph.calls if isinstance(call.operation, SelectiveBlock)]
    shares = _shares(graph, calls, samples)

    def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        layer, name = call.operation, name_when_folded(graph, call.operation)
        if id(call) not in shares:
            _rename(layer, name)
            return layer(*args, **kwargs)
        given = keras.tree.flatten(args)[0]
        outputs, share = layer.block(given), shares[id(call)]
        if share == 1.0:
            return outputs
        ran = keras.layers.Rescaling(share, name=f"{name}_share")(outputs)
        left = keras.layers.Rescaling(1.0 - share, name=f"{name}_rest")(given)
        return keras.layers.Add(name=name)([ran, left])

    inputs = new_inputs(skeleton)
    return keras.Model(inputs, graph.rebuild(emit, inputs), name=model.name)


def _rename(operation: Any, name: str) -> None:
    """Gives an operation a name; what is wrapped has the name of what it wraps."""
    operation.name = name
    if isinstance(operation, Compressed):
        operation.layer.name = name


def _shares(graph: Graph, calls: list[Call], samples: Any) -> dict[int, float]:
    """Returns by the id of a selective block's call how much of it the copy takes."""
    gated = [call for call in calls if len(call.input_tensors) > 1]
    shares = {id(call): call.operation.probability for call in calls if call not in gated}
    if gated and samples is None:
        raise ValueError(
            "`samples` must be inputs of the model, for its gate to decide on. Received: None."
        )
    if gated:
        decisions = keras.Model(graph.inputs, [call.input_tensors[1] for call in gated])
        found = keras.tree.flatten(decisions.predict(samples, verbose=0))
        shares |= {id(c): float(np.mean(p)) for c, p in zip(gated, found, strict=True)}
    return shares


@dataclasses.dataclass(frozen=True, eq=False)
class _Residual:
    """A residual block of a graph.

    Attributes:
        given: What it gets.
        calls: Its calls in their order.
        addition: The one that adds; a ReLU may follow it.
        shortcut: Which argument of the addition `given` is.
    """

    given: keras.KerasTensor
    calls: list[Call]
    addition: Call
    shortcut: int


def _residual_blocks(graph: Graph) -> list[_Residual]:
    found: list[_Residual] = []
    taken: set[int] = set()
    for end in graph.calls:
        if type(plain(end.operation)).__name__ != "Add" or len(end.input_tensors) != 2:
            continue
        for shortcut, given in enumerate(end.input_tensors):
            calls = _calls_between(graph, given, end)
            if calls and not taken & {id(call) for call in calls}:
                after = _idle_relu(graph, given, end)
                if after is not None:
                    calls.append(after)
                found.append(_Residual(given, calls, end, shortcut))
                taken |= {id(call) for call in calls}
                break
    return found


def _idle_relu(graph: Graph, given: keras.KerasTensor, end: Call) -> Call | None:
    """Returns the ReLU behind a block that would not change `given`, for one made it; a layer that
    is used elsewhere too stays where it is.
    """
    before, after = graph.producer(given), graph.only_consumer(end)
    if before is None or after is None or len(graph.calls_of(after.operation)) > 1:
        return None
    return after if is_relu(before.operation) and is_relu(after.operation) else None


def _calls_between(graph: Graph, given: keras.KerasTensor, end: Call) -> list[Call]:
    """Returns the calls that make what `end` adds to `given`, and `end`.

    Empty if they read anything else, are read by others, are used twice, or have no kernel.
    """
    if tuple(given.shape[1:]) != tuple(end.output_tensors[0].shape[1:]):
        return []
    inside: dict[int, Call] = {id(end): end}
    waiting = [end]
    while waiting:
        for tensor in waiting.pop().input_tensors:
            call = graph.producer(tensor)
            if tensor is given or call is not None and id(call) in inside:
                continue
            if call is None:
                return []
            inside[id(call)] = call
            waiting.append(call)
    for call in inside.values():
        if len(graph.calls_of(call.operation)) > 1:
            return []
        read = [after for tensor in call.output_tensors for after in graph.consumers(tensor)]
        if call is not end and (
            graph.is_output(call) or not all(id(after) in inside for after in read)
        ):
            return []
    if not any(has_kernel(call.operation) for call in inside.values()):
        return []
    return [call for call in graph.calls if id(call) in inside]


def _named(found: list[_Residual], paths: list[str], names: list[str]) -> list[_Residual]:
    def answers(path: str, name: str) -> bool:
        return path == name or path.startswith(f"{name}/")

    unknown = [name for name in names if not any(answers(path, name) for path in paths)]
    if unknown:
        raise ValueError(
            f"`blocks` must name residual blocks of the model: some of {paths}, or nested models "
            f"that hold them. Received: {unknown}, where there is none."
        )
    return [
        block
        for block, path in zip(found, paths, strict=True)
        if any(answers(path, name) for name in names)
    ]

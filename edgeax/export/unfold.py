"""Unfold: layers that the device has no operator for become the layers that they consist of.

Attention becomes products of matrices, a bidirectional layer two recurrent ones, an LSTM its one
operator, any other recurrent layer its steps without a loop, XNOR-Net's convolution one of signs
times a map. A layer with a method `opened`, such as a selective block, says itself what it consists
of: `opened(run, *inputs)` returns its results, all of them made by `run(layer, *inputs)`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.export.pieces import MatMul, Reversed, TimeFromBatch, TimeIntoBatch
from edgeax.export.recurrent import recurrent, state_extremes, why_not_recurrent
from edgeax.export.weights import Builder, Extremes, Kernels, Weights, trained_extremes
from edgeax.export.xnor import rounds_to_other_values, why_not_xnor, xnor
from edgeax.model import placement
from edgeax.model.graph import Call, Graph, trace
from edgeax.model.xnor import XnorConv2D

_layers = keras.layers


@dataclasses.dataclass(frozen=True)
class Unfolded:
    """A graph without layers that have to be unfolded.

    Attributes:
        graph: The graph, sizes that were open taken from the samples.
        kernels: Kernels in codes, by the id of the plain layer that holds their values.
        ranges: Ranges of results that are known beforehand, by the id of the call.
        whole: Why layers could not be unfolded, by their paths.
        steps: Ids of the operations that belong to the steps of a recurrent layer.
        results: Ids of the calls that give the results of such layers.
        constants: Ids of the layers whose kernels are no weights of the model.
    """

    graph: Graph
    kernels: dict[int, Kernels]
    ranges: dict[int, Extremes]
    whole: dict[str, str]
    steps: set[int]
    results: set[int]
    constants: set[int]


@dataclasses.dataclass(frozen=True)
class Use:
    """A call of a layer that is to be unfolded.

    Attributes:
        layer: The plain layer.
        weights: What it computes with.
        path: Its path in the model.
        args: Positional arguments.
        kwargs: Keyword arguments.
        extremes: The range that training followed for its output, or None.
    """

    layer: keras.layers.Layer
    weights: Weights
    path: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    extremes: Extremes | None


_NO_WIDE_SIGNS = (
    "`model` must have no layer of signs with `input_scaling` where activations have 16 bits: no "
    "operator reads signs of those. Received: layer {!r}. Use activations of 8 bits, or leave "
    "`input_scaling` out."
)


def unfold(graph: Graph, samples: Sequence[np.ndarray], has_wide: bool = False) -> Unfolded:
    """Returns the graph with every layer unfolded that has to be and can be.

    Args:
        graph: Of a copy of the model with its weights.
        samples: One array per input; they settle sizes that the model leaves open.
        has_wide: Whether it computes in integers and some activations have 16 bits.

    Raises:
        ValueError: A layer has no operators beside activations of 16 bits.
    """
    opens = any(map(_opens, graph.calls))
    if not opens and not any(type(placement.plain(c.operation)) in _RULES for c in graph.calls):
        return Unfolded(graph, {}, {}, {}, set(), set(), set())
    build = Builder()
    whole: dict[str, str] = {}

    def emit(
        call: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        within: Graph = graph,
        at: str = "",
    ) -> Any:
        operation, path = call.operation, at + within.path(call.operation)
        if _opens(call):
            given = args[0] if isinstance(args[0], (list, tuple)) else args
            return operation.opened(lambda part, *parts: run(part, path, parts), *given)
        rule = _RULES.get(type(placement.plain(operation)))
        if has_wide and isinstance(placement.plain(operation), XnorConv2D):
            raise ValueError(_NO_WIDE_SIGNS.format(path))
        reason = _why_not_unfolded(operation, args, kwargs)
        if reason:
            whole[path] = reason
        if rule is None or reason:
            return build.call(operation, path, *args, **kwargs)
        layer, extremes = placement.plain(operation), trained_extremes(operation, "output")
        return rule.expand(build, Use(layer, Weights(operation), path, args, kwargs, extremes))

    def run(part: Any, path: str, args: tuple[Any, ...]) -> Any:
        if not isinstance(part, keras.Model):
            return build.call(part, f"{path}/{part.name}", *args)
        inner = trace(part)
        tensors = args[0] if len(args) == 1 else list(args)
        return inner.rebuild(
            lambda call, args, kwargs: emit(call, args, kwargs, inner, f"{path}/"), tensors
        )

    tensors = keras.tree.flatten(graph.inputs)
    inputs = [
        keras.Input(batch_shape=(tensor.shape[0], *values.shape[1:]), dtype=tensor.dtype, name=name)
        for tensor, values, name in zip(tensors, samples, [t.name for t in tensors], strict=True)
    ]
    packed = keras.tree.pack_sequence_as(graph.inputs, inputs)
    outputs = graph.rebuild(emit, packed)
    unfolded = Graph(packed, outputs, build.calls, build.paths)
    return Unfolded(
        unfolded.without_unread() if opens else unfolded,
        build.kernels,
        build.ranges,
        whole,
        build.steps,
        build.results,
        build.constants,
    )


def _opens(call: Call) -> bool:
    return callable(getattr(type(call.operation), "opened", None))


def _why_not_unfolded(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Returns why a call of a layer that should be unfolded cannot be, `""` if it can or need not.

    Such a call stays one layer, in float, as the converter makes it.
    """
    layer = placement.plain(operation)
    rule = _RULES.get(type(layer))
    if rule is None:
        return ""
    given = [leaf for leaf in keras.tree.flatten((args, kwargs)) if leaf is not None]
    if any(getattr(leaf, "_keras_mask", None) is not None for leaf in given):
        return "it gets a mask"
    named = {name for name, value in kwargs.items() if value is not None and value is not False}
    strange = sorted(named - {"training", *rule.arguments})
    if strange or len(args) > max(1, len(rule.arguments)):
        return f"it is called with {', '.join(strange) or 'further arguments'}"
    if isinstance(layer, XnorConv2D) and rounds_to_other_values(operation):
        return "its results are rounded to values that integers are not"
    return rule.why_not(layer, args)


def _recurrent(build: Builder, use: Use) -> Any:
    sequence = _first(use)
    return recurrent(build, use.layer, use.weights, use.path, sequence, use.extremes)


def _bidirectional(build: Builder, use: Use) -> Any:
    layer, sequence = use.layer, _first(use)
    extremes = use.extremes
    if layer.merge_mode == "concat":
        ranges = {state_extremes(layer.forward_layer), state_extremes(layer.backward_layer)}
        extremes = extremes or (ranges.pop() if len(ranges) == 1 else None)
    one_range = layer.merge_mode == "concat" and layer.return_sequences
    within = extremes if one_range else None
    ways = [
        recurrent(build, way, use.weights, f"{use.path}/{name}", sequence, within)
        for way, name in ((layer.forward_layer, "forward"), (layer.backward_layer, "backward"))
    ]
    if layer.return_sequences:
        ways[1] = build.call(Reversed(), use.path, ways[1])
    if layer.merge_mode is None:
        return ways
    return build.call(_MERGES[layer.merge_mode](), use.path, ways, extremes=extremes)


def _time_distributed(build: Builder, use: Use) -> Any:
    sequence, layer = _first(use), use.layer.layer
    if isinstance(layer, (_layers.Dense, _layers.Activation, _layers.ReLU)):
        return build.copy_of(layer, use.weights, use.path, sequence, extremes=use.extremes)
    batch = build.call(TimeIntoBatch(), use.path, sequence)
    batch = build.copy_of(layer, use.weights, use.path, batch, extremes=use.extremes)
    return build.call(TimeFromBatch(sequence.shape[1]), use.path, batch)


def _attention(build: Builder, use: Use) -> Any:
    """Source: the layer itself; one product of matrices for the scores, one for the values."""
    layer, path = use.layer, use.path
    named = dict(zip(("query", "value", "key"), use.args, strict=False)) | use.kwargs
    query, value = named["query"], named["value"]
    key = value if named.get("key") is None else named["key"]
    gain = 1.0 / float(layer.key_dim) ** 0.5  # in the weights, where it costs nothing

    def heads(part: Any, name: str, tensor: Any, order: tuple[int, ...], gain: float = 1.0) -> Any:
        made = build.copy_of(
            part, use.weights, f"{path}/{name}", tensor, gain=gain, settings=_sized(part, tensor)
        )
        return build.call(_layers.Permute(order), f"{path}/{name}", made)

    queries = heads(layer.query_dense, "query", query, (2, 1, 3), gain)
    keys = heads(layer.key_dense, "key", key, (2, 3, 1))
    values = heads(layer.value_dense, "value", value, (2, 1, 3))
    scores = build.call(MatMul(), f"{path}/scores", [queries, keys])
    weights = build.call(_layers.Softmax(), f"{path}/softmax", scores)
    mixed = build.call(MatMul(), f"{path}/mix", [weights, values])
    mixed = build.call(_layers.Permute((2, 1, 3)), f"{path}/mix", mixed)
    last = f"{path}/attention_output"
    return build.copy_of(
        layer.output_dense,
        use.weights,
        last,
        mixed,
        extremes=use.extremes,
        settings=_sized(layer.output_dense, mixed),
    )


def _sized(dense: Any, tensor: Any) -> dict[str, Any]:
    """Returns settings with the number of steps, which attention leaves open in its parts."""
    return {"output_shape": (tensor.shape[1], *dense.get_config()["output_shape"][1:])}


def _xnor(build: Builder, use: Use) -> Any:
    return xnor(build, use.layer, use.weights, use.path, _first(use), use.extremes)


def _first(use: Use) -> Any:
    return use.args[0] if use.args else next(iter(use.kwargs.values()))


def _why_not_bidirectional(layer: Any, args: tuple[Any, ...]) -> str:
    ways = (layer.forward_layer, layer.backward_layer)
    unknown = [type(way).__name__ for way in ways if type(way) not in _RECURRENT]
    if unknown:
        return f"it holds a {unknown[0]}"
    return next(filter(None, (why_not_recurrent(way) for way in ways)), "")


def _why_not_time_distributed(layer: Any, args: tuple[Any, ...]) -> str:
    known = isinstance(layer.layer, (*placement.LINEAR, *_STEPWISE))
    return "" if known else f"it holds a {type(layer.layer).__name__}"


def _why_not_attention(layer: Any, args: tuple[Any, ...]) -> str:
    several = [len(tensor.shape) for tensor in args if len(tensor.shape) != 3]
    return f"its inputs have {several[0]} dimensions" if several else ""


@dataclasses.dataclass(frozen=True)
class _Rule:
    """How one kind of layer is unfolded.

    Attributes:
        expand: Emits the parts of a use, returns the results.
        why_not: Why a layer of the kind cannot be unfolded, `""` if it can.
        arguments: Names of the tensors that a call may pass.
    """

    expand: Callable[[Builder, Use], Any]
    why_not: Callable[[Any, tuple[Any, ...]], str]
    arguments: tuple[str, ...] = ("inputs", "sequence", "sequences")


_RECURRENT = (_layers.LSTM, _layers.GRU, _layers.SimpleRNN)
_STEPWISE = (
    _layers.Activation,
    _layers.ReLU,
    _layers.MaxPooling1D,
    _layers.MaxPooling2D,
    _layers.AveragePooling1D,
    _layers.AveragePooling2D,
    _layers.GlobalAveragePooling1D,
    _layers.GlobalAveragePooling2D,
    _layers.GlobalMaxPooling1D,
    _layers.GlobalMaxPooling2D,
    _layers.Flatten,
    _layers.Reshape,
)
_MERGES = {
    "concat": _layers.Concatenate,
    "sum": _layers.Add,
    "mul": _layers.Multiply,
    "ave": _layers.Average,
}
_RULES: dict[type, _Rule] = {
    **{kind: _Rule(_recurrent, lambda layer, _: why_not_recurrent(layer)) for kind in _RECURRENT},
    XnorConv2D: _Rule(_xnor, lambda layer, _: why_not_xnor(layer)),
    _layers.Bidirectional: _Rule(_bidirectional, _why_not_bidirectional),
    _layers.TimeDistributed: _Rule(_time_distributed, _why_not_time_distributed),
    _layers.MultiHeadAttention: _Rule(_attention, _why_not_attention, ("query", "value", "key")),
}

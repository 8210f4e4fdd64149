"""strip_auto_pruners: a model without its AutoPruners, computing what it did with them."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.model.channel_moves import acts_on_values, brings_values, merges, move_of
from edgeax.model.copying import clone, copy_weights, fresh_copy
from edgeax.model.graph import Call, Graph, new_inputs, trace
from edgeax.model.rewrite import check_model, check_plain, compile_like, name_when_folded
from edgeax.model.select_channels import mask_channels
from edgeax.model.wrapper import has_kernel
from edgeax.training.auto_pruner import AutoPruner

_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


def strip_auto_pruners(model: keras.Model) -> keras.Model:
    """Returns a plain functional copy of a model without its `AutoPruner` layers.

    Where a channel did not pass, the layers behind have weights of zero for it: the inference
    outputs are the same, up to float rounding. `edgeax.remove_channels` of the result takes the
    channels out. It is compiled if `model` was. The layers of nested models become the copy's own,
    named by their paths with `_` for `/`.

    Args:
        model: Sequential or functional, nested ones included, not compressed: `edgeax.strip` it
            first.

    Raises:
        ValueError: The model has no graph or is compressed, an AutoPruner lets nothing pass, or
            stands where zeros of its channels are not what zero weights behind it make.

    Example: `small = edgeax.remove_channels(strip_auto_pruners(model)).model`
    """
    check_model(model)
    check_plain(model)
    graph = _graph_of(model)
    channels = _channels(graph)

    def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(call.operation, AutoPruner):
            return args[0]
        call.operation.name = name_when_folded(graph, call.operation)
        return call.operation(*args, **kwargs)

    inputs = new_inputs(model)
    plain = keras.Model(inputs, graph.rebuild(emit, inputs), name=model.name)
    if not model.trainable:
        plain.trainable = False
    result = mask_channels(plain, channels) if channels else plain
    compile_like(result, model)
    return result


def auto_pruned_channels(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns which channels the AutoPruners of a model do not let pass, as `remove_channels` takes
    them with what `strip_auto_pruners` returns: by the name that the layer right before each of
    them has there.

    Args:
        model: As for `strip_auto_pruners`.

    Raises:
        ValueError: As `strip_auto_pruners`.
    """
    check_model(model)
    check_plain(model)
    return _channels(_graph_of(model))


def _graph_of(model: keras.Model) -> Graph:
    copies: dict[int, Any] = {}
    skeleton = clone(model, fresh_copy, copies)
    copy_weights(model, copies)
    return trace(skeleton)


def _channels(graph: Graph) -> dict[str, np.ndarray]:
    channels: dict[str, np.ndarray] = {}
    for call in graph.calls:
        if not isinstance(call.operation, AutoPruner) or not call.operation.removed.size:
            continue
        path = graph.path(call.operation)
        if not call.operation.kept.size:
            raise ValueError(
                f"The AutoPruner {path!r} must let a channel pass for a network to be left. "
                "Received: none that does. Train longer, or with a larger `keep`."
            )
        why = _not_alone(graph, call) or _not_read_at_once(graph, call)
        if why:
            raise ValueError(
                f"The AutoPruner {path!r} must stand right behind the layer whose channels it "
                f"prunes and right before those that read them. Received: {why}. Put it there."
            )
        before = graph.producer(call.input_tensors[0])
        name = name_when_folded(graph, before.operation)  # type: ignore[union-attr]
        known = channels.get(name, call.operation.removed)
        channels[name] = np.union1d(known, call.operation.removed)
    return channels


def _not_alone(graph: Graph, call: Call) -> str:
    """Returns what else sees the channels that come to a call, `""` if nothing does."""
    while True:
        before = graph.producer(call.input_tensors[0])
        if before is None:
            return "it works on an input of the model"
        path = graph.path(before.operation)
        if graph.only_consumer(before) is not call:
            return f"the result of {path!r} is used elsewhere too"
        if has_kernel(before.operation) and not isinstance(before.operation, _DEPTHWISE):
            return ""
        if len(before.input_tensors) != 1:
            return f"{path!r} computes them from several tensors"
        call = before


def _not_read_at_once(graph: Graph, call: Call) -> str:
    """Returns what comes before the readers of a call's result that does not keep its zeros."""
    waiting = [call]
    while waiting:
        call = waiting.pop()
        if graph.is_output(call):
            return "its channels are an output of the model"
        for after in graph.consumers(call.output_tensors[0]):
            if has_kernel(after.operation) and not isinstance(after.operation, _DEPTHWISE):
                continue
            if not _keeps_zeros(after):
                return f"{graph.path(after.operation)!r} is between, which makes other values of 0"
            waiting.append(after)
    return ""


def _keeps_zeros(call: Call) -> bool:
    """Returns whether a channel of zeros is one behind a call, and has no part in others."""
    if merges(call):
        return False
    if acts_on_values(call):
        result = call.operation(tf.zeros((1,) * len(call.input_tensors[0].shape)))
        return not np.any(np.asarray(result))
    if isinstance(call.operation, _DEPTHWISE):
        activation = call.operation.activation
        zero = not np.any(np.asarray(activation(tf.zeros((1,)))))
        return not call.operation.use_bias and zero
    if isinstance(call.operation, keras.layers.Softmax) or brings_values(call):
        return False
    return move_of(call) is not None

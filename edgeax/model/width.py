"""widen: a network with more filters, as those need that compute with few bits."""

from typing import Any

import keras

from edgeax.formats import implements
from edgeax.model.copying import clone, compressed_layers, fresh_copy
from edgeax.model.ends import closing_layers
from edgeax.model.graph import Call, is_nested, new_inputs, trace
from edgeax.model.padding import PaddedConv1D, PaddedConv2D, PaddedDepthwiseConv2D
from edgeax.model.rewrite import name_when_folded
from edgeax.model.wrapper import slot_of

_layers = keras.layers

# The settings that say how many channels a layer makes.
_WIDTHS: dict[type, tuple[str, ...]] = {
    _layers.Dense: ("units",),
    _layers.Conv1D: ("filters",),
    _layers.Conv2D: ("filters",),
    PaddedConv1D: ("filters",),
    PaddedConv2D: ("filters",),
    _layers.Conv3D: ("filters",),
    _layers.SeparableConv1D: ("filters",),
    _layers.SeparableConv2D: ("filters",),
    _layers.Conv1DTranspose: ("filters",),
    _layers.Conv2DTranspose: ("filters",),
    _layers.Conv3DTranspose: ("filters",),
    _layers.SimpleRNN: ("units",),
    _layers.LSTM: ("units",),
    _layers.GRU: ("units",),
    _layers.Embedding: ("output_dim",),
}
# Layers with kernels whose channels follow from their inputs, and what else grows in them.
_INNER_WIDTHS: dict[type, tuple[str, ...]] = {
    _layers.DepthwiseConv1D: (),
    _layers.DepthwiseConv2D: (),
    PaddedDepthwiseConv2D: (),
    _layers.MultiHeadAttention: ("key_dim", "value_dim"),
}


@implements(
    "MNCM17", test="tests/model/test_width.py::test_mncm17_cost_grows_as_the_square_of_width"
)
def widen(model: keras.Model, factor: float) -> keras.Model:
    """Returns a new model like `model` whose layers have `factor` times the filters and units.

    Inputs and outputs keep their shapes: the layers from which no other layer with a choice of
    channels leads to an output keep their width. The multiply-accumulates of a layer between two
    others grow by the square of the factor. All weights are new. The layers of nested models become
    the model's own, named by their paths.

    Args:
        model: Sequential or functional, not compressed.
        factor: What numbers of channels are multiplied by, above 0; 2 and 3 in [MNCM17]. Results
            are rounded, to at least 1.

    Returns:
        A Sequential model if `model` is one that nests no other, else a functional one.

    Raises:
        ValueError: An argument is none of these, or a layer cannot be widened: one that fixes the
            number of its channels otherwise, such as Reshape.

    Source: [MNCM17].

    Example: `edgeax.compress(edgeax.widen(model, 2), "static_wi2_ai8")`
    """
    _check(model, factor)
    graph = trace(clone(model, fresh_copy, {}))
    kept = closing_layers(graph, lambda call: type(call.operation) in _WIDTHS)
    wider: dict[int, Any] = {}

    def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        operation, path = call.operation, graph.path(call.operation)
        try:
            if id(operation) not in wider:
                wide = operation
                if isinstance(operation, keras.layers.Layer):
                    wide = _widened(call, 1.0 if id(operation) in kept else factor, args)
                    wide.name = name_when_folded(graph, operation)
                wider[id(operation)] = wide
            outputs = wider[id(operation)](*args, **kwargs)
        except (ValueError, TypeError) as error:  # of Keras, where shapes do not fit any more
            raise _cannot(path, operation, str(error)) from error
        _check_moved_channels(call, outputs, path)
        return outputs

    inputs = new_inputs(model)
    outputs = graph.rebuild(emit, inputs)
    _check_same_outputs(graph.outputs, outputs)
    if isinstance(model, keras.Sequential) and not any(map(is_nested, model.layers)):
        layers = [wider[id(call.operation)] for call in graph.calls]
        return keras.Sequential([new_inputs(model), *layers], name=model.name)
    return keras.Model(inputs, outputs, name=model.name)


def _widened(call: Call, factor: float, args: tuple[Any, ...]) -> Any:
    """Returns a new layer with `factor` times the channels.

    Args:
        call: Of the layer.
        factor: What its channels are multiplied by.
        args: What the new layer will be called on.

    Raises:
        ValueError: Nobody knows which of its settings are channels.
    """
    layer = call.operation
    kind = type(layer)
    config = layer.get_config()
    names = _WIDTHS.get(kind, _INNER_WIDTHS.get(kind))
    if names is None:
        # Of the wrapped layers of others, and of their own, nobody knows what chooses the channels.
        if any(slot_of(variable.name) == "kernel" for variable in layer.weights):
            known = sorted(known.__name__ for known in (*_WIDTHS, *_INNER_WIDTHS))
            raise ValueError(f"only the settings of {known} are known.")
        return fresh_copy(layer)
    for name in names:
        if config[name] is not None:
            config[name] = max(1, round(factor * config[name]))
    groups = config.get("groups", 1)
    if groups > 1 and groups == _channels(call.input_tensors[0], config):  # each channel on its own
        config["groups"] = _channels(args[0], config)
    return kind.from_config(config)


def _channels(tensor: Any, config: dict[str, Any]) -> int:
    return int(tensor.shape[-1 if config["data_format"] == "channels_last" else 1])


def _check(model: Any, factor: Any) -> None:
    if not is_nested(model):
        raise ValueError(
            "`model` must be a Sequential or functional Keras model. Received: "
            f"{type(model).__name__}. Give the class of a subclassed one an argument for its width."
        )
    if not model.built:
        raise ValueError(
            "`model` must be built. Received: a model without an input shape. "
            "Add keras.Input first."
        )
    compressed = next(compressed_layers(model), None)
    if compressed is not None:
        raise ValueError(
            "`model` must be a plain model. Received: a compressed one, in which "
            f"{compressed.name!r} is wrapped. Widen first, then compress."
        )
    if not 0.0 < factor < float("inf"):
        raise ValueError(f"`factor` must be above 0 and finite. Received: factor={factor}.")


def _check_moved_channels(call: Call, outputs: Any, path: str) -> None:
    """Checks that a reshaping made of more channels more channels, and not more positions."""
    if type(call.operation).__name__ != "Reshape":
        return
    before, after = call.output_tensors[0].shape, keras.tree.flatten(outputs)[0].shape
    if before[:-1] != after[:-1]:
        message = f"its result has shape {after} instead of {before}."
        raise _cannot(path, call.operation, message)


def _check_same_outputs(before: Any, after: Any) -> None:
    pairs = zip(keras.tree.flatten(before), keras.tree.flatten(after), strict=True)
    for old, new in pairs:
        if old.shape != new.shape:
            raise ValueError(
                "`model` must end in layers that choose the number of their channels, for its "
                f"outputs to keep their shape. Received: an output of shape {old.shape} that would "
                f"have {new.shape}."
            )


def _cannot(path: str, operation: Any, why: str) -> ValueError:
    return ValueError(
        "`model` must hold layers that can be widened. Received: "
        f"{path!r} of type {type(operation).__name__}. Let it take the number of its channels from "
        "its input (in Reshape: a last size of -1), or build the wider model yourself. "
        f"With more channels: {why}"
    )

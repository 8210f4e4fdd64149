"""Multiply-accumulates of a model, layer by layer."""

import math
from collections.abc import Iterable

import keras

from edgeax.model.copying import clone, plain_copy
from edgeax.model.graph import Call, trace
from edgeax.model.layout import einsum_axes
from edgeax.model.rewrite import check_model
from edgeax.model.wrapper import has_kernel, slot_of

_RECURRENT = (
    *(keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU),
    *(keras.layers.RNN, keras.layers.Bidirectional),
)

_RECURRENT_CONVOLUTIONS = (
    *(keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D),
)


def macs(model: keras.Model) -> dict[str, int]:
    """Returns the multiply-accumulates that each layer with a kernel needs for one sample.

    Counted are the products with kernels, those with a border of zeros included, as the literature
    does: not biases, normalizations, activations, nor the products of attention with itself. A
    layer that is called several times counts all its calls; a table of embeddings counts 0.

    Args:
        model: Sequential or functional, nested ones included.

    Returns:
        By the layer's path, in the order of the graph.

    Raises:
        ValueError: The model has no graph, or a size that the count depends on may vary.

    Example: `sum(edgeax.macs(keras.applications.MobileNetV2(weights=None)).values())` is 3.0e8
    """
    check_model(model)
    graph = trace(clone(model, plain_copy, {}))
    return macs_of_calls((graph.path(call.operation), call) for call in graph.calls)


def macs_of_calls(calls: Iterable[tuple[str, Call]]) -> dict[str, int]:
    """Returns the multiply-accumulates of each layer with a kernel by its path.

    Args:
        calls: All calls with the paths of their layers.

    Raises:
        ValueError: A size that the count depends on may vary.
    """
    counts: dict[str, int] = {}
    for path, call in calls:
        if has_kernel(call.operation):
            counts[path] = counts.get(path, 0) + _count(path, call)
    return counts


def _count(path: str, call: Call) -> int:
    given, made = call.input_tensors[0].shape[1:], call.output_tensors[0].shape[1:]
    if None in (*given, *made) and not isinstance(call.operation, keras.layers.Embedding):
        raise ValueError(
            "`model` must have inputs of known sizes for its multiply-accumulates to be counted. "
            f"Received: {path!r} makes {(None, *made)} of {(None, *given)}. "
            "Build the model again on keras.Input of the whole shape."
        )
    return macs_of_call(call.operation, call)


def macs_of_call(layer: keras.layers.Layer, call: Call) -> int:
    """Returns the multiply-accumulates of one call for one sample.

    Args:
        layer: The plain layer that is called.
        call: The call; a dimension that may vary counts 1.
    """
    kernels = [math.prod(v.shape) for v in layer.weights if slot_of(v.name) == "kernel"]
    if not kernels or isinstance(layer, keras.layers.Embedding):
        return 0
    if isinstance(layer, _RECURRENT):
        return _sizes(call.input_tensors[0])[0] * _positions(layer, call) * sum(kernels)
    if isinstance(layer, keras.layers.EinsumDense):
        given, letters, _ = einsum_axes(layer)
        sizes = zip(letters, layer.kernel.shape, strict=True)
        per_value = math.prod(size for letter, size in sizes if letter not in given)
        return math.prod(_sizes(call.input_tensors[0])) * per_value
    transposed = type(layer).__name__.endswith("Transpose")
    shape = _sizes(call.input_tensors[0] if transposed else call.output_tensors[0])
    channels_first = getattr(layer, "data_format", None) == "channels_first"
    return math.prod(shape[1:] if channels_first else shape[:-1]) * sum(kernels)


def _positions(layer: keras.layers.Layer, call: Call) -> int:
    """Returns at how many positions a recurrent layer uses its kernels in one step."""
    one = layer.forward_layer if isinstance(layer, keras.layers.Bidirectional) else layer
    if not isinstance(one, _RECURRENT_CONVOLUTIONS):
        return 1
    shape = _sizes(call.output_tensors[0])[1 if one.return_sequences else 0 :]
    return math.prod(shape[1:] if one.data_format == "channels_first" else shape[:-1])


def _sizes(tensor: keras.KerasTensor) -> list[int]:
    """Returns the shape of one sample; a dimension that may vary counts 1."""
    return [size or 1 for size in tensor.shape[1:]]

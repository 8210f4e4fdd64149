"""Files of one int8 operator, for timing it alone inside an interpreter."""

from collections.abc import Mapping

import numpy as np

from edgeax.formats.flatbuffer import Model, Subgraph
from edgeax.formats.layer_shape import CONV, DEPTHWISE, FULLY_CONNECTED, LayerShape
from edgeax.formats.operators import OPERATORS, PADDING_SAME

INPUT_SCALE = 0.02
_SPREAD = 40.0  # standard deviation of the output codes, so that few reach a limit

_TABLES = {
    CONV: "Conv2DOptions",
    DEPTHWISE: "DepthwiseConv2DOptions",
    FULLY_CONNECTED: "FullyConnectedOptions",
}


def built_in_file(shape: LayerShape, weights: np.ndarray, scale: np.ndarray, dtype: str) -> bytes:
    """Returns a file of TFLite's own operator.

    Args:
        shape: What it computes.
        weights: Codes, int8 `(outputs, depth)`.
        scale: float32 `(outputs,)`, that of each output channel.
        dtype: "int8" or "int4", how the codes are stored.
    """
    model, graph = _model(shape, weights, scale)
    kernel = _kernel(shape, weights)
    number = graph.add_tensor("weights", kernel, scale)
    graph.tensors[number].quantized_axis = 3 if shape.layer == DEPTHWISE else 0
    if dtype != "int8":
        graph.tensors[number].dtype = dtype
        graph.tensors[number].data = kernel
    bias = graph.add_tensor("bias", np.zeros(shape.outputs, np.int32), scale * INPUT_SCALE)
    options: dict[str, int | bool] = {}
    if shape.layer != FULLY_CONNECTED:
        options |= dict(zip(("strideH", "strideW"), shape.stride, strict=True))
    if shape.layer == DEPTHWISE:
        options["depthMultiplier"] = shape.outputs // shape.inputs
    graph.insert(0, shape.layer, (0, number, bias), (1,))
    model.replace_with_builtin(
        graph, 0, shape.layer, (0, number, bias), _TABLES[shape.layer], options
    )
    graph.operators[0].retarget(7 if dtype == "int4" else 3, {})
    return model.to_bytes()


def custom_file(
    shape: LayerShape,
    weights: np.ndarray,
    scale: np.ndarray,
    operator: str,
    constants: Mapping[str, np.ndarray],
    options: Mapping[str, int],
) -> bytes:
    """Returns a file of one of our operators.

    Args:
        shape: What it computes.
        weights: The codes that the constants stand for, int8 `(outputs, depth)`.
        scale: float32 `(outputs,)`, that of each output channel.
        operator: Name in the operator table.
        constants: The inputs of that operator but input, bias and scale, by name.
        options: Its options, where they are not those of a plain layer.
    """
    model, graph = _model(shape, weights, scale)
    constants = {"bias": np.zeros(shape.outputs, np.int32), "scale": scale, **constants}
    entry = OPERATORS[operator]
    numbers = [0, *(graph.add_tensor(name, constants[name]) for name in entry.inputs[1:])]
    plain = {option.name: 1 for option in entry.options} | {
        "kernel_height": shape.kernel[0],
        "kernel_width": shape.kernel[1],
        "stride_height": shape.stride[0],
        "stride_width": shape.stride[1],
        "depth_multiplier": shape.outputs // shape.inputs,
        "padding": PADDING_SAME,
        "output_min": -128,
        "output_max": 127,
    }
    values = {option.name: plain[option.name] for option in entry.options} | dict(options)
    graph.insert(0, operator, numbers, (1,), is_custom=True)
    model.replace_with_custom(graph, 0, operator, numbers, entry.pack_options(**values))
    return model.to_bytes()


def _kernel(shape: LayerShape, weights: np.ndarray) -> np.ndarray:
    """Returns the codes as the built-in operator wants them."""
    if shape.layer == FULLY_CONNECTED:
        return weights
    if shape.layer == DEPTHWISE:
        return np.ascontiguousarray(weights.T).reshape(1, *shape.kernel, shape.outputs)
    return weights.reshape(shape.outputs, *shape.kernel, shape.inputs)


def _model(shape: LayerShape, weights: np.ndarray, scale: np.ndarray) -> tuple[Model, Subgraph]:
    """A graph that has its input and its output and nothing between them."""
    model = Model.empty()
    graph = model.subgraphs[0]
    real = weights.astype(np.float64) * scale[:, None]
    sums = 74.0 * INPUT_SCALE * np.sqrt(np.square(real).sum(axis=1).mean())  # uniform codes
    graph.add_state("input", "int8", shape.input, [INPUT_SCALE], is_variable=False)
    graph.add_state("output", "int8", shape.output, [sums / _SPREAD], is_variable=False)
    graph.inputs, graph.outputs = [0], [1]
    return model, graph

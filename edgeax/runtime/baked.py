"""Baked: a file that was trained becomes a plain one, its variables constants as in any other.

Interpreters compute fastest from constants: XNNPACK takes no convolution whose filter may change.
"""

import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from edgeax.formats import training_signature
from edgeax.formats.flatbuffer import Model, Operator, Subgraph
from edgeax.formats.operators import OPERATORS, VARIABLE_OPERATORS
from edgeax.runtime.details import METADATA_KEY

_BIASED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

_ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}

_PADDINGS = {"SAME": 0, "VALID": 1}

_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
}


def bake(source: str | os.PathLike[str] | bytes, values: Mapping[str, np.ndarray]) -> bytes:
    """Returns the plain file of a trained one: its `infer` with the variables as constants.

    Args:
        source: A file that `edgeax.export` made with `train`, or its bytes.
        values: The variables as the signature `save` gives them; those that `infer` does not read
            may be missing.

    Raises:
        ValueError: The file cannot be trained, a variable that it reads is missing, or a value has
            another shape.

    Example: `edgeax.runtime.bake("model.tflite", interpreter.get_signature_runner("save")())`
    """
    is_path = isinstance(source, (str, os.PathLike))
    file = Model.read(source) if is_path else Model.from_bytes(source)  # type: ignore[arg-type]
    signature = training_signature.read(file)
    shapes = {variable.name: variable for variable in signature.variables}
    names = _names_of_handles(file)
    file.keep_signature("infer")
    (graph,) = file.subgraphs
    handles = {
        operator.outputs[0]: names[operator.options["shared_name"]]
        for operator in graph.operators
        if operator.name == "VAR_HANDLE"
    }
    for operator in graph.operators:
        if operator.name == "READ_VARIABLE":
            name = handles[operator.inputs[0]]
            value = _checked(shapes[name], values)
            value = value.reshape(graph.tensors[operator.outputs[0]].shape)
            graph.redirect(operator.outputs[0], graph.add_tensor(name, value))
    gone = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE")
    graph.operators = [one for one in graph.operators if one.name not in gone]
    _fold(graph)
    _as_builtin(file, graph)
    _as_dense(file, graph)
    _absorb(graph)
    del file.metadata[training_signature.METADATA_KEY]
    _note_operators(file, graph)
    file.prune()
    return file.to_bytes()


def _names_of_handles(file: Model) -> dict[str, str]:
    """Returns the name of each variable by what the file tells variables apart by."""
    save = next(one for one in file.signatures if one.name == "save")
    graph = file.subgraphs[save.subgraph]
    makers = {index: one for one in graph.operators for index in one.outputs}
    names = {}
    for name, index in save.outputs.items():
        maker = makers[index]
        if maker.name == "RESHAPE":  # of a scalar
            maker = makers[maker.inputs[0]]
        handle = makers[maker.inputs[0]]
        names[handle.options["shared_name"]] = name
    return names


def _checked(variable: training_signature.Variable, values: Mapping[str, np.ndarray]) -> np.ndarray:
    if variable.name not in values:
        raise ValueError(
            f"`values` must hold the variable {variable.name!r}. Received: {sorted(values)}. Pass "
            "all that the signature 'save' gives."
        )
    value = np.asarray(values[variable.name])
    if value.shape != variable.shape or value.dtype != variable.dtype:
        raise ValueError(
            f"`values` must hold {variable.dtype} of shape {variable.shape} for "
            f"{variable.name!r}. Received: {value.dtype} of shape {value.shape}."
        )
    return value


_FOLDED: dict[str, Callable[..., np.ndarray]] = {
    "TRANSPOSE": np.transpose,
    "RESHAPE": np.reshape,
}


def _fold(graph: Subgraph) -> None:
    """Computes what only moves constants, and the values of codes."""
    kept = []
    for operator in graph.operators:
        inputs = [graph.tensors[index] for index in operator.inputs]
        is_constant = all(tensor.is_constant for tensor in inputs)
        if is_constant and operator.name in _FOLDED:
            value, to = (np.asarray(tensor.data) for tensor in inputs)
            moved = _FOLDED[operator.name](value, tuple(map(int, to)))
            _replace(graph, operator, moved)
        elif is_constant and operator.name == "CAST":
            value = np.asarray(inputs[0].data)
            _replace(graph, operator, value.astype(graph.tensors[operator.outputs[0]].dtype))
        elif is_constant and _is_plain_product(operator):
            values = [np.asarray(tensor.data) for tensor in inputs]
            _replace(graph, operator, values[0] * values[1])
        elif is_constant and operator.name == "CONCATENATION":
            parts = [np.asarray(tensor.data) for tensor in inputs]
            _replace(graph, operator, np.concatenate(parts, operator.options["axis"]))
        else:
            kept.append(operator)
    graph.operators = kept


def _is_plain_product(operator: Operator) -> bool:
    none = operator.options.get("fused_activation_function", "NONE") == "NONE"
    return operator.name == "MUL" and none


def _replace(graph: Subgraph, operator: Operator, value: np.ndarray) -> None:
    name = graph.tensors[operator.outputs[0]].name
    graph.redirect(operator.outputs[0], graph.add_tensor(name, np.ascontiguousarray(value)))


def _as_builtin(file: Model, graph: Subgraph) -> None:
    """Makes layers by weights that were variables built-in ones."""
    for place, operator in enumerate(graph.operators):
        is_layer = operator.name in VARIABLE_OPERATORS
        if not is_layer or not graph.tensors[operator.inputs[1]].is_constant:
            continue
        attributes = flexbuffers.Loads(operator.custom_options)
        options = {"fusedActivationFunction": _ACTIVATIONS[attributes["activation"]]}
        x, kernel, bias = operator.inputs
        name, weights = graph.tensors[kernel].name, np.asarray(graph.tensors[kernel].data)
        if operator.name == "EdgeaxVariableFullyConnected":
            kind, weights = "FULLY_CONNECTED", weights.T
            options["keepNumDims"] = True
        else:
            _, options["strideH"], options["strideW"], _ = attributes["strides"]
            dilations = attributes["dilations"]
            options["dilationHFactor"], options["dilationWFactor"] = dilations[1:3]
            options["padding"] = _PADDINGS[attributes["padding"]]
            kind, multiplier = "CONV_2D", weights.shape[3]
            if operator.name == "EdgeaxVariableConv2D":
                weights = weights.transpose(3, 0, 1, 2)
            else:
                kind, options["depthMultiplier"] = "DEPTHWISE_CONV_2D", multiplier
                weights = weights.reshape(1, *weights.shape[:2], -1)
        inputs = [x, graph.add_tensor(name, np.ascontiguousarray(weights)), bias]
        file.replace_with_builtin(graph, place, kind, inputs, _OPTIONS[kind], options)


def _as_dense(file: Model, graph: Subgraph) -> None:
    """Makes products with constant matrices dense layers, which can add a bias."""
    for place, operator in enumerate(graph.operators):
        if operator.name != "BATCH_MATMUL" or any(
            operator.options.get(name) for name in ("adj_x", "adj_y")
        ):
            continue
        given, matrix = (graph.tensors[index] for index in operator.inputs)
        if matrix.is_constant and len(matrix.shape) == len(given.shape) == 2:
            weights = np.ascontiguousarray(np.asarray(matrix.data).T)
            inputs = [operator.inputs[0], graph.add_tensor(matrix.name, weights), -1]
            file.replace_with_builtin(
                graph, place, "FULLY_CONNECTED", inputs, "FullyConnectedOptions", {}
            )


def _absorb(graph: Subgraph) -> None:
    """Puts constants that are added to channels, or multiplied, into the layer in front of them."""
    changed = True
    while changed:
        changed = any(_absorb_next(graph, operator) for operator in graph.operators)


def _absorb_next(graph: Subgraph, operator: Operator) -> bool:
    """Lets a layer do what the next operator does to its channels; returns whether it can."""
    if operator.name not in _BIASED or operator.options["fused_activation_function"] != "NONE":
        return False
    result = operator.outputs[0]
    readers = graph.consumers(result)
    if len(readers) != 1 or result in graph.outputs:
        return False
    after = graph.operators[readers[0]]
    if after.name not in ("ADD", "MUL") or len({*after.inputs}) != 2:
        return False
    (other,) = (index for index in after.inputs if index != result)
    kernel, constant = graph.tensors[operator.inputs[1]], graph.tensors[other]
    axis = len(kernel.shape) - 1 if operator.name == "DEPTHWISE_CONV_2D" else 0
    channels = kernel.shape[axis]
    same_rank = len(graph.tensors[after.outputs[0]].shape) == len(graph.tensors[result].shape)
    fits = same_rank and constant.is_constant and constant.shape[-1:] == (channels,)
    if not (fits and kernel.is_constant and math.prod(constant.shape) == channels):
        return False
    value = np.asarray(constant.data).reshape(channels)
    bias = np.zeros(channels, np.float32)
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        bias = np.asarray(graph.tensors[operator.inputs[2]].data)
    weights = operator.inputs[1]
    if after.name == "ADD":
        bias = bias + value
    else:
        bias = bias * value
        shape = [channels if at == axis else 1 for at in range(len(kernel.shape))]
        scaled = np.asarray(kernel.data) * value.reshape(shape)
        weights = graph.add_tensor(kernel.name, scaled)
    operator.inputs = [operator.inputs[0], weights, graph.add_tensor(constant.name, bias)]
    activation = _ACTIVATIONS[after.options.get("fused_activation_function", "NONE")]
    operator.retarget(operator.version, {"fusedActivationFunction": activation})
    operator.outputs = after.outputs
    del graph.operators[readers[0]]
    return True


def _note_operators(file: Model, graph: Subgraph) -> None:
    """Leaves of what the metadata says of the plugin's operators what is still true."""
    note: dict[str, Any] = json.loads(file.metadata[METADATA_KEY])
    ours = sorted({operator.name for operator in graph.operators} & {*OPERATORS})
    if ours:
        note["operators"] = ours
    else:
        note = {"version": note["version"]}
    file.metadata[METADATA_KEY] = json.dumps(note, separators=(",", ":")).encode()

"""Layers whose weights are variables: operators of the plugin in place of built-in ones.

Interpreters are slow where a kernel may change: XNNPACK takes constants only, and the kernel is
turned into TFLite's order of axes each time. The plugin's operators read it as TensorFlow has it,
add the bias and apply the activation while they write.
"""

import dataclasses

import numpy as np
from flatbuffers import flexbuffers

from edgeax.formats.flatbuffer import Model, Operator, Subgraph

# Order of axes of TensorFlow's kernels in TFLite's: height, width, inputs, outputs -> outputs, ...
_TURNED = {"CONV_2D": (3, 0, 1, 2), "DEPTHWISE_CONV_2D": None}

_NAMES = {
    "CONV_2D": "EdgeaxVariableConv2D",
    "DEPTHWISE_CONV_2D": "EdgeaxVariableDepthwiseConv2D",
    "BATCH_MATMUL": "EdgeaxVariableFullyConnected",
}

_ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")

# What only moves or scales weights.
_MOVES = ("TRANSPOSE", "RESHAPE", "CAST", "MUL", "CONCATENATION")


@dataclasses.dataclass
class _Layer:
    """A layer with variable weights: its operator, and the tensors of its kernel and its bias."""

    operator: Operator
    kernel: int
    bias: int
    activation: str


def name_variable_layers(file: Model) -> None:
    """Makes layers by variable weights operators of the plugin."""
    signatures = {signature.subgraph for signature in file.signatures}
    for number, graph in enumerate(file.subgraphs):
        for operator in [*graph.operators]:
            layer = _layer_of(graph, operator, number not in signatures)
            if layer is not None:
                place = _with_addition(graph, graph.operators.index(operator), layer)
                inputs = (operator.inputs[0], layer.kernel, layer.bias)
                options = _options(layer)
                file.replace_with_custom(graph, place, _NAMES[operator.name], inputs, options)
        for name in ("TRANSPOSE", "RESHAPE"):
            graph.drop_unread(name)


def _layer_of(graph: Subgraph, operator: Operator, is_branch: bool) -> _Layer | None:
    """Returns the layer that an operator computes; None: this one is left as it is."""
    activation = operator.options.get("fused_activation_function", "NONE")
    if operator.name not in _NAMES or activation not in _ACTIVATIONS:
        return None
    if operator.name == "BATCH_MATMUL":
        kernel: int | None = _matrix_of(graph, operator)
    else:
        kernel = _kernel_of(graph, operator)
    if kernel is None or not _is_variable(graph, kernel, is_branch):
        return None
    outputs = graph.tensors[operator.outputs[0]].shape[-1]
    bias = operator.inputs[2] if len(operator.inputs) > 2 else -1
    if bias < 0:
        bias = graph.add_tensor("no_bias", np.zeros(outputs, np.float32))
    return _Layer(operator, kernel, bias, activation)


def _kernel_of(graph: Subgraph, operator: Operator) -> int | None:
    """Returns the kernel of a convolution as TensorFlow has it."""
    weights = graph.tensors[operator.inputs[1]]
    maker = graph.producer(operator.inputs[1])
    if maker is None or weights.dtype != "float32":
        return None
    turn = graph.operators[maker]
    given = turn.inputs[0] if turn.inputs else -1
    return given if given >= 0 and _turns(graph, turn, operator.name) else None


def _turns(graph: Subgraph, turn: Operator, name: str) -> bool:
    """Returns whether an operator brings a kernel of TensorFlow's order into TFLite's."""
    if turn.name not in ("TRANSPOSE", "RESHAPE"):
        return False
    given, made = (graph.tensors[index].shape for index in (turn.inputs[0], turn.outputs[0]))
    order = _TURNED[name]
    if len(given) != 4:
        return False
    if order is None:  # a row of TensorFlow's has the outputs of each input beside each other
        return turn.name == "RESHAPE" and made == (1, *given[:2], given[2] * given[3])
    if turn.name == "RESHAPE":  # numbers stay where they are: only axes of 1 move
        kept = [axis for axis in order if given[axis] > 1]
        return made == tuple(given[axis] for axis in order) and kept == sorted(kept)
    axes = graph.tensors[turn.inputs[1]]
    return axes.is_constant and tuple(np.asarray(axes.data)) == order


def _matrix_of(graph: Subgraph, operator: Operator) -> int | None:
    """Returns the matrix of a dense layer."""
    if any(operator.options.get(name) for name in ("adj_x", "adj_y")):
        return None
    matrix = graph.tensors[operator.inputs[1]]
    return operator.inputs[1] if matrix.dtype == "float32" and len(matrix.shape) == 2 else None


def _is_variable(graph: Subgraph, tensor: int, is_branch: bool) -> bool:
    """Returns whether weights are variables, or made of these and of constants."""
    if tensor in graph.inputs:
        return is_branch  # whose inputs are what a graph hands on
    maker = graph.producer(tensor)
    if maker is None:
        return False
    operator = graph.operators[maker]
    if operator.name == "READ_VARIABLE":
        return True
    others = [index for index in operator.inputs if not graph.tensors[index].is_constant]
    return operator.name in _MOVES and all(
        _is_variable(graph, index, is_branch) for index in others
    )


def _with_addition(graph: Subgraph, place: int, layer: _Layer) -> int:
    """Takes into a layer the bias that is added behind it; returns the place of what it becomes."""
    result, bias = layer.operator.outputs[0], graph.tensors[layer.bias]
    readers = graph.consumers(result)
    is_zero = bias.is_constant and not np.any(np.asarray(bias.data))
    if layer.activation != "NONE" or not is_zero or len(readers) != 1 or result in graph.outputs:
        return place
    after = graph.operators[readers[0]]
    others = [index for index in after.inputs if index != result]
    activation = after.options.get("fused_activation_function", "NONE")
    if after.name != "ADD" or len(others) != 1 or activation not in _ACTIVATIONS:
        return place
    added, shape = graph.tensors[others[0]], graph.tensors[result].shape
    if added.dtype != "float32" or added.shape != shape[-1:]:
        return place
    layer.bias, layer.activation = others[0], activation
    del graph.operators[place]
    return readers[0] - 1


def _options(layer: _Layer) -> bytes:
    attributes: dict[str, object] = {"activation": layer.activation}
    given = layer.operator.options
    if layer.operator.name != "BATCH_MATMUL":
        attributes |= {
            "strides": [1, given["stride_h"], given["stride_w"], 1],
            "padding": given["padding"],
            "dilations": [1, given["dilation_h_factor"], given["dilation_w_factor"], 1],
            "data_format": "NHWC",
        }
    return bytes(flexbuffers.Dumps(attributes))

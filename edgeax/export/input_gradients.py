"""Gradients by a convolution's input: an operator of the plugin in place of TRANSPOSE_CONV.

The converter makes a transposed convolution of `Conv2DBackpropInput`. Interpreters are slow at one
whose filter is a variable, and cannot compute one that has groups.
"""

import numpy as np
from flatbuffers import flexbuffers

from edgeax.formats.flatbuffer import Model, Operator, Subgraph

_TO_TFLITE = (2, 0, 1, 3)  # height, width, inputs, outputs -> inputs, height, width, outputs


def name_input_gradients(file: Model) -> None:
    """Gives transposed convolutions by variables TensorFlow's name, filter and order of inputs."""
    for graph in file.subgraphs:
        for place, operator in enumerate(graph.operators):
            filter_ = _filter_of(graph, operator)
            if filter_ is not None:
                shape, _, gradient = operator.inputs[:3]
                options = _options(operator)
                inputs = (shape, filter_, gradient)
                file.replace_with_custom(graph, place, "Conv2DBackpropInput", inputs, options)
        for name in ("TRANSPOSE", "RESHAPE"):
            graph.drop_unread(name)


def _filter_of(graph: Subgraph, operator: Operator) -> int | None:
    """Returns the tensor of the filter as TensorFlow has it; None: this one is left as it is."""
    if operator.name != "TRANSPOSE_CONV" or [*operator.inputs[3:]] not in ([], [-1]):
        return None
    if operator.options.get("fused_activation_function", "NONE") != "NONE":
        return None
    shape, weights = (graph.tensors[index] for index in operator.inputs[:2])
    maker = graph.producer(operator.inputs[1])
    if maker is None or not shape.is_constant or weights.dtype != "float32":
        return None
    turn = graph.operators[maker]
    return turn.inputs[0] if _turns(graph, turn) else None


def _turns(graph: Subgraph, operator: Operator) -> bool:
    """Returns whether an operator brings a filter of TensorFlow's order into TFLite's."""
    given, made = (graph.tensors[index].shape for index in (operator.inputs[0], *operator.outputs))
    if operator.name == "RESHAPE":  # of a filter of one tap, whose numbers are in the same order
        return given[:2] == (1, 1) and made == tuple(given[axis] for axis in _TO_TFLITE)
    if operator.name != "TRANSPOSE":
        return False
    order = graph.tensors[operator.inputs[1]]
    return order.is_constant and tuple(np.asarray(order.data)) == _TO_TFLITE


def _options(operator: Operator) -> bytes:
    given = operator.options
    attributes = {
        "strides": [1, given["stride_h"], given["stride_w"], 1],
        "padding": given["padding"],
        "dilations": [1, 1, 1, 1],
        "data_format": "NHWC",
    }
    return bytes(flexbuffers.Dumps(attributes))

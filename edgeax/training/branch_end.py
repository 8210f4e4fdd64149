"""The weights that what a residual block adds to its input is linear in."""

import keras

from edgeax.model.device import is_separable
from edgeax.model.graph import Call, trace
from edgeax.model.placement import LINEAR, activation_name, is_relu

_layers = keras.layers


def weights_at_end(block: keras.layers.Layer) -> list[keras.Variable]:
    """Returns the weights of the last layer of `f` in a block of `x + f(x)`, or a ReLU of that.

    Multiplied by a number they multiply `f(x)` by it, at the price of a few weights.

    Args:
        block: Built.

    Returns:
        Kernel and bias, or scale and offset of a batch normalization. Empty where the block is not
        a functional model that ends so, or `f` ends in something else.
    """
    if not isinstance(block, keras.Model):
        return []
    try:
        graph = trace(block)
    except ValueError:  # a model of a class of its own
        return []
    outputs = keras.tree.flatten(graph.outputs)
    end = graph.producer(outputs[0]) if len(outputs) == 1 else None
    if end is not None and is_relu(end.operation):
        end = graph.producer(end.input_tensors[0])
    if end is None or type(end.operation) is not _layers.Add or len(end.input_tensors) != 2:
        return []
    branches = [tensor for tensor in end.input_tensors if not graph.is_input(tensor)]
    last = graph.producer(branches[0]) if len(branches) == 1 else None
    if last is None or len(graph.calls_of(last.operation)) != 1:
        return []
    return _linear_weights(last)


def _linear_weights(call: Call) -> list[keras.Variable]:
    layer = call.operation
    if type(layer) is _layers.BatchNormalization and layer.scale:
        return [layer.gamma, layer.beta] if layer.center else [layer.gamma]
    is_linear = type(layer) in LINEAR and activation_name(layer) == "linear"
    if is_linear and not is_separable(layer):
        return [layer.kernel] if layer.bias is None else [layer.kernel, layer.bias]
    return []

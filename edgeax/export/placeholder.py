"""Placeholder: layers that the converter keeps whole, as one custom operator to be replaced."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.flatbuffer import Subgraph

PREFIX = "EdgeaxWhole"


class Placeholder(keras.layers.Layer):
    """A layer that becomes one operator of the converter's file, called `operator`."""

    operator: str = PREFIX


def kept_whole(function: Callable[..., Any], operator: str) -> Callable[..., Any]:
    """Returns `function` so that the converter makes it one operator, and leaves out its body."""
    mark = f'name: "{operator}" attr {{ key: "tfl_fusable_op" value {{ b: true }} }}'
    return tf.function(function, experimental_implements=mark, autograph=False)


class ValueByValue(Placeholder):
    """A placeholder for a function of single values.

    Args:
        name: What `operator` is called.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.operator = name
        self._whole = kept_whole(self.values, name)

    def values(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns the function's values, in the shape of `tensor`."""
        raise NotImplementedError

    def call(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns the function's values."""
        return tf.ensure_shape(self._whole(tensor), tensor.shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape


def integer_sources(graph: Subgraph, place: int, path: str) -> list[int]:
    """Returns the integer tensors that the float inputs of the placeholder at `place` come from.

    Raises:
        ValueError: One is made from something else.
    """
    sources = []
    for given in graph.operators[place].inputs:
        producer = graph.producer(given)
        made = graph.operators[producer] if producer is not None else None
        if made is None or made.name != "DEQUANTIZE":
            raise unexpected(path, "DEQUANTIZE before")
        sources.append(made.inputs[0])
    return sources


def integer_output(graph: Subgraph, place: int, path: str) -> int:
    """Returns the one integer tensor that the placeholder's float output becomes, and takes out
    what makes it so.

    Raises:
        ValueError: Something reads the float output.
    """
    (made,) = graph.operators[place].outputs
    readers = [graph.operators[index] for index in graph.consumers(made)]
    rounded = [reader.outputs[0] for reader in readers if reader.name == "QUANTIZE"]
    if not rounded or len(rounded) < len(readers):
        raise unexpected(path, "only QUANTIZE behind")
    for other in rounded[1:]:
        graph.redirect(other, rounded[0])
    graph.operators = [op for op in graph.operators if op not in readers]
    return rounded[0]


def unexpected(path: str, wanted: str) -> ValueError:
    """Returns the error to raise where the converter made something else than is known."""
    return ValueError(
        f"`model` must convert with {wanted} the layer {path!r}. Received: something else. "
        "Report this model: the converter made operators that edgeax does not know."
    )

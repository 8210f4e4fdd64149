"""Layers that predict the signs of their kernel's gradient: one operator of the plugin for these.

The converter keeps it whole; then it gets its name and attributes. A layer with few positions, such
as a dense one with a small batch, keeps two float products: the operator's cost of each weight,
however short the sums are, is higher (`python -m benchmarks.psg_step`).
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from flatbuffers import flexbuffers

from edgeax.export.placeholder import PREFIX, kept_whole
from edgeax.formats.flatbuffer import Model

_layers = keras.layers

_PREFIX = f"{PREFIX}PredictedSigns"
_MOST_BITS, _MOST_GRADIENT_BITS = 8, 16
_LEAST_POSITIONS = 256  # of the batch


class SignOperators:
    """The operators of the layers of a training step.

    A layer takes part that has `sign_operator` and `predictive_config`, as
    `edgeax.layers.PredictiveDense` and its like, if the plugin has its gradient.
    """

    def __init__(self) -> None:
        self._made: dict[str, tuple[str, bytes]] = {}

    def give(self, layer: Any) -> None:
        """Gives a layer that predicts signs its operator, or what leaves it both products."""
        if hasattr(layer, "predictive_config") and hasattr(layer, "sign_operator"):
            layer.sign_operator = self._operator_of(layer) or _both_products

    def _operator_of(self, layer: Any) -> Any:
        config = layer.predictive_config()
        if config["bits"] > _MOST_BITS or config["gradient_bits"] > _MOST_GRADIENT_BITS:
            return None
        window = _window(layer)
        if window is None:
            return None
        is_depthwise = isinstance(layer, _layers.DepthwiseConv2D)
        name = "EdgeaxDepthwisePredictedSigns" if is_depthwise else "EdgeaxPredictedSigns"
        attributes = {**window, **config, "carry": int(config["carry"])}
        mark = f"{_PREFIX}{len(self._made)}"
        self._made[mark] = (name, bytes(flexbuffers.Dumps(attributes)))
        return _operator(layer, mark)

    def name(self, file: Model) -> None:
        """Gives the operators in the converter's file their names and attributes."""
        for graph in file.subgraphs:
            for place, operator in enumerate(graph.operators):
                if operator.name in self._made:
                    name, options = self._made[operator.name]
                    file.replace_with_custom(graph, place, name, operator.inputs, options)


def _both_products(codes: tf.Tensor, errors: tf.Tensor) -> None:
    """Stands for no operator: the layer then computes both products, and counts no signs."""


def _operator(layer: Any, mark: str) -> Any:
    """Returns the signs of a layer's kernel by the codes of its input and its output's gradient, or
    None where two float products are faster.
    """
    kernel = tuple(layer.kernel.shape)
    sizes = (1,) * (4 - len(kernel)) + kernel
    whole = kept_whole(lambda codes, shape, errors: tf.zeros(sizes), mark)

    def signs(codes: tf.Tensor, errors: tf.Tensor) -> tf.Tensor | None:
        if np.prod(errors.shape[:-1]) < _LEAST_POSITIONS:
            return None
        integers = (
            tf.cast(_images(codes, layer), tf.int8),
            tf.constant(np.array(sizes, np.int32)),
            tf.cast(_images(errors, layer), tf.int16),
        )
        return tf.reshape(tf.ensure_shape(whole(*integers), sizes), kernel)

    return signs


def _images(tensor: tf.Tensor, layer: Any) -> tf.Tensor:
    """Returns what a layer reads or makes as images: rows of a dense layer have one pixel each."""
    shape = list(tensor.shape)
    if isinstance(layer, _layers.Dense):
        return tf.reshape(tensor, (int(np.prod(shape[:-1])), 1, 1, shape[-1]))
    return tf.reshape(tensor, (shape[0], 1, *shape[1:])) if len(shape) == 3 else tensor


def _window(layer: Any) -> dict[str, Any] | None:
    """Returns how the kernel of a layer slides; None where the plugin has no operator for it."""
    if isinstance(layer, _layers.Dense):
        return {"strides": [1, 1, 1, 1], "padding": "VALID"}
    kinds = (_layers.Conv1D, _layers.Conv2D, _layers.DepthwiseConv2D)
    if not isinstance(layer, kinds) or layer.data_format != "channels_last":
        return None
    if layer.padding not in ("same", "valid"):
        return None
    strides, dilations = (
        [1] * (3 - len(sizes)) + [*map(int, sizes)] + [1]
        for sizes in (tuple(layer.strides), tuple(layer.dilation_rate))
    )
    return {"strides": strides, "padding": layer.padding.upper(), "dilations": dilations}

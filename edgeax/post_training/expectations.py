"""Mean inputs of layers as batch normalizations tell them, without any sample."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.model import placement
from edgeax.model.copying import clone, copy_weights, fresh_copy
from edgeax.model.graph import Call, trace
from edgeax.post_training.equalization import Normal, normal_behind

_layers = keras.layers
_KEEPING = (
    _layers.Identity,
    _layers.Dropout,
    _layers.SpatialDropout1D,
    _layers.SpatialDropout2D,
    _layers.AveragePooling1D,
    _layers.AveragePooling2D,
    _layers.GlobalAveragePooling1D,
    _layers.GlobalAveragePooling2D,
    _layers.ZeroPadding1D,
    _layers.ZeroPadding2D,
)
"""Layers that keep the mean of each channel, but for borders."""

_TEST = "tests/post_training/test_expectations.py::"


@implements("NBBW19", test=_TEST + "test_nbbw19_the_mean_of_clipped_normal_values_is_that_of_draws")
def mean_of_clipped(mean: Any, deviation: Any, low: float, high: float) -> np.ndarray:
    """Returns E(clip(x, low, high)) of normal x.

    Args:
        mean: float `(channels,)`.
        deviation: Standard deviations, at least 0, same shape.
        low: The lower bound.
        high: The upper bound, above `low`; may be infinite.

    Source: [NBBW19], appendix C.
    """
    mean, deviation = np.asarray(mean, np.float64), np.asarray(deviation, np.float64)
    safe = np.maximum(deviation, 1e-12)
    below, above = (low - mean) / safe, (high - mean) / safe
    below_part = _cumulative(below)
    above_part = 1.0 - _cumulative(above)
    inside = 1.0 - below_part - above_part
    value = low * below_part + mean * inside + safe * (_density(below) - _density(above))
    return value + (high * above_part if math.isfinite(high) else 0.0)


def expected_inputs(
    model: keras.Model, statistics: Mapping[str, Normal]
) -> dict[str, np.ndarray | None]:
    """Returns the mean of each input channel of each layer by its path; None where it is unknown.

    Args:
        model: Sequential or functional, plain.
        statistics: Mean and deviation of the outputs of layers before their activations, where a
            batch normalization was folded into them, by their paths.
    """
    made: dict[int, Any] = {}
    copy = clone(model, fresh_copy, made)
    copy_weights(model, made)
    graph = trace(copy)
    known: dict[int, Normal | np.ndarray] = {}
    found: dict[str, np.ndarray | None] = {}
    for call in graph.calls:
        inputs = [known.get(id(tensor)) for tensor in call.input_tensors]
        path = graph.path(call.operation)
        if path not in found:
            found[path] = _mean(inputs[0]) if len(inputs) == 1 else None
        result = _outputs(call, inputs, statistics.get(path))
        if result is not None and len(call.output_tensors) == 1:
            known[id(call.output_tensors[0])] = result
    return found


def _outputs(
    call: Call, inputs: list[Normal | np.ndarray | None], folded: Normal | None
) -> Normal | np.ndarray | None:
    """Returns what is known of the result of a call: a normal distribution, a mean, or nothing."""
    layer = call.operation
    activation = placement.activation_name(layer)
    if folded is not None:
        return _activated(folded, activation)
    if isinstance(layer, _layers.BatchNormalization):
        is_last = layer.axis in (-1, len(call.output_tensors[0].shape) - 1)
        return normal_behind(layer) if is_last else None
    given = inputs[0] if inputs else None
    if isinstance(layer, (_layers.ReLU, _layers.Activation)):
        return None if given is None else _activated(given, activation)
    if isinstance(layer, _KEEPING):
        return _mean(given)
    if isinstance(layer, _layers.Flatten):
        mean = _mean(given)
        size = call.output_tensors[0].shape[-1]
        return None if mean is None or size is None else np.tile(mean, size // mean.size)
    if type(layer).__name__ == "Add":
        means = [mean for one in inputs if (mean := _mean(one)) is not None]
        return np.sum(means, axis=0) if len(means) == len(inputs) else None
    return None


def _activated(given: Normal | np.ndarray, activation: str) -> Normal | np.ndarray | None:
    if activation == "linear":
        return given
    if isinstance(given, Normal) and activation in ("relu", "relu6"):
        top = 6.0 if activation == "relu6" else math.inf
        return mean_of_clipped(given.mean, given.deviation, 0.0, top)
    return None


def _mean(known: Normal | np.ndarray | None) -> np.ndarray | None:
    return known.mean if isinstance(known, Normal) else known


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * np.minimum(x * x, 1e4)) / math.sqrt(2.0 * math.pi)


def _cumulative(x: np.ndarray) -> np.ndarray:
    return np.vectorize(lambda one: 0.5 * math.erfc(-one / math.sqrt(2.0)))(x)

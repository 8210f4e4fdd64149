"""Moving statistics of batch normalizations taken anew, from what a changed model gives them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import implements
from edgeax.transforms.checks import checked_count

_TEST = "tests/model/test_batch_norm.py::"


@implements("JLGH20", test=_TEST + "test_jlgh20_statistics_are_those_of_the_changed_model")
def reestimate_batch_norm(model: keras.Model, samples: Any, batch_size: int = 64) -> None:
    """Gives each batch normalization of a model the mean and variance of its inputs.

    One after the other, so that each sees what the corrected ones before it make. The model is
    changed. Its other weights, ranges and schedules are not. AdaBS of [JLGH20].

    Args:
        model: Built, plain or compressed.
        samples: An array of inputs, first axis the sample, or a list or dict of arrays as the model
            takes it.
        batch_size: Samples in a batch, at least 1.

    Raises:
        ValueError: There is no sample, or `batch_size` is out of its range.
    """
    batch_size = checked_count("batch_size", batch_size)
    arrays = keras.tree.map_structure(np.asarray, samples)
    count = len(keras.tree.flatten(arrays)[0])
    if not count:
        raise ValueError("`samples` must hold at least one sample. Received: none.")

    def slices() -> Iterator[Any]:
        for start in range(0, count, batch_size):
            yield keras.tree.map_structure(lambda a: a[start : start + batch_size], arrays)  # noqa: B023

    for layer in normalizations_of(model):
        reestimate_layer(model, layer, slices)


def normalizations_of(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Returns all batch normalizations of a model, nested ones included, in their order."""
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]


def reestimate_layer(
    model: keras.Model,
    layer: keras.layers.BatchNormalization,
    batches: Callable[[], Iterable[Any]],
) -> None:
    """Sets the statistics of one normalization; one that is not reached keeps its own."""
    count, total, squares = 0, 0.0, 0.0
    for batch in batches():
        for inputs in inputs_of_plain_layer(model, layer, batch):
            values = np.moveaxis(
                np.asarray(tf.cast(inputs, tf.float32), np.float64), layer.axis, -1
            )
            rows = values.reshape(-1, values.shape[-1])
            count += len(rows)
            total = total + rows.sum(0)
            squares = squares + np.square(rows).sum(0)
    if count > 1:
        mean = total / count
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(np.maximum(squares / count - mean * mean, 0.0))


def inputs_of_plain_layer(model: keras.Model, layer: keras.layers.Layer, batch: Any) -> list[Any]:
    """Returns what comes to each call of a layer in a forward pass."""
    found = []
    call = layer.call

    def watched(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        found.append(inputs)
        return call(inputs, *args, **kwargs)

    object.__setattr__(layer, "call", watched)
    try:
        model(batch, training=False)
    finally:
        object.__delattr__(layer, "call")
    return found

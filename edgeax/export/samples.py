"""Samples: what users have (arrays, lists, datasets) as one array per input of the model."""

import itertools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

MOST_SAMPLES = 512


def take_samples(samples: Any, model: keras.Model) -> list[np.ndarray]:
    """Returns up to 512 samples as one array per model input, the first axis the sample.

    Args:
        samples: An array, a list or dict of arrays for several inputs, or a `tf.data.Dataset` of
            batches, whose labels are left out.
        model: The model that the samples are for.

    Raises:
        ValueError: The shape is wrong, there is no sample, or one holds NaN.
    """
    wanted = keras.tree.flatten(model.input)
    if isinstance(samples, tf.data.Dataset):
        samples = _from_dataset(samples, model)
    arrays = [np.asarray(array) for array in _in_order(samples, model)]
    if len(arrays) != len(wanted):
        raise ValueError(
            f"`samples` must hold one array for each of the model's {len(wanted)} inputs. "
            f"Received: {len(arrays)} arrays."
        )
    return [
        _checked(array, tensor, len(arrays[0]))
        for array, tensor in zip(arrays, wanted, strict=True)
    ]


def _in_order(samples: Any, model: keras.Model) -> list[Any]:
    if isinstance(samples, dict):
        names = [tensor.name for tensor in keras.tree.flatten(model.input)]
        missing = [name for name in names if name not in samples]
        if missing:
            raise ValueError(
                f"`samples` must hold an array for each input. Missing: {missing}. "
                f"Received: {sorted(samples)}."
            )
        return [samples[name] for name in names]
    return list(samples) if isinstance(samples, (list, tuple)) else [samples]


def _from_dataset(dataset: tf.data.Dataset, model: keras.Model) -> Any:
    """Returns the inputs of the first batches, labels left out."""
    batches, count = [], 0
    for batch in itertools.takewhile(lambda _: count < MOST_SAMPLES, dataset):
        inputs = batch[0] if isinstance(batch, tuple) else batch
        batches.append(keras.tree.map_structure(np.asarray, inputs))
        count += len(keras.tree.flatten(batches[-1])[0])
    if not batches:
        raise ValueError("`samples` must hold at least one sample. Received: an empty dataset.")
    try:
        return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)
    except ValueError as error:
        raise ValueError(
            "`samples` must be a dataset of batches. Received: elements of shapes "
            f"{[np.shape(keras.tree.flatten(batch)[0]) for batch in batches[:3]]}. "
            f"Batch it: dataset.batch(32) for inputs of shape {model.input_shape}."
        ) from error


def _checked(array: np.ndarray, tensor: keras.KerasTensor, count: int) -> np.ndarray:
    name, shape = tensor.name, tuple(tensor.shape)
    fits = array.ndim == len(shape) and all(
        size in (None, given) for size, given in zip(shape[1:], array.shape[1:], strict=False)
    )
    if not fits or len(array) != count:
        raise ValueError(
            f"`samples` for input {name!r} must have shape {(None, *shape[1:])}, with as many rows "
            f"as every other input. Received: {array.shape}."
        )
    if not len(array):
        raise ValueError(f"`samples` must hold at least one sample. Received: {array.shape}.")
    array = array[:MOST_SAMPLES].astype(tensor.dtype)
    if not np.all(np.isfinite(array)):
        raise ValueError(
            f"`samples` must be finite. Received: NaN or infinity in input {name!r}. "
            "Clean the data: ranges cannot be taken from it."
        )
    return array

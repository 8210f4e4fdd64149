"""Samples: what users have (arrays, lists, datasets) as one array per input of the model."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.model.copying import clone, fresh_copy
from edgeax.model.graph import inputs_of, trace
from edgeax.model.placement import plain

MOST_SAMPLES = 512


def take_samples(samples: Any, model: keras.Model, most: int = MOST_SAMPLES) -> list[np.ndarray]:
    """Returns samples as one array per model input, the first axis the sample.

    Args:
        samples: An array, a list or dict of arrays for several inputs, or a `tf.data.Dataset` of
            batches, whose labels are left out.
        model: The model that the samples are for. Its inputs come in the order of
            `keras.tree.flatten`.
        most: Of more samples only the first are taken.

    Raises:
        ValueError: The shape is wrong, there is no sample, one is no finite number, or indices are
            not whole or have no row in the embedding that they go to.
    """
    if samples is None:
        raise ValueError(
            "`samples` must be typical inputs, from which ranges are taken and with which the file "
            "is checked. Received: None. Pass a few hundred: an array, or a tf.data.Dataset."
        )
    wanted = keras.tree.flatten(inputs_of(model))
    if isinstance(samples, tf.data.Dataset):
        samples = _from_dataset(samples, wanted, most)
    given = _in_order(samples, model, wanted)
    if len(given) != len(wanted):
        raise ValueError(
            f"`samples` must hold one array for each of the model's {len(wanted)} inputs. "
            f"Received: {len(given)} arrays. Put the samples of one input into one array, and "
            "leave labels out."
        )
    arrays = [_shaped(array, tensor) for array, tensor in zip(given, wanted, strict=True)]
    counts = [len(array) for array in arrays]
    if min(counts) != max(counts) or not min(counts):
        raise ValueError(
            "`samples` must hold at least one sample, and as many for each input. "
            f"Received: {counts}."
        )
    found = [_finite(array[:most], tensor) for array, tensor in zip(arrays, wanted, strict=True)]
    _check_indices(model, found)
    return found


def random_samples(model: keras.Model, count: int = 8, seed: int = 0) -> list[np.ndarray]:
    """Returns inputs for a check: standard normal floats, and zeros where integers are wanted.

    Args:
        model: Sequential or functional; sizes that it leaves open are 1.
        count: How many.
        seed: Of the random numbers.
    """
    generator = np.random.default_rng(seed)
    samples = []
    for tensor in keras.tree.flatten(inputs_of(model)):
        shape = (count, *(size or 1 for size in tensor.shape[1:]))
        is_float = keras.backend.is_float_dtype(tensor.dtype)
        values = generator.normal(size=shape) if is_float else np.zeros(shape)
        samples.append(values.astype(tensor.dtype))
    return samples


def take_as_given(samples: Any, most: int = MOST_SAMPLES) -> list[np.ndarray]:
    """Returns samples of a model whose inputs nobody knows, one array for each.

    Args:
        samples: As for `take_samples`, in the structure that the model is called with.
        most: Of more samples only the first are taken.

    Raises:
        ValueError: There is no sample, or one is no finite number.
    """
    if isinstance(samples, tf.data.Dataset):
        samples = _first_of(samples, most)
    arrays = [np.asarray(array) for array in keras.tree.flatten(samples)]
    for array in arrays:
        is_number = np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_
        if not is_number or not array.ndim or not len(array) or not np.isfinite(array).all():
            raise ValueError(
                "`samples` must be arrays of finite numbers, first axis the sample, as the model "
                f"is called with. Received: {array.dtype} of shape {array.shape}."
            )
    wide = [a if a.dtype.kind == "i" else a.astype(np.float32) for a in arrays]
    return [array[:most] for array in wide]


def given_structure(samples: Any) -> Any:
    """Returns the structure of the inputs that `take_as_given` flattens."""
    return _inputs_in(samples.element_spec) if isinstance(samples, tf.data.Dataset) else samples


def _in_order(samples: Any, model: keras.Model, wanted: list[keras.KerasTensor]) -> list[Any]:
    structure = inputs_of(model)
    if isinstance(samples, dict) and isinstance(structure, dict) and {*samples} == {*structure}:
        return list(keras.tree.flatten({name: samples[name] for name in structure}))
    if isinstance(samples, dict):
        names = [tensor.name for tensor in wanted]
        missing = [name for name in names if name not in samples]
        if missing:
            raise ValueError(
                f"`samples` must hold an array for each input. Missing: {missing}. "
                f"Received: {sorted(samples)}. Name them as the model's inputs are named."
            )
        return [samples[name] for name in names]
    return list(samples) if isinstance(samples, (list, tuple)) else [samples]


def _from_dataset(dataset: tf.data.Dataset, wanted: list[keras.KerasTensor], most: int) -> Any:
    """Returns the inputs of the first batches, labels left out."""
    spec = _inputs_in(dataset.element_spec)
    shapes = [part.shape for part in keras.tree.flatten(spec)]
    if [shape.rank for shape in shapes] == [len(tensor.shape) - 1 for tensor in wanted]:
        raise ValueError(
            "`samples` must be a dataset of batches. Received: a dataset of single samples of "
            f"shapes {[tuple(shape) for shape in shapes]}. Batch it: dataset.batch(32)."
        )
    return _first_of(dataset, most)


def _first_of(dataset: tf.data.Dataset, most: int) -> Any:
    batches, count = [], 0
    for batch in dataset:
        batches.append(keras.tree.map_structure(np.asarray, _inputs_in(batch)))
        count += len(keras.tree.flatten(batches[-1])[0])
        if count >= most:
            break
    if not batches:
        raise ValueError(
            "`samples` must hold at least one sample. Received: an empty dataset. "
            "Look at what its filters leave."
        )
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)


def _inputs_in(element: Any) -> Any:
    return element[0] if isinstance(element, tuple) else element


def _shaped(samples: Any, tensor: keras.KerasTensor) -> np.ndarray:
    shape, array = tuple(tensor.shape), np.asarray(samples)
    if array.ndim != len(shape) or any(
        size not in (None, given) for size, given in zip(shape[1:], array.shape[1:], strict=True)
    ):
        raise ValueError(
            f"`samples` for input {tensor.name!r} must have shape {(None, *shape[1:])}, the first "
            f"axis the sample. Received: {array.shape}."
        )
    return array


def _finite(array: np.ndarray, tensor: keras.KerasTensor) -> np.ndarray:
    if not np.issubdtype(array.dtype, np.number) and array.dtype != np.bool_:
        raise ValueError(
            f"`samples` for input {tensor.name!r} must be numbers. Received: {array.dtype}. "
            "Encode them as the model was trained."
        )
    with np.errstate(all="ignore"):
        cast = array.astype(tensor.dtype)
    if not keras.backend.is_float_dtype(tensor.dtype) and not np.array_equal(cast, array):
        raise ValueError(
            f"`samples` for input {tensor.name!r} must be whole numbers that {tensor.dtype} holds. "
            f"Received: {array.dtype} from {np.min(array)} to {np.max(array)}. Give the indices "
            "that the model was trained with."
        )
    if not (np.isfinite(array).all() and np.isfinite(cast).all()):
        raise ValueError(
            f"`samples` must be finite. Received: NaN or infinity for input {tensor.name!r}. "
            "Clean the data: ranges cannot be taken from it."
        )
    return cast


def _check_indices(model: keras.Model, arrays: list[np.ndarray]) -> None:
    """Checks that inputs that go straight to an embedding are indices of its rows.

    Raises:
        ValueError: One is not.
    """
    layers = model._flatten_layers(include_self=False)
    if not any(isinstance(plain(layer), keras.layers.Embedding) for layer in layers):
        return
    graph = trace(clone(model, fresh_copy, {}))
    places = {id(tensor): at for at, tensor in enumerate(keras.tree.flatten(graph.inputs))}
    for call in graph.calls:
        layer = plain(call.operation)
        given = [places[id(one)] for one in call.input_tensors if id(one) in places]
        if not isinstance(layer, keras.layers.Embedding) or not given:
            continue
        array = arrays[given[0]]
        if array.min() < 0 or array.max() >= layer.input_dim:
            raise ValueError(
                f"`samples` for {layer.name!r} must be indices in [0, {layer.input_dim - 1}]. "
                f"Received: {array.min()} to {array.max()}. Encode them as the model was trained."
            )

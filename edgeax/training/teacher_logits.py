"""What a teacher answers: by asking it, or by data that carry its answers already."""

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats.files import check_writable, write_atomically
from edgeax.training.model_outputs import checked_gives, for_each_output, output_names
from edgeax.training.soft_targets import as_logits

_INPUTS, _LOGITS = "inputs", "teacher_logits"


def with_teacher_logits(
    teacher: keras.Model,
    data: Any,
    adapt_inputs: Callable[[Any], Any] | None = None,
    teacher_gives: Any = None,
    path: str | os.PathLike[str] | None = None,
    batch_size: int = 32,
) -> Any:
    """Returns data that carry the teacher's logits, so that it runs once for all epochs.

    The inputs `x` become `{"inputs": x, "teacher_logits": z}`; labels and sample weights stay as
    they are. `edgeax.Distiller` takes such data and runs no teacher for them. Each `z` travels with
    its `x`: shuffle, batch and split as you like. Inputs that are changed afterwards, as by
    augmentation, keep the answer to the unchanged ones.

    Args:
        teacher: A trained model. It is run in inference mode.
        data: Inputs: an array, or a list or dict of arrays for several inputs. Or a
            `tf.data.Dataset` of batches, with or without labels and sample weights: the result is
            one, whose first pass runs the teacher and keeps all batches in memory.
        adapt_inputs: Makes the teacher's inputs from a batch of inputs. None: they are the same.
        teacher_gives: See `edgeax.Distiller`. Probabilities are stored as logits.
        path: File, for arrays only, that the logits are written to, whole or not at all, and are
            read from if it is there.
        batch_size: How many samples the teacher gets at once, of arrays.

    Raises:
        ValueError: `teacher` is no model, or what it gives cannot be seen; `data` has no end, no
            samples, or a shape that the teacher does not take; `batch_size` is below 1; or `path`
            cannot be written, or belongs to other data or another teacher.

    Example: `distiller.fit(with_teacher_logits(teacher, images), labels, epochs=20)`
    """
    asked = ModelAsTeacher(teacher, adapt_inputs, teacher_gives)
    if not isinstance(data, tf.data.Dataset):
        return {_INPUTS: data, _LOGITS: _logits_of_arrays(asked, data, path, batch_size)}
    if path is not None:
        raise ValueError(
            f"`path` is for arrays. Received: path={os.fspath(path)!r} with a tf.data.Dataset. "
            "Leave it out, or write the returned dataset by its own `save`."
        )
    if data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "`data` must have an end. Received: a dataset that repeats for ever. Repeat the "
            "returned one instead."
        )

    def paired(*element: Any) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(element)
        both = {_INPUTS: x, _LOGITS: asked.logits(x)}
        return keras.utils.pack_x_y_sample_weight(both, y, weight)

    return data.map(paired).cache()


def inputs_and_logits(x: Any) -> tuple[Any, Any]:
    """Returns a batch's inputs, and the logits that `with_teacher_logits` added, or None."""
    if isinstance(x, dict) and set(x) == {_INPUTS, _LOGITS}:
        return x[_INPUTS], x[_LOGITS]
    return x, None


class ModelAsTeacher:
    """A model that is asked by inputs, in inference mode. Keras does not track what is in it.

    Args:
        model: The model.
        adapt_inputs: Makes its inputs from a batch of the student's. None: they are the same.
        gives: One of `KINDS` for all outputs, or a list or dict. None: the model's graph shows it.

    Raises:
        ValueError: `model` is none, or what it gives is unknown or cannot be seen.
    """

    def __init__(self, model: Any, adapt_inputs: Callable[[Any], Any] | None, gives: Any) -> None:
        self.gives = checked_gives("teacher", model, gives)
        self.model, self.adapt_inputs = model, adapt_inputs

    def answers(self, x: Any) -> tuple[Any, list[str]]:
        """Returns the outputs for a batch, and what each of them is, one of `KINDS`."""
        inputs = self.adapt_inputs(x) if self.adapt_inputs is not None else x
        outputs = self.model(inputs, training=False)
        names = output_names(outputs, self.model)
        return outputs, for_each_output("teacher_gives", self.gives, names)

    def logits(self, x: Any) -> Any:
        """Returns the outputs for a batch as float32 logits."""
        outputs, kinds = self.answers(x)
        flat = [
            as_logits(keras.ops.cast(values, "float32"), kind)
            for values, kind in zip(keras.tree.flatten(outputs), kinds, strict=True)
        ]
        return keras.tree.pack_sequence_as(outputs, flat)


def _logits_of_arrays(
    asked: ModelAsTeacher, data: Any, path: str | os.PathLike[str] | None, batch_size: int
) -> Any:
    lengths = {len(array) for array in keras.tree.flatten(data)}
    if len(lengths) != 1 or 0 in lengths or batch_size < 1:
        raise ValueError(
            "`data` must hold samples, as many in each array, and `batch_size` be at least 1. "
            f"Received: arrays of {sorted(lengths)} samples, batch_size={batch_size}."
        )
    (samples,) = lengths
    ask = tf.function(asked.logits, reduce_retracing=True)

    def batch(start: int) -> Any:
        return ask(keras.tree.map_structure(lambda array: array[start : start + batch_size], data))

    first = batch(0)
    if path is not None:
        check_writable(path)
        belongs_to = _digest(data, asked.model)
        if Path(path).exists():
            return keras.tree.pack_sequence_as(first, _stored(path, belongs_to, first))
    batches = [first, *(batch(start) for start in range(batch_size, samples, batch_size))]
    arrays = [
        np.concatenate(parts) for parts in zip(*map(keras.tree.flatten, batches), strict=True)
    ]
    if path is not None:
        file = io.BytesIO()
        np.savez(file, *arrays, belongs_to=np.array(belongs_to))
        write_atomically(path, file.getvalue())
    return keras.tree.pack_sequence_as(first, arrays)


def _digest(data: Any, teacher: keras.Model) -> str:
    """Returns what tells these inputs and this teacher from others."""
    digest = hashlib.blake2b(digest_size=16)
    for value in [*keras.tree.flatten(data), *teacher.weights]:
        array = np.ascontiguousarray(value)
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _stored(path: str | os.PathLike[str], belongs_to: str, first: Any) -> list[np.ndarray]:
    """Returns the logits in a file, if they are the ones asked for.

    The first batch is compared too: of `adapt_inputs` the digest knows nothing.
    """
    wanted = keras.tree.flatten(first)
    try:
        with np.load(path, allow_pickle=False) as file:
            same = str(file["belongs_to"]) == belongs_to
            arrays = [file[f"arr_{i}"] for i in range(len(wanted))] if same else []
    except (OSError, EOFError, LookupError, TypeError, ValueError, zipfile.BadZipFile):
        same = False  # another kind of file, or a part of one
    if not same or not all(
        np.allclose(array[: len(part)], part, rtol=1e-3, atol=1e-3)
        for array, part in zip(arrays, wanted, strict=True)
    ):
        raise ValueError(
            "`path` must name a new file, or the one written for these inputs and this teacher. "
            f"Received: {os.fspath(path)!r}, which is another. Choose a new name or delete it."
        )
    return arrays

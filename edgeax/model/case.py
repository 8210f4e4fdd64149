"""Case: a model whose kernels are looked at with samples and a loss."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from edgeax.model.graph import inputs_of, is_nested
from edgeax.model.objective import Objective
from edgeax.model.progress import shown
from edgeax.model.samples import MOST_SAMPLES, given_structure, take_as_given, take_samples

T = TypeVar("T")


@dataclasses.dataclass(eq=False)
class Case:
    """A model some of whose kernels are being changed, in place.

    Attributes:
        model: Compressed.
        weights: The kernels.
        samples: One array per input of the model; none if there are none.
        labels: A structure of arrays, as many as samples; None if there are none.
        pack: Makes of one array per input what the model is called with.
        objective: Its loss; None if it has none.
        batch_size: Samples in a batch.
        seed: Of what is random.
        verbose: Whether progress is shown.
    """

    model: keras.Model
    weights: list[Any]
    samples: list[np.ndarray] = dataclasses.field(default_factory=list)
    labels: Any = None
    pack: Callable[[Sequence[Any]], Any] = list
    objective: Objective | None = None
    batch_size: int = 64
    seed: int = 0
    verbose: bool = False

    @property
    def loss(self) -> Objective:
        """The objective.

        Raises:
            ValueError: It has none.
        """
        if self.objective is None:
            raise ValueError(
                "`objective` must be given for what takes derivatives. Received: None."
            )
        return self.objective

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self.samples[0]) if self.samples else 0

    @property
    def batches(self) -> list[tuple[list[np.ndarray], Any]]:
        """Arrays of inputs, and labels, of each batch."""
        cuts = [slice(at, at + self.batch_size) for at in range(0, self.count, self.batch_size)]
        return [([array[cut] for array in self.samples], _cut(self.labels, cut)) for cut in cuts]

    def progress(self, title: str, items: Sequence[T]) -> Iterator[T]:
        """Yields items, and shows how many are done."""
        return shown(title, items, self.verbose)


def _cut(labels: Any, cut: slice) -> Any:
    return None if labels is None else keras.tree.map_structure(lambda part: part[cut], labels)


_HINTS = {"samples": "typical inputs, a few hundred", "labels": "what the loss compares with"}


def case_for(
    model: keras.Model,
    weights: Sequence[Any],
    needs: Sequence[str],
    what: str,
    samples: Any = None,
    labels: Any = None,
    loss: Any = None,
    most: int = MOST_SAMPLES,
) -> Case:
    """Returns the case of a model, with what is needed.

    Args:
        model: Compressed.
        weights: Its kernels.
        needs: Of `"samples"`, `"labels"` and `"loss"`.
        what: That which needs them, in words.
        samples: As `take_labeled` has them, or None.
        labels: Their labels, or None.
        loss: As `Objective` has it.
        most: Of more samples only the first are taken.

    Raises:
        ValueError: Something that is needed is missing or unusable.
    """
    case = Case(model, list(weights))
    if samples is not None:
        case.samples, case.labels, case.pack = take_labeled(samples, labels, model, most)
    is_there = {"samples": samples is not None, "labels": case.labels is not None}
    missing = [name for name in _HINTS if name in needs and not is_there[name]]
    if missing:
        raise ValueError(
            f"`{missing[0]}` must be given for {what}: {_HINTS[missing[0]]}. Received: "
            f"{missing[0]}=None. It needs {', '.join(needs)}."
        )
    if "loss" in needs:
        case.objective = Objective(model, loss)
        case.objective.check(case.labels)
    return case


def take_labeled(
    samples: Any, labels: Any, model: keras.Model, most: int = MOST_SAMPLES
) -> tuple[list[np.ndarray], Any, Callable[[Sequence[Any]], Any]]:
    """Returns samples as one array per input of a model, their labels, and what packs arrays into
    what the model is called with.

    Args:
        samples: As `take_samples` has them; a dataset may hold the labels.
        labels: A structure of arrays, or None.
        model: The model.
        most: Of more samples only the first are taken.

    Raises:
        ValueError: The samples are unusable, or there are not as many labels.
    """
    if isinstance(samples, tf.data.Dataset):
        samples, own = _of_dataset(samples, most)
        labels = own if labels is None else labels
    if is_nested(model):
        arrays, structure = take_samples(samples, model, most), inputs_of(model)
    else:
        arrays, structure = take_as_given(samples, most), given_structure(samples)
    if labels is not None:
        labels = keras.tree.map_structure(np.asarray, labels)
        count = len(arrays[0])
        for part in keras.tree.flatten(labels):
            if not part.ndim or min(len(part), most) != count:
                raise ValueError(
                    "`labels` must be as many as samples. Received: labels of shape "
                    f"{part.shape} for {count} samples. Give those of the same samples, in their "
                    "order."
                )
        labels = keras.tree.map_structure(lambda part: part[:count], labels)
    return arrays, labels, lambda parts: keras.tree.pack_sequence_as(structure, list(parts))


def _of_dataset(dataset: tf.data.Dataset, most: int) -> tuple[Any, Any]:
    """Returns the inputs and labels of the first batches; it is gone through once, because it may
    come in another order next time.
    """
    if any(not part.shape.rank for part in keras.tree.flatten(dataset.element_spec)):
        raise ValueError(
            "`samples` must be a dataset of batches. Received: one of single samples. Batch it: "
            "dataset.batch(32)."
        )
    batches, count = [], 0
    for element in dataset:
        batches.append(keras.tree.map_structure(np.asarray, element))
        count += len(keras.tree.flatten(element)[0])
        if count >= most:
            break
    if not batches:
        raise ValueError(
            "`samples` must hold at least one sample. Received: an empty dataset. Look at what its "
            "filters leave."
        )
    whole = keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)
    return whole[:2] if isinstance(whole, tuple) and len(whole) > 1 else (whole, None)

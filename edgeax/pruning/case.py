"""Case: a compressed model whose masks are being chosen, and the criteria that choose them."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from edgeax.model.graph import inputs_of, is_nested
from edgeax.model.progress import shown
from edgeax.model.samples import MOST_SAMPLES, given_structure, take_as_given, take_samples
from edgeax.pruning.objective import Objective
from edgeax.pruning.selection import Choice, chosen_masks
from edgeax.pruning.weights import Weight

T = TypeVar("T")


@dataclasses.dataclass(eq=False)
class Case:
    """A model that is being pruned, in place.

    Attributes:
        model: Compressed.
        weights: The kernels that masks are chosen for.
        samples: One array per input of the model; none if there are none.
        labels: A structure of arrays, as many as samples; None if there are none.
        pack: Makes of one array per input what the model is called with.
        objective: Its loss; None if it has none.
        batch_size: Samples in a batch.
        seed: Of what is random.
        verbose: Whether progress is shown.
    """

    model: keras.Model
    weights: list[Weight]
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


class Criterion:
    """Says how much each weight matters. A new one is a subclass with a name in
    `criteria.CRITERIA`.

    Attributes:
        needs: What it must be given, of `"samples"`, `"labels"` and `"loss"`.
    """

    needs: tuple[str, ...] = ()

    def scores(self, case: Case) -> list[np.ndarray]:
        """Returns how much each weight of `case.weights` matters: at least 0, canonical layout."""
        raise NotImplementedError

    def prune(self, case: Case, choice: Choice) -> None:
        """Sets the masks of `case.weights`; a weight that is not choosable has the score 0."""
        scores = [
            np.where(weight.choosable, score, 0.0)
            for weight, score in zip(case.weights, self.scores(case), strict=True)
        ]
        masks = chosen_masks(case.weights, scores, choice)
        for weight, mask in zip(case.weights, masks, strict=True):
            weight.set_mask(mask)


def _cut(labels: Any, cut: slice) -> Any:
    return None if labels is None else keras.tree.map_structure(lambda part: part[cut], labels)


def take_labeled(
    samples: Any, labels: Any, model: keras.Model
) -> tuple[list[np.ndarray], Any, Callable[[Sequence[Any]], Any]]:
    """Returns up to 512 samples as one array per input of a model, their labels, and what packs
    arrays into what the model is called with.

    Args:
        samples: As `take_samples` has them; a dataset may hold the labels.
        labels: A structure of arrays, or None.
        model: The model.

    Raises:
        ValueError: The samples are unusable, or there are not as many labels.
    """
    if isinstance(samples, tf.data.Dataset):
        samples, own = _of_dataset(samples)
        labels = own if labels is None else labels
    if is_nested(model):
        arrays, structure = take_samples(samples, model), inputs_of(model)
    else:
        arrays, structure = take_as_given(samples), given_structure(samples)
    if labels is not None:
        labels = keras.tree.map_structure(np.asarray, labels)
        count = len(arrays[0])
        for part in keras.tree.flatten(labels):
            if not part.ndim or min(len(part), MOST_SAMPLES) != count:
                raise ValueError(
                    "`labels` must be as many as samples. Received: labels of shape "
                    f"{part.shape} for {count} samples. Give those of the same samples, in their "
                    "order."
                )
        labels = keras.tree.map_structure(lambda part: part[:count], labels)
    return arrays, labels, lambda parts: keras.tree.pack_sequence_as(structure, list(parts))


def _of_dataset(dataset: tf.data.Dataset) -> tuple[Any, Any]:
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
        if count >= MOST_SAMPLES:
            break
    if not batches:
        raise ValueError(
            "`samples` must hold at least one sample. Received: an empty dataset. Look at what its "
            "filters leave."
        )
    whole = keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)
    return whole[:2] if isinstance(whole, tuple) and len(whole) > 1 else (whole, None)

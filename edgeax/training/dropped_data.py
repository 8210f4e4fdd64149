"""drop: a dataset without a share of its batches, which are not even produced."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.training.stretched import checked_rate
from edgeax.transforms.checks import checked_seed


def drop(dataset: Any, rate: float = 0.5, seed: int = 0) -> Any:
    """Returns a dataset that leaves out a random share of another's elements, others each epoch.

    As `edgeax.callbacks.MinibatchDropping`, for trainings that wait for their data: what is left
    out is not made, and the model does not know of it. All epochs have `round((1 - rate) * n)` of
    the n elements, at least one, in the order they had; where n is not known, each stays with
    probability `1 - rate`. A schedule by iterations has to be shortened: see
    `MinibatchDropping.schedule`.

    A PyDataset is only asked for the batches that stay. A tf.data.Dataset is made up to where
    `drop` stands, so let it stand as far up as it can, on batches of names or indices:
    `drop(names.shuffle(n).batch(32)).unbatch().map(decode).batch(32)` decodes nothing in vain.

    The same seed drops the same elements in the same epochs, counted from where the dataset
    (for a PyDataset: the object) was first read.

    Source: [WJC19].

    Args:
        dataset: A `keras.utils.PyDataset` with a length, or a `tf.data.Dataset`.
        rate: Share of elements that are left out, in [0, 1).
        seed: An integer, at least 0.

    Returns:
        A dataset of the same kind.

    Raises:
        ValueError: An argument is out of its range, or no such dataset.

    Example: `model.fit(edgeax.data.drop(batches, 0.5, seed=1), epochs=20)`
    """
    rate, seed = checked_rate(rate), checked_seed(seed)
    if isinstance(dataset, keras.utils.PyDataset):
        if _length(dataset) is None:
            raise ValueError(
                "`dataset` must have a length, for its batches to be chosen by index. Received: "
                f"{dataset!r} without one. Define `__len__`."
            )
        return _DroppedBatches(dataset, rate, seed)
    if isinstance(dataset, tf.data.Dataset):
        return _dropped_elements(dataset, rate, seed)
    raise ValueError(
        "`dataset` must be a keras.utils.PyDataset or a tf.data.Dataset. Received: "
        f"{type(dataset).__name__}. Take a generator by tf.data.Dataset.from_generator, and arrays "
        "by from_tensor_slices."
    )


def _length(dataset: Any) -> int | None:
    try:
        return dataset.num_batches
    except NotImplementedError:
        return None


def _count_of(count: int, rate: float) -> int:
    return max(1, round(count * (1.0 - rate)))


class _DroppedBatches(keras.utils.PyDataset):
    """The batches of another dataset that stay, chosen anew after each epoch."""

    def __init__(self, dataset: Any, rate: float, seed: int) -> None:
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self._dataset, self._rate, self._seed, self._epoch = dataset, rate, seed, -1
        self._kept = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return _count_of(self._dataset.num_batches, self._rate)

    def __getitem__(self, index: int) -> Any:
        if not self._kept.size:
            self._choose(0)
        return self._dataset[int(self._kept[index])]

    def on_epoch_begin(self) -> None:
        """Chooses the batches of the epoch."""
        self._dataset.on_epoch_begin()
        self._choose(self._epoch + 1)

    def on_epoch_end(self) -> None:
        """Tells the dataset."""
        self._dataset.on_epoch_end()

    def _choose(self, epoch: int) -> None:
        self._epoch = epoch
        draw = np.random.default_rng([self._seed, epoch])
        count = self._dataset.num_batches
        self._kept = np.sort(draw.choice(count, _count_of(count, self._rate), replace=False))


def _dropped_elements(dataset: tf.data.Dataset, rate: float, seed: int) -> tf.data.Dataset:
    draws = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
    draws = draws.map(lambda draw: tf.cast(draw, tf.float64) / 2.0**32)
    count = int(dataset.cardinality())
    if count < 0:
        return _chosen_of(dataset, draws.map(lambda draw: draw >= rate))
    stay = _count_of(count, rate)
    left = (tf.constant(count, tf.int64), tf.constant(stay, tf.int64))
    kept = _chosen_of(dataset, draws.scan(left, _choose))
    return kept.apply(tf.data.experimental.assert_cardinality(min(stay, count)))


def _chosen_of(dataset: tf.data.Dataset, chosen: tf.data.Dataset) -> tf.data.Dataset:
    pairs = tf.data.Dataset.zip(chosen, dataset)
    return pairs.filter(lambda chosen, _: chosen).map(lambda _, element: element)


def _choose(left: Any, draw: Any) -> Any:
    """Decides on an element so that of those that come exactly those wanted are taken.

    Args:
        left: How many come, this one included, and how many of them are wanted.
        draw: A random number in [0, 1).
    """
    coming, wanted = left
    chosen = draw * tf.cast(coming, tf.float64) < tf.cast(wanted, tf.float64)
    return (coming - 1, wanted - tf.cast(chosen, tf.int64)), chosen

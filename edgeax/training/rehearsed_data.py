"""rehearse: batches of new samples with earlier ones from a buffer behind them."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats.rehearsal import RehearsalBuffer, checked_rehearsed
from edgeax.transforms.checks import checked_count, checked_seed


def rehearse(
    buffer: RehearsalBuffer,
    x: Any,
    y: Any = None,
    share: float = 0.5,
    batch_size: int = 32,
    seed: int = 0,
) -> Any:
    """Returns data for `fit` whose batches hold earlier samples behind the new ones.

    A batch keeps its samples and gets so many from the buffer that they are `share` of it, rounded:
    other ones each time, none twice in a batch as long as there are enough. They are those that the
    buffer holds when this is called: add the new samples after the training. An empty buffer adds
    none. Sample weights of earlier samples are 1.

    Args:
        buffer: Of earlier samples.
        x: An array of samples `(count, *buffer.shape)`, a `keras.utils.PyDataset` or a
            `tf.data.Dataset` of batches `(x, y)` or `(x, y, sample_weight)`; it need not end.
        y: Classes of an array's samples, integers `(count,)` or `(count, 1)`.
        share: Of a batch that comes from the buffer, in [0, 0.99].
        batch_size: New samples in a batch of arrays, which are shuffled for each epoch.
        seed: Of what is drawn, an integer, at least 0.

    Returns:
        A PyDataset of arrays and of a PyDataset, a `tf.data.Dataset` of such a one.

    Raises:
        ValueError: An argument is out of its range, or samples are unlike those of the buffer.

    Example:
        model.fit(rehearse(buffer, images, labels, share=0.6), epochs=5)
        buffer.add(images, labels)
    """
    share = checked_rehearsed("share", share)
    old = _Old(*buffer.samples(), share / (1.0 - share), checked_seed(seed))
    if isinstance(x, tf.data.Dataset):
        old.check(x.element_spec)
        return old.behind_elements(x)
    if isinstance(x, keras.utils.PyDataset):
        return _Rehearsed(x, old)
    x, y = np.asarray(x), np.asarray(y)
    if x.shape[1:] != buffer.shape or y.shape not in ((len(x),), (len(x), 1)):
        raise ValueError(
            f"`x` must be a dataset of batches, or samples of the shape {buffer.shape} with their "
            f"classes as `y`. Received: arrays of the shapes {x.shape} and {y.shape}."
        )
    old.check((x, y))
    return _Rehearsed(_Shuffled(x, y, checked_count("batch_size", batch_size), old.seed), old)


class _Old:
    """Samples of a buffer, and how many of them come for each new one."""

    def __init__(self, x: np.ndarray, y: np.ndarray, ratio: float, seed: int) -> None:
        self.x, self.y, self.ratio, self.seed = x, y, ratio, seed
        self._whole = bool(np.all(x == np.rint(x)))

    def check(self, batch: Any) -> None:
        """Checks that samples of the buffer can stand in a batch, of arrays or as it is specified.

        Raises:
            ValueError: Shapes are others, or samples would be rounded to the batch's integers.
        """
        if not len(self.x):
            return
        x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
        shapes = [tf.TensorShape(getattr(given, "shape", ())) for given in (x, y)]
        samples, classes = (shape[1:] for shape in shapes)
        if not samples.is_compatible_with(self.x.shape[1:]) or not any(
            classes.is_compatible_with(wanted) for wanted in ((), (1,))
        ):
            raise ValueError(
                f"Batches of `x` must hold samples of the shape {self.x.shape[1:]} and their "
                f"classes, as numbers. Received: batches of the shapes {shapes[0]} and {shapes[1]}."
                " Make classes of one-hot rows by argmax."
            )
        if tf.as_dtype(x.dtype).is_integer and not self._whole:
            raise ValueError(
                "`x` must have the values that the buffer was filled with. Received: "
                f"{tf.as_dtype(x.dtype).name} beside samples that are no integers. Scale it as "
                "those were scaled."
            )

    def behind(self, batch: Any, draw: np.random.Generator) -> Any:
        """Returns a batch with earlier samples behind it."""
        self.check(keras.tree.map_structure(np.asarray, batch))
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        count = round(len(x) * self.ratio) if len(self.x) else 0
        rounds = -(-count // max(1, len(self.x)))
        places = np.concatenate([[], *(draw.permutation(len(self.x)) for _ in range(rounds))])
        places = places[:count].astype(np.int64)
        labels = self.y[places].reshape(count, *np.shape(y)[1:])
        x = np.concatenate([x, self.x[places].astype(np.asarray(x).dtype)])
        y = np.concatenate([y, labels.astype(np.asarray(y).dtype)])
        if weight is not None:
            weight = np.concatenate([weight, np.ones(count, np.asarray(weight).dtype)])
        return keras.utils.pack_x_y_sample_weight(x, y, weight)

    def behind_elements(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Returns a dataset of the same batches with earlier samples behind them."""
        if not len(self.x):
            return dataset
        x_old, y_old = tf.constant(self.x), tf.constant(self.y)
        size, seed = len(self.x), tf.constant(self.seed, tf.int64)

        def mixed(draw: tf.Tensor, batch: Any) -> Any:
            x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
            count = tf.cast(tf.round(tf.cast(tf.shape(x)[0], tf.float32) * self.ratio), tf.int32)
            rounds = (count + size - 1) // size
            values = tf.random.stateless_uniform((rounds, size), tf.stack([seed, draw]))
            places = tf.reshape(tf.argsort(values), [-1])[:count]
            labels = tf.reshape(tf.gather(y_old, places), [count, *y.shape[1:]])
            x = tf.concat([x, tf.cast(tf.gather(x_old, places), x.dtype)], 0)
            y = tf.concat([y, tf.cast(labels, y.dtype)], 0)
            if weight is not None:
                weight = tf.concat([weight, tf.ones([count], weight.dtype)], 0)
            return keras.utils.pack_x_y_sample_weight(x, y, weight)

        draws = tf.data.Dataset.random(self.seed, rerandomize_each_iteration=True)
        return tf.data.Dataset.zip(draws, dataset).map(mixed)


class _Rehearsed(keras.utils.PyDataset):
    """The batches of another dataset, each with earlier samples behind it."""

    def __init__(self, dataset: Any, old: _Old) -> None:
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self._dataset, self._old, self._epoch = dataset, old, 0

    @property
    def num_batches(self) -> int | None:
        """As many as the other dataset has, None where it does not end."""
        return self._dataset.num_batches

    def __len__(self) -> int:
        return self._dataset.num_batches

    def __getitem__(self, index: int) -> Any:
        draw = np.random.default_rng([self._old.seed, self._epoch, index])
        return self._old.behind(self._dataset[index], draw)

    def on_epoch_begin(self) -> None:
        """Tells the dataset."""
        self._dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Draws others from then on."""
        self._dataset.on_epoch_end()
        self._epoch += 1


class _Shuffled(keras.utils.PyDataset):
    """Batches of arrays, in another order in each epoch."""

    def __init__(self, x: np.ndarray, y: np.ndarray, batch_size: int, seed: int) -> None:
        super().__init__()
        self._x, self._y, self._batch_size = x, y, batch_size
        self._draw = np.random.default_rng(seed)
        self._order = self._draw.permutation(len(x))

    def __len__(self) -> int:
        return -(-len(self._x) // self._batch_size)

    def __getitem__(self, index: int) -> Any:
        places = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._x[places], self._y[places]

    def on_epoch_end(self) -> None:
        """Shuffles."""
        self._order = self._draw.permutation(len(self._x))

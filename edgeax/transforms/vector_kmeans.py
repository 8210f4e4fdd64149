"""k-means over vectors in the graph, for several tables at once."""

import functools
from collections.abc import Callable

import tensorflow as tf

_MOST_ITERATIONS = 30
_MOST_SCORES = 1 << 22  # at once: 32 MB


def fit(vectors: tf.Tensor, count: int, seed: int) -> tf.Tensor:
    """Returns the centroids that k-means ends with, float32 `(tables, count, length)`.

    They start from vectors drawn one after the other, with probability proportional to the squared
    distance from those drawn before (k-means++), and are moved to their members' means until
    nothing changes, 30 times at most.

    Args:
        vectors: float32, `(tables, vectors of each, length)`.
        count: Number of centroids of a table, 1 or more. Where there are fewer different vectors,
            centroids repeat.
        seed: Of the draws.
    """
    found = _fitter(count, seed)(vectors)
    return tf.ensure_shape(found, [vectors.shape[0], count, vectors.shape[2]])


@functools.cache
def _fitter(count: int, seed: int) -> Callable[[tf.Tensor], tf.Tensor]:
    def fitted(vectors: tf.Tensor) -> tf.Tensor:
        wide = tf.cast(vectors, tf.float64)
        return tf.cast(_lloyd(wide, _drawn(wide, count, seed)), tf.float32)

    return tf.function(fitted, autograph=False)


def assign(vectors: tf.Tensor, tables: tf.Tensor) -> tf.Tensor:
    """Returns the index of the nearest codeword of each vector, int32; the first in a tie.

    Distances are taken in float64, so that each way of running the graph finds the same ones.

    Args:
        vectors: `(tables, vectors of each, length)`, float32 or float64; the shape is known.
        tables: `(tables, entries, length)`.

    Returns:
        `(tables, vectors of each)`.
    """
    wide, codewords = tf.cast(vectors, tf.float64), tf.cast(tables, tf.float64)
    halves = tf.reduce_sum(codewords * codewords, axis=-1)[:, None] / 2.0
    count, entries = int(tables.shape[0]), int(tables.shape[1])
    rows = max(1, _MOST_SCORES // (count * entries))
    parts = []
    for start in range(0, int(vectors.shape[1]), rows):
        products = tf.matmul(wide[:, start : start + rows], codewords, transpose_b=True)
        parts.append(tf.argmin(halves - products, axis=-1, output_type=tf.int32))
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=1)


def _drawn(vectors: tf.Tensor, count: int, seed: int) -> tf.Tensor:
    """Returns `count` vectors of each table, float64 `(tables, count, length)`."""
    tables, size = int(vectors.shape[0]), int(vectors.shape[1])
    draws = tf.random.stateless_uniform(
        [count, tables, 1], seed=[seed, 0], dtype=tf.float64, alg="philox"
    )

    def draw(weights: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
        sums = tf.cumsum(weights, axis=-1)
        below = tf.cast(sums <= where * sums[:, -1:], tf.int32)
        place = tf.minimum(tf.reduce_sum(below, axis=-1), size - 1)
        return tf.gather(vectors, place, batch_dims=1)

    def distances(vector: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.square(vectors - vector[:, None]), axis=-1)

    first = draw(tf.ones([tables, size], tf.float64), draws[0])

    def step(index: tf.Tensor, chosen: tf.Tensor, nearest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        vector = draw(nearest, draws[index])
        is_place = tf.equal(tf.range(count), index)[None, :, None]
        chosen = tf.where(is_place, vector[:, None], chosen)
        return index + 1, chosen, tf.minimum(nearest, distances(vector))

    _, chosen, _ = tf.while_loop(
        lambda index, chosen, nearest: index < count,
        step,
        (1, tf.tile(first[:, None], [1, count, 1]), distances(first)),
    )
    return chosen


def _lloyd(vectors: tf.Tensor, centroids: tf.Tensor) -> tf.Tensor:
    """Returns `centroids` moved to their members' means; one without members stays."""
    tables, count, length = (int(size) for size in centroids.shape)
    flat = tf.reshape(vectors, [-1, length])
    first = count * tf.range(tables)[:, None]

    def step(current: tf.Tensor, moved: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        del moved
        members = tf.reshape(assign(vectors, current) + first, [-1])
        sums = tf.math.unsorted_segment_sum(flat, members, tables * count)
        mass = tf.math.unsorted_segment_sum(tf.ones_like(flat[:, :1]), members, tables * count)
        means = tf.reshape(tf.math.divide_no_nan(sums, mass), [tables, count, length])
        after = tf.where(tf.reshape(mass, [tables, count, 1]) > 0.0, means, current)
        return after, tf.reduce_any(tf.not_equal(after, current))

    after, _ = tf.while_loop(
        lambda current, moved: moved,
        step,
        (centroids, tf.constant(True)),
        maximum_iterations=_MOST_ITERATIONS,
    )
    return after

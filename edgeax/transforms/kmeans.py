"""One-dimensional k-means in the graph: initializations, assignment, Lloyd's iterations.

Everything works on a flat float32 tensor of values and on sorted centroids, so that a value's
cluster is found by binary search among the midpoints.
"""

import tensorflow as tf

INITIALIZATIONS = ("linear", "density", "kmeans++")

_MOST_ITERATIONS = 100


def initialize(values: tf.Tensor, count: int, kind: str, seed: int) -> tf.Tensor:
    """Returns the `count` first centroids, sorted.

    Args:
        values: float32, shape `(n,)`.
        count: Number of centroids, at most n.
        kind: `"linear"`: evenly spaced from the smallest to the largest value; `"density"`: at
            evenly spaced quantiles; `"kmeans++"`: values drawn with probability proportional to
            their squared distance from the centroids so far. Source: [SH16] for the first two.
        seed: Of the random draw of `"kmeans++"`.
    """
    if kind == "linear":
        return tf.linspace(tf.reduce_min(values), tf.reduce_max(values), count)
    if kind == "density":
        ordered = tf.sort(values)
        share = (tf.range(count, dtype=tf.float32) + 0.5) / float(count)
        last = float(int(values.shape[0]) - 1)
        return tf.gather(ordered, tf.cast(tf.round(share * last), tf.int32))
    return tf.sort(_plus_plus(values, count, seed))


def assign(values: tf.Tensor, centroids: tf.Tensor) -> tf.Tensor:
    """Returns the index of each value's nearest centroid, int32, shape of `values`.

    Args:
        values: float32, any shape.
        centroids: float32, shape `(k,)`, sorted. Halfway between two, the lower one is taken.
    """
    midpoints = (centroids[1:] + centroids[:-1]) / 2.0
    flat = tf.reshape(values, [-1])
    return tf.reshape(tf.searchsorted(midpoints, flat, side="left"), tf.shape(values))


@tf.custom_gradient
def lookup(table: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Returns `table[codes]`; an entry's gradient is the sum over its members. Source: [SH16]."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.math.unsorted_segment_sum(upstream, codes, int(table.shape[0])), None

    return tf.gather(table, codes), gradient


def lloyd(values: tf.Tensor, centroids: tf.Tensor, pinned: tf.Tensor) -> tf.Tensor:
    """Returns `centroids` moved to their members' means until nothing changes. Source: [Llo82].

    Args:
        values: float32, shape `(n,)`.
        centroids: float32, shape `(k,)`, sorted.
        pinned: bool, shape `(k,)`: centroids that do not move.

    Returns:
        float32, shape `(k,)`, sorted. A centroid without members stays where it is.
    """
    count = int(centroids.shape[0])

    def step(current: tf.Tensor, moved: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        del moved
        nearest = assign(values, current)
        sums = tf.math.unsorted_segment_sum(values, nearest, count)
        members = tf.math.unsorted_segment_sum(tf.ones_like(values), nearest, count)
        stay = tf.logical_or(pinned, tf.equal(members, 0.0))
        after = tf.where(stay, current, tf.math.divide_no_nan(sums, members))
        return after, tf.reduce_any(tf.not_equal(after, current))

    after, _ = tf.while_loop(
        lambda current, moved: moved,
        step,
        (centroids, tf.constant(True)),
        maximum_iterations=_MOST_ITERATIONS,
    )
    return after


def _plus_plus(values: tf.Tensor, count: int, seed: int) -> tf.Tensor:
    draws = tf.random.stateless_uniform([count], seed=[seed, 0])

    def draw(weights: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
        sums = tf.cumsum(weights)
        index = tf.searchsorted(sums, tf.reshape(where * sums[-1], [1]), side="right")
        return tf.gather(values, tf.minimum(index[0], int(values.shape[0]) - 1))

    first = draw(tf.ones_like(values), draws[0])
    chosen = tf.fill([count], first)
    nearest = tf.square(values - first)

    def step(index: tf.Tensor, chosen: tf.Tensor, nearest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        value = draw(nearest, draws[index])
        chosen = tf.where(tf.equal(tf.range(count), index), value, chosen)
        return index + 1, chosen, tf.minimum(nearest, tf.square(values - value))

    _, chosen, _ = tf.while_loop(
        lambda index, chosen, nearest: index < count, step, (1, chosen, nearest)
    )
    return chosen

"""One-dimensional k-means in the graph: initializations, assignment, Lloyd's iterations.

Centroids are sorted, so that a value's cluster is found by searching the midpoints. What fits them
works on the sorted values, where a cluster is an interval.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

INITIALIZATIONS = ("linear", "density", "kmeans++")

_MOST_ITERATIONS = 100

# A tensor has fewer than 2**30 values: sums of two indices must not leave int32.
_MOST_BITS = 30

# So many centroids `tf.searchsorted` searches faster than bisection in the graph does. But XLA lets
# it compare all with all: with 256 centroids and a million weights that takes about a second.
_FEW = 32


def fit(ordered: tf.Tensor, count: int, kind: str, seed: int, zero: bool) -> tf.Tensor:
    """Returns the centroids that Lloyd's iterations end with; see `initialize` and `lloyd`.

    The graph is built once for all tensors: it is large, and a model has many of them.
    """
    found = _fitter(count, kind, seed, zero)(ordered)
    return tf.ensure_shape(found, [count])


@functools.cache
def _fitter(count: int, kind: str, seed: int, zero: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    def fitted(ordered: tf.Tensor) -> tf.Tensor:
        return lloyd(ordered, initialize(ordered, count, kind, seed, zero), zero)

    signature = [tf.TensorSpec([None], tf.float32)]
    return tf.function(fitted, input_signature=signature, autograph=False)


def initialize(ordered: tf.Tensor, count: int, kind: str, seed: int, zero: bool) -> tf.Tensor:
    """Returns the `count` first centroids, sorted.

    Args:
        ordered: float32, shape `(n,)`, sorted.
        count: Number of centroids, at most n.
        kind: `"linear"`: evenly spaced from the smallest to the largest value; `"density"`: at
            evenly spaced quantiles; `"kmeans++"`: values drawn with probability proportional to
            their squared distance from the centroids so far. Source: [SH16] for the first two.
        seed: Of the random draw of `"kmeans++"`.
        zero: Whether one centroid, the nearest, is put at 0. The others then stand for the values
            that are not zero.
    """
    if kind == "linear":
        start = tf.linspace(ordered[0], ordered[-1], count)
    elif kind == "density":
        start = _quantiles(ordered, count, zero)
    else:
        start = tf.sort(_plus_plus(ordered, count, seed, zero))
    if not zero:
        return start
    return tf.where(tf.equal(tf.range(count), nearest_zero(start)), 0.0, start)


def nearest_zero(centroids: tf.Tensor) -> tf.Tensor:
    """Returns the index of the centroid of smallest magnitude, an int32 scalar."""
    return tf.argmin(tf.abs(centroids), output_type=tf.int32)


def assign(values: tf.Tensor, centroids: tf.Tensor) -> tf.Tensor:
    """Returns the index of each value's nearest centroid, int32, shape of `values`.

    Args:
        values: float32, any shape.
        centroids: float32, shape `(k,)`, sorted. Halfway between two, the lower one is taken.
    """
    midpoints = _midpoints(centroids)
    if int(centroids.shape[0]) > _FEW:
        return _count(midpoints, values, tf.less)
    flat = tf.reshape(values, [-1])
    return tf.reshape(tf.searchsorted(midpoints, flat, side="left"), tf.shape(values))


@tf.custom_gradient
def lookup(table: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Returns `table[codes]`; an entry's gradient is the sum over its members. Source: [SH16]."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.math.unsorted_segment_sum(upstream, codes, int(table.shape[0])), None

    return tf.gather(table, codes), gradient


def lloyd(ordered: tf.Tensor, centroids: tf.Tensor, zero: bool) -> tf.Tensor:
    """Returns `centroids` moved to their members' means until nothing changes. Source: [Llo82].

    Args:
        ordered: float32, shape `(n,)`, sorted.
        centroids: float32, shape `(k,)`, sorted.
        zero: Whether the centroid nearest to 0 stays where it is.

    Returns:
        float32, shape `(k,)`, sorted. A centroid without members stays where it is.
    """
    count = int(centroids.shape[0])
    pinned = tf.logical_and(tf.equal(tf.range(count), nearest_zero(centroids)), zero)
    # With running sums an iteration costs a few bisections, not a pass over the values.
    sums = tf.concat([[0.0], tf.cumsum(tf.cast(ordered, tf.float64))], axis=0)

    def step(current: tf.Tensor, moved: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        del moved
        ends = _count(ordered, _midpoints(current), tf.less_equal)
        edges = tf.concat([[0], ends, [_size(ordered)]], axis=0)
        members = edges[1:] - edges[:-1]
        totals = tf.gather(sums, edges[1:]) - tf.gather(sums, edges[:-1])
        means = tf.math.divide_no_nan(totals, tf.cast(members, tf.float64))
        stay = tf.logical_or(pinned, tf.equal(members, 0))
        after = tf.where(stay, current, tf.cast(means, tf.float32))
        return after, tf.reduce_any(tf.not_equal(after, current))

    after, _ = tf.while_loop(
        lambda current, moved: moved,
        step,
        (centroids, tf.constant(True)),
        maximum_iterations=_MOST_ITERATIONS,
    )
    return after


def _midpoints(centroids: tf.Tensor) -> tf.Tensor:
    return (centroids[1:] + centroids[:-1]) / 2.0


def _count(ordered: tf.Tensor, limits: tf.Tensor, passes: Callable[..., tf.Tensor]) -> tf.Tensor:
    """Returns how many of the sorted values pass `passes(value, limit)`, by bisection.

    Args:
        ordered: float32, shape `(n,)`, sorted.
        limits: float32, any shape.
        passes: `tf.less` or `tf.less_equal`.

    Returns:
        int32 in 0..n, shape of `limits`.
    """
    size = _size(ordered)
    known = ordered.shape[0]
    counts = tf.zeros_like(limits, tf.int32)
    for bit in reversed(range(known.bit_length() if known is not None else _MOST_BITS)):
        trial = counts + (1 << bit)
        fits = passes(tf.gather(ordered, tf.minimum(trial, size) - 1), limits)
        counts = tf.where(tf.logical_and(fits, trial <= size), trial, counts)
    return counts


def _quantiles(ordered: tf.Tensor, count: int, zero: bool) -> tf.Tensor:
    """Returns the values at the middle of `count` equal shares, of those not 0 if `zero`."""
    negative = tf.reduce_sum(tf.cast(ordered < 0.0, tf.int32))
    left_out = tf.reduce_sum(tf.cast(tf.equal(ordered, 0.0), tf.int32)) if zero else 0
    last = _size(ordered) - 1
    shares = (tf.range(count, dtype=tf.float32) + 0.5) / float(count)
    places = tf.cast(tf.round(shares * tf.cast(last - left_out, tf.float32)), tf.int32)
    places = tf.where(places < negative, places, places + left_out)
    return tf.gather(ordered, tf.clip_by_value(places, 0, last))


def _plus_plus(ordered: tf.Tensor, count: int, seed: int, zero: bool) -> tf.Tensor:
    """Returns `count` values, drawn one after the other; the first is 0 if `zero`."""
    values = tf.cast(ordered, tf.float64)
    draws = tf.random.stateless_uniform([count], seed=[seed, 0], dtype=tf.float64, alg="philox")

    def draw(weights: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
        sums = tf.cumsum(weights)
        index = tf.searchsorted(sums, tf.reshape(where * sums[-1], [1]), side="right")
        return tf.gather(values, tf.minimum(index[0], _size(values) - 1))

    first = tf.zeros([], tf.float64) if zero else draw(tf.ones_like(values), draws[0])

    def step(index: tf.Tensor, chosen: tf.Tensor, nearest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        value = draw(nearest, draws[index])
        chosen = tf.where(tf.equal(tf.range(count), index), value, chosen)
        return index + 1, chosen, tf.minimum(nearest, tf.square(values - value))

    _, chosen, _ = tf.while_loop(
        lambda index, chosen, nearest: index < count,
        step,
        (1, tf.fill([count], first), tf.square(values - first)),
    )
    return tf.cast(chosen, tf.float32)


def _size(values: tf.Tensor) -> tf.Tensor:
    return tf.shape(values)[0]

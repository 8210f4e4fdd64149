"""One-dimensional k-means in the graph: initializations, assignment, Lloyd's iterations.

All of it takes one group of values, shape `(n,)`, or groups of equal size side by side, shape
`(groups, n)`, each with centroids of its own: the last axis is that of the values or centroids.
Centroids are sorted, so that a value's cluster is found by searching the midpoints. What fits them
works on the sorted values, where a cluster is an interval.
"""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

INITIALIZATIONS = ("linear", "density", "kmeans++")

_MOST_ITERATIONS = 100

# A group has fewer than 2**30 values: sums of two indices must not leave int32.
_MOST_BITS = 30

# So many centroids `tf.searchsorted` searches faster than bisection in the graph does. But XLA lets
# it compare all with all: with 256 centroids and a million weights that takes about a second.
_FEW = 32


def fit(ordered: tf.Tensor, count: int, kind: str, seed: int, zero: bool) -> tf.Tensor:
    """Returns the centroids that Lloyd's iterations end with; see `initialize` and `lloyd`.

    The graph is built once for all tensors: it is large, and a model has many of them.
    """
    found = _fitter(ordered.shape.rank, count, kind, seed, zero)(ordered)
    return tf.ensure_shape(found, [*ordered.shape[:-1], count])


@functools.cache
def _fitter(
    rank: int, count: int, kind: str, seed: int, zero: bool
) -> Callable[[tf.Tensor], tf.Tensor]:
    def fitted(ordered: tf.Tensor) -> tf.Tensor:
        return lloyd(ordered, initialize(ordered, count, kind, seed, zero), zero)

    signature = [tf.TensorSpec([None] * rank, tf.float32)]
    return tf.function(fitted, input_signature=signature, autograph=False)


def initialize(ordered: tf.Tensor, count: int, kind: str, seed: int, zero: bool) -> tf.Tensor:
    """Returns the `count` first centroids of each group, sorted.

    Args:
        ordered: float32, shape `(n,)` or `(groups, n)`, each group sorted.
        count: Number of centroids, at most n.
        kind: `"linear"`: evenly spaced from the smallest to the largest value; `"density"`: at
            evenly spaced quantiles; `"kmeans++"`: values drawn with probability proportional to
            their squared distance from the centroids so far. Source: [SH16] for the first two.
        seed: Of the random draw of `"kmeans++"`; all groups draw alike.
        zero: Whether one centroid, the nearest, is put at 0. The others then stand for the values
            that are not zero.
    """
    if kind == "linear":
        start = tf.linspace(ordered[..., 0], ordered[..., -1], count, axis=-1)
    elif kind == "density":
        start = _quantiles(ordered, count, zero)
    else:
        start = tf.sort(_plus_plus(ordered, count, seed, zero), axis=-1)
    start = tf.ensure_shape(start, [*ordered.shape[:-1], count])
    return tf.where(_is_nearest_zero(start), 0.0, start) if zero else start


def without_zero(centroids: tf.Tensor) -> tf.Tensor:
    """Returns centroids without the one of smallest magnitude of each group."""
    free = tf.range(int(centroids.shape[-1]) - 1)
    behind = tf.cast(free >= _nearest_zero(centroids)[..., tf.newaxis], tf.int32)
    return tf.gather(centroids, free + behind, batch_dims=_batch(centroids))


def assign(values: tf.Tensor, centroids: tf.Tensor) -> tf.Tensor:
    """Returns the index of each value's nearest centroid, int32, shape of `values`.

    Args:
        values: float32; of any shape for one group, else shape `(groups, n)`.
        centroids: float32, shape `(k,)` or `(groups, k)`, sorted. Halfway between two, the lower
            one is taken.
    """
    if _batch(centroids) and centroids.shape[0] == 1:
        return assign(values, centroids[0])
    midpoints = _midpoints(centroids)
    if int(centroids.shape[-1]) > _FEW:
        return _count(midpoints, values, tf.less)
    if _batch(centroids):
        return tf.searchsorted(midpoints, values, side="left")
    flat = tf.reshape(values, [-1])
    return tf.reshape(tf.searchsorted(midpoints, flat, side="left"), tf.shape(values))


@tf.custom_gradient
def lookup(table: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Returns `table[codes]`; an entry's gradient is the sum over its members. Source: [SH16].

    Args:
        table: float32, shape `(k, ...)`.
        codes: int32, any shape.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.math.unsorted_segment_sum(upstream, codes, int(table.shape[0])), None

    return tf.gather(table, codes), gradient


def lookup_grouped(tables: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Returns the entry of each code in the table of its group, with the gradient of `lookup`.

    Args:
        tables: float32, shape `(groups, k)`.
        codes: int32, shape `(groups, n)`.
    """
    groups, count = (int(size) for size in tables.shape)
    return lookup(tf.reshape(tables, [-1]), codes + count * tf.range(groups)[:, tf.newaxis])


def check_different(rows: np.ndarray, count: int) -> None:
    """Checks that each group of `(groups, n)` has as many different values as centroids.

    Groups of nothing but zeros pass.

    Raises:
        ValueError: One has fewer.
    """
    ordered = np.sort(rows[rows.any(axis=1)], axis=1)
    different = 1 + np.count_nonzero(ordered[:, 1:] != ordered[:, :-1], axis=1)
    fewest = int(np.min(different, initial=count))
    if fewest < count:
        raise ValueError(
            "`number_of_clusters` must not exceed the number of different weights that share a "
            f"table. Received: number_of_clusters={count} for {fewest} different values; pruned "
            "ones are one. Use fewer clusters, a wider scope, at_most=True or a later begin_step, "
            "or leave this layer out."
        )


def lloyd(ordered: tf.Tensor, centroids: tf.Tensor, zero: bool) -> tf.Tensor:
    """Returns `centroids` moved to their members' means until nothing changes. Source: [Llo82].

    Args:
        ordered: float32, shape `(n,)` or `(groups, n)`, each group sorted.
        centroids: float32, shape `(k,)` or `(groups, k)`, sorted.
        zero: Whether the centroid nearest to 0 stays where it is.

    Returns:
        float32, shape of `centroids`, sorted. A centroid without members stays where it is.
    """
    pinned = tf.logical_and(_is_nearest_zero(centroids), zero)
    # With running sums an iteration costs a few bisections, not a pass over the values.
    values = tf.cast(ordered, tf.float64)
    sums = tf.concat([tf.zeros_like(values[..., :1]), tf.cumsum(values, axis=-1)], axis=-1)
    first = tf.zeros_like(centroids[..., :1], tf.int32)

    def step(current: tf.Tensor, moved: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        del moved
        ends = _count(ordered, _midpoints(current), tf.less_equal)
        edges = tf.concat([first, ends, first + _size(ordered)], axis=-1)
        members = edges[..., 1:] - edges[..., :-1]
        until = tf.gather(sums, edges, batch_dims=_batch(sums))
        totals = until[..., 1:] - until[..., :-1]
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
    return (centroids[..., 1:] + centroids[..., :-1]) / 2.0


def _nearest_zero(centroids: tf.Tensor) -> tf.Tensor:
    return tf.argmin(tf.abs(centroids), axis=-1, output_type=tf.int32)


def _is_nearest_zero(centroids: tf.Tensor) -> tf.Tensor:
    places = tf.range(int(centroids.shape[-1]))
    return tf.equal(places, _nearest_zero(centroids)[..., tf.newaxis])


def _count(ordered: tf.Tensor, limits: tf.Tensor, passes: Callable[..., tf.Tensor]) -> tf.Tensor:
    """Returns how many of a group's sorted values pass `passes(value, limit)`, by bisection.

    Args:
        ordered: float32, shape `(n,)` or `(groups, n)`.
        limits: float32; of any shape for one group, else shape `(groups, m)`.
        passes: `tf.less` or `tf.less_equal`.

    Returns:
        int32 in 0..n, shape of `limits`.
    """
    size = _size(ordered)
    known = ordered.shape[-1]
    counts = tf.zeros_like(limits, tf.int32)
    for bit in reversed(range(known.bit_length() if known is not None else _MOST_BITS)):
        trial = counts + (1 << bit)
        near = tf.gather(ordered, tf.minimum(trial, size) - 1, batch_dims=_batch(ordered))
        counts = tf.where(tf.logical_and(passes(near, limits), trial <= size), trial, counts)
    return counts


def _quantiles(ordered: tf.Tensor, count: int, zero: bool) -> tf.Tensor:
    """Returns the values at the middle of `count` equal shares, of those not 0 if `zero`."""
    negative = _number(ordered < 0.0)
    left_out = _number(tf.logical_and(tf.equal(ordered, 0.0), zero))
    last = _size(ordered) - 1
    shares = (tf.range(count, dtype=tf.float32) + 0.5) / float(count)
    places = tf.cast(tf.round(shares * tf.cast(last - left_out, tf.float32)), tf.int32)
    places = tf.where(places < negative, places, places + left_out)
    return tf.gather(ordered, tf.clip_by_value(places, 0, last), batch_dims=_batch(ordered))


def _plus_plus(ordered: tf.Tensor, count: int, seed: int, zero: bool) -> tf.Tensor:
    """Returns `count` values of each group, drawn one after the other; the first is 0 if `zero`."""
    values = tf.cast(ordered, tf.float64)
    draws = tf.random.stateless_uniform([count], seed=[seed, 0], dtype=tf.float64, alg="philox")

    def draw(weights: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
        sums = tf.cumsum(weights, axis=-1)
        index = _number(sums <= where * sums[..., -1:])
        return tf.gather(values, tf.minimum(index, _size(values) - 1), batch_dims=_batch(values))

    first = tf.zeros_like(values[..., :1]) if zero else draw(tf.ones_like(values), draws[0])

    def step(index: tf.Tensor, chosen: tf.Tensor, nearest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        value = draw(nearest, draws[index])
        chosen = tf.where(tf.equal(tf.range(count), index), value, chosen)
        return index + 1, chosen, tf.minimum(nearest, tf.square(values - value))

    _, chosen, _ = tf.while_loop(
        lambda index, chosen, nearest: index < count,
        step,
        (1, tf.repeat(first, count, axis=-1), tf.square(values - first)),
    )
    return tf.cast(chosen, tf.float32)


def _number(holds: tf.Tensor) -> tf.Tensor:
    """Returns how many of a group are true, int32, shape `(1,)` or `(groups, 1)`."""
    return tf.reduce_sum(tf.cast(holds, tf.int32), axis=-1, keepdims=True)


def _size(values: tf.Tensor) -> tf.Tensor:
    return tf.shape(values)[-1]


def _batch(values: tf.Tensor) -> int:
    """Returns how many axes lie before that of the values."""
    return int(values.shape.rank) - 1

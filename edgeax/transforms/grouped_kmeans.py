"""One-dimensional k-means of many groups of values at once, in the graph.

All groups have as many values and as many centroids. For one group it is `kmeans`.
"""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from edgeax.transforms import kmeans

_MOST_ITERATIONS = 100

# A group has fewer than 2**30 values: sums of two indices must not leave int32.
_MOST_BITS = 30

# So many centroids `tf.searchsorted` searches faster than bisection in the graph does.
_FEW = 32


def fit(ordered: tf.Tensor, count: int, kind: str, seed: int, zero: bool) -> tf.Tensor:
    """Returns the centroids that Lloyd's iterations end with in each group, sorted.

    Args:
        ordered: float32, shape `(groups, n)`, each group sorted.
        count: Number of centroids of a group.
        kind: As for `kmeans.initialize`.
        seed: Of the random draw of `"kmeans++"`; all groups draw alike.
        zero: Whether one centroid, the nearest, is put at 0 and stays there.

    Returns:
        float32, shape `(groups, count)`.
    """
    if ordered.shape[0] == 1:
        return kmeans.fit(ordered[0], count, kind, seed, zero)[tf.newaxis]
    found = _fitter(count, kind, seed, zero)(ordered)
    return tf.ensure_shape(found, [ordered.shape[0], count])


@functools.cache
def _fitter(count: int, kind: str, seed: int, zero: bool) -> Callable[[tf.Tensor], tf.Tensor]:
    def fitted(ordered: tf.Tensor) -> tf.Tensor:
        return _lloyd(ordered, _initialized(ordered, count, kind, seed, zero), zero)

    signature = [tf.TensorSpec([None, None], tf.float32)]
    return tf.function(fitted, input_signature=signature, autograph=False)


def without_zero(centroids: tf.Tensor) -> tf.Tensor:
    """Returns centroids `(groups, count)` without the one of smallest magnitude of each group."""
    free = tf.range(int(centroids.shape[1]) - 1)[tf.newaxis]
    behind = tf.cast(free >= _nearest_zero(centroids)[:, tf.newaxis], tf.int32)
    return tf.gather(centroids, free + behind, batch_dims=1)


def assign(values: tf.Tensor, tables: tf.Tensor) -> tf.Tensor:
    """Returns the index of each value's nearest entry in the table of its group, int32.

    Args:
        values: float32, shape `(groups, n)`.
        tables: float32, shape `(groups, count)`, each sorted. Halfway between two entries, the
            lower one is taken.
    """
    if tables.shape[0] == 1:
        return kmeans.assign(values, tables[0])
    midpoints = _midpoints(tables)
    if int(tables.shape[1]) > _FEW:
        return _counted(midpoints, values, tf.less)
    return tf.searchsorted(midpoints, values, side="left")


@tf.custom_gradient
def lookup(tables: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Returns the entry of each code in the table of its group; an entry's gradient is the sum over
    its members.

    Args:
        tables: float32, shape `(groups, count)`.
        codes: int32, shape `(groups, n)`.
    """
    groups, count = (int(size) for size in tables.shape)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        places = codes + count * tf.range(groups)[:, tf.newaxis]
        sums = tf.math.unsorted_segment_sum(upstream, places, groups * count)
        return tf.reshape(sums, [groups, count]), None

    return tf.gather(tables, codes, batch_dims=1), gradient


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


def _initialized(ordered: tf.Tensor, count: int, kind: str, seed: int, zero: bool) -> tf.Tensor:
    """Returns the first centroids of each group, sorted; see `kmeans.initialize`."""
    if kind == "linear":
        start = tf.linspace(ordered[:, 0], ordered[:, -1], count, axis=-1)
    elif kind == "density":
        start = _quantiles(ordered, count, zero)
    else:
        start = tf.sort(_plus_plus(ordered, count, seed, zero), axis=-1)
    start = tf.ensure_shape(start, [None, count])
    return tf.where(_is_nearest_zero(start), 0.0, start) if zero else start


def _lloyd(ordered: tf.Tensor, centroids: tf.Tensor, zero: bool) -> tf.Tensor:
    """Returns centroids moved to their members' means until nothing changes in any group."""
    pinned = tf.logical_and(_is_nearest_zero(centroids), zero)
    # With running sums an iteration costs a few bisections, not a pass over the values.
    sums = tf.pad(tf.cumsum(tf.cast(ordered, tf.float64), axis=1), [[0, 0], [1, 0]])
    first = tf.zeros_like(centroids[:, :1], tf.int32)

    def step(current: tf.Tensor, moved: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        del moved
        ends = _counted(ordered, _midpoints(current), tf.less_equal)
        edges = tf.concat([first, ends, first + tf.shape(ordered)[1]], axis=1)
        members = edges[:, 1:] - edges[:, :-1]
        until = tf.gather(sums, edges, batch_dims=1)
        totals = until[:, 1:] - until[:, :-1]
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


def _midpoints(tables: tf.Tensor) -> tf.Tensor:
    return (tables[:, 1:] + tables[:, :-1]) / 2.0


def _nearest_zero(centroids: tf.Tensor) -> tf.Tensor:
    return tf.argmin(tf.abs(centroids), axis=1, output_type=tf.int32)


def _is_nearest_zero(centroids: tf.Tensor) -> tf.Tensor:
    places = tf.range(int(centroids.shape[1]))[tf.newaxis]
    return tf.equal(places, _nearest_zero(centroids)[:, tf.newaxis])


def _counted(
    ordered: tf.Tensor, limits: tf.Tensor, passes: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """Returns how many of a group's sorted values pass `passes(value, limit)`, by bisection.

    Args:
        ordered: float32, shape `(groups, n)`.
        limits: float32, shape `(groups, m)`.
        passes: `tf.less` or `tf.less_equal`.

    Returns:
        int32 in 0..n, shape of `limits`.
    """
    size, known = tf.shape(ordered)[1], ordered.shape[1]
    counts = tf.zeros_like(limits, tf.int32)
    for bit in reversed(range(known.bit_length() if known is not None else _MOST_BITS)):
        trial = counts + (1 << bit)
        near = tf.gather(ordered, tf.minimum(trial, size) - 1, batch_dims=1)
        counts = tf.where(tf.logical_and(passes(near, limits), trial <= size), trial, counts)
    return counts


def _quantiles(ordered: tf.Tensor, count: int, zero: bool) -> tf.Tensor:
    """Returns the values at the middle of `count` equal shares, of those not 0 if `zero`."""
    negative = tf.reduce_sum(tf.cast(ordered < 0.0, tf.int32), axis=1, keepdims=True)
    zeros = tf.reduce_sum(tf.cast(tf.equal(ordered, 0.0), tf.int32), axis=1, keepdims=True)
    left_out = zeros if zero else tf.zeros_like(zeros)
    last = tf.shape(ordered)[1] - 1
    shares = (tf.range(count, dtype=tf.float32) + 0.5) / float(count)
    places = tf.cast(tf.round(shares * tf.cast(last - left_out, tf.float32)), tf.int32)
    places = tf.where(places < negative, places, places + left_out)
    return tf.gather(ordered, tf.clip_by_value(places, 0, last), batch_dims=1)


def _plus_plus(ordered: tf.Tensor, count: int, seed: int, zero: bool) -> tf.Tensor:
    """Returns `count` values of each group, drawn one after the other; the first is 0 if `zero`."""
    values = tf.cast(ordered, tf.float64)
    draws = tf.random.stateless_uniform([count], seed=[seed, 0], dtype=tf.float64, alg="philox")
    last = tf.shape(values)[1] - 1

    def draw(weights: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
        sums = tf.cumsum(weights, axis=1)
        index = tf.reduce_sum(tf.cast(sums <= where * sums[:, -1:], tf.int32), axis=1)
        return tf.gather(values, tf.minimum(index, last)[:, tf.newaxis], batch_dims=1)

    first = tf.zeros_like(values[:, :1]) if zero else draw(tf.ones_like(values), draws[0])

    def step(index: tf.Tensor, chosen: tf.Tensor, nearest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        value = draw(nearest, draws[index])
        chosen = tf.where(tf.equal(tf.range(count), index), value, chosen)
        return index + 1, chosen, tf.minimum(nearest, tf.square(values - value))

    _, chosen, _ = tf.while_loop(
        lambda index, chosen, nearest: index < count,
        step,
        (1, tf.tile(first, [1, count]), tf.square(values - first)),
    )
    return tf.cast(chosen, tf.float32)

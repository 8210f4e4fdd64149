"""ClusterActivations: inputs of a layer that take a few values, found by k-means over batches."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Params
from edgeax.formats.methods import implements
from edgeax.formats.points import Points
from edgeax.transforms import kmeans
from edgeax.transforms.base import Role, now
from edgeax.transforms.few_values import FewValues
from edgeax.transforms.gradients import straight_through
from edgeax.transforms.moving_mean import MovingMean


@implements(
    "RIKR17",
    test="tests/transforms/test_cluster_activations.py::test_rikr17_points_are_those_of_k_means_over_the_batch",
)
@keras.saving.register_keras_serializable("edgeax")
class ClusterActivations(FewValues):
    """Replaces every value of an activation by the nearest of a few points.

    The points are found by k-means in the first batch. In every later training step each moves
    towards the mean of its members in the batch, by a moving average. One point is 0 for good, so
    that zeros stay zero, those that a convolution pads with too. The gradient passes straight
    through. Values pass unchanged until a batch was seen.

    Source: [RIKR17], as recalled; that points follow by a moving average, and the zero, are our
    choice.

    Args:
        number_of_clusters: Number of points, 2 to 256, counting zero.
        momentum: Weight of the former average, in [0, 1).

    Raises:
        ValueError: An argument is out of its range.
    """

    activations_only = True
    number_format: Points

    def __init__(self, number_of_clusters: int = 16, momentum: float = 0.9, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number_format = Points(number_of_clusters)
        self.points = MovingMean(momentum)

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Creates the points."""
        super().bind(role, shape)
        self.points.bind(role, (self.number_format.entries,))

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates nothing of its own."""

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` on its points; see `Transform.call`."""
        del step
        fixed = tf.stop_gradient(tensor)
        if renew is not None:
            self._observe(fixed)
        params = {"points": self.points.mean.value}
        value = self.number_format.rounded(fixed, params, keras.ops)
        return tf.where(self.points.seen.value > 0, straight_through(tensor, value), tensor)

    def _observe(self, tensor: tf.Tensor) -> None:
        """Takes the points that suit `tensor` better into the average."""
        points, flat = self.points.mean.value, tf.reshape(tensor, [-1])
        is_one = tf.equal(points[0], points[-1])  # as after a batch of nothing but zeros
        is_new = tf.logical_or(tf.equal(self.points.seen.value, 0), is_one)
        better = tf.cond(
            is_new, lambda: _fitted(flat, self.number_format.entries), lambda: _means(flat, points)
        )
        self.points.observe(better)

    @property
    def is_found(self) -> bool:
        """Whether a batch was seen."""
        return bool(now(self.points.seen))

    def activation_params(self) -> Params | None:
        """See `FewValues.activation_params`."""
        return {"points": now(self.points.mean)} if self.is_found else None

    def levels(self) -> np.ndarray | None:
        """See `FewValues.levels`."""
        return now(self.points.mean) if self.is_found else None

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "number_of_clusters": self.number_format.entries,
            "momentum": self.points.momentum,
        }


def _fitted(flat: tf.Tensor, count: int) -> tf.Tensor:
    """Returns the points that k-means ends with, sorted, one at zero."""
    return tf.ensure_shape(_fitter(count)(flat), [count])


@functools.cache
def _fitter(count: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns what finds so many points: one graph for all activations, as of `kmeans.fit`."""

    def fitted(flat: tf.Tensor) -> tf.Tensor:
        ordered = tf.sort(flat)
        return kmeans.lloyd(ordered, _start(ordered, count), zero=True)

    signature = [tf.TensorSpec([None], tf.float32)]
    return tf.function(fitted, input_signature=signature, autograph=False)


def _start(ordered: tf.Tensor, count: int) -> tf.Tensor:
    """Returns zero and values at the middle of equal shares of all others, sorted.

    `kmeans.initialize` puts one of its own centroids at 0, which is then missed where it was.
    """
    zeros = tf.reduce_sum(tf.cast(tf.equal(ordered, 0.0), tf.int32))
    negative = tf.reduce_sum(tf.cast(ordered < 0.0, tf.int32))
    size = tf.size(ordered)
    shares = (tf.range(count - 1, dtype=tf.float32) + 0.5) / float(count - 1)
    places = tf.cast(shares * tf.cast(size - zeros, tf.float32), tf.int32)
    places = tf.where(places < negative, places, places + zeros)
    values = tf.gather(ordered, tf.minimum(places, size - 1))
    return tf.sort(tf.concat([[0.0], values], axis=0))


def _means(flat: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
    """Returns points moved to their members' means; zero, and those without members, stay."""
    count = int(points.shape[0])
    members = kmeans.assign(flat, points)
    sums = tf.math.unsorted_segment_sum(tf.cast(flat, tf.float64), members, count)
    mass = tf.math.unsorted_segment_sum(tf.ones_like(flat, tf.float64), members, count)
    stays = tf.logical_or(tf.equal(mass, 0.0), tf.equal(points, 0.0))
    means = tf.cast(tf.math.divide_no_nan(sums, mass), tf.float32)
    return tf.where(stays, points, means)

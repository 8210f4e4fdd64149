"""Cluster: weights that share a few values, found by k-means and trained by the summed gradient."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Codebook, EncodedTensor, Integer
from edgeax.formats.methods import implements
from edgeax.transforms import kmeans
from edgeax.transforms.base import Transform, now
from edgeax.transforms.gradients import shared_gradient, straight_through
from edgeax.transforms.grids import live_scale, nonzero, top_code
from edgeax.transforms.mask import Mask


@implements(
    "SH16",
    test="tests/transforms/test_cluster.py::test_sh16_a_centroid_gets_the_sum_of_its_members_gradients",
)
@implements(
    "Llo82", test="tests/transforms/test_kmeans.py::test_llo82_never_beats_the_optimal_partition"
)
@keras.saving.register_keras_serializable("edgeax")
class Cluster(Transform):
    """Replaces every weight by the nearest of a few shared values.

    The centroids are trained: each gets the sum of its members' gradients, while the weights keep
    their own gradients and may change sides at every step.

    Before `Quantize` in a chain, the centroids live on its integer grid: one table of integer codes
    for the whole tensor, times the grid's scale of each output channel. After `Prune`, one centroid
    is zero for good, so that pruned weights stay zero.

    Source: [SH16], [Llo82].

    Args:
        number_of_clusters: Number of shared values, 2 to 256, counting zero.
        cluster_centroids_init: `"linear"`, `"density"` or `"kmeans++"`.
        preserve_sparsity: Whether one centroid is zero; by default, whether `Prune` comes before.
        begin_step: Training step at which the centroids are found, from the weights of that time.
            Before, weights pass unchanged.
        seed: Of the random draw of `"kmeans++"`.
        at_most: Whether a weight tensor with fewer values gets fewer clusters, instead of an error.

    Raises:
        ValueError: An argument is out of its range.
    """

    weights_only = True

    def __init__(
        self,
        number_of_clusters: int,
        cluster_centroids_init: str = "linear",
        preserve_sparsity: bool | None = None,
        begin_step: int = 0,
        seed: int = 0,
        at_most: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 2 <= number_of_clusters <= 256:
            raise ValueError(
                "`number_of_clusters` must lie in [2, 256]. "
                f"Received: number_of_clusters={number_of_clusters}."
            )
        if cluster_centroids_init not in kmeans.INITIALIZATIONS:
            raise ValueError(
                f"`cluster_centroids_init` must be one of {kmeans.INITIALIZATIONS}. "
                f"Received: cluster_centroids_init={cluster_centroids_init!r}."
            )
        if begin_step < 0:
            raise ValueError(f"`begin_step` must be at least 0. Received: begin_step={begin_step}.")
        self.number_of_clusters = int(number_of_clusters)
        self.cluster_centroids_init = cluster_centroids_init
        self.preserve_sparsity = preserve_sparsity
        self.begin_step = int(begin_step)
        self.seed = int(seed)
        self.at_most = bool(at_most)
        self._count = self.number_of_clusters
        self.has_zero = bool(preserve_sparsity)
        self.grid: Integer | None = None

    def follow(self, before: Transform) -> None:
        """Keeps the zeros of a pruning before it.

        Raises:
            ValueError: It is no pruning.
        """
        if not isinstance(before, Mask):
            raise ValueError(
                "`Cluster` must come first in a chain or right after Prune, so that its values are "
                f"kept. Received: {type(before).__name__} before Cluster."
            )
        if self.preserve_sparsity is None:
            self.has_zero = True

    def snap_to(self, grid: Integer) -> None:
        """Puts the centroids on an integer grid."""
        self.grid = grid

    def build(self, shape: Sequence[int]) -> None:
        """Creates the centroids that can move, as fractions of the scale when on a grid.

        Raises:
            ValueError: There are more clusters than weights.
        """
        weights = int(np.prod(shape))
        if self.at_most:
            self._count = max(2, min(self.number_of_clusters, weights))
        elif self.number_of_clusters > weights:
            raise ValueError(
                "`number_of_clusters` must not exceed the number of weights. "
                f"Received: number_of_clusters={self.number_of_clusters} for a weight of shape "
                f"{tuple(shape)} ({weights} values). Use fewer clusters or at_most=True, or leave "
                "this layer out."
            )
        free = self._count - int(self.has_zero)
        self.centroids = self.state("centroids", (free,), trainable=True)
        self.found = self.state("found", dtype="int32")

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` with shared values; see `Transform.call`."""
        begun = step >= self.begin_step
        if renew is not None:
            self._find_when_due(tensor, begun)
        shared = self._shared(tensor)
        ready = tf.logical_and(begun, self.found.value > 0)
        # Both branches are cheap; `where` keeps the graph free of control flow.
        return tf.where(ready, shared, tensor)

    def initialize(self, tensor: tf.Tensor) -> tf.Tensor:
        """Finds the centroids of `tensor` if they are due at step 0."""
        self._find_when_due(tensor, tf.constant(self.begin_step == 0))
        return super().initialize(tensor)

    def _find_when_due(self, tensor: tf.Tensor, begun: tf.Tensor) -> None:
        due = tf.logical_and(begun, tf.equal(self.found.value, 0))
        current = tf.identity(self.centroids.value)
        self.centroids.assign(tf.cond(due, lambda: self._found_in(tensor), lambda: current))
        self.found.assign(tf.maximum(self.found.value, tf.cast(due, tf.int32)))

    def _found_in(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns the free centroids of `tensor` by k-means, in units of `_top` scales."""
        units = nonzero(self._scale(tensor)) * self._top
        ordered = tf.sort(tf.reshape(tensor / units, [-1]))
        count, kind = self._count, self.cluster_centroids_init
        found = kmeans.fit(ordered, count, kind, self.seed, zero=self.has_zero)
        if not self.has_zero:
            return found
        free = tf.range(count - 1)
        return tf.gather(found, free + tf.cast(free >= kmeans.nearest_zero(found), tf.int32))

    @property
    def _top(self) -> float:
        return top_code(self.grid) if self.grid is not None else 1.0

    def _scale(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns what a table entry of 1 means, 0 in a channel of nothing but zeros."""
        if self.grid is None:
            return tf.constant(1.0)
        return tf.stop_gradient(live_scale(tensor, self.grid))

    def _table(self) -> tf.Tensor:
        """Returns the sorted shared values: codes when on a grid, float32 `(clusters,)`."""
        free = self.centroids.value
        if self.grid is not None:
            raw = free * self._top
            free = straight_through(raw, tf.clip_by_value(tf.round(raw), -self._top, self._top))
        table = tf.concat([[0.0], free], axis=0) if self.has_zero else free
        return tf.sort(table)

    def _codes(self, tensor: tf.Tensor, scale: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
        return kmeans.assign(tf.stop_gradient(tensor / nonzero(scale)), tf.stop_gradient(table))

    def _shared(self, tensor: tf.Tensor) -> tf.Tensor:
        scale, table = self._scale(tensor), self._table()
        values = scale * kmeans.lookup(table, self._codes(tensor, scale, table))
        return shared_gradient(tensor, values)

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight as indices into a codebook, or unchanged before `begin_step`.

        A channel of nothing but zeros stays so by its mask: the table need not hold a zero.
        """
        if not now(self.found):
            return tensor
        value = tf.constant(tensor.decode())
        scale, table = self._scale(value), self._table()
        codes = self._codes(value, scale, table).numpy().astype(np.uint8)
        mask = tensor.mask if self.has_zero else None
        dead = np.broadcast_to(np.equal(scale, 0.0), codes.shape)
        if dead.any():
            mask = ~dead if mask is None else mask & ~dead
        params = {"codebook": table.numpy()}
        if self.grid is not None:
            params = {
                "codebook": table.numpy().astype(np.int8),
                "scale": np.asarray(nonzero(scale)),
            }
        return EncodedTensor(codes, Codebook(self._count, value=self.grid), params, mask)

    @property
    def settled_step(self) -> int:
        """See `Transform.settled_step`: the step at which the centroids are found must be done."""
        return self.begin_step + 1 if self.begin_step else 0

    def at_once(self) -> "Cluster":
        """Returns it with `begin_step=0`."""
        return type(self).from_config({**self.get_config(), "begin_step": 0})

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "number_of_clusters": self.number_of_clusters,
            "cluster_centroids_init": self.cluster_centroids_init,
            "preserve_sparsity": self.preserve_sparsity,
            "begin_step": self.begin_step,
            "seed": self.seed,
            "at_most": self.at_most,
        }

"""Cluster: weights that share a few values, found by k-means and trained by the summed gradient."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Codebook, EncodedTensor, Integer
from edgeax.formats.base import finite_float32
from edgeax.formats.codebooks import Codebooks
from edgeax.formats.methods import implements
from edgeax.transforms import kmeans
from edgeax.transforms.assignments import Assignments
from edgeax.transforms.base import Transform, now
from edgeax.transforms.checks import checked_count
from edgeax.transforms.gradients import shared_gradient, straight_through
from edgeax.transforms.grids import live_scale, nonzero, top_code
from edgeax.transforms.mask import Mask
from edgeax.transforms.network_table import as_one, copies_of, first_of, wait_for_table
from edgeax.transforms.placed_tables import checked_codes, checked_tables, sorted_tables, zero_first
from edgeax.transforms.scopes import Division, checked_scope


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

    Before `Quantize` in a chain, the centroids live on its integer grid: tables of integer codes,
    times the grid's scale of each output channel. After `Prune`, one centroid of each table is zero
    for good, so that pruned weights stay zero.

    With `scope="network"` each layer has a copy of one table, found over all layers of the model
    when `edgeax.compress` makes it. In training each copy gets the gradients of all, so that the
    copies stay equal; an optimizer that clips by the norm of all gradients counts the table once
    for each. Layers that differ in what comes before Cluster, or in the grid behind it, have a
    table of their own, and a layer that is not trained keeps its copy as it is. A layer's size
    counts its copy.

    Source: [SH16], [Llo82]; `assign_every=0`: [SH16] itself, where a weight never changes sides;
    `penalty`: [YYZ20], whose details are from memory.

    Args:
        number_of_clusters: Number of shared values of a table, 2 to 256, counting zero.
        cluster_centroids_init: `"linear"`, `"density"` or `"kmeans++"`.
        preserve_sparsity: Whether one centroid is zero; by default, whether `Prune` comes before.
        begin_step: Training step at which the centroids are found, from the weights of that time.
            Before, weights pass unchanged.
        seed: Of the random draw of `"kmeans++"`.
        at_most: Whether a table may have fewer clusters where fewer weights share it, and clusters
            without members where these have fewer different values, instead of an error. Values are
            looked at where the centroids are found at step 0; zeros alone always pass.
        scope: Which weights share a table: `"layer"`, all of the weight; `"channel"`, those of one
            output channel, the last axis; `"kernel"`, those over the spatial axes between one input
            and one output channel; an integer n, those of n inputs in a row and all output
            channels, where inputs are all axes but the last, in a row; `"network"`, all weights of
            the model that have such a Cluster.
        assign_every: Training steps for which a weight keeps its centroid before it takes the
            nearest again; 0: for good, once the centroids are found or placed. A weight that is
            pruned is zero at once, one that grows again stays so until then.
        penalty: Strength, at least 0, of the term `penalty * sum (weight - its centroid)**2` in the
            training loss, which pulls the weights to their centroids but not these to the weights.
            Before `Quantize` the weights of largest magnitude, which scales are made of, are left
            out: with them all centroids would shrink.

    Raises:
        ValueError: An argument is out of its range.

    Example: `Rule("conv", kernel=[Cluster(4, scope="channel"), Quantize("int8", axis=-1)])`
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
        scope: str | int = "layer",
        assign_every: int = 1,
        penalty: float = 0.0,
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
        self.scope = checked_scope(scope)
        if self.scope == "network" and begin_step:
            raise ValueError(
                "`begin_step` must be 0 with scope='network': its table is found over all layers "
                f"when the model is compressed. Received: begin_step={begin_step}. Compress the "
                "model later."
            )
        self.number_of_clusters = int(number_of_clusters)
        self.cluster_centroids_init = cluster_centroids_init
        self.preserve_sparsity = preserve_sparsity
        self.begin_step = int(begin_step)
        self.seed = int(seed)
        self.at_most = bool(at_most)
        self.assign_every = checked_count("assign_every", assign_every, least=0)
        self.penalty = _checked_penalty(penalty)
        self._count = self.number_of_clusters
        self.has_zero = bool(preserve_sparsity)
        self.grid: Integer | None = None
        self.assignments: Assignments | None = None

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
        """Puts the centroids on an integer grid.

        Raises:
            ValueError: Its codes do not fit into a table of int8.
        """
        if grid.bits > 8:
            raise ValueError(
                "`format` must have at most 8 bits after Cluster, whose tables are int8. "
                f"Received: {grid.bits} bits. Use 'int8', or Cluster alone."
            )
        self.grid = grid

    def build(self, shape: Sequence[int]) -> None:
        """Creates the centroids that can move, as fractions of the largest magnitude when on a
        grid: `(free,)` of one table, `(groups, free)` of several.

        Raises:
            ValueError: The scope does not divide the weight, which has no values, or a group of
                them has fewer than clusters.
        """
        self.division = Division.of(self.scope, shape, self.input_axes)
        if self.scope != "network":
            self._count = self.division.clusters(self.number_of_clusters, self.at_most)
        free = self._count - int(self.has_zero)
        rows = (self.division.groups,) if self.division.tables else ()
        self.centroids = self.state("centroids", (*rows, free), trainable=True)
        self.found = self.state("found", dtype="int32")
        if self.assign_every != 1:
            self.assignments = Assignments(self.assign_every)
            self.assignments.bind("weight", (self.division.groups, self.division.members))

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` with shared values; see `Transform.call`."""
        begun = step >= self.begin_step
        if renew is not None:
            self._renew(tensor, begun, renew)
        scale = self._scale(tensor)
        tables, codes = self._choice(tensor, scale)
        values = scale * self.division.ungrouped(kmeans.lookup_grouped(tables, codes))
        ready = tf.logical_and(begun, self.found.value > 0)
        if renew is not None and self.penalty:
            # Of several calls of a layer the first one counts.
            counts = tf.logical_and(renew, ready)
            term = self.penalty * self._squared_distance(tensor, values, scale)
            self.add_loss(tf.where(counts, term, 0.0))
        # Both branches are cheap; `where` keeps the graph free of control flow.
        return tf.where(ready, shared_gradient(tensor, values), tensor)

    def initialize(self, tensor: tf.Tensor) -> tf.Tensor:
        """Finds the centroids of `tensor` if they are due at step 0.

        Raises:
            ValueError: There can be none: values are not finite or fewer than clusters, or the
                table of a network is wanted for a weight alone.
        """
        if self.begin_step == 0 and not now(self.found):
            rows = self.in_units(np.asarray(tensor))
            if self.scope == "network":
                wait_for_table(self, rows)
            else:
                self.check_values(rows)
                self._find_when_due(tensor, tf.constant(True))
        return super().initialize(tensor)

    def check_values(self, rows: np.ndarray) -> None:
        """Checks that values `(groups, members)` suffice for the clusters.

        Raises:
            ValueError: They are not finite, or a group has fewer different ones.
        """
        rows = finite_float32(rows, "weight")
        if not self.at_most:
            kmeans.check_different(rows, self._count)

    def place(self, centroids: Any, codes: Any = None) -> None:
        """Sets the centroids, and if wanted which of them each weight takes.

        Training goes on from there. Momenta that an optimizer keeps of former centroids stay. The
        copies of a network's table must all be set alike.

        Args:
            centroids: float, `(groups, clusters)`, or `(clusters,)` for the same ones in each
                group; see `groups` and `clusters`. In units of the weights; before `Quantize` in
                the chain as fractions of the largest magnitude, `code / (2**(bits - 1) - 1)` in
                [-1, 1], as `in_units` gives weights: 1 stands for the largest magnitude of an
                output channel, or of the tensor, whatever the grid has a scale for. In any order;
                after `Prune` each table must hold a 0.
            codes: For each weight the place of its centroid in its table, integers of the shape of
                the weight in canonical layout (output channels last), kept for `assign_every`
                steps. None: the nearest, at the next step.

        Raises:
            ValueError: The layer is not built, an argument has another shape or bad values, or
                `codes` are given with `assign_every=1`, which would not keep them.
        """
        if not self.built:
            raise ValueError(
                "`place` must be called on a Cluster whose layer is built. Received: one without "
                "centroids. Call the model on a batch, or use edgeax.compress."
            )
        top = None if self.grid is None else self._top
        tables = checked_tables(centroids, self.groups, self.clusters, self.has_zero, top)
        rows = None
        if codes is not None:
            if self.assignments is None:
                raise ValueError(
                    "`codes` must be None where assign_every=1: each weight takes its nearest "
                    "centroid at every step. Received: codes. Use assign_every=0 to keep them."
                )
            rows = self.division.grouped(checked_codes(codes, self.division.shape, self.clusters))
        if self.has_zero:
            tables, rows = zero_first(tables, rows)
            tables = tables[:, 1:]
        self.centroids.assign(np.reshape(tables, self.centroids.shape))
        self.found.assign(1)
        if self.assignments is not None:
            self.assignments.set(rows)

    @property
    def groups(self) -> int:
        """How many tables the weight has."""
        return self.division.groups

    @property
    def clusters(self) -> int:
        """How many values a table has, counting zero: fewer than asked for with `at_most`."""
        return self._count

    def in_units(self, weight: np.ndarray) -> np.ndarray:
        """Returns a weight by the groups that share a table, in the units of `place`.

        Args:
            weight: float32 as it comes to this transform, pruned, in canonical layout.

        Returns:
            float32 `(groups, members)`.
        """
        return np.asarray(self._fractions(tf.constant(weight)))

    @property
    def network(self) -> tuple[Any, ...] | None:
        """What the Clusters that have copies of one table have in common, None where they have
        tables of their own.
        """
        if self.scope != "network":
            return None
        return (*self.get_config().values(), self.has_zero, self.grid)

    def found_in(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the centroids of values `(groups, members)` by k-means, `(groups, clusters)`."""
        ordered = tf.sort(rows, axis=-1)
        kind = self.cluster_centroids_init
        return kmeans.fit(ordered, self._count, kind, self.seed, zero=self.has_zero)

    def _renew(self, tensor: tf.Tensor, begun: tf.Tensor, renew: tf.Tensor) -> None:
        """Begins a training step: finds what is due."""
        if self.scope == "network":
            self._check_placed()
            self.centroids.assign(first_of(copies_of(self)))
        else:
            self._find_when_due(tensor, begun)
        if self.assignments is not None:
            counts = renew & begun & (self.found.value > 0)
            self.assignments.renew(lambda: self._nearest(tensor, self._scale(tensor)), counts)

    def _check_placed(self) -> None:
        """Checks that a network's table is there, where that can be seen.

        Raises:
            ValueError: It is not.
        """
        with tf.init_scope():
            if tf.executing_eagerly() and not now(self.found):
                raise ValueError(
                    "`scope` 'network' needs a table that was found over all layers, or placed. "
                    "Received: training without one. Make the model by edgeax.compress, or call "
                    "place()."
                )

    def _find_when_due(self, tensor: tf.Tensor, begun: tf.Tensor) -> None:
        due = tf.logical_and(begun, tf.equal(self.found.value, 0))
        current = tf.identity(self.centroids.value)

        def found() -> tuple[tf.Tensor, tf.Tensor]:
            centroids = self.found_in(self._fractions(tensor))
            free = kmeans.without_zero(centroids) if self.has_zero else centroids
            finite = tf.reduce_all(tf.math.is_finite(tensor))
            return tf.where(finite, tf.reshape(free, current.shape), current), finite

        centroids, done = tf.cond(due, found, lambda: (current, tf.constant(False)))
        self.centroids.assign(centroids)
        self.found.assign(tf.maximum(self.found.value, tf.cast(done, tf.int32)))

    def _squared_distance(
        self, tensor: tf.Tensor, values: tf.Tensor, scale: tf.Tensor
    ) -> tf.Tensor:
        """Returns the sum of squared distances of weights from their values, which stay."""
        away = tensor - tf.stop_gradient(values)
        if self.grid is not None:
            # Drawing at the weight that a scale is made of would shrink all values, without an end.
            away = tf.where(tf.abs(tensor) < (self._top - 0.5) * scale, away, 0.0)
        return tf.reduce_sum(tf.square(away))

    @property
    def _top(self) -> float:
        return top_code(self.grid) if self.grid is not None else 1.0

    def _scale(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns what a table entry of 1 means, 0 in a channel of nothing but zeros."""
        if self.grid is None:
            return tf.constant(1.0)
        return tf.stop_gradient(live_scale(tensor, self.grid))

    def _units(self, tensor: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        """Returns weights in units of table entries, `(groups, members)`, without a gradient."""
        return self.division.grouped(tf.stop_gradient(tensor / nonzero(scale)))

    def _fractions(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns weights in units of centroids, `(groups, members)`, without a gradient."""
        units = nonzero(self._scale(tensor)) * self._top
        return self.division.grouped(tf.stop_gradient(tensor / units))

    def _tables(self) -> tf.Tensor:
        """Returns the shared values: codes when on a grid, float32 `(groups, clusters)`, a zero
        that stays first, the others in the order of their variable.
        """
        free = tf.convert_to_tensor(self.centroids.value)
        if self.scope == "network":
            free = as_one(free, *[copy.centroids.value for copy in copies_of(self)])
        free = tf.reshape(free, [self.groups, -1])
        if self.grid is not None:
            raw = free * self._top
            free = straight_through(raw, tf.clip_by_value(tf.round(raw), -self._top, self._top))
        return tf.pad(free, [[0, 0], [1, 0]]) if self.has_zero else free

    def _choice(self, tensor: tf.Tensor, scale: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the tables and which entry each weight takes, int32 `(groups, members)`."""
        tables, units = self._tables(), self._units(tensor, scale)
        if self.assignments is None:
            tables = tf.sort(tables, axis=-1)
            return tables, kmeans.assign(units, tf.stop_gradient(tables))
        codes = self.assignments.current(lambda: self._nearest(tensor, scale))
        return tables, tf.where(tf.equal(units, 0.0), 0, codes) if self.has_zero else codes

    def _nearest(self, tensor: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        """Returns the nearest entry of each weight in tables that are not sorted."""
        tables = tf.stop_gradient(self._tables())
        order = tf.argsort(tables, axis=-1, stable=True)
        ordered = tf.gather(tables, order, batch_dims=1)
        codes = kmeans.assign(self._units(tensor, scale), ordered)
        return tf.gather(order, codes, batch_dims=1)

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight as indices into a table, or one for each group; unchanged before
        `begin_step`.

        A channel of nothing but zeros stays so by its mask: the table need not hold a zero.
        """
        if not now(self.found):
            return tensor
        value = tf.constant(tensor.decode())
        scale = self._scale(value)
        tables, rows = sorted_tables(*(x.numpy() for x in self._choice(value, scale)))
        codes = self.division.ungrouped(rows.astype(np.uint8))
        mask = tensor.mask if self.has_zero else None
        dead = np.broadcast_to(np.equal(scale, 0.0), codes.shape)
        if dead.any():
            mask = ~dead if mask is None else mask & ~dead
        params = {"codebook": self.division.codebook(tables)}
        if self.grid is not None:
            params["codebook"] = params["codebook"].astype(np.int8)
            params["scale"] = np.asarray(nonzero(scale))
        if not self.division.tables:
            return EncodedTensor(codes, Codebook(self._count, value=self.grid), params, mask)
        return EncodedTensor(codes, Codebooks(self._count, self.scope, self.grid), params, mask)

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
            "scope": self.scope,
            "assign_every": self.assign_every,
            "penalty": self.penalty,
        }


def _checked_penalty(penalty: Any) -> float:
    is_number = isinstance(penalty, numbers.Real) and not isinstance(penalty, bool)
    if not is_number or not 0.0 <= float(penalty) < math.inf:
        raise ValueError(f"`penalty` must be at least 0 and finite. Received: penalty={penalty!r}.")
    return float(penalty)

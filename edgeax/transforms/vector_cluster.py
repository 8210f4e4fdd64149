"""VectorCluster: weights whose sub-vectors share a few codewords (product quantization)."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor
from edgeax.formats.methods import implements
from edgeax.formats.vector_codebook import VectorCodebook
from edgeax.transforms import kmeans, vector_kmeans
from edgeax.transforms.base import Transform, now
from edgeax.transforms.checks import checked_count, checked_seed
from edgeax.transforms.gradients import shared_gradient

_TEST = "tests/transforms/test_vector_cluster.py::"


@implements("WLW15", test=_TEST + "test_wlw15_sub_vectors_take_the_means_of_their_clusters")
@keras.saving.register_keras_serializable("edgeax")
class VectorCluster(Transform):
    """Replaces every sub-vector of a weight by the nearest of a few codewords.

    The inputs of each output channel are cut into sub-vectors of `length` in a row. Codewords are
    found by k-means and then trained: each gets the sum of its members' gradients, while the
    weights keep their own gradients and their sub-vectors may change sides at every step.

    Source: [WLW15], rest as recalled.

    Args:
        number_of_clusters: Codewords of a table, 2 to 65536.
        length: Weights in a sub-vector, 1 or more; it must divide the inputs.
        tables: Which sub-vectors share a table: all with `"shared"`; those at one place among the
            inputs with `"per_position"`; those of the same input channels with `"per_input"`, as in
            [WLW15], where `length` must divide the last axis of inputs.
        begin_step: Training step at which the codewords are found, from the weights of that time if
            they are finite. Before, weights pass unchanged.
        seed: Of the draws of k-means++.
        at_most: Whether a table of fewer different sub-vectors gets fewer codewords, or some that
            repeat, instead of an error.

    Raises:
        ValueError: An argument is out of its range.
    """

    weights_only = True

    def __init__(
        self,
        number_of_clusters: int,
        length: int,
        tables: str = "shared",
        begin_step: int = 0,
        seed: int = 0,
        at_most: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.number_of_clusters = checked_count("number_of_clusters", number_of_clusters, least=2)
        self.number_format = VectorCodebook(self.number_of_clusters, length, tables)
        self.begin_step = checked_count("begin_step", begin_step, least=0)
        self.seed = checked_seed(seed)
        self.at_most = bool(at_most)

    def follow(self, before: Transform) -> None:
        """Takes nothing before it.

        Raises:
            ValueError: Something is.
        """
        raise ValueError(
            "`VectorCluster` must come first in a chain: its codewords would undo what was done to "
            f"single weights. Received: {type(before).__name__} before it. Leave that out."
        )

    def build(self, shape: Sequence[int]) -> None:
        """Creates the codewords.

        Raises:
            ValueError: The inputs cannot be cut so, or there are more clusters than sub-vectors.
        """
        settings = self.number_format
        tables = settings.table_count(shape)
        vectors = int(np.prod(shape)) // settings.length // tables
        count = self.number_of_clusters
        if self.at_most:
            count = max(2, min(count, vectors))
            self.number_format = VectorCodebook(count, settings.length, settings.tables)
        elif count > vectors:
            raise self._too_many(shape, f"{vectors} sub-vectors for each table")
        self.codewords = self.state("codewords", (tables, count, settings.length), trainable=True)
        self.found = self.state("found", dtype="int32")

    def _too_many(self, shape: Sequence[int], there_are: str) -> ValueError:
        return ValueError(
            "`number_of_clusters` must not exceed the number of different sub-vectors. Received: "
            f"number_of_clusters={self.number_of_clusters} for a weight of shape {tuple(shape)}, "
            f"which has {there_are}. Use fewer clusters or at_most=True, or leave this layer out."
        )

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` of shared sub-vectors; see `Transform.call`."""
        begun = step >= self.begin_step
        if renew is not None:
            self._find_when_due(tensor, begun)
        ready = tf.logical_and(begun, self.found.value > 0)
        return tf.where(ready, shared_gradient(tensor, self._shared(tensor)), tensor)

    def initialize(self, tensor: tf.Tensor) -> tf.Tensor:
        """Finds the codewords of `tensor` if they are due at step 0.

        Raises:
            ValueError: There are fewer different sub-vectors.
        """
        if self.begin_step == 0 and not self.at_most:
            self._check_different(np.asarray(tensor))
        self._find_when_due(tensor, tf.constant(self.begin_step == 0))
        return super().initialize(tensor)

    def _check_different(self, value: np.ndarray) -> None:
        if not np.isfinite(value).all():
            return  # nothing is found in it
        for vectors in self.number_format.cut(value):
            different = len(np.unique(vectors, axis=0))
            if different < self.number_of_clusters:
                raise self._too_many(value.shape, f"{different} different ones for a table")

    def _find_when_due(self, tensor: tf.Tensor, begun: tf.Tensor) -> None:
        finite = tf.reduce_all(tf.math.is_finite(tensor))
        due = tf.logical_and(begun, tf.logical_and(finite, tf.equal(self.found.value, 0)))
        current = tf.identity(self.codewords.value)
        found = tf.cond(due, lambda: self._found_in(tf.stop_gradient(tensor)), lambda: current)
        self.codewords.assign(found)
        self.found.assign(tf.maximum(self.found.value, tf.cast(due, tf.int32)))

    def _found_in(self, tensor: tf.Tensor) -> tf.Tensor:
        vectors = self.number_format.cut(tensor, keras.ops)
        return vector_kmeans.fit(vectors, self.number_format.entries, self.seed)

    def _indices(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns the index of the codeword of each sub-vector, int32 `(tables, of each)`."""
        vectors = self.number_format.cut(tf.stop_gradient(tensor), keras.ops)
        return vector_kmeans.assign(vectors, tf.stop_gradient(self.codewords.value))

    def _shared(self, tensor: tf.Tensor) -> tf.Tensor:
        tables, entries, length = (int(size) for size in self.codewords.shape)
        places = self._indices(tensor) + entries * tf.range(tables)[:, None]
        flat = tf.reshape(self.codewords.value, [-1, length])
        vectors = kmeans.lookup(flat, tf.reshape(places, [-1]))
        return self.number_format.joined(vectors, tensor.shape, keras.ops)

    def set_codewords(self, codewords: np.ndarray) -> None:
        """Makes these the codewords, which training goes on from.

        Args:
            codewords: `(tables, entries, length)`, finite.
        """
        self.codewords.assign(np.asarray(codewords, np.float32))
        self.found.assign(1)

    @property
    def is_found(self) -> bool:
        """Whether the codewords were found."""
        return bool(now(self.found))

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight as codes of its tables, or unchanged before `begin_step`."""
        if not self.is_found:
            return tensor
        indices = np.asarray(self._indices(tf.constant(tensor.decode())))
        codes = self.number_format.codes(indices, tensor.shape)
        return EncodedTensor(codes, self.number_format, {"codebook": now(self.codewords)})

    @property
    def settled_step(self) -> int:
        """See `Transform.settled_step`: the step at which the codewords are found must be done."""
        return self.begin_step + 1 if self.begin_step else 0

    def at_once(self) -> "VectorCluster":
        """Returns it with `begin_step=0`."""
        return type(self).from_config({**self.get_config(), "begin_step": 0})

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "number_of_clusters": self.number_of_clusters,
            "length": self.number_format.length,
            "tables": self.number_format.tables,
            "begin_step": self.begin_step,
            "seed": self.seed,
            "at_most": self.at_most,
        }

"""Hashed: weights that share a few trained values by a hash of their places (HashedNets)."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor
from edgeax.formats.hashed import MOST_SEED, HashBuckets
from edgeax.formats.methods import implements
from edgeax.transforms import kmeans
from edgeax.transforms.base import Transform, now
from edgeax.transforms.checks import checked_bits, checked_choice, checked_positive
from edgeax.transforms.gradients import shared_gradient
from edgeax.transforms.learned import Learned

STARTS = ("least_squares", "uniform")

# What a product such as 0.07 * 100 may be above the whole number that it means.
_ROUNDING = 1e-6


@implements(
    "CWT15",
    test="tests/transforms/test_hashed.py::test_cwt15_a_bucket_gets_the_sum_of_signed_gradients",
)
@keras.saving.register_keras_serializable("edgeax")
class Hashed(Learned):
    """Replaces a weight of n values by `ceil(compression * n)` trained ones, spread by a hash.

    `W[i, j] = sign(i, j) * bucket[place(i, j)]`, both functions hashes of the place; see
    `edgeax.formats.hashed.HashBuckets`. A bucket gets the sum of `sign * gradient` over its
    members, the raw weight none: it stays what it was and takes no part, so leave weight decay off.

    It must come first in a chain. No other quantizer can follow, as that would round members of one
    bucket apart. A file holds the values as the usual codes, int8 or float32: no operator hashes.
    What `summary` counts are the bucket values that the tensor follows from.

    Source: [CWT15].

    Args:
        compression: Buckets per weight, in (0, 1].
        seed: Of the hash and of the uniform start, in 0..2**31-1. Weights of the same shape and
            seed share the hash, not the values.
        start: Where the buckets start: `"least_squares"`, at the mean of `sign * w` of their
            members, for a trained model; `"uniform"`, in +-1/sqrt(fan-in), for training from
            scratch, where that mean would leave them small.

    Raises:
        ValueError: An argument is out of its range; or the weight is empty.

    Example: `edgeax.compress(model, [Hashed(1 / 64, start="uniform")])`
    """

    weights_only = True
    keeps_zero = False
    moves_weights = False
    number_format: HashBuckets

    def __init__(
        self,
        compression: float,
        seed: int = 0,
        start: str = "least_squares",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.compression = checked_positive("compression", compression)
        if self.compression > 1.0:
            raise ValueError(
                "`compression` must be at most 1, the buckets for each weight. "
                f"Received: compression={compression}. Use 1 / 64 for 64 weights to a bucket."
            )
        self.seed = checked_bits(seed, 0, MOST_SEED, "Hashed", "seed")
        self.start = checked_choice("start", start, STARTS)

    def follow(self, before: Transform) -> None:
        """Refuses to come late.

        Raises:
            ValueError: Another transform comes before.
        """
        raise ValueError(
            "`Hashed` must come first in a chain: its values come from buckets, whatever was done "
            f"to the weight before. Received: {type(before).__name__} before Hashed."
        )

    def variables_for(self, shape: Sequence[int]) -> list[keras.Variable]:
        """See `Learned.variables_for`."""
        size = math.prod(shape)
        if not size:
            raise ValueError(
                f"`Hashed` must have a weight to share. Received: an empty one of shape "
                f"{tuple(shape)}. Leave this layer out."
            )
        count = math.ceil(self.compression * size - _ROUNDING)
        self.number_format = HashBuckets(max(count, 1), self.seed)
        codes = self.number_format.codes_of(shape)
        with tf.init_scope():  # made once, not written into each graph
            self._places = tf.constant(np.abs(codes) - 1)
            self._signs = tf.constant(np.sign(codes).astype(np.float32))
        self._spread = 1.0 / math.sqrt(self._fan_in(shape))
        self.buckets = self.learned_variable("buckets", (self.number_format.buckets,))
        return [self.buckets]

    def _fan_in(self, shape: Sequence[int]) -> int:
        """Returns how many weights one output sums up."""
        return math.prod([shape[axis] for axis in self.input_axes or range(len(shape) - 1)])

    def first_values(self, tensor: tf.Tensor) -> list[tf.Tensor]:
        """See `Learned.first_values`."""
        count, reach = self.number_format.buckets, self._spread
        if self.start == "uniform":
            seed = [self.seed, 0]
            return [tf.random.stateless_uniform([count], seed, -reach, reach, alg="philox")]
        wide = tf.cast(self._signs * tensor, tf.float64)
        return [tf.cast(tf.math.unsorted_segment_mean(wide, self._places, count), tf.float32)]

    def rounded(self, tensor: tf.Tensor) -> tf.Tensor:
        """See `Learned.rounded`."""
        values = self._signs * kmeans.lookup(self.buckets.value, self._places)
        return shared_gradient(0.0 * tensor, values)

    def encoded(self, value: np.ndarray, mask: np.ndarray | None) -> EncodedTensor:
        """See `Learned.encoded`."""
        params = {"bucket": now(self.buckets)}
        codes = self.number_format.codes_of(value.shape)
        return EncodedTensor(codes, self.number_format, params, mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"compression": self.compression, "seed": self.seed, "start": self.start}

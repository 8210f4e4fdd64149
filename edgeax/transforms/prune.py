"""Prune: weights, or blocks of them, that become zero and stay zero."""

import numbers
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Float32
from edgeax.formats.methods import implements
from edgeax.transforms.base import Transform, now
from edgeax.transforms.schedules import ConstantSparsity, Schedule


@implements(
    "SH16", test="tests/transforms/test_prune.py::test_sh16_the_smallest_magnitudes_become_zero"
)
@keras.saving.register_keras_serializable("edgeax")
class Prune(Transform):
    """Sets the weights of smallest magnitude to zero, more of them as a schedule goes on.

    Every `frequency` steps the schedule's fraction of blocks with the smallest mean magnitude is
    chosen anew. A pruned weight is zero in every forward pass and gets no gradient until a later
    choice brings it back.

    Source: [SH16].

    Args:
        schedule: A `Schedule`, or a sparsity in [0, 1) for `ConstantSparsity(sparsity, 0)`.
        block: `(channels, inputs)`: (1, 4) prunes four neighbouring inputs of one output channel
            together. A kernel's inputs are its leading axes in order (height, width, channel). A
            block that sticks out over the edge has the mean magnitude of the weights it holds.

    Raises:
        ValueError: The schedule is no schedule or the block is empty.
    """

    weights_only = True

    def __init__(
        self, schedule: Schedule | float, block: Sequence[int] = (1, 1), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(schedule, numbers.Real):
            schedule = ConstantSparsity(float(schedule), begin_step=0)
        if not isinstance(schedule, Schedule):
            raise ValueError(
                "`schedule` must be a sparsity in [0, 1) or a schedule such as PolynomialDecay. "
                f"Received: schedule={schedule!r}."
            )
        block = tuple(int(side) for side in block)
        if len(block) != 2 or min(block) < 1:
            raise ValueError(
                f"`block` must be (channels, inputs), each at least 1. Received: block={block}."
            )
        self.schedule = schedule
        self.block = block

    def build(self, shape: Sequence[int]) -> None:
        """Creates the mask, all ones."""
        self.mask = self.state("mask", shape, dtype="bool", initializer="ones")

    def follow(self, before: Transform) -> None:
        """Refuses to come late.

        Raises:
            ValueError: Another transform comes before.
        """
        raise ValueError(
            "`Prune` must come first in a chain, so that the others can keep its zeros. "
            f"Received: {type(before).__name__} before Prune."
        )

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` with the pruned weights at zero; see `Transform.call`."""
        mask = self.mask.value
        if renew is not None:
            due = tf.logical_and(renew, self.schedule.acts(step))
            mask = tf.cond(
                due,
                lambda: magnitude_mask(tensor, self.schedule(step), self.block),
                lambda: tf.identity(mask),
            )
            self.mask.assign(mask)
        return tf.where(mask, tensor, 0.0)

    def initialize(self, tensor: tf.Tensor) -> tf.Tensor:
        """Chooses from the weight `tensor` if the schedule acts at step 0; returns it pruned."""
        return self.call(tensor, tf.constant(0), renew=tf.constant(True))

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight with its zeros and its mask."""
        mask = now(self.mask)
        value = np.where(mask, tensor.decode(), np.float32(0.0))
        return EncodedTensor(value, Float32(), {}, mask)

    @property
    def settled_step(self) -> int:
        """See `Transform.settled_step`: the schedule's last new choice must be done."""
        return self.schedule.settled_step

    def at_once(self) -> "Prune":
        """Returns it with the schedule's last sparsity from step 0 on."""
        return type(self)(ConstantSparsity(self.schedule.last_sparsity, 0), self.block)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "block": list(self.block)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Prune":
        """Returns the transform that `get_config` described, with new state."""
        schedule = config["schedule"]
        if isinstance(schedule, dict):
            schedule = keras.saving.deserialize_keras_object(schedule)
        return cls(schedule, config["block"])


def magnitude_mask(
    weight: tf.Tensor, sparsity: tf.Tensor | float, block: Sequence[int] = (1, 1)
) -> tf.Tensor:
    """Returns which weights stay when the blocks of smallest mean magnitude go.

    Exactly `round(sparsity * blocks)` blocks go; of equal ones the first.

    Args:
        weight: float32, canonical layout. NaN counts as the largest magnitude.
        sparsity: Fraction of blocks to go, in [0, 1).
        block: `(channels, inputs)`.

    Returns:
        bool, shape of `weight`.
    """
    shape = [int(size) for size in weight.shape]
    rows = tf.reshape(tf.abs(weight), [-1, shape[-1]])
    scores = _block_means(rows, block)
    flat = tf.reshape(scores, [-1])
    gone = tf.cast(tf.round(sparsity * float(flat.shape[0])), tf.int32)
    kept = tf.reshape(_without_smallest(flat, gone), scores.shape)
    channels, inputs = block
    kept = tf.repeat(tf.repeat(kept, inputs, axis=0), channels, axis=1)
    return tf.reshape(kept[: rows.shape[0], : rows.shape[1]], shape)


def _without_smallest(scores: tf.Tensor, gone: tf.Tensor) -> tf.Tensor:
    """Returns which `scores` (at least 0, shape `(n,)`) are not among the `gone` smallest, bool."""
    ranks = tf.bitcast(scores, tf.int32)  # floats that are not negative lie in order of their bits

    def decide(bit: tf.Tensor, largest: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        trial = largest + tf.bitwise.left_shift(1, bit)
        return bit - 1, tf.where(_count(ranks < trial) < gone, trial, largest)

    # The largest score that goes, bit by bit from the highest: much faster than sorting them all.
    _, largest = tf.while_loop(lambda bit, _: bit >= 0, decide, (30, 0))
    tied = tf.equal(ranks, largest)
    spared = tf.cumsum(tf.cast(tied, tf.int32)) > gone - _count(ranks < largest)
    return tf.logical_or(ranks > largest, tf.logical_and(tied, spared))


def _count(which: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(which, tf.int32))


def _block_means(rows: tf.Tensor, block: Sequence[int]) -> tf.Tensor:
    channels, inputs = block
    if (channels, inputs) == (1, 1):
        return rows
    height, width = (int(size) for size in rows.shape)
    padding = [[0, -height % inputs], [0, -width % channels]]

    def block_sums(values: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(values, padding)
        tiles = [padded.shape[0] // inputs, inputs, padded.shape[1] // channels, channels]
        return tf.reduce_sum(tf.reshape(padded, tiles), axis=[1, 3])

    return block_sums(rows) / block_sums(tf.ones_like(rows))

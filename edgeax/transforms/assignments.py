"""Assignments: which shared value each weight takes, kept from one training step to the next."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.transforms.base import Stateful
from edgeax.transforms.checks import checked_count


@keras.saving.register_keras_serializable("edgeax")
class Assignments(Stateful):
    """Keeps an index for each weight, found anew every few training steps.

    Args:
        every: Training steps that an index is kept for; 0: until it is set or forgotten.

    Raises:
        ValueError: `every` is below 0 or no integer.
    """

    def __init__(self, every: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.every = checked_count("every", every, least=0)

    def build(self, shape: Any) -> None:
        """Creates the indices of `shape`, and how long they have been kept."""
        self.codes = self.state("codes", shape, dtype="uint8")
        # 0 while there are no indices, else 1 more than the training steps done with them.
        self.age = self.state("age", dtype="int32")

    def renew(self, find: Callable[[], tf.Tensor], counts: tf.Tensor) -> None:
        """Begins a training step: finds the indices anew where that is due.

        Args:
            find: Returns new ones, integers in 0..255.
            counts: bool scalar, whether this call is a step and indices can be found.
        """
        age = self.age.value
        due = tf.equal(age, 0)
        if self.every:
            due = tf.logical_or(due, age > self.every)
        due = tf.logical_and(due, counts)
        codes = tf.cond(
            due, lambda: tf.cast(find(), tf.uint8), lambda: tf.identity(self.codes.value)
        )
        self.codes.assign(tf.ensure_shape(codes, self.codes.shape))
        older = age + tf.cast(tf.logical_and(counts, age > 0), tf.int32)
        self.age.assign(tf.where(due, 2, older))

    def current(self, find: Callable[[], tf.Tensor]) -> tf.Tensor:
        """Returns the indices, int32, those that `find` returns while there are none."""
        kept = tf.cond(
            self.age.value > 0, lambda: tf.cast(self.codes.value, tf.int32), lambda: find()
        )
        return tf.ensure_shape(kept, self.codes.shape)

    def set(self, codes: np.ndarray | None) -> None:
        """Sets the indices; None: they are found at the next training step."""
        if codes is not None:
            self.codes.assign(codes)
        self.age.assign(int(codes is not None))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"every": self.every}

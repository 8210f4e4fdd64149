"""MovingMean: a few numbers of a tensor, averaged over the training steps."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.transforms.base import Stateful
from edgeax.transforms.ranges import mean_over_replicas


@keras.saving.register_keras_serializable("edgeax")
class MovingMean(Stateful):
    """Follows numbers by a moving average that starts with the first ones.

    A step in which one of them is not finite is passed over.

    Args:
        momentum: Weight of the former average, in [0, 1).

    Raises:
        ValueError: `momentum` is out of its range.
    """

    def __init__(self, momentum: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"`momentum` must lie in [0, 1). Received: momentum={momentum}.")
        self.momentum = float(momentum)

    def build(self, shape: Sequence[int]) -> None:
        """Creates the average, of this `shape`, and whether anything was seen."""
        self.mean = self.state("mean", shape, initializer="ones")
        self.seen = self.state("seen", dtype="int32")

    def observe(self, numbers: tf.Tensor) -> None:
        """Takes the numbers of a step into the average."""
        if self.role == "activation":
            numbers = mean_over_replicas(numbers)
        old = self.mean.value
        blend = self.momentum * old + (1.0 - self.momentum) * numbers
        finite = tf.reduce_all(tf.math.is_finite(numbers))
        after = tf.where(self.seen.value > 0, blend, numbers)
        self.mean.assign(tf.where(finite, after, old))
        self.seen.assign(tf.maximum(self.seen.value, tf.cast(finite, tf.int32)))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"momentum": self.momentum}

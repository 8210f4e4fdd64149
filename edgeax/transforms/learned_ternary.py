"""LearnedTernary: weights of three values, of which the two that are not zero are trained."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor
from edgeax.formats.methods import implements
from edgeax.formats.ternary import Ternary as TernaryFormat
from edgeax.transforms.base import now
from edgeax.transforms.learned import Learned


@implements(
    "ZHMD16",
    test="tests/transforms/test_learned_ternary.py::test_zhmd16_all_gradients_are_those_worked_out_by_hand",
)
@keras.saving.register_keras_serializable("edgeax")
class LearnedTernary(Learned):
    """Weights become -Wn, 0 or Wp, both trained (TTQ).

    A weight is 0 within `threshold * max|w|`. Wp gets the sum of the gradients of the weights
    above, Wn minus that of those below; a weight gets its own gradient times Wp, 1 or Wn.

    Source: [ZHMD16]. Where `start` is None, Wp and Wn start at the mean magnitude of the weights
    that they replace, which suits a trained network better than the paper's 1.

    Args:
        threshold: Fraction of the largest magnitude, in [0, 1).
        start: Where Wp and Wn start; None: at the means.

    Raises:
        ValueError: An argument is out of its range.
    """

    weights_only = True

    def __init__(self, threshold: float = 0.05, start: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0.0 <= threshold < 1.0:
            raise ValueError(f"`threshold` must lie in [0, 1). Received: threshold={threshold}.")
        self.threshold = float(threshold)
        self.start = None if start is None else float(start)
        self.number_format = TernaryFormat("ttq", factor=self.threshold or None)

    def variables_for(self, shape: Sequence[int]) -> list[keras.Variable]:
        """See `Learned.variables_for`."""
        self.positive = self.learned_variable("positive")
        self.negative = self.learned_variable("negative")
        return [self.positive, self.negative]

    def first_values(self, tensor: tf.Tensor) -> list[tf.Tensor]:
        """See `Learned.first_values`."""
        if self.start is not None:
            return [tf.constant(self.start), tf.constant(self.start)]
        above, below = self._sides(tensor)
        return [_mean_magnitude(tensor, side) for side in (above, below)]

    def _sides(self, tensor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns which weights lie above the zero zone and which below, bool."""
        fixed = tf.stop_gradient(tensor)
        edge = self.threshold * tf.reduce_max(tf.abs(fixed))
        return fixed > edge, fixed < -edge

    def rounded(self, tensor: tf.Tensor) -> tf.Tensor:
        """See `Learned.rounded`."""
        above, below = self._sides(tensor)
        return _ternary(tensor, self.positive.value, self.negative.value, above, below)

    def encoded(self, value: np.ndarray, mask: np.ndarray | None) -> EncodedTensor:
        """See `Learned.encoded`."""
        above, below = (side.numpy() for side in self._sides(tf.constant(value)))
        codes = above.astype(np.int8) - below.astype(np.int8)
        params = {"positive": now(self.positive), "negative": now(self.negative)}
        return EncodedTensor(codes, self.number_format, params, mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"threshold": self.threshold, "start": self.start}


def _mean_magnitude(tensor: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
    """Returns the mean of |tensor| over the weights that `which` picks, 0 if there are none."""
    count = tf.reduce_sum(tf.cast(which, tf.float32))
    return tf.math.divide_no_nan(tf.reduce_sum(tf.where(which, tf.abs(tensor), 0.0)), count)


@tf.custom_gradient
def _ternary(
    real: tf.Tensor, positive: tf.Tensor, negative: tf.Tensor, above: tf.Tensor, below: tf.Tensor
) -> tf.Tensor:
    """Returns the three values, with the gradients of TTQ."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        factor = tf.where(above, positive, tf.where(below, negative, 1.0))
        to_positive = tf.reduce_sum(tf.where(above, upstream, 0.0))
        to_negative = -tf.reduce_sum(tf.where(below, upstream, 0.0))
        return upstream * factor, to_positive, to_negative, None, None

    del real
    return tf.where(above, positive, tf.where(below, -negative, 0.0)), gradient

"""LearnedPoints: weights stay where they are, the points they are quantized to are trained."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Codebook, EncodedTensor
from edgeax.formats.methods import implements
from edgeax.transforms import kmeans
from edgeax.transforms.checks import checked_bits, checked_choice
from edgeax.transforms.gradients import shared_gradient
from edgeax.transforms.learned import Learned

STARTS = ("density", "linear")


@implements(
    "PPA18",
    test="tests/transforms/test_learned_points.py::test_ppa18_a_point_gets_the_sum_of_its_members_gradients",
)
@keras.saving.register_keras_serializable("edgeax")
class LearnedPoints(Learned):
    """Replaces every weight by the nearest of `2**bits` trained points.

    A point gets the sum of the gradients of the weights assigned to it. The weights get none,
    unless `train_weights` is set; then they move too and may change sides, as in `Cluster`.

    Source: [PPA18], differentiable quantization, without its buckets of 256 weights with a scale
    each: the points serve a whole tensor, in units of its weights.

    Args:
        bits: Width of an index, 1 to 8.
        start: Where the points start: `"density"`, at even quantiles of the weights, or `"linear"`,
            evenly from the smallest to the largest.
        train_weights: Whether the weights get their gradients too.

    Raises:
        ValueError: An argument is out of its range.
    """

    weights_only = True
    keeps_zero = False

    def __init__(
        self,
        bits: int = 4,
        start: str = "density",
        train_weights: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bits = checked_bits(bits, 1, 8, "LearnedPoints")
        self.start = checked_choice("start", start, STARTS)
        self.train_weights = self.moves_weights = bool(train_weights)
        self.number_format = Codebook(2**self.bits, value=None)

    def variables_for(self, shape: Sequence[int]) -> list[keras.Variable]:
        """See `Learned.variables_for`."""
        self.points = self.learned_variable("points", (2**self.bits,))
        return [self.points]

    def first_values(self, tensor: tf.Tensor) -> list[tf.Tensor]:
        """See `Learned.first_values`."""
        ordered = tf.sort(tf.reshape(tensor, [-1]))
        return [kmeans.initialize(ordered, 2**self.bits, self.start, seed=0, zero=False)]

    def rounded(self, tensor: tf.Tensor) -> tf.Tensor:
        """See `Learned.rounded`."""
        points = tf.sort(self.points.value)
        codes = kmeans.assign(tf.stop_gradient(tensor), tf.stop_gradient(points))
        receiver = tensor if self.train_weights else 0.0 * tensor
        return shared_gradient(receiver, kmeans.lookup(points, codes))

    def encoded(self, value: np.ndarray, mask: np.ndarray | None) -> EncodedTensor:
        """See `Learned.encoded`."""
        points = tf.sort(self.points.value)
        codes = kmeans.assign(tf.constant(value), points).numpy().astype(np.uint8)
        return EncodedTensor(codes, self.number_format, {"codebook": points.numpy()}, mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits, "start": self.start, "train_weights": self.train_weights}

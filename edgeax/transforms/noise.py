"""WeightNoise: weights that are noisy while training, as those in analog memories are."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Float32
from edgeax.formats.methods import implements
from edgeax.transforms.base import Transform
from edgeax.transforms.checks import checked_positive
from edgeax.transforms.cluster import Cluster
from edgeax.transforms.gradient_transform import GradientTransform
from edgeax.transforms.gradients import straight_through
from edgeax.transforms.quantize import Quantizer


@implements(
    "JLGH20",
    test="tests/transforms/test_noise.py::test_jlgh20_noise_has_the_width_worked_out_by_hand",
)
@keras.saving.register_keras_serializable("edgeax")
class WeightNoise(Transform):
    """Adds normal noise to a weight while training; the whole gradient goes to the clean weight.

    The noise has a standard deviation of `eta` times the largest magnitude of the weight, as the
    conductances of an analog memory have. Before that, weights are clipped to `clip_sigma` standard
    deviations of the weight on either side of 0, so that a few large ones do not make the noise of
    all others large. Outside training weights are clipped and have no noise. A network that was
    trained so loses little in such a memory: see `edgeax.analog`.

    Source: [JLGH20], the defaults as recalled.

    Args:
        eta: Standard deviation of the noise as a fraction of the largest magnitude, at least 0.
        clip_sigma: Standard deviations of the weight at which it is clipped, above 0; None: not at
            all.
        seed: Of the noise. Kernels of one model draw different noise, repeats of a training the
            same.

    Raises:
        ValueError: An argument is out of its range.

    Example: `edgeax.compress(model, [edgeax.WeightNoise()]).fit(images, labels)`
    """

    weights_only = True

    def __init__(
        self, eta: float = 0.038, clip_sigma: float | None = 2.0, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not 0.0 <= eta < math.inf:
            raise ValueError(f"`eta` must be at least 0 and finite. Received: eta={eta}.")
        self.eta = float(eta)
        self.clip_sigma = None if clip_sigma is None else checked_positive("clip_sigma", clip_sigma)
        self.seed = int(seed)

    def follow(self, before: Transform) -> None:
        """May stand first or behind a pruning.

        Raises:
            ValueError: It would undo what came before.
        """
        if isinstance(before, (Cluster, Quantizer, GradientTransform, WeightNoise)):
            raise ValueError(
                "`WeightNoise` must come first in a chain, or after Prune: it moves every weight. "
                f"Received: {type(before).__name__} before it."
            )

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` clipped, while training with noise; see `Transform.call`."""
        fixed = tf.stop_gradient(tensor)
        value = self._clipped(fixed)
        if renew is not None:
            width = self.eta * tf.reduce_max(tf.abs(value))
            # The first weight tells kernels of the same shape apart.
            own = tf.bitcast(tf.reshape(fixed, [-1])[0], tf.int32)
            seed = tf.stack([tf.bitwise.bitwise_xor(self.seed, own), step])
            value += width * tf.random.stateless_normal(tf.shape(value), seed)
        return straight_through(tensor, value)

    def _clipped(self, tensor: tf.Tensor) -> tf.Tensor:
        if self.clip_sigma is None:
            return tensor
        limit = self.clip_sigma * tf.math.reduce_std(tensor)
        return tf.clip_by_value(tensor, -limit, limit)

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the clipped weight, with its mask."""
        value = np.asarray(self._clipped(tf.constant(tensor.decode())))
        return EncodedTensor(value, Float32(), {}, tensor.mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"eta": self.eta, "clip_sigma": self.clip_sigma, "seed": self.seed}

"""LearnedClip: activations clipped at a trained value."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats import Integer
from edgeax.formats.methods import implements
from edgeax.transforms.checks import checked_bits, checked_positive
from edgeax.transforms.grids import EightBitGrid, on_affine_grid
from edgeax.transforms.learned import positive
from edgeax.transforms.quantize import Quantizer


@implements(
    "CWV18",
    test="tests/transforms/test_learned_clip.py::test_cwv18_alpha_gets_the_gradient_of_what_it_clips",
)
@keras.saving.register_keras_serializable("edgeax")
class LearnedClip(Quantizer):
    """Clips activations to [0, alpha], alpha trained, and rounds them to even steps (PACT).

    `round(clip(x, 0, alpha) * (2**bits - 1) / alpha) * alpha / (2**bits - 1)`. alpha gets the
    gradient of every value at or above it, a value that of its own while `0 <= x < alpha`.

    Source: [CWV18]; regularization and start as recalled.

    Args:
        bits: Width of a code, 2 to 8.
        alpha: Where alpha starts, above 0.
        regularizer: A Keras regularizer of alpha; the paper uses L2.

    Raises:
        ValueError: An argument is out of its range.
    """

    activations_only = True

    def __init__(
        self, bits: int = 8, alpha: float = 6.0, regularizer: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.bits = checked_bits(bits, 2, 8, "LearnedClip")
        self.first_alpha = checked_positive("alpha", alpha)
        self.regularizer = keras.regularizers.get(regularizer)
        self.number_format = Integer(self.bits, symmetric=False)

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates alpha."""
        del shape
        self.alpha = self.state(
            "alpha",
            trainable=True,
            initializer=keras.initializers.Constant(self.first_alpha),
            regularizer=self.regularizer,
        )

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` clipped and rounded; see `Transform.call`."""
        del step, renew
        alpha = positive(self.alpha)
        low, high = tf.constant(0.0), tf.stop_gradient(alpha)
        value = on_affine_grid(tf.stop_gradient(tensor), low, high, self.bits)
        return _clipped_at(tensor, alpha, value)

    @property
    def grid(self) -> EightBitGrid | None:
        """See `Quantizer.grid`."""
        high = tf.stop_gradient(positive(self.alpha))
        return EightBitGrid(tf.constant(0.0), high, self.bits, tf.constant(True))

    @property
    def extremes(self) -> tuple[float, float] | None:
        """The activation's range, (0, alpha)."""
        return 0.0, float(positive(self.alpha))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "bits": self.bits,
            "alpha": self.first_alpha,
            "regularizer": keras.regularizers.serialize(self.regularizer),
        }


@tf.custom_gradient
def _clipped_at(real: tf.Tensor, alpha: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Returns `value`, which is `real` clipped and rounded, with the gradients of PACT."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        above = real >= alpha
        inside = tf.logical_and(real >= 0.0, real < alpha)
        to_alpha = tf.reduce_sum(tf.where(above, upstream, 0.0))
        return tf.where(inside, upstream, 0.0), to_alpha, None

    return tf.identity(value), gradient

"""QuantizeGradient: the gradient that comes back, in any number format."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import NumberFormat
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.methods import implements
from edgeax.formats.names import deserialized, serialized
from edgeax.transforms.base import Role
from edgeax.transforms.bit_choices import BitChoices, current_choice
from edgeax.transforms.checks import checked_choice
from edgeax.transforms.formatted import noise_like, rounded_to
from edgeax.transforms.gradient_transform import GradientTransform
from edgeax.transforms.native import beyond
from edgeax.transforms.quantize import ROUNDINGS, Widths, checked_widths, trainable_format
from edgeax.transforms.round_to import WIDTHS
from edgeax.transforms.stages import BitStages

OVERFLOWS = ("saturate", "infinity")

_TEST = "tests/transforms/test_quantized_gradient.py::"


@implements("GAGN15", test=_TEST + "test_gagn15_a_fixed_point_gradient_is_right_on_average")
@implements("DTJF18", test=_TEST + "test_dtjf18_each_sample_has_an_exponent_of_its_own")
@keras.saving.register_keras_serializable("edgeax")
class QuantizeGradient(GradientTransform):
    """Rounds the gradient that comes back to a number format; values pass as they are.

    The format finds its params in the gradient itself. It stands behind the quantizer of an output,
    where the gradient is that of the output (the paper's error), or of a weight, where it is that
    of the weight. A gradient with a value that is not finite passes as it is, so that loss scaling
    sees it.

    Source: [GAGN15] in fixed point, [DTJF18] and [YZK19] in block floating point, [SBD18] in FP8.

    Args:
        format: Name of a number format, `"fp8_e5m2"`, `"int8"`, `"hbfp8"`, ..., or a format object
            of `edgeax.formats`.
        rounding: `"stochastic"`, which is right on average, or `"nearest"`.
        seed: Of the stochastic rounding.
        overflow: What a value beyond the format's largest becomes: that one (`"saturate"`), or
            `"infinity"` in a format that has one, for dynamic loss scaling to see.
        bits: Widths that change, as `RoundTo` has them; by choice for an output only.

    Raises:
        ValueError: An argument is out of its range.

    Example: `Rule(".*", kernel="int8", output=["int8", "gradient_fp8_e5m2"])`
    """

    def __init__(
        self,
        format: str | NumberFormat = "fp8_e5m2",
        rounding: str = "stochastic",
        seed: int = 0,
        overflow: str = "saturate",
        bits: Widths | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.format = format
        self.rounding = checked_choice("rounding", rounding, ROUNDINGS)
        self.seed = int(seed)
        self.overflow = checked_choice("overflow", overflow, OVERFLOWS)
        self.number_format = trainable_format(format)
        self.bits = checked_widths(bits, self.number_format, WIDTHS)

    def bind(self, role: Role, shape: Any) -> None:
        """Takes the format for the gradient of a weight or of an activation.

        Raises:
            ValueError: Widths are chosen sample by sample, of which a weight has none.
        """
        if role == "weight" and isinstance(self.bits, BitChoices):
            raise ValueError(
                "`bits` must not be BitChoices at a weight, which has no samples. Received: "
                f"{self.bits.bits}. Use BitStages."
            )
        if role == "activation" and isinstance(self.number_format, ArrayFormat):
            self.number_format = self.number_format.for_activations()
        if isinstance(self.bits, BitStages):
            self.bits.bind(role, ())
        super().bind(role, shape)

    def backward_of_pass(self, step: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
        """See `GradientTransform.backward_of_pass`: what is chosen now holds on the way back."""
        choice = current_choice()
        return lambda upstream: self._rounded(upstream, step, choice)

    def backward(self, upstream: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """See `GradientTransform.backward`."""
        return self._rounded(upstream, step, None)

    def _rounded(self, upstream: tf.Tensor, step: tf.Tensor, choice: tf.Tensor | None) -> tf.Tensor:
        finite = tf.reduce_all(tf.math.is_finite(upstream))
        usable = tf.where(finite, upstream, 0.0)
        stochastic = self.rounding == "stochastic"
        noise = noise_like(upstream, self.seed, step) if stochastic else None

        def at(count: Any) -> tf.Tensor:
            return rounded_to(usable, self.number_format, noise, count)

        if isinstance(self.bits, BitChoices):
            rounded = self.bits.rounded(at, choice, len(upstream.shape))
        else:
            rounded = at(None if self.bits is None else self.bits.count(step))
        too_large = beyond(usable, self.number_format) if self.overflow == "infinity" else None
        if too_large is not None:
            rounded = tf.where(too_large, np.inf * tf.sign(usable), rounded)
        return tf.where(finite, rounded, upstream)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        format = self.format
        return {
            "format": format if isinstance(format, str) else serialized(format),
            "rounding": self.rounding,
            "seed": self.seed,
            "overflow": self.overflow,
            "bits": self.bits and keras.saving.serialize_keras_object(self.bits),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "QuantizeGradient":
        """Returns what `get_config` described."""
        format = config["format"]
        if isinstance(format, dict):
            format = deserialized(format)
        bits = config.get("bits") and keras.saving.deserialize_keras_object(config["bits"])
        return cls(**{**config, "format": format, "bits": bits})

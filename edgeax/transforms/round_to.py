"""RoundTo: values rounded to a number format that fits them as they are, without any range."""

from typing import Any

import keras
import tensorflow as tf

from edgeax.formats import NumberFormat
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.names import deserialized, serialized
from edgeax.transforms.base import Role, Transform
from edgeax.transforms.bit_choices import BitChoices, current_choice
from edgeax.transforms.checks import checked_choice
from edgeax.transforms.formatted import noise_like, rounded_to
from edgeax.transforms.gradients import straight_through
from edgeax.transforms.quantize import ROUNDINGS, Widths, checked_widths, trainable_format
from edgeax.transforms.schedules import BitSchedule
from edgeax.transforms.stages import BitStages

WIDTHS = (BitSchedule, BitStages, BitChoices)


@keras.saving.register_keras_serializable("edgeax")
class RoundTo(Transform):
    """Rounds an activation to a number format, as an operand of low-precision training.

    The format finds its params in the very tensor, in training and out of it: no range is followed,
    unlike by `Quantize`. The gradient passes straight through everywhere. A value that is not
    finite stays as it is.

    Source: [MNA17], [WCB18], [DTJF18].

    Args:
        format: Name of a number format, or a format object of `edgeax.formats`.
        rounding: `"nearest"`, or `"stochastic"` while training.
        seed: Of the stochastic rounding.
        bits: For integer formats: widths that end with the format's, a `BitSchedule` by steps,
            `BitStages` by stages or `BitChoices` sample by sample.

    Raises:
        ValueError: An argument is out of its range.

    Example: `RoundTo("hbfp8")` rounds each sample with an exponent of its own.
    """

    activations_only = True

    def __init__(
        self,
        format: str | NumberFormat = "bfloat16",
        rounding: str = "nearest",
        seed: int = 0,
        bits: Widths | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.format = format
        self.rounding = checked_choice("rounding", rounding, ROUNDINGS)
        self.seed = int(seed)
        self.number_format = trainable_format(format)
        self.bits = checked_widths(bits, self.number_format, WIDTHS)

    def bind(self, role: Role, shape: Any) -> None:
        """Takes the format for activations."""
        if isinstance(self.number_format, ArrayFormat):
            self.number_format = self.number_format.for_activations()
        if isinstance(self.bits, BitStages):
            self.bits.bind(role, ())
        super().bind(role, shape)

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` in the format; see `Transform.call`."""
        stochastic = renew is not None and self.rounding == "stochastic"
        noise = noise_like(tensor, self.seed, step) if stochastic else None
        fixed = tf.stop_gradient(tensor)
        finite = tf.math.is_finite(fixed)
        usable = tf.where(finite, fixed, 0.0)

        def at(count: Any) -> tf.Tensor:
            return tf.where(finite, rounded_to(usable, self.number_format, noise, count), fixed)

        if isinstance(self.bits, BitChoices):
            return self.bits.passed(tensor, at, current_choice())
        return straight_through(tensor, at(None if self.bits is None else self.bits.count(step)))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        format = self.format
        return {
            "format": format if isinstance(format, str) else serialized(format),
            "rounding": self.rounding,
            "seed": self.seed,
            "bits": self.bits and keras.saving.serialize_keras_object(self.bits),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RoundTo":
        """Returns what `get_config` described."""
        format = config["format"]
        if isinstance(format, dict):
            format = deserialized(format)
        bits = config.get("bits") and keras.saving.deserialize_keras_object(config["bits"])
        return cls(**{**config, "format": format, "bits": bits})

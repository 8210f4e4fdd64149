"""NearZero: activations near zero become zero, so that a processor can leave them out."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Params
from edgeax.formats.methods import implements
from edgeax.formats.near_zero import NearZeroFloat
from edgeax.transforms.checks import checked_choice, checked_positive
from edgeax.transforms.gradients import straight_through
from edgeax.transforms.quantize import Quantizer

GRADIENTS = ("straight_through", "masked")


@implements(
    "HQY16",
    "HQY17",
    test="tests/transforms/test_near_zero.py::test_hqy16_hqy17_what_is_near_zero_becomes_zero",
)
@keras.saving.register_keras_serializable("edgeax")
class NearZero(Quantizer):
    """Activations with `|x| < threshold` become 0, all others stay as they are.

    A processor that looks at activations leaves out their multiply-accumulates;
    `edgeax.skipped_macs` counts these. Stands alone in its chain: a file of float activations
    carries it, by a comparison in built-in operators. Behind a rounding to integers, use a coarser
    one instead: a `Quantize` has zeros within half a step.

    Source: [HQY16], [HQY17].

    Args:
        threshold: Above 0 and finite.
        gradient: Of what becomes 0: `"straight_through"`, that of the value as if it had stayed, so
            that units that fall silent can come back; or `"masked"`, none.

    Raises:
        ValueError: An argument is out of its range.

    Example: `edgeax.Rule("conv", output=edgeax.NearZero(0.02))`
    """

    activations_only = True

    def __init__(
        self, threshold: float = 0.01, gradient: str = "straight_through", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.threshold = checked_positive("threshold", threshold)
        self.gradient = checked_choice("gradient", gradient, GRADIENTS)
        self.number_format = NearZeroFloat(self.threshold)

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates no state."""

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` with zeros near zero; see `Transform.call`."""
        del step, renew
        value = tf.where(tf.abs(tensor) < np.float32(self.threshold), 0.0, tensor)
        return straight_through(tensor, value) if self.gradient == "straight_through" else value

    def activation_params(self) -> Params:
        """Returns no params: the format has none."""
        return {}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"threshold": self.threshold, "gradient": self.gradient}

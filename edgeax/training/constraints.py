"""Constraints: what the optimizer does to a weight behind its update."""

import math
from typing import Any

import keras

from edgeax.formats import implements


@implements(
    "CBD15", "CHS16", test="tests/training/test_constraints.py::test_cbd15_chs16_clips_the_update"
)
@keras.saving.register_keras_serializable("edgeax")
class WeightClip(keras.constraints.Constraint):
    """Clips weights to [-clip_value, clip_value] behind every update.

    A weight that only its sign is used of would otherwise grow without any effect on the network,
    and take as many steps to come back. Source: [CBD15], [CHS16].

    Args:
        clip_value: Largest magnitude, above 0.

    Raises:
        ValueError: `clip_value` is not above 0 and finite.

    Example: `QuantDense(64, kernel_quantizer="ste_sign", kernel_constraint=WeightClip())`
    """

    def __init__(self, clip_value: float = 1.0) -> None:
        if not 0.0 < clip_value < math.inf:
            raise ValueError(
                f"`clip_value` must be above 0 and finite. Received: clip_value={clip_value}."
            )
        self.clip_value = float(clip_value)

    def __call__(self, weight: Any) -> Any:
        """Returns the clipped weight."""
        return keras.ops.clip(weight, -self.clip_value, self.clip_value)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"clip_value": self.clip_value}

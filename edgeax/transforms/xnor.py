"""XNORWeight: binary weights with the mean magnitude of each filter as its scale."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor
from edgeax.formats.binary import Binary
from edgeax.formats.methods import implements
from edgeax.formats.scales import mean_magnitude
from edgeax.transforms.base import Role
from edgeax.transforms.few_values import sign, stored
from edgeax.transforms.gradients import weighted
from edgeax.transforms.quantize import Quantizer


@implements(
    "RORF16",
    test="tests/transforms/test_xnor.py::test_rorf16_the_gradient_is_the_one_worked_out_by_hand",
)
@keras.saving.register_keras_serializable("edgeax")
class XNORWeight(Quantizer):
    """Weights become sign(w) times the mean |w| of their filter (BWN, XNOR-Net).

    Each step the weights are first centered, their mean over the input channels subtracted, and
    clipped to [-1, 1], as XNOR-Net's code does. A weight's gradient is that of its value times
    `1 / n + alpha * (|w| < 1)`, with the n weights and the mean magnitude alpha of its filter.

    Source: [RORF16].

    Args:
        center: Whether weights are centered and clipped; BWN's formulas need neither. Filters of
            one input channel, such as depthwise ones, are not centered: nothing would be left.
    """

    weights_only = True
    keeps_zero = False

    def __init__(self, center: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.center = bool(center)

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Takes the format."""
        super().bind(role, shape)
        self.number_format = Binary(axis=-1)

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the binary weights; see `Transform.call`."""
        del step, renew
        real = self._real(tf.stop_gradient(tensor))
        scale = mean_magnitude(real, -1, keras.ops)
        weights = float(np.prod(tensor.shape[:-1]))
        slope = 1.0 / weights + scale * tf.cast(tf.abs(real) < 1.0, tf.float32)
        return weighted(tensor, scale * sign(real), slope)

    def _real(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns the weights that are made binary."""
        if not self.center:
            return tensor
        rank = len(tensor.shape)
        axes = (rank - 2,) if self.input_axes is None and rank > 1 else self.input_axes or ()
        if math.prod(int(tensor.shape[axis]) for axis in axes) > 1:
            # From float64 every order of the sum comes to the same float32.
            mean = tf.reduce_mean(tf.cast(tensor, tf.float64), axis=axes, keepdims=True)
            tensor -= tf.cast(mean, tf.float32)
        return tf.clip_by_value(tensor, -1.0, 1.0)

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in binary codes."""
        real = self._real(tf.constant(tensor.decode()))
        return stored(
            sign(real).numpy(),
            self.number_format,
            mean_magnitude(real, -1, keras.ops).numpy(),
            tensor.mask,
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"center": self.center}

"""LearnedBasisQuantize: levels from a basis that follows the tensor during training."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Params
from edgeax.formats.learned_basis import LearnedBasis
from edgeax.formats.methods import implements
from edgeax.formats.sums import least_squares
from edgeax.transforms.base import Role, now
from edgeax.transforms.checks import checked_axis, checked_bits
from edgeax.transforms.gradients import clipped, straight_through
from edgeax.transforms.moving_mean import MovingMean
from edgeax.transforms.quantize import Quantizer


@implements(
    "ZYYH18",
    test="tests/transforms/test_learned_basis.py::test_zyyh18_the_basis_is_the_average_of_what_suits_each_step",
)
@keras.saving.register_keras_serializable("edgeax")
class LearnedBasisQuantize(Quantizer):
    """Rounds to levels `sum_j basis_j * digit_j` whose basis follows the tensor (LQ-Nets).

    Digits are -1 or 1 for weights, 0 or 1 for activations. In every training step values go to
    their nearest levels, the basis that suits these best is solved for by least squares, and a
    moving average takes it in. It starts at 0.6745 of the root mean square of the first weight or
    batch, times `2**(j + 1 - bits)`. The gradient passes straight through; that of an activation
    within the levels only. Activations pass unchanged until a batch was seen.

    Source: [ZYYH18].

    Args:
        bits: Number of basis values, 1 to 4.
        axis: For weights: -1 for a basis per output channel, as in the paper, None for one.
        momentum: Weight of the former average, in [0, 1).

    Raises:
        ValueError: An argument is out of its range.
    """

    keeps_zero = False
    number_format: LearnedBasis

    def __init__(
        self, bits: int = 2, axis: int | None = -1, momentum: float = 0.9, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.bits = checked_bits(bits, 1, 4, "LearnedBasisQuantize")
        self.axis = checked_axis(axis)
        self.basis = MovingMean(momentum)
        self._set_format(self.axis, nonnegative=False)

    def _set_format(self, axis: int | None, nonnegative: bool) -> None:
        self.number_format = LearnedBasis(self.bits, axis, nonnegative, iterations=0)

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Creates the basis."""
        if role == "activation":
            self._set_format(None, nonnegative=True)
        super().bind(role, shape)
        channels = shape[-1:] if role == "weight" and self.axis == -1 else ()
        self.basis.bind(role, (self.bits, *channels))

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates nothing of its own."""

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` on its levels; see `Transform.call`."""
        del step
        fixed = tf.stop_gradient(tensor)
        if renew is not None:
            self._observe(fixed)
        params = {"gain": self.basis.mean.value, "low": self._low}
        value = self.number_format.rounded(fixed, params, keras.ops)
        return tf.where(self.basis.seen.value > 0, self._passed(tensor, value, params), tensor)

    def _passed(self, tensor: tf.Tensor, value: tf.Tensor, params: dict[str, Any]) -> tf.Tensor:
        if self.role == "weight":
            return straight_through(tensor, value)
        return clipped(tensor, value, tf.constant(0.0), tf.reduce_sum(params["gain"]))

    @property
    def _low(self) -> np.ndarray:
        """What a digit is that is not 1."""
        return np.asarray(-1.0 if self.role == "weight" else 0.0, np.float32)

    def _observe(self, tensor: tf.Tensor) -> None:
        """Takes the basis that suits `tensor` into the average."""
        found, axis = self.number_format, self.number_format.axis
        start = found.found(tensor, keras.ops)["gain"]
        basis = tf.where(self.basis.seen.value > 0, self.basis.mean.value, start)
        digits = found.digits(tensor, {"gain": basis, "low": self._low}, keras.ops)
        former = [basis[place] for place in range(self.bits)]
        self.basis.observe(tf.stack(least_squares(digits, tensor, former, axis, keras.ops)))

    def initialize(self, tensor: tf.Tensor) -> tf.Tensor:
        """Finds the basis of the weight `tensor`."""
        self._observe(tensor)
        return super().initialize(tensor)

    @property
    def is_found(self) -> bool:
        """Whether a basis was found."""
        return bool(now(self.basis.seen))

    @property
    def _params(self) -> Params:
        return {"gain": now(self.basis.mean), "low": self._low}

    @property
    def extremes(self) -> tuple[float, float] | None:
        """The activation's range `(low, high)`, containing 0, or None before any batch was seen."""
        if self.role == "weight" or not self.is_found:
            return None
        gain = now(self.basis.mean)
        return float(np.sum(np.minimum(gain, 0))), float(np.sum(np.maximum(gain, 0)))

    def activation_params(self) -> Params | None:
        """Returns the basis of an activation, or None before any batch was seen."""
        return self._params if self.is_found else None

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in codes, or unchanged if no basis was found yet."""
        if not self.is_found:
            return tensor
        codes = self.number_format.encode(tensor.decode(), self._params)
        return EncodedTensor(codes, self.number_format, self._params, tensor.mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits, "axis": self.axis, "momentum": self.basis.momentum}

"""WRPN: wide networks of a few bits."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Integer
from edgeax.formats.methods import implements
from edgeax.transforms.base import Role
from edgeax.transforms.checks import checked_bits
from edgeax.transforms.gradients import clipped, within_unit
from edgeax.transforms.grids import EightBitGrid, on_unit_grid
from edgeax.transforms.quantize import Quantizer


@implements(
    "MNCM17",
    test="tests/transforms/test_wrpn.py::test_mncm17_weights_have_an_odd_number_of_levels",
)
@keras.saving.register_keras_serializable("edgeax")
class WRPN(Quantizer):
    """Weights clipped to [-1, 1], activations to [0, 1], rounded to even steps.

    A weight has `2**(bits-1) - 1` steps on each side of 0, an activation `2**bits - 1` in all. The
    gradient passes where nothing is clipped. The paper widens the layers to make up for the bits.

    Source: [MNCM17].

    Args:
        bits: Width of a code, 2 to 8.

    Raises:
        ValueError: `bits` is out of its range.
    """

    def __init__(self, bits: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bits = checked_bits(bits, 2, 8, "WRPN")
        self.number_format = Integer(self.bits)

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Chooses the format, that of a weight or of an activation."""
        if role == "activation":
            self.number_format = Integer(self.bits, symmetric=False)
        super().bind(role, shape)

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` on its levels; see `Transform.call`."""
        del step, renew
        fixed = tf.stop_gradient(tensor)
        if self.role == "activation":
            return within_unit(tensor, on_unit_grid(fixed, self.bits))
        value = self._scale * self._codes(fixed)
        return clipped(tensor, value, tf.constant(-1.0), tf.constant(1.0))

    @property
    def _scale(self) -> np.ndarray:
        return np.asarray(1.0 / (2 ** (self.bits - 1) - 1), np.float32)

    def _codes(self, weight: tf.Tensor) -> tf.Tensor:
        return tf.round(tf.clip_by_value(weight, -1.0, 1.0) * float(2 ** (self.bits - 1) - 1))

    @property
    def grid(self) -> EightBitGrid | None:
        """See `Quantizer.grid`."""
        if self.role == "activation":
            return EightBitGrid(tf.constant(0.0), tf.constant(1.0), self.bits, tf.constant(True))
        return None

    @property
    def extremes(self) -> tuple[float, float] | None:
        """(0, 1) for an activation."""
        return (0.0, 1.0) if self.role == "activation" else None

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in codes."""
        codes = self._codes(tf.constant(tensor.decode())).numpy().astype(np.int8)
        return EncodedTensor(codes, self.number_format, {"scale": self._scale}, tensor.mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits}

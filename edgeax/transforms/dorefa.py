"""DoReFa: weights, activations and gradients of a few bits."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Codebook, EncodedTensor, Integer, Params
from edgeax.formats.binary import Binary
from edgeax.formats.learned_basis import LearnedBasis
from edgeax.formats.methods import implements
from edgeax.formats.scales import mean_magnitude
from edgeax.transforms.base import Role
from edgeax.transforms.checks import checked_bits
from edgeax.transforms.few_values import sign, stored
from edgeax.transforms.formatted import noise_like
from edgeax.transforms.gradient_transform import GradientTransform
from edgeax.transforms.gradients import straight_through, within_unit
from edgeax.transforms.grids import EightBitGrid, on_unit_grid
from edgeax.transforms.quantize import Quantizer

# 0 or 1, whichever is nearer.
_BIT = LearnedBasis(1, nonnegative=True)


@implements(
    "ZWN16",
    test="tests/transforms/test_dorefa.py::test_zwn16_weights_and_activations_follow_the_formulas",
)
@keras.saving.register_keras_serializable("edgeax")
class DoReFa(Quantizer):
    """Weights of `2**bits` even levels in [-1, 1], or activations of as many in [0, 1].

    With q(x) = round(x * (2**bits - 1)) / (2**bits - 1), a weight becomes
    `2 * q(tanh(w) / (2 * max|tanh(w)|) + 0.5) - 1`, or of one bit sign(w) times the mean magnitude
    of the whole tensor; an activation becomes `q(clip(x, 0, 1))`. The gradient passes straight
    through q, and where one bit has sign.

    Source: [ZWN16].

    Args:
        bits: Width of a code, 1 to 8.

    Raises:
        ValueError: `bits` is out of its range.
    """

    keeps_zero = False

    def __init__(self, bits: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bits = checked_bits(bits, 1, 8, "DoReFa")
        self._top = 2**self.bits - 1

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Chooses the format, that of a weight or of an activation."""
        if role == "activation":
            wide = self.bits > 1
            self.number_format = Integer(self.bits, symmetric=False) if wide else _BIT
        elif self.bits == 1:
            self.number_format = Binary(axis=-1)
        else:
            # The levels are odd multiples of half a step: -top, 2 - top, ..., top.
            value = Integer(8) if self._top <= 127 else None
            self.number_format = Codebook(2**self.bits, value=value)
        super().bind(role, shape)

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` on its levels; see `Transform.call`."""
        del step, renew
        if self.role == "activation":
            return within_unit(tensor, on_unit_grid(tf.stop_gradient(tensor), self.bits))
        if self.bits == 1:
            return straight_through(tensor, self._mean(tensor) * sign(tensor))
        squashed = tf.tanh(tensor)
        largest = tf.reduce_max(tf.abs(squashed))
        real = tf.math.divide_no_nan(squashed, largest)
        return straight_through(real, self._step * (2.0 * self._indices(real) - self._top))

    @property
    def _step(self) -> np.ndarray:
        return np.asarray(1.0 / self._top, np.float32)

    def _mean(self, tensor: tf.Tensor) -> tf.Tensor:
        return mean_magnitude(tf.stop_gradient(tensor), None, keras.ops)

    def _indices(self, real: tf.Tensor) -> tf.Tensor:
        """Returns the level, counted from 0, of values in [-1, 1]."""
        return tf.round((0.5 * tf.stop_gradient(real) + 0.5) * self._top)

    @property
    def grid(self) -> EightBitGrid | None:
        """See `Quantizer.grid`."""
        if self.role == "activation" and self.bits > 1:
            return EightBitGrid(tf.constant(0.0), tf.constant(1.0), self.bits, tf.constant(True))
        return None

    @property
    def extremes(self) -> tuple[float, float] | None:
        """(0, 1) for an activation."""
        return (0.0, 1.0) if self.role == "activation" else None

    def activation_params(self) -> Params | None:
        """Returns the params of an activation's format."""
        if self.bits == 1:
            return {"gain": np.array([1.0], np.float32), "low": np.zeros((), np.float32)}
        return super().activation_params()

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in codes."""
        value = tf.constant(tensor.decode())
        if self.bits == 1:
            mean = self._mean(value).numpy()
            return stored(sign(value).numpy(), self.number_format, mean, tensor.mask)
        squashed = tf.tanh(value)
        real = tf.math.divide_no_nan(squashed, tf.reduce_max(tf.abs(squashed)))
        codes = self._indices(real).numpy().astype(np.uint8)
        table = 2 * np.arange(2**self.bits) - self._top
        if self._top > 127:
            params = {"codebook": self._step * table.astype(np.float32)}
        else:
            params = {"codebook": table.astype(np.int8), "scale": self._step}
        return EncodedTensor(codes, self.number_format, params, tensor.mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits}


@implements(
    "ZWN16", test="tests/transforms/test_dorefa.py::test_zwn16_the_gradient_quantizer_is_unbiased"
)
@keras.saving.register_keras_serializable("edgeax")
class DoReFaGradient(GradientTransform):
    """Rounds the gradient that comes back to `2**bits` levels of its range, at random, unbiased.

    A gradient g becomes `2m * (q(g / 2m + 0.5 + noise) - 0.5)` with m = max|g| of its sample and
    noise uniform within half a step. Behind an activation each sample has its own m.

    Source: [ZWN16].

    Args:
        bits: Width of a gradient, 1 to 16.
        seed: Of the noise.

    Raises:
        ValueError: `bits` is out of its range.
    """

    def __init__(self, bits: int = 6, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bits = checked_bits(bits, 1, 16, "DoReFaGradient")
        self.seed = int(seed)

    def backward(self, upstream: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """See `GradientTransform.backward`."""
        top = float(2**self.bits - 1)
        span = 2.0 * tf.reduce_max(tf.abs(upstream), axis=self.axes(upstream), keepdims=True)
        unit = tf.math.divide_no_nan(upstream, span) + 0.5
        noise = noise_like(upstream, self.seed, step) - 0.5
        levels = tf.clip_by_value(tf.round(unit * top + noise), 0.0, top)
        return span * (levels / top - 0.5)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits, "seed": self.seed}

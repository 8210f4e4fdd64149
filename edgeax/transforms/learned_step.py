"""LearnedStep: integer grids whose step is trained with the weights."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Integer, signed_range
from edgeax.formats.methods import implements
from edgeax.transforms.base import Role
from edgeax.transforms.checks import checked_axis, checked_bits
from edgeax.transforms.grids import EightBitGrid, on_affine_grid
from edgeax.transforms.learned import Learned, positive


@implements(
    "JLW21",
    test="tests/transforms/test_learned_step.py::test_jlw21_the_step_gets_the_gradient_worked_out_by_hand",
)
@keras.saving.register_keras_serializable("edgeax")
class LearnedStep(Learned):
    """Rounds to an integer grid whose step is trained (LSQ).

    A value v becomes `s * round(clip(v / s, -Qn, Qp))`. A weight or a signed activation has
    `Qn = 2**(bits-1)`, `Qp = Qn - 1`, a nonnegative activation `Qn = 0`, `Qp = 2**bits - 1`; only
    8-bit weights leave -128 out, as integer kernels do. The step s gets the gradient
    `round(v/s) - v/s` of every value inside and -Qn or Qp of those outside, times
    `1 / sqrt(N * Qp)`, where N counts the values of a sample that share the step. It starts at
    `2 E|v| / sqrt(Qp)` of the first weight or batch.

    Source: [JLW21], which takes it from LSQ.

    Args:
        bits: Width of a code, 2 to 8.
        axis: For weights: -1 for one step per output channel, None for one per tensor.
        nonnegative: For activations: whether no value lies below 0, as behind a ReLU.
            `edgeax.compress` sets it where it holds.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self, bits: int = 8, axis: int | None = None, nonnegative: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.bits = checked_bits(bits, 2, 8, "LearnedStep")
        self.axis = checked_axis(axis)
        self.nonnegative = bool(nonnegative)
        self.number_format: Integer = Integer(self.bits, axis=self.axis, narrow=self.bits == 8)

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Creates the step."""
        if role == "activation":
            self.number_format = Integer(self.bits, symmetric=False)
        super().bind(role, shape)

    def variables_for(self, shape: Sequence[int]) -> list[keras.Variable]:
        """See `Learned.variables_for`."""
        channels = tuple(shape[-1:]) if self.role == "weight" and self.axis == -1 else ()
        self.step_size = self.learned_variable("step_size", channels)
        return [self.step_size]

    def first_values(self, tensor: tf.Tensor) -> list[tf.Tensor]:
        """See `Learned.first_values`."""
        mean = tf.reduce_mean(tf.abs(tensor), axis=_shared_axes(tensor, self.step_size))
        return [2.0 * mean / math.sqrt(self._ends[1])]

    @property
    def _ends(self) -> tuple[float, float]:
        """The lowest and the highest code."""
        if self.role == "weight":
            low, high = self.number_format.code_range
        elif self.nonnegative:
            low, high = 0, 2**self.bits - 1
        else:
            low, high = signed_range(self.bits)
        return float(low), float(high)

    def rounded(self, tensor: tf.Tensor) -> tf.Tensor:
        """See `Learned.rounded`."""
        step, (low, high) = positive(self.step_size), self._ends
        fixed, fixed_step = tf.stop_gradient(tensor), tf.stop_gradient(step)
        if self.role == "weight":
            value = fixed_step * tf.clip_by_value(tf.round(fixed / fixed_step), low, high)
        else:
            value = on_affine_grid(fixed, fixed_step * low, fixed_step * high, self.bits)
        return _on_learned_grid(tensor, step, value, low, high, self._gain(tensor))

    def _gain(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns the factor of the step's gradient."""
        shape = tf.shape(tensor)
        values = tf.size(tensor)
        if self.role == "activation":
            values //= tf.maximum(shape[0], 1)
        elif self.axis == -1:
            values //= shape[-1]
        return tf.math.rsqrt(tf.cast(values, tf.float32) * self._ends[1])

    @property
    def grid(self) -> EightBitGrid | None:
        """See `Quantizer.grid`."""
        if self.role == "weight":
            return None
        step, (low, high) = tf.stop_gradient(positive(self.step_size)), self._ends
        return EightBitGrid(step * low, step * high, self.bits, self.found.value > 0)

    @property
    def extremes(self) -> tuple[float, float] | None:
        """The activation's range `(low, high)`, containing 0, or None before any batch was seen."""
        if self.role == "weight" or not self.is_found:
            return None
        step, (low, high) = positive(self.step_size), self._ends
        return float(step * low), float(step * high)

    def encoded(self, value: np.ndarray, mask: np.ndarray | None) -> EncodedTensor:
        """See `Learned.encoded`."""
        params = {"scale": np.asarray(positive(self.step_size))}
        return EncodedTensor(
            self.number_format.encode(value, params), self.number_format, params, mask
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits, "axis": self.axis, "nonnegative": self.nonnegative}


def _shared_axes(tensor: tf.Tensor, step: Any) -> list[int] | None:
    """Returns the axes over which a step is shared."""
    return list(range(len(tensor.shape) - 1)) if len(step.shape) else None


@tf.custom_gradient
def _on_learned_grid(
    real: tf.Tensor,
    step: tf.Tensor,
    value: tf.Tensor,
    low: float,
    high: float,
    gain: tf.Tensor,
) -> tf.Tensor:
    """Returns `value`, which is `real` on the grid of `step`, with the gradients of LSQ."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        ratio = real / step
        inside = tf.logical_and(ratio > low, ratio < high)
        slope = tf.where(inside, tf.round(ratio) - ratio, tf.clip_by_value(ratio, low, high))
        to_step = gain * tf.reduce_sum(upstream * slope, axis=_shared_axes(real, step))
        return tf.where(inside, upstream, 0.0), to_step, None, None, None, None

    return tf.identity(value), gradient

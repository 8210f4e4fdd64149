"""Activations of a few values that follow the data: sums of signs with gains, or signs and zero."""

import abc
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Params
from edgeax.formats.binary import ResidualBinary, ShiftedBinary
from edgeax.formats.methods import implements
from edgeax.formats.ternary import Ternary
from edgeax.transforms.base import Role, now
from edgeax.transforms.checks import checked_bits, checked_positive
from edgeax.transforms.few_values import FewValues, sign
from edgeax.transforms.gradients import clipped, ste_sign
from edgeax.transforms.moving_mean import MovingMean
from edgeax.transforms.signs import outside


class _Following(FewValues):
    """Base of those whose gains or threshold follow the mean magnitudes of the batches.

    Values pass unchanged until a batch was seen.
    """

    activations_only = True

    def __init__(self, momentum: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.means = MovingMean(momentum)

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Creates the means."""
        super().bind(role, shape)
        self.means.bind(role, self.means_shape)

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates nothing of its own."""

    @property
    def means_shape(self) -> tuple[int, ...]:
        """Shape of what `measured` returns."""
        return ()

    @abc.abstractmethod
    def measured(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns the means of a batch."""

    @abc.abstractmethod
    def rounded(self, tensor: tf.Tensor, means: tf.Tensor) -> tf.Tensor:
        """Returns `tensor` on its values, with its gradient."""

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` on its values; see `Transform.call`."""
        del step
        if renew is not None:
            self.means.observe(self.measured(tf.stop_gradient(tensor)))
        rounded = self.rounded(tensor, tf.stop_gradient(self.means.mean.value))
        return tf.where(self.means.seen.value > 0, rounded, tensor)

    @property
    def is_found(self) -> bool:
        """Whether a batch was seen."""
        return bool(now(self.means.seen))


@implements(
    "THW17",
    test="tests/transforms/test_sums_of_signs.py::test_thw17_each_sign_is_of_what_the_former_left",
)
@keras.saving.register_keras_serializable("edgeax")
class MultiStepSign(_Following):
    """Activations become a sum of signs, each of what the former ones left over.

    `r_1 = x`, `r_(i+1) = r_i - gain_i * sign(r_i)`, with gain_i the moving average of E|r_i|. The
    gradient of each sign passes where |r_i| <= 1.

    Source: [THW17], as recalled.

    Args:
        steps: Number of signs, 1 to 8.
        momentum: Weight of the former average, in [0, 1).

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(self, steps: int = 2, momentum: float = 0.99, **kwargs: Any) -> None:
        super().__init__(momentum, **kwargs)
        self.steps = checked_bits(steps, 1, 8, "MultiStepSign", name="steps")
        self.number_format = ResidualBinary(self.steps)

    @property
    def means_shape(self) -> tuple[int, ...]:
        """See `_Following.means_shape`."""
        return (self.steps,)

    def measured(self, tensor: tf.Tensor) -> tf.Tensor:
        """See `_Following.measured`."""
        gains = []
        for _ in range(self.steps):
            gains.append(tf.reduce_mean(tf.abs(tensor)))
            tensor = tensor - gains[-1] * sign(tensor)
        return tf.stack(gains)

    def rounded(self, tensor: tf.Tensor, means: tf.Tensor) -> tf.Tensor:
        """See `_Following.rounded`."""
        parts = []
        for place in range(self.steps):
            parts.append(means[place] * ste_sign(tensor, sign(tf.stop_gradient(tensor))))
            tensor = tensor - parts[-1]
        return _sum(parts)

    def activation_params(self) -> Params | None:
        """See `FewValues.activation_params`."""
        return {"gain": now(self.means.mean)} if self.is_found else None

    def levels(self) -> np.ndarray | None:
        """See `FewValues.levels`."""
        total = np.sum(now(self.means.mean), keepdims=True)
        return np.concatenate([-total, total]) if self.is_found else None

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"steps": self.steps, "momentum": self.means.momentum}


@implements(
    "WSL18",
    test="tests/transforms/test_sums_of_signs.py::test_wsl18_activations_are_zero_within_a_part_of_the_mean",
)
@keras.saving.register_keras_serializable("edgeax")
class TernaryActivation(_Following):
    """Activations become -1, 0 or 1: 0 where |x| is at most `factor` times the mean |x| (TBN).

    The mean is a moving average. The gradient passes where |x| <= 1.

    Source: [WSL18].

    Args:
        factor: Of the threshold, above 0: 0.4 in the paper, 0.5 in its code.
        momentum: Weight of the former average, in [0, 1).

    Raises:
        ValueError: An argument is out of its range.
    """

    keeps_zero = True

    def __init__(self, factor: float = 0.4, momentum: float = 0.9, **kwargs: Any) -> None:
        super().__init__(momentum, **kwargs)
        self.factor = checked_positive("factor", factor)
        self.number_format = Ternary("tbn", factor=self.factor)

    def measured(self, tensor: tf.Tensor) -> tf.Tensor:
        """See `_Following.measured`."""
        return tf.reduce_mean(tf.abs(tensor))

    def rounded(self, tensor: tf.Tensor, means: tf.Tensor) -> tf.Tensor:
        """See `_Following.rounded`."""
        return ste_sign(tensor, outside(tf.stop_gradient(tensor), self.factor * means))

    def activation_params(self) -> Params | None:
        """See `FewValues.activation_params`."""
        if not self.is_found:
            return None
        return {"threshold": np.float32(self.factor) * now(self.means.mean)}

    def levels(self) -> np.ndarray | None:
        """See `FewValues.levels`."""
        return np.array([-1.0, 0.0, 1.0], np.float32)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"factor": self.factor, "momentum": self.means.momentum}


@implements(
    "LZP17",
    test="tests/transforms/test_sums_of_signs.py::test_lzp17_shifts_and_gains_get_the_gradients_worked_out_by_hand",
)
@keras.saving.register_keras_serializable("edgeax")
class ShiftedSigns(FewValues):
    """Activations become a trained sum of signs against trained thresholds (ABC-Net).

    `sum_n gain_n * A_n` with `A_n = 1` where `clip(x + shift_n, 0, 1) >= 0.5`, else -1. The
    gradient of A_n passes to x and to shift_n where `0 <= x + shift_n <= 1`. The thresholds
    `0.5 - shift_n` start evenly spaced within (0, 1), the gains at `1 / bases`.

    Source: [LZP17]; where shifts and gains start is our choice.

    Args:
        bases: Number of signs, 1 to 8.

    Raises:
        ValueError: `bases` is out of its range.
    """

    activations_only = True

    def __init__(self, bases: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bases = checked_bits(bases, 1, 8, "ShiftedSigns", name="bases")
        self.number_format = ShiftedBinary(self.bases)

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates shifts and gains."""
        del shape
        gain = keras.initializers.Constant(1.0 / self.bases)
        self.shifts = self.state("shifts", (self.bases,), trainable=True, initializer=self._start)
        self.gains = self.state("gains", (self.bases,), trainable=True, initializer=gain)

    def _start(self, shape: Sequence[int], dtype: Any = None) -> Any:
        thresholds = np.arange(1, shape[0] + 1) / (shape[0] + 1)
        return keras.ops.convert_to_tensor(0.5 - thresholds, dtype or "float32")

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the sums of signs; see `Transform.call`."""
        del step, renew
        shifts, gains = self.shifts.value, self.gains.value
        thresholds = tf.stop_gradient(0.5 - shifts)
        ends = tf.constant(0.0), tf.constant(1.0)
        signs = [
            clipped(tensor + shifts[n], sign(tf.stop_gradient(tensor) - thresholds[n]), *ends)
            for n in range(self.bases)
        ]
        return _sum([gains[n] * signs[n] for n in range(self.bases)])

    def activation_params(self) -> Params:
        """See `FewValues.activation_params`."""
        return {"gain": now(self.gains), "threshold": np.float32(0.5) - now(self.shifts)}

    def levels(self) -> np.ndarray:
        """See `FewValues.levels`."""
        total = np.sum(np.abs(now(self.gains)), keepdims=True)
        return np.concatenate([-total, total])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bases": self.bases}


def _sum(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the sum, added in order as the formats add it."""
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total

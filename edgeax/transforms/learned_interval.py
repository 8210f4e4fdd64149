"""LearnedInterval: the interval of magnitudes that is quantized, and its curve, are trained."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Integer, Params
from edgeax.formats.balanced import Balanced
from edgeax.formats.methods import implements
from edgeax.transforms.base import Role, now
from edgeax.transforms.checks import checked_bits
from edgeax.transforms.gradients import straight_through
from edgeax.transforms.learned import Learned, positive


@implements(
    "JSL19",
    test="tests/transforms/test_learned_interval.py::test_jsl19_gradients_equal_finite_differences",
)
@keras.saving.register_keras_serializable("edgeax")
class LearnedInterval(Learned):
    """Prunes magnitudes below c - d, clips those above c + d, rounds what lies between (QIL).

    A weight w becomes `sign(w) * t(|w|)` with `t(m) = clip(a*m + b, 0, 1) ** gamma`,
    `a = 0.5 / d`, `b = 0.5 - 0.5 * c / d`, rounded to `2**(bits-1) - 1` even steps of [0, 1]; an
    activation becomes `t(x)` with gamma = 1, rounded to `2**bits - 1` steps. c, d and gamma get
    their true gradients through t, which the rounding passes on.

    The results lie in [-1, 1] whatever the weights were: let a normalization follow.

    Source: [JSL19]. c and d start at half the largest magnitude, so that nothing is pruned or
    clipped.

    Args:
        bits: Width of a code, 2 to 8.
        train_gamma: For weights: whether gamma is trained; else it stays 1.

    Raises:
        ValueError: `bits` is out of its range.
    """

    def __init__(self, bits: int = 4, train_gamma: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bits = checked_bits(bits, 2, 8, "LearnedInterval")
        self.train_gamma = bool(train_gamma)
        self.number_format: Integer | Balanced = Integer(self.bits)

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Creates the interval."""
        if role == "activation":
            self.number_format = Balanced(self.bits)
        super().bind(role, shape)

    def variables_for(self, shape: Sequence[int]) -> list[keras.Variable]:
        """See `Learned.variables_for`."""
        self.center = self.learned_variable("center")
        self.distance = self.learned_variable("distance")
        self.gamma = None
        if self.role == "weight" and self.train_gamma:
            self.gamma = self.learned_variable("gamma")
        return [self.center, self.distance]

    def first_values(self, tensor: tf.Tensor) -> list[tf.Tensor]:
        """See `Learned.first_values`."""
        half = 0.5 * tf.reduce_max(self._magnitude(tensor))
        return [half, half]

    def _magnitude(self, tensor: tf.Tensor) -> tf.Tensor:
        return tf.abs(tensor) if self.role == "weight" else tf.nn.relu(tensor)

    @property
    def _steps(self) -> float:
        return float(2 ** (self.bits - 1) - 1 if self.role == "weight" else 2**self.bits - 1)

    def transformed(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns `tensor` in [-1, 1] before it is rounded, with its true gradients."""
        distance = positive(self.distance)
        slope = 0.5 / distance
        offset = 0.5 - slope * self.center.value
        inner = tf.clip_by_value(slope * self._magnitude(tensor) + offset, 0.0, 1.0)
        if self.gamma is not None:
            # A power has no finite derivative at 0.
            inside = inner > 0.0
            inner = tf.where(inside, tf.pow(tf.where(inside, inner, 1.0), self.gamma.value), 0.0)
        return tf.sign(tensor) * inner if self.role == "weight" else inner

    def rounded(self, tensor: tf.Tensor) -> tf.Tensor:
        """See `Learned.rounded`."""
        real = self.transformed(tensor)
        return straight_through(real, np.float32(1.0 / self._steps) * self._codes(real))

    def _codes(self, real: tf.Tensor) -> tf.Tensor:
        return tf.round(tf.stop_gradient(real) * self._steps)

    @property
    def extremes(self) -> tuple[float, float] | None:
        """(0, 1) for an activation whose interval was found, else None."""
        return (0.0, 1.0) if self.role == "activation" and self.is_found else None

    def activation_params(self) -> Params | None:
        """Returns the levels of an activation and the least value of each but the first."""
        if self.extremes is None:
            return None
        slope = 0.5 / float(positive(self.distance))
        offset = 0.5 - slope * float(now(self.center))
        middles = (np.arange(self._steps) + 0.5) / self._steps
        return {
            "level": np.float32(1.0 / self._steps) * np.arange(self._steps + 1, dtype=np.float32),
            "boundary": ((middles - offset) / slope).astype(np.float32),
        }

    def encoded(self, value: np.ndarray, mask: np.ndarray | None) -> EncodedTensor:
        """See `Learned.encoded`."""
        codes = self._codes(self.transformed(tf.constant(value))).numpy().astype(np.int8)
        params = {"scale": np.asarray(1.0 / self._steps, np.float32)}
        return EncodedTensor(codes, self.number_format, params, mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits, "train_gamma": self.train_gamma}

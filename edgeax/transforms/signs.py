"""Sign, Ternary, Heaviside: two or three fixed values, under the names that Larq has for them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Params
from edgeax.formats.balanced import Balanced
from edgeax.formats.binary import Binary
from edgeax.formats.scales import mean_magnitude
from edgeax.formats.ternary import Ternary as TernaryFormat
from edgeax.transforms.base import Role
from edgeax.transforms.few_values import FewValues, sign, stored
from edgeax.transforms.gradients import estimator, ste_sign

SCALES = ("one", "mean_magnitude")


@keras.saving.register_keras_serializable("edgeax")
class Sign(FewValues):
    """Makes weights or activations -1 or 1; 0 becomes 1.

    Args:
        gradient: Name of a gradient estimator: `"ste_sign"` [CHS16], `"approx_sign"`,
            `"swish_sign"` [DBCN18] or `"straight_through"` [CBD15].
        scale: For weights: `"one"`, or `"mean_magnitude"`: each output channel times its E|w|
            (Larq's magnitude-aware sign).

    Raises:
        ValueError: An argument is unknown.
    """

    def __init__(self, gradient: str = "ste_sign", scale: str = "one", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._estimate = estimator(gradient)
        self.gradient = gradient
        if scale not in SCALES:
            raise ValueError(f"`scale` must be one of {SCALES}. Received: scale={scale!r}.")
        self.scale = scale
        self.number_format = Binary("none")

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Checks that what is scaled is a weight.

        Raises:
            ValueError: It is an activation.
        """
        if role == "weight":
            self.number_format = Binary(axis=-1)
        elif self.scale != "one":
            raise ValueError(
                "`scale` must be 'one' for an activation: it has no output channels of its own. "
                f"Received: scale={self.scale!r}."
            )
        super().bind(role, shape)

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the signs of `tensor`; see `Transform.call`."""
        del step, renew
        fixed = tf.stop_gradient(tensor)
        signs = self._estimate(tensor, sign(fixed))
        return signs if self.scale == "one" else self._scale(fixed) * signs

    def _scale(self, tensor: tf.Tensor) -> tf.Tensor:
        return mean_magnitude(tensor, -1, keras.ops)

    def activation_params(self) -> Params:
        """See `FewValues.activation_params`."""
        return {}

    def levels(self) -> np.ndarray:
        """See `FewValues.levels`."""
        return np.array([-1.0, 1.0], np.float32)

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in binary codes."""
        value = tf.constant(tensor.decode())
        scale = np.float32(1.0) if self.scale == "one" else self._scale(value).numpy()
        return stored(sign(value).numpy(), self.number_format, scale, tensor.mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"gradient": self.gradient, "scale": self.scale}


@keras.saving.register_keras_serializable("edgeax")
class Ternary(FewValues):
    """Makes weights or activations -1, 0 or 1 (Larq's SteTern).

    A value is 0 within `threshold`. The gradient passes where |x| <= 1.

    Args:
        threshold: At least 0; None: 0.7 E|x| of the current tensor [LZL16], for weights.

    Raises:
        ValueError: `threshold` is negative, or None for an activation.
    """

    keeps_zero = True

    def __init__(self, threshold: float | None = 0.05, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if threshold is not None and not threshold >= 0.0:
            raise ValueError(f"`threshold` must be at least 0. Received: threshold={threshold}.")
        self.threshold = None if threshold is None else float(threshold)
        self.number_format = TernaryFormat("tbn")

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Checks that an activation has a fixed threshold.

        Raises:
            ValueError: It has none.
        """
        if role == "weight":
            self.number_format = TernaryFormat(axis=-1)
        elif self.threshold is None:
            raise ValueError(
                "`threshold` must be a number for an activation, whose mean varies from batch to "
                "batch. Received: threshold=None. TernaryActivation follows the mean."
            )
        super().bind(role, shape)

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns -1, 0 or 1; see `Transform.call`."""
        del step, renew
        return ste_sign(tensor, self._units(tf.stop_gradient(tensor)))

    def _units(self, tensor: tf.Tensor) -> tf.Tensor:
        threshold: Any = self.threshold
        if threshold is None:
            threshold = 0.7 * mean_magnitude(tensor, None, keras.ops)
        return outside(tensor, threshold)

    def activation_params(self) -> Params:
        """See `FewValues.activation_params`."""
        return {"threshold": np.asarray(self.threshold, np.float32)}

    def levels(self) -> np.ndarray:
        """See `FewValues.levels`."""
        return np.array([-1.0, 0.0, 1.0], np.float32)

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in ternary codes."""
        units = self._units(tf.constant(tensor.decode())).numpy()
        return stored(units, self.number_format, np.float32(1.0), tensor.mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"threshold": self.threshold}


@keras.saving.register_keras_serializable("edgeax")
class Heaviside(FewValues):
    """Makes activations 1 where they are above 0, else 0; the gradient passes where |x| <= 1."""

    activations_only = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number_format = Balanced(1)

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns 0 or 1; see `Transform.call`."""
        del step, renew
        return ste_sign(tensor, tf.where(tensor > 0.0, 1.0, 0.0))

    def activation_params(self) -> Params:
        """See `FewValues.activation_params`."""
        above_zero = np.nextafter(np.array([0.0], np.float32), np.array([1.0], np.float32))
        return {"level": self.levels(), "boundary": above_zero}

    def levels(self) -> np.ndarray:
        """See `FewValues.levels`."""
        return np.array([0.0, 1.0], np.float32)


def outside(tensor: tf.Tensor, threshold: tf.Tensor | float) -> tf.Tensor:
    """Returns 1 above `threshold`, -1 below its negative, 0 between."""
    return tf.where(tf.abs(tensor) > threshold, tf.sign(tensor), 0.0)

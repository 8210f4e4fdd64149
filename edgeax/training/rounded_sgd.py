"""RoundedSGD: an SGD step whose every sum is stored in a number format."""

from typing import Any, cast

import keras
import tensorflow as tf

from edgeax.formats import NumberFormat
from edgeax.formats.methods import implements
from edgeax.formats.names import deserialized, serialized
from edgeax.transforms.checks import (
    checked_below_1,
    checked_choice,
    checked_nonnegative,
    checked_seed,
)
from edgeax.transforms.formatted import noise_like, rounded_to
from edgeax.transforms.quantize import ROUNDINGS, trainable_format

_TEST = "tests/training/test_rounded_sgd.py::"


@implements("WCB18", test=_TEST + "test_wcb18_three_sums_are_rounded_each")
@implements("YZK19", test=_TEST + "test_yzk19_momentum_has_8_bits_too")
@keras.saving.register_keras_serializable("edgeax")
class RoundedSGD(keras.optimizers.Optimizer):
    """SGD with momentum whose three sums are rounded one by one.

    `g = round(gradient + l2 * w)`, `m = round(momentum * m + g)`, `w = round(w - rate * m)`. With
    stochastic rounding an update that is smaller than half a step counts on average, where nearest
    would lose it each time. A value that is not finite stays as it is.

    Source: [WCB18] with `"fp16_e6m9"`, [YZK19] with `"swalp8"`.

    Args:
        learning_rate: A number, or a schedule of Keras.
        momentum: In [0, 1).
        l2: Weight decay as part of the gradient, at least 0.
        format: Name of a number format or a format object; the last axis of a variable is its
            channels.
        rounding: `"stochastic"` or `"nearest"`.
        seed: Of the stochastic rounding.

    Further arguments are those of Keras's optimizers.

    Raises:
        ValueError: An argument is out of its range.

    Example: `model.compile(RoundedSGD(0.1, 0.9, format="fp16_e6m9"), "mse")`
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        l2: float = 0.0,
        format: str | NumberFormat = "fp16_e6m9",
        rounding: str = "stochastic",
        seed: int = 0,
        name: str = "rounded_sgd",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum = checked_below_1("momentum", momentum)
        self.l2 = checked_nonnegative("l2", l2)
        self.format = format
        self.rounding = checked_choice("rounding", rounding, ROUNDINGS)
        self.seed = checked_seed(seed)
        self.number_format = trainable_format(format, -1)

    def build(self, variables: Any) -> None:
        """Creates a momentum for each variable."""
        if self.built:
            return
        super().build(variables)
        self.momentums = [self.add_variable_from_reference(v, name="momentum") for v in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one variable; see the class."""
        place = self._get_variable_index(variable)
        rate = tf.cast(tf.convert_to_tensor(learning_rate), tf.float32)
        weight = keras.ops.convert_to_tensor(variable)
        moving = self.momentums[place]
        before = keras.ops.convert_to_tensor(moving)
        gradient = tf.cast(tf.convert_to_tensor(gradient), tf.float32)
        gradient = self._rounded(gradient + self.l2 * weight, place, 0)
        moved = self._rounded(self.momentum * before + gradient, place, 1)
        self.assign(moving, moved)
        self.assign(variable, self._rounded(weight - rate * moved, place, 2))

    def _rounded(self, x: tf.Tensor, place: int, sum_number: int) -> tf.Tensor:
        noise = None
        if self.rounding == "stochastic":
            step = tf.cast(tf.convert_to_tensor(self.iterations), tf.int32)
            noise = noise_like(x, self.seed + 3 * place + sum_number, step)
        finite = tf.math.is_finite(x)
        usable = tf.where(finite, x, 0.0)
        return tf.where(finite, rounded_to(usable, self.number_format, noise), x)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        format = self.format
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "l2": self.l2,
            "format": format if isinstance(format, str) else serialized(format),
            "rounding": self.rounding,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RoundedSGD":
        """Returns the optimizer that `get_config` described."""
        format = config["format"]
        if isinstance(format, dict) and "class" in format:
            config = {**config, "format": deserialized(format)}
        return cast("RoundedSGD", super().from_config(config, custom_objects))

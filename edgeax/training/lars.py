"""LARS: a learning rate for each layer, as large as its weights are for their gradient."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.methods import implements
from edgeax.transforms.checks import checked_below_1, checked_nonnegative, checked_positive


@implements("JSH18", test="tests/training/test_lars.py::test_jsh18_two_steps_worked_out_by_hand")
@keras.saving.register_keras_serializable("edgeax")
class LARS(keras.optimizers.Optimizer):
    """Momentum with a trust ratio for each variable, for training in very large batches.

    `ratio = trust * |w| / (|g| + weight_decay * |w|)`,
    `m = momentum * m + learning_rate * ratio * (g + weight_decay * w)`, `w -= m`. The norms are
    those of whole variables, in float32 whatever the gradients came in. The ratio is 1 where a norm
    is 0, and for vectors (biases, normalizations), which have no weight decay either.

    Source: [JSH18], with 16-bit gradients there.

    Args:
        learning_rate: A number or a schedule.
        momentum: In [0, 1).
        weight_decay: Added to the gradient before the ratio; None for none.
        trust: How far a layer moves in a step, as a share of the norm of its weights; above 0.
        **kwargs: Keras's own, such as `name`, `loss_scale_factor` or `global_clipnorm`.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        learning_rate: Any = 1.0,
        momentum: float = 0.9,
        weight_decay: float | None = 1e-4,
        trust: float = 0.001,
        name: str = "lars",
        **kwargs: Any,
    ) -> None:
        momentum = checked_below_1("momentum", momentum)
        trust = checked_positive("trust", trust)
        decay = None if weight_decay is None else checked_nonnegative("weight_decay", weight_decay)
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum, self.decay, self.trust = momentum, decay, trust
        self.momentums: list[Any] = []

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates a momentum for each variable."""
        if self.built:
            return
        super().build(variables)
        self.momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves a variable; see `keras.optimizers.Optimizer`."""
        gradient = tf.cast(tf.convert_to_tensor(gradient), tf.float32)
        weight = tf.cast(tf.convert_to_tensor(variable), tf.float32)
        decay = self.decay or 0.0
        if len(weight.shape) < 2 or not self._use_weight_decay(variable):
            decay = 0.0
        ratio = self._ratio(weight, gradient, decay) if len(weight.shape) >= 2 else 1.0
        step = tf.cast(learning_rate, tf.float32) * ratio * (gradient + decay * weight)
        slot = self.momentums[self._get_variable_index(variable)]
        velocity = self.momentum * tf.cast(tf.convert_to_tensor(slot), tf.float32) + step
        self.assign(slot, velocity)
        self.assign_sub(variable, velocity)

    def _ratio(self, weight: tf.Tensor, gradient: tf.Tensor, decay: float) -> tf.Tensor:
        length, slope = tf.norm(weight), tf.norm(gradient)
        ratio = tf.math.divide_no_nan(self.trust * length, slope + decay * length)
        return tf.where(tf.logical_and(length > 0.0, slope > 0.0), ratio, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "weight_decay": self.decay,
            "trust": self.trust,
        }

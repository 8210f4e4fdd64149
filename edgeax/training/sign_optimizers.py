"""Optimizers that move every weight by the same length: only the sign of its gradient counts."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.methods import implements
from edgeax.transforms.checks import checked_below_1, checked_nonnegative

_TEST = "tests/training/test_sign_optimizers.py::"

_CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")


@implements("BWAA18", test=_TEST + "test_bwaa18_the_vote_is_the_sign_of_the_sum_of_signs")
def majority_vote(gradients: Sequence[Any]) -> tf.Tensor:
    """Returns what most workers say of each weight: the sign of the sum of the signs.

    Source: [BWAA18].

    Args:
        gradients: Those of several workers for the same weight, at least one, of one shape.

    Returns:
        float32 of that shape: -1, 1, or 0 where the votes are equal.

    Raises:
        ValueError: There is no gradient.

    Example: `majority_vote([[1.0, -2.0], [0.1, 3.0], [5.0, 4.0]])` is `[1, 1]`
    """
    if not len(gradients):
        raise ValueError("`gradients` must hold at least one gradient. Received: none.")
    signs = [tf.sign(tf.cast(tf.convert_to_tensor(one), tf.float32)) for one in gradients]
    return tf.sign(tf.add_n(signs))


class _SignOptimizer(keras.optimizers.Optimizer):
    """Checks, the vote and the momentum that all of these optimizers share.

    Weight decay is added behind the sign, as L2 regularization in PyTorch's SGD: Keras's own would
    multiply weights before the step.
    """

    def __init__(
        self,
        learning_rate: Any,
        momentum: float,
        weight_decay: float | None,
        vote: bool,
        **kwargs: Any,
    ) -> None:
        clipping = [name for name in _CLIPPING if kwargs.get(name) is not None]
        if clipping:
            raise ValueError(
                f"`{clipping[0]}` must be None: the length of a gradient does not count. "
                f"Received: {clipping[0]}={kwargs[clipping[0]]}."
            )
        momentum = checked_below_1("momentum", momentum)
        decay = None if weight_decay is None else checked_nonnegative("weight_decay", weight_decay)
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum, self.decay = momentum, decay
        self.vote = bool(vote)
        self.momentums: list[Any] = []

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates a momentum for each variable where there is momentum."""
        if self.built:
            return
        super().build(variables)
        if self.momentum:
            self.momentums = self.add_optimizer_variables(variables, "momentum")

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> Any:
        """Moves the variables by their gradients, with `vote` by the signs of each replica's."""
        if self.vote:
            grads = [grad if grad is None else tf.sign(_dense(grad)) for grad in grads]
        return super().apply(grads, trainable_variables)

    def direction(self, gradient: Any, variable: Any, value: Any = None) -> tf.Tensor:
        """Returns what the learning rate is multiplied with, and remembers the momentum.

        Args:
            gradient: Of the loss by the variable.
            variable: One that the optimizer was built for.
            value: Its value where that is held elsewhere; None: its own.
        """
        raise NotImplementedError

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves a variable; see `keras.optimizers.Optimizer`."""
        step = self.direction(gradient, variable)
        self.assign_sub(variable, tf.cast(learning_rate, step.dtype) * step)

    def decayed(self, step: tf.Tensor, variable: Any, value: Any = None) -> tf.Tensor:
        """Returns a step with the weight decay of its variable added; see `direction`."""
        if self.decay is None or not self._use_weight_decay(variable):
            return step
        held = variable if value is None else value
        return step + tf.cast(self.decay, step.dtype) * tf.convert_to_tensor(held)

    def velocity(self, variable: Any, step: tf.Tensor, weight: float = 1.0) -> tf.Tensor:
        """Returns `momentum * velocity + weight * step`, and remembers it."""
        if not self.momentum:
            return step
        slot = self.momentums[self._get_variable_index(variable)]
        value = self.momentum * tf.convert_to_tensor(slot) + weight * step
        self.assign(slot, value)
        return value

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        for name in _CLIPPING:
            config.pop(name)
        return {**config, "weight_decay": self.decay, "vote": self.vote}


@implements("BWAA18", test=_TEST + "test_bwaa18_the_length_of_a_gradient_does_not_count")
@keras.saving.register_keras_serializable("edgeax")
class SignSGD(_SignOptimizer):
    """Gradient descent by signs: `w -= learning_rate * (sign(g) + weight_decay * w)`.

    Replicas of a strategy add up their gradients before; with `vote` each sends the signs alone,
    and the majority decides. So do the batches of `gradient_accumulation_steps`.

    Source: [BWAA18].

    Args:
        learning_rate: A number or a schedule: how far a weight moves in a step. Take about 0.03 of
            SGD's.
        weight_decay: Added behind the sign; None for none.
        vote: Whether the replicas of a strategy vote.
        **kwargs: Keras's own, such as `name` or `use_ema`, but no clipping.

    Raises:
        ValueError: An argument is out of its range.

    Example: `model.compile(edgeax.optimizers.SignSGD(0.0003), loss)`
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = None,
        vote: bool = False,
        name: str = "sign_sgd",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, 0.0, weight_decay, vote, name=name, **kwargs)

    def direction(self, gradient: Any, variable: Any, value: Any = None) -> tf.Tensor:
        """Returns the sign of the gradient, with the weight decay."""
        return self.decayed(tf.sign(_like(gradient, variable)), variable, value)


@implements("BWAA18", test=_TEST + "test_bwaa18_signum_follows_the_sign_of_the_momentum")
@keras.saving.register_keras_serializable("edgeax")
class Signum(_SignOptimizer):
    """Gradient descent by the sign of the momentum.

    `m = momentum * m + (1 - momentum) * g`, `w -= learning_rate * (sign(m) + weight_decay * w)`.

    Source: [BWAA18].

    Args:
        learning_rate: A number or a schedule: how far a weight moves in a step.
        momentum: In [0, 1); 0 is `SignSGD`.
        weight_decay: Added behind the sign; None for none.
        vote: Whether the replicas of a strategy vote by the signs of their gradients.
        **kwargs: Keras's own, such as `name` or `use_ema`, but no clipping.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        momentum: float = 0.9,
        weight_decay: float | None = None,
        vote: bool = False,
        name: str = "signum",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, momentum, weight_decay, vote, name=name, **kwargs)

    def direction(self, gradient: Any, variable: Any, value: Any = None) -> tf.Tensor:
        """Returns the sign of the momentum, with the weight decay."""
        mean = self.velocity(variable, _like(gradient, variable), 1.0 - self.momentum)
        return self.decayed(tf.sign(mean), variable, value)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "momentum": self.momentum}


@implements("WJC19", test=_TEST + "test_wjc19_the_sign_comes_first_then_decay_then_momentum")
@keras.saving.register_keras_serializable("edgeax")
class PredictiveSignSGD(_SignOptimizer):
    """Momentum over signs of gradients, those that `with_predictive_gradients` predicts.

    `m = momentum * m + sign(g) + weight_decay * w`, `w -= learning_rate * m`. A layer that predicts
    has signs for gradients already; of all others the sign is taken here.

    Source: [WJC19], predictive sign gradient descent.

    Args:
        learning_rate: A number or a schedule; the paper has 0.03 where SGD has 0.1.
        momentum: In [0, 1).
        weight_decay: Added behind the sign, before the momentum; None for none. A regularizer in
            the model's loss would mix with the gradient before its sign.
        vote: Whether the replicas of a strategy vote by the signs of their gradients.
        **kwargs: Keras's own, such as `name` or `use_ema`, but no clipping.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        model = edgeax.with_predictive_gradients(model)
        model.compile(edgeax.optimizers.PredictiveSignSGD(0.003), loss)
    """

    def __init__(
        self,
        learning_rate: Any = 0.03,
        momentum: float = 0.9,
        weight_decay: float | None = 1e-4,
        vote: bool = False,
        name: str = "predictive_sign_sgd",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, momentum, weight_decay, vote, name=name, **kwargs)

    def direction(self, gradient: Any, variable: Any, value: Any = None) -> tf.Tensor:
        """Returns the momentum over signs."""
        step = self.decayed(tf.sign(_like(gradient, variable)), variable, value)
        return self.velocity(variable, step)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "momentum": self.momentum}


def _dense(gradient: Any) -> tf.Tensor:
    """Returns a gradient as a tensor: that of a table of embeddings comes row by row."""
    return tf.convert_to_tensor(gradient)


def _like(gradient: Any, variable: Any) -> tf.Tensor:
    return tf.cast(_dense(gradient), variable.dtype)

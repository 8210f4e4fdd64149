"""Shared exponents that follow a tensor from step to step, instead of being measured in it."""

import abc
from collections.abc import Iterable, Sequence
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor
from edgeax.formats.block_float import SharedExponent
from edgeax.transforms.base import Role, Stateful, now
from edgeax.transforms.checks import checked_choice
from edgeax.transforms.formatted import noise_like
from edgeax.transforms.gradient_transform import GradientTransform
from edgeax.transforms.gradients import straight_through
from edgeax.transforms.quantize import ROUNDINGS, Quantizer

Observed = Iterable[tuple[keras.Variable, tf.Tensor]]


class ExponentRule(Stateful):
    """Chooses the exponent of one tensor's step from what it has seen of it.

    Attributes:
        number_format: What values are in, one exponent per tensor.
    """

    number_format: SharedExponent

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates the exponent and the count of tensors seen; see `Stateful.bind`."""
        del shape
        self.exponent = self.state("exponent", dtype="int32")
        self.seen = self.state("seen", dtype="int32")

    @abc.abstractmethod
    def first(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the exponent for the first tensor, int32 scalar."""

    @abc.abstractmethod
    def observe(self, x: tf.Tensor, rounded: tf.Tensor, exponent: tf.Tensor) -> Observed:
        """Returns what a tensor and what it was rounded to make of the rule's variables, the
        exponent among them.
        """

    def current(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the exponent for `x`, int32 scalar."""
        return tf.cond(self.seen.value > 0, lambda: self.exponent.value + 0, lambda: self.first(x))

    def rounded(self, x: tf.Tensor, noise: tf.Tensor | None, learns: Any) -> tf.Tensor:
        """Returns `x`, float32 and finite, as it is stored.

        Args:
            x: The tensor.
            noise: None rounds to nearest; see `ArrayFormat.rounded`.
            learns: Whether `x` counts for the exponents to come: False, True or a bool scalar.
        """
        exponent = self.current(x)
        rounded = self.number_format.rounded(x, {"exponent": exponent}, keras.ops, noise)
        if learns is False:
            return rounded
        # No branch around the assignments: replicas could not agree on a variable within one.
        observed = [*self.observe(x, rounded, exponent), (self.seen, self.seen.value + 1)]
        for variable, value in observed:
            variable.assign(tf.where(learns, value, tf.convert_to_tensor(variable.value)))
        return rounded


class _Follows:
    """What the two transforms below have in common: their settings."""

    def settle(self, rule: ExponentRule, rounding: str, seed: int) -> None:
        """Keeps the settings."""
        self.rule = rule
        self.rounding = checked_choice("rounding", rounding, ROUNDINGS)
        self.seed = int(seed)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        rule = keras.saving.serialize_keras_object(self.rule)
        return {"rule": rule, "rounding": self.rounding, "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Returns what `get_config` described, with new state."""
        rule = keras.saving.deserialize_keras_object(config["rule"])
        return cast(Any, cls)(**{**config, "rule": rule})

    def _noise(self, tensor: tf.Tensor, step: tf.Tensor) -> tf.Tensor | None:
        return noise_like(tensor, self.seed, step) if self.rounding == "stochastic" else None


@keras.saving.register_keras_serializable("edgeax")
class FollowedExponent(_Follows, Quantizer):
    """Rounds a weight or an activation with an exponent that a rule predicts.

    The gradient passes straight through.

    Source: [KWW17], [CBD14].

    Args:
        rule: `Autoflex()` or `OverflowScale()`.
        rounding: `"nearest"`, or `"stochastic"` while training.
        seed: Of the stochastic rounding.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self, rule: ExponentRule, rounding: str = "nearest", seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.settle(rule, rounding, seed)
        self.number_format = rule.number_format

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Creates the state of the rule."""
        self.rule.bind(role, shape)
        super().bind(role, shape)

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` in the format; see `Transform.call`."""
        noise = None if renew is None else self._noise(tensor, step)
        fixed = tf.stop_gradient(tensor)
        rounded = self.rule.rounded(fixed, noise, learns=renew is not None)
        return straight_through(tensor, tf.where(tf.math.is_finite(fixed), rounded, fixed))

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in codes."""
        value = tensor.decode()
        exponent = tf.convert_to_tensor(self.rule.current(tf.constant(value)))
        params = {"exponent": np.asarray(exponent, np.int8)}
        format = self.rule.number_format
        return EncodedTensor(format.encode(value, params), format, params, tensor.mask)


@keras.saving.register_keras_serializable("edgeax")
class FollowedGradient(_Follows, GradientTransform):
    """Rounds the gradient that comes back with an exponent that a rule predicts.

    A gradient with a value that is not finite passes as it is, and the rule does not learn from it.

    Source: [KWW17], [CBD14].

    Args:
        rule: `Autoflex()` or `OverflowScale()`.
        rounding: `"nearest"` or `"stochastic"`.
        seed: Of the stochastic rounding.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self, rule: ExponentRule, rounding: str = "nearest", seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.settle(rule, rounding, seed)
        self.number_format = rule.number_format

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Creates the state of the rule."""
        self.rule.bind(role, shape)
        super().bind(role, shape)

    def backward(self, upstream: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """See `GradientTransform.backward`."""
        noise = self._noise(upstream, step)
        finite = tf.reduce_all(tf.math.is_finite(upstream))
        usable = tf.where(finite, upstream, 0.0)
        return tf.where(finite, self.rule.rounded(usable, noise, learns=finite), upstream)


def last_exponent(rule: ExponentRule) -> int:
    """Returns the exponent that a rule has come to."""
    return int(now(rule.exponent))

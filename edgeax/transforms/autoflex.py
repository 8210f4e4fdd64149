"""Autoflex: the exponent of the next step is predicted from the largest values of former ones."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.block_float import Flex16
from edgeax.formats.methods import implements
from edgeax.formats.scales import ceil_log2, power_of_two
from edgeax.transforms.checks import checked_count, checked_positive
from edgeax.transforms.followed_exponent import ExponentRule, Observed

_MANTISSA = 16
_FULL = float(2 ** (_MANTISSA - 1) - 1)
_LOWEST, _HIGHEST = -31, 0  # of a step: what five bits of exponent reach
_MOST_ROUNDS = 16


@implements(
    "KWW17", test="tests/transforms/test_autoflex.py::test_kww17_exponents_are_those_of_the_formula"
)
@keras.saving.register_keras_serializable("edgeax")
class Autoflex(ExponentRule):
    """Flexpoint's prediction of the step of a flex16+5 tensor, with head-room for its growth.

    After each step the largest magnitude f joins the last `window` ones, and the next step is
    `2**(ceil(log2(x)) - 15)` with `x = alpha * (max(f) + beta * std(f) + gamma * step)`. The first
    is found by trial: a mantissa that is full makes the step 2**7 times as large, another one as
    small as leaves one bit free, until it stays; that loop is as recalled.

    Source: [KWW17].

    Args:
        window: How many former steps count, at least 1.
        alpha: Head-room, above 0: with 2 one bit stays free.
        beta: Weight of the standard deviation.
        gamma: Weight of the step itself.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        window: int = 16,
        alpha: float = 2.0,
        beta: float = 3.0,
        gamma: float = 100.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.window = checked_count("window", window)
        self.alpha = checked_positive("alpha", alpha)
        self.beta, self.gamma = float(beta), float(gamma)
        self.number_format = Flex16()

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates the record of largest magnitudes too; see `ExponentRule.build`."""
        super().build(shape)
        self.largest = self.state("largest", [self.window])

    def first(self, x: tf.Tensor) -> tf.Tensor:
        """See `ExponentRule.first`."""
        top = tf.reduce_max(tf.abs(x))

        def tried(exponent: tf.Tensor) -> tf.Tensor:
            full = tf.minimum(tf.round(top / power_of_two(exponent, keras.ops)), _FULL)
            fitting = ceil_log2(tf.maximum(full, 1.0), keras.ops) - (_MANTISSA - 2)
            change = tf.where(full >= _FULL, (_MANTISSA - 1) // 2, fitting)
            return tf.clip_by_value(exponent + change, _LOWEST, _HIGHEST)

        def again(before: tf.Tensor, exponent: tf.Tensor) -> tf.Tensor:
            return tf.not_equal(before, exponent)

        start = tf.constant(0)
        _, exponent = tf.while_loop(
            again,
            lambda before, exponent: (exponent, tried(exponent)),
            (tf.constant(_HIGHEST + 1), start),
            maximum_iterations=_MOST_ROUNDS,
        )
        return exponent

    def observe(self, x: tf.Tensor, rounded: tf.Tensor, exponent: tf.Tensor) -> Observed:
        """See `ExponentRule.observe`."""
        del x
        seen = self.seen.value
        place = tf.one_hot(seen % self.window, self.window, True, False, dtype=tf.bool)
        record = tf.where(place, tf.reduce_max(tf.abs(rounded)), self.largest.value)
        counts = tf.cast(tf.range(self.window) <= seen, tf.float32)
        count = tf.reduce_sum(counts)
        mean = tf.reduce_sum(record * counts) / count
        deviation = tf.sqrt(tf.reduce_sum(counts * tf.square(record - mean)) / count)
        step = power_of_two(exponent, keras.ops)
        needed = self.alpha * (
            tf.reduce_max(record * counts) + self.beta * deviation + self.gamma * step
        )
        following = ceil_log2(needed, keras.ops) - (_MANTISSA - 1)
        following = tf.clip_by_value(following, _LOWEST, _HIGHEST)
        return (self.exponent, following), (self.largest, record)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "window": self.window,
            "alpha": self.alpha,
            "beta": self.beta,
            "gamma": self.gamma,
        }

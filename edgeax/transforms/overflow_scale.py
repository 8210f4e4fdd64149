"""OverflowScale: dynamic fixed point, whose scale doubles where too many values overflow."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.block_float import SmallBlockFloat
from edgeax.formats.methods import implements
from edgeax.formats.scales import power_of_two
from edgeax.transforms.checks import checked_bits, checked_count, checked_positive
from edgeax.transforms.followed_exponent import ExponentRule, Observed


@implements(
    "CBD14",
    test="tests/transforms/test_overflow_scale.py::test_cbd14_the_scale_follows_the_state_machine",
)
@keras.saving.register_keras_serializable("edgeax")
class OverflowScale(ExponentRule):
    """Doubles or halves the scale of a fixed-point tensor by how often its values overflow.

    Every `period` steps: if more than `most` of the values were beyond the range, the scale
    doubles; else if no more than that would have been with half the scale, it halves. The first
    scale just holds the first tensor.

    Source: [CBD14], which takes 10 000 examples for a period: at the default 100 batches of 100.

    Args:
        width: Bits of a code with its sign, 2 to 16; the paper's 10.
        period: Steps between two decisions, at least 1.
        most: The share of values that may overflow, above 0: one in ten thousand.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self, width: int = 10, period: int = 100, most: float = 1e-4, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.width = checked_bits(width, 2, 16, "OverflowScale", "width")
        self.period = checked_count("period", period)
        self.most = checked_positive("most", most)
        self.number_format = SmallBlockFloat(self.width, axis=None)

    def build(self, shape: Sequence[int | None]) -> None:
        """Creates the sums of shares that overflowed too; see `ExponentRule.build`."""
        super().build(shape)
        self.over = self.state("over")
        self.over_half = self.state("over_half")

    def first(self, x: tf.Tensor) -> tf.Tensor:
        """See `ExponentRule.first`."""
        return tf.reshape(self.number_format.step_exponent(x, keras.ops), ())

    def observe(self, x: tf.Tensor, rounded: tf.Tensor, exponent: tf.Tensor) -> Observed:
        """See `ExponentRule.observe`."""
        del rounded
        edge = power_of_two(exponent + (self.width - 1), keras.ops)
        magnitude = tf.abs(x)
        over = self.over.value + _share(magnitude >= edge)
        over_half = self.over_half.value + _share(2.0 * magnitude >= edge)
        decides = tf.equal((self.seen.value + 1) % self.period, 0)
        allowed = self.most * self.period
        change = tf.where(over > allowed, 1, tf.where(over_half > allowed, 0, -1))
        changed = tf.clip_by_value(exponent + change, -125, 127)
        return (
            (self.exponent, tf.where(decides, changed, exponent)),
            (self.over, tf.where(decides, 0.0, over)),
            (self.over_half, tf.where(decides, 0.0, over_half)),
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"width": self.width, "period": self.period, "most": self.most}


def _share(true: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(true, tf.float32))

"""GradualThreshold: weights below a threshold that rises go for good, as in recurrent networks."""

from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.methods import implements
from edgeax.transforms.checks import checked_count, checked_positive
from edgeax.transforms.mask import ChosenMask

_RAMPS = "tests/transforms/test_gradual_threshold.py::test_ndse17_thresholds_are_those"


@implements("NDSE17", test=f"{_RAMPS}_worked_out_by_hand")
@keras.saving.register_keras_serializable("edgeax")
class GradualThreshold(ChosenMask):
    """Prunes weights below a threshold that rises slowly, then faster; they never come back.

    With `theta = 2 q f / (2 (r - s) + 3 (e - r))`, the threshold at step i is
    `theta (i - s + 1) / f` before the ramp step r and
    `(theta (r - s + 1) + 1.5 theta (i - r + 1)) / f` from there to the end step e: it ends at q,
    and a little above where there are few steps between. It acts every `frequency` = f steps from
    the begin step s on. The largest weight always stays.

    Source: [NDSE17].

    Args:
        begin_step: First step at which weights are pruned, s, at least 0.
        ramp_step: Step from which the threshold rises faster, r, not below `begin_step`.
        end_step: Last step at which weights are pruned, e, not below `ramp_step`; with all three
            alike the threshold is q at once.
        threshold: The magnitude q to come to, above 0: the paper takes the 90th percentile of the
            magnitudes of a network trained without pruning. None: the `percentile` of the weight
            as it is when pruning begins, which is that of a trained network if one is compressed.
        percentile: Above 0, below 100; only read where `threshold` is None.
        frequency: Steps between two choices, f, at least 1.

    Raises:
        ValueError: An argument is out of its range.

    Example: `Rule("lstm", kernel=[GradualThreshold(500, 1000, 3000)])`
    """

    def __init__(
        self,
        begin_step: int,
        ramp_step: int,
        end_step: int,
        threshold: float | None = None,
        percentile: float = 90.0,
        frequency: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__("masked", **kwargs)
        self.begin_step = checked_count("begin_step", begin_step, 0)
        self.ramp_step = checked_count("ramp_step", ramp_step, 0)
        self.end_step = checked_count("end_step", end_step, 0)
        if not begin_step <= ramp_step <= end_step:
            raise ValueError(
                "`begin_step`, `ramp_step` and `end_step` must not fall. Received: "
                f"begin_step={begin_step}, ramp_step={ramp_step}, end_step={end_step}."
            )
        if not 0.0 < percentile < 100.0:
            raise ValueError(
                "`percentile` must lie between 0 and 100, or all weights or none would go. "
                f"Received: percentile={percentile}. Use 90."
            )
        self.frequency = checked_count("frequency", frequency, 1)
        self.threshold = None if threshold is None else checked_positive("threshold", threshold)
        self.percentile = float(percentile)

    def build(self, shape: Any) -> None:
        """Creates the mask, all ones, and what the threshold comes to."""
        super().build(shape)
        self.last_threshold = self.state(
            "last_threshold", initializer=keras.initializers.Constant(self.threshold or -1.0)
        )

    def factor(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the threshold at `step` as a share of the last one, float32 scalar."""
        if self.begin_step == self.end_step:
            return tf.constant(1.0)
        begin, ramp, end = (float(s) for s in (self.begin_step, self.ramp_step, self.end_step))
        now = tf.cast(step, tf.float32)
        theta = 2.0 / (2.0 * (ramp - begin) + 3.0 * (end - ramp))  # the frequency cancels out
        slow = now - begin + 1.0
        fast = ramp - begin + 1.0 + 1.5 * (now - ramp + 1.0)
        return theta * tf.where(now < ramp, slow, fast)

    def due(self, step: tf.Tensor) -> tf.Tensor:
        """Returns whether the mask is chosen anew at `step`; it always is at the end step."""
        inside = tf.logical_and(step >= self.begin_step, step <= self.end_step)
        turn = tf.equal((step - self.begin_step) % self.frequency, 0)
        return tf.logical_and(inside, tf.logical_or(turn, tf.equal(step, self.end_step)))

    def find(self, tensor: tf.Tensor, due: tf.Tensor) -> None:
        """Finds what the threshold comes to, in the weight at the first step that is due."""
        known = self.last_threshold.value
        found = tf.cond(
            tf.logical_and(due, known < 0.0),
            lambda: _percentile(tf.abs(tensor), self.percentile),
            lambda: tf.identity(known),
        )
        self.last_threshold.assign(found)

    def chosen(self, tensor: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Returns the mask without the weights below the threshold, of which the largest stays."""
        magnitudes = tf.where(self.mask.value, tf.abs(tensor), -1.0)
        above = magnitudes >= self.factor(step) * self.last_threshold.value
        return self.mask.value & (above | tf.equal(magnitudes, tf.reduce_max(magnitudes)))

    @property
    def settled_step(self) -> int:
        """See `Transform.settled_step`."""
        return self.end_step + 1 if self.end_step else 0

    def at_once(self) -> "GradualThreshold":
        """Returns it with its last threshold at step 0."""
        return type(self)(0, 0, 0, self.threshold, self.percentile, self.frequency)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "begin_step": self.begin_step,
            "ramp_step": self.ramp_step,
            "end_step": self.end_step,
            "threshold": self.threshold,
            "percentile": self.percentile,
            "frequency": self.frequency,
        }


def _percentile(values: tf.Tensor, percentile: float) -> tf.Tensor:
    """Returns the smallest of the values that are not below `percentile` per cent of them."""
    flat = tf.sort(tf.reshape(values, [-1]))
    place = min(int(flat.shape[0] * percentile / 100.0), int(flat.shape[0]) - 1)
    return flat[place]

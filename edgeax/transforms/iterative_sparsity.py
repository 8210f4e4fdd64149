"""IterativeSparsity: prune, retrain, prune more, retrain: sparsity that rises in steps."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats.methods import implements
from edgeax.transforms.checks import checked_steps
from edgeax.transforms.schedules import Schedule, check_sparsities

_TEST = "tests/transforms/test_iterative_sparsity.py::test_sh16_prunes_and_retrains_in_turns"


@implements("SH16", test=_TEST)
@keras.saving.register_keras_serializable("edgeax")
class IterativeSparsity(Schedule):
    """Prunes at given training steps, to a rising sparsity; the time between is for training.

    Source: [SH16].

    Args:
        sparsities: Share of zeros behind each step, in [0, 1), not falling, at least one.
        steps: The training steps at which weights are pruned, growing from 0 or more.

    Raises:
        ValueError: A value is out of its range, or their numbers differ.

    Example: `edgeax.Prune(IterativeSparsity([0.5, 0.8, 0.92], [0, 2000, 4000]))`
    """

    def __init__(self, sparsities: Sequence[float], steps: Sequence[int]) -> None:
        self.sparsities = check_sparsities("sparsities", sparsities)
        self.steps = checked_steps("steps", steps)
        if not self.steps or len(self.steps) != len(self.sparsities):
            raise ValueError(
                "`steps` must be as many as `sparsities`, at least one. Received: "
                f"sparsities={self.sparsities}, steps={self.steps}."
            )
        if self.steps != sorted({*self.steps}):
            raise ValueError(f"`steps` must grow. Received: steps={self.steps}.")
        super().__init__(self.steps[0], self.steps[-1], 1)

    @property
    def last_sparsity(self) -> float:
        """The sparsity that it comes to."""
        return self.sparsities[-1]

    @property
    def settled_step(self) -> int:
        """How many training steps it takes to come to it."""
        return self.end_step + 1 if self.end_step else 0

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the sparsity at `step`, float32 scalar."""
        done = tf.reduce_sum(tf.cast(step >= tf.constant(self.steps, tf.int32), tf.int32))
        return tf.gather([0.0, *self.sparsities], done)

    def acts(self, step: tf.Tensor) -> tf.Tensor:
        """Returns whether weights are pruned at `step`."""
        return tf.reduce_any(tf.equal(step, self.steps))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"sparsities": self.sparsities, "steps": self.steps}

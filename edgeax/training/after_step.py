"""AfterStep: base of the callbacks that change weights right after each training step."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from edgeax.training.added_loss import AddedLoss, TrainingStep


@dataclasses.dataclass(frozen=True)
class StepDone:
    """A training step that has just been done.

    Attributes:
        model: The model.
        learning_rate: The optimizer's in this step, float32 scalar; 0 where the optimizer only
            gathered gradients, or dropped those that were not finite.
    """

    model: keras.Model
    learning_rate: tf.Tensor


class AfterStep(AddedLoss):
    """Changes the model that it is given to after each training step, as long as `fit` lasts.

    It does so in the graph of the step, behind the optimizer: with `steps_per_execution` too,
    nothing reads a weight in between. Replicas of a strategy change it together. Of several such
    callbacks the last one acts first. For what else holds see `AddedLoss`.

    Args:
        begin_epoch: Epoch from which it acts, counted from 0 as `fit` does.

    Raises:
        ValueError: `begin_epoch` is below 0; or, in `fit`, the model's `train_step` does not call
            `compute_loss`.
    """

    def after_step(self, done: StepDone) -> None:
        """Changes the model."""
        raise NotImplementedError

    def term(self, step: TrainingStep) -> Any:
        """See `AddedLoss.term`: by itself it adds nothing."""
        return tf.zeros(())

    @contextlib.contextmanager
    def before_step(self) -> Iterator[None]:
        """See `AddedLoss.before_step`; calls `after_step` at its end."""
        optimizer = self.model.optimizer
        before = tf.convert_to_tensor(optimizer.iterations)
        rate = tf.cast(tf.convert_to_tensor(optimizer.learning_rate), tf.float32)
        yield
        updates = tf.convert_to_tensor(optimizer.iterations) - before
        rate = rate * tf.cast(updates, tf.float32)
        replica = tf.distribute.get_replica_context()
        if replica is None or replica.num_replicas_in_sync == 1:
            self.after_step(StepDone(self.model, rate))
        else:
            replica.merge_call(self._together, args=(rate,))

    def _together(self, strategy: tf.distribute.Strategy, rate: Any) -> None:
        first = strategy.experimental_local_results(rate)[0]
        self.after_step(StepDone(self.model, first))

"""MinibatchDropping: a share of the training steps of `fit` computes nothing."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import implements
from edgeax.training.stretched import StretchedSchedule, checked_rate
from edgeax.transforms.checks import checked_positive, checked_seed

_REPLACED = ("train_function", "make_train_function")


@implements(
    "WJC19",
    test="tests/training/test_minibatch_dropping.py::test_wjc19_a_half_of_the_steps_compute_nothing",
)
@keras.saving.register_keras_serializable("edgeax")
class MinibatchDropping(keras.callbacks.Callback):
    """Drops each batch of `fit` with probability `rate`: no forward, no backward, no update.

    A dropped step moves neither weights nor momentum nor the count of iterations, and metrics do
    not see its batch. With `steps_per_execution` each step is dropped on its own, inside the graph;
    with several replicas or `run_eagerly` by a loop around it. The batch is still read from its
    dataset; where that is what takes the time, let `edgeax.data.drop` leave it out instead.

    `logs` get `steps_seen` and `steps_run`, of the epoch so far: the sums over `History` are those
    of the training. An epoch in which no step ran has no metrics of training.

    What is dropped follows from `seed`, the optimizer's iterations at the beginning of the epoch,
    the epoch and the place of the batch in it. So a training that BackupAndRestore takes up again
    at an epoch drops the same batches as one that was never broken off.

    A schedule of the optimizer counts its iterations, of which there are fewer than steps seen;
    and with half of the updates a training wants to be longer. `schedule`, `epoch_schedule` and
    `epochs` turn what stands for a training without dropping into what stands for this one. With
    `rate=0.5` and `stretch=4/3` the milestones 32000 and 48000 come at the steps seen 42667 and
    64000, and the training computes 2/3 of what the other does.

    Source: [WJC19].

    Args:
        rate: Probability that a batch is dropped, in [0, 1).
        seed: An integer, at least 0.
        stretch: How many steps are seen for each step of a training without dropping, above 0.

    Raises:
        ValueError: An argument is out of its range.

    Example: `smd = MinibatchDropping(0.5, stretch=4 / 3)`, then `compile(SGD(smd.schedule(decay)))`
    and `fit(x, y, epochs=smd.epochs(60), callbacks=[smd])`.
    """

    def __init__(self, rate: float = 0.5, seed: int = 0, stretch: float = 1.0) -> None:
        super().__init__()
        self.rate = checked_rate(rate)
        self.seed = checked_seed(seed)
        self.stretch = checked_positive("stretch", stretch)
        self._place = (0, 0, 0)
        self._seen = self._ran = 0
        self._logs: dict[str, Any] = {}
        self._many: tuple[Any, Callable[..., Any]] | None = None

    @property
    def compute_ratio(self) -> float:
        """What the training computes, as a share of one without dropping."""
        return (1.0 - self.rate) * self.stretch

    def epochs(self, count: int) -> int:
        """Returns how many epochs stand for `count` without dropping."""
        return max(1, round(count * self.stretch))

    def schedule(self, schedule: Any) -> StretchedSchedule:
        """Returns a schedule for the optimizer that comes where `schedule` would without dropping.

        Args:
            schedule: A `keras.optimizers.schedules.LearningRateSchedule`.
        """
        return StretchedSchedule(schedule, self.rate, self.stretch)

    def epoch_schedule(self, schedule: Callable[..., float]) -> Callable[..., float]:
        """Returns a function for `keras.callbacks.LearningRateScheduler`, stretched.

        Args:
            schedule: Gives the learning rate by epoch, or by epoch and rate so far.
        """
        return lambda epoch, *rate: schedule(int(epoch / self.stretch + 1e-9), *rate)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Forgets what another training left."""
        self._logs, self._many = {}, None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begins to count anew."""
        optimizer = self.model.optimizer
        done = 0 if optimizer is None else int(keras.ops.convert_to_numpy(optimizer.iterations))
        self._place = (self.seed, done, epoch)
        self._seen = self._ran = 0
        self._logs = {}

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Has the next execution drop its batches."""
        count = self.model.steps_per_execution
        kept = np.array([self._keeps(batch + step) for step in range(count)])
        _Once(self.model, lambda run, iterator: self._execute(run, iterator, kept))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the counts into `logs`."""
        self._write(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the counts into `logs`."""
        self._write(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Holds on to nothing of the training."""
        self._logs, self._many = {}, None

    def _write(self, logs: dict[str, Any] | None) -> None:
        if logs is not None:
            logs["steps_seen"], logs["steps_run"] = float(self._seen), float(self._ran)

    def _keeps(self, batch: int) -> bool:
        return bool(np.random.default_rng([*self._place, batch]).random() >= self.rate)

    def _execute(self, run: Callable[..., Any], iterator: Any, kept: np.ndarray) -> Any:
        """Runs an execution of the model's train function, or some of its steps."""
        if kept.all() and len(kept) == 1:
            self._logs, seen, ran = run(iterator), 1, 1
        elif len(kept) == 1:
            next(iterator)
            seen, ran = 1, 0
        elif self.model.run_eagerly or self.model.distribute_strategy.num_replicas_in_sync > 1:
            seen, ran = self._one_by_one(run, iterator, kept)
        else:
            seen, ran = self._in_graph(run, iterator, kept)
        self._seen, self._ran = self._seen + seen, self._ran + ran
        return self._logs

    def _one_by_one(
        self, run: Callable[..., Any], iterator: Any, kept: np.ndarray
    ) -> tuple[int, int]:
        seen = ran = 0
        for keep, data in zip(kept, iterator, strict=False):
            seen += 1
            if keep:
                self._logs, ran = run([data]), ran + 1
        if not seen:
            raise StopIteration
        return seen, ran

    def _in_graph(
        self, run: Callable[..., Any], iterator: Any, kept: np.ndarray
    ) -> tuple[int, int]:
        if self._many is None or self._many[0] is not run:
            self._many = (run, _many_steps(run))
        seen, ran, logs = self._many[1](iterator, tf.constant(kept))
        if not int(seen):
            raise StopIteration
        if int(ran):
            self._logs = logs
        return int(seen), int(ran)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"rate": self.rate, "seed": self.seed, "stretch": self.stretch}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MinibatchDropping":
        """Returns the callback that `get_config` described."""
        return cls(**config)


class _Once:
    """Stands for a model's train function in its next execution, and gives way to it then.

    It gives way as well to whoever makes a train function in between: that is the next `fit`, the
    last one having broken off before this execution came.
    """

    def __init__(self, model: keras.Model, execute: Callable[..., Any]) -> None:
        self._model = model
        self._execute = execute
        self._before = {name: vars(model).get(name) for name in _REPLACED}
        object.__setattr__(model, "train_function", self)
        object.__setattr__(model, "make_train_function", self._make_train_function)

    def __call__(self, iterator: Any) -> Any:
        self._remove()
        return self._execute(self._model.train_function, iterator)

    def _make_train_function(self, *args: Any, **kwargs: Any) -> Any:
        self._remove()
        return self._model.make_train_function(*args, **kwargs)

    def _remove(self) -> None:
        for name, value in self._before.items():
            if name != "train_function" and value is None:
                vars(self._model).pop(name, None)
            else:
                object.__setattr__(self._model, name, value)


def _many_steps(run: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that runs those steps of an execution that are kept.

    It takes the iterator and a bool for each step, and returns how many steps it saw, how many it
    ran, and the last one's logs, zeros if there is none.

    Args:
        run: A model's train function. Of a list of batches it runs as many steps as there are.
    """
    step = tf.function(lambda data: run([data]), reduce_retracing=True)

    @tf.autograph.experimental.do_not_convert
    def many(iterator: Any, kept: Any) -> Any:
        like = step.get_concrete_function(iterator.element_spec).structured_outputs
        logs = tf.nest.map_structure(lambda spec: tf.zeros(spec.shape, spec.dtype), like)

        def going_on(place: Any, *_: Any) -> Any:
            return tf.logical_and(place >= 0, place < tf.size(kept))

        def body(place: Any, seen: Any, ran: Any, logs: Any) -> Any:
            data = iterator.get_next_as_optional()
            there = data.has_value()
            runs = tf.logical_and(there, kept[place])
            logs = tf.cond(runs, lambda: step(data.get_value()), lambda: logs)
            place = tf.where(there, place + 1, -1)
            return place, seen + tf.cast(there, tf.int32), ran + tf.cast(runs, tf.int32), logs

        zero = tf.constant(0)
        return tf.while_loop(going_on, body, (zero, zero, zero, logs))[1:]

    return tf.function(many, reduce_retracing=True)

"""SWA: the mean of the weights that a training passes through."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats import implements
from edgeax.model.batch_norm import normalizations_of, reestimate_batch_norm
from edgeax.training.after_step import AfterStep, StepDone
from edgeax.training.learning_rate import check_settable
from edgeax.training.saved_state import SavedState
from edgeax.transforms.base import now
from edgeax.transforms.checks import checked_count

_TEST = "tests/training/test_swa.py::"


@implements(
    "IPG18", test=_TEST + "test_ipg18_the_mean_is_that_of_the_weights_at_the_ends_of_cycles"
)
@implements("YZK19", test=_TEST + "test_yzk19_the_error_falls_as_1_by_t_below_the_rounding_floor")
@keras.saving.register_keras_serializable("edgeax")
class SWA(AfterStep):
    """Averages the trained weights over `fit` and gives the model their mean at its end.

    `mean = (n * mean + w) / (n + 1)` in float32, whatever format the weights are stored in, after
    each epoch or after each `frequency` updates of the optimizer, counted from `begin_epoch` on and
    also within a `steps_per_execution`. Integers among them stay. Batch normalizations get the
    statistics of the mean's own activations from `samples`. Until then `fit` trains, validates and
    saves the raw weights; `restore_weights` gives them back, to train on from them. Callbacks that
    set weights when the training ends, such as EarlyStopping with `restore_best_weights`, must come
    before this one.

    What has been averaged is saved with the model's weights while `fit` lasts, so BackupAndRestore
    takes it up again, in any order of the callbacks.

    Source: [IPG18]. SWALP [YZK19] is this with the arithmetic `"swalp"` and
    `RoundedSGD(format="swalp8")`: the weights are stored in 8 bits, their mean is not, and the
    model then computes with the mean and inputs of 8 bits.

    Args:
        begin_epoch: Epoch from which weights count, from 0 as `fit` does; usual are three quarters
            of a training.
        frequency: `"epoch"`, or how many updates there are from one weight that counts to the next:
            the length of a cycle.
        learning_rate: From `begin_epoch` on: None leaves it to the optimizer; a number is constant;
            `(high, low)` falls in each cycle in even steps, to `low` in the update at its end.
        samples: Inputs of the training, some hundred to thousand, as for
            `edgeax.reestimate_batch_norm`; only needed where batch normalizations are trained.
            `get_config` leaves them out.
        batch_size: Samples in a batch.

    Raises:
        ValueError: An argument is out of its range; or, in `fit`, samples are missing, or the
            optimizer has a schedule beside a `learning_rate` here.

    Example: `model.fit(x, y, epochs=20, callbacks=[SWA(15, learning_rate=0.01, samples=x[:2048])])`
    """

    def __init__(
        self,
        begin_epoch: int = 0,
        frequency: int | str = "epoch",
        learning_rate: float | Sequence[float] | None = None,
        samples: Any = None,
        batch_size: int = 64,
    ) -> None:
        super().__init__(begin_epoch)
        if frequency == "epoch":
            self.cycle = None
        elif isinstance(frequency, str):
            raise ValueError(
                "`frequency` must be 'epoch' or a number of updates. "
                f"Received: frequency={frequency!r}."
            )
        else:
            self.cycle = checked_count("frequency", frequency)
        self.rates = _checked_rates(learning_rate, self.cycle)
        self.samples = samples
        self.batch_size = checked_count("batch_size", batch_size)
        self._state: SavedState | None = None
        self._raw: list[Any] | None = None

    @property
    def count(self) -> int:
        """How many weights the mean is of, in the training that is going on or was last."""
        return 0 if self._state is None else int(now(self._count))

    def set_model(self, model: keras.Model) -> None:
        """Creates the mean, before another callback restores a training."""
        super().set_model(model)
        with model.distribute_strategy.scope():
            self._state = SavedState(model, self)
            self._count = self._state.variable("count", dtype="int64")
            self._begun = self._state.variable("begun", dtype="int64", value=-1)
            self._taken = self._state.variable("taken", dtype="int64", value=-1)
            self._means = [
                self._state.variable(f"mean{place}", variable.shape)
                for place, variable in enumerate(_averaged(model))
            ]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks that the model can be averaged."""
        super().on_train_begin(logs)
        state: Any = self._state
        state.check(self.model)
        trained = [layer for layer in normalizations_of(self.model) if layer.trainable]
        if trained and self.samples is None:
            raise ValueError(
                "`samples` must be given for a model with batch normalizations, whose statistics "
                f"are not those of the mean. Received: None, and {trained[0].name!r} in the model. "
                "Pass some hundred inputs of the training."
            )
        if self.rates:
            check_settable(self.model, "learning_rate", self._given_rates())

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Begins to average, once its epoch has come."""
        if epoch < self.begin_epoch:
            return
        if now(self._begun) < 0:
            self._begun.assign(self.model.optimizer.iterations)
        elif epoch > self.begin_epoch:
            # A back-up may have been written before this saw the end of its epoch.
            self._take_epoch(epoch - 1)
        if len(self.rates) == 1:
            self.model.optimizer.learning_rate = self.rates[0]
        if self.cycle is not None:
            super().on_epoch_begin(epoch, logs)

    @contextlib.contextmanager
    def before_step(self) -> Iterator[None]:
        """See `AddedLoss.before_step`; sets the learning rate of this step of a cycle."""
        if len(self.rates) == 2:
            high, low = self.rates
            share = tf.cast(self._done() % self.cycle + 1, tf.float32) / float(self.cycle or 1)
            self.model.optimizer.learning_rate = (1.0 - share) * high + share * low
        with super().before_step():
            yield

    def after_step(self, done: StepDone) -> None:
        """See `AfterStep.after_step`; at the end of a cycle its weights count."""
        updates = self._done()
        ends = tf.logical_and(updates > 0, tf.equal(updates % self.cycle, 0))
        # A step that only gathered gradients, or dropped them, does not end the cycle once more.
        self._take(tf.logical_and(ends, updates > self._taken.value), updates)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Has the weights of the epoch count."""
        if epoch >= self.begin_epoch:
            self._take_epoch(epoch)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Gives the model the mean."""
        super().on_train_end(logs)
        state: Any = self._state
        state.detach(self.model)
        if not self.count:
            warnings.warn(
                "`SWA` must see the end of a cycle in fit. Received: none from epoch "
                f"{self.begin_epoch} on, with frequency={self._given_frequency()!r}: the model "
                "keeps its weights. Lower begin_epoch or frequency.",
                stacklevel=2,
            )
            return
        self._raw = self.model.get_weights()
        for variable, mean in zip(_averaged(self.model), self._means, strict=True):
            variable.assign(keras.ops.cast(now(mean), variable.dtype))
        if self.samples is not None:
            reestimate_batch_norm(self.model, self.samples, self.batch_size)

    def restore_weights(self) -> None:
        """Gives the model back the weights that it had before the mean, statistics included.

        Raises:
            ValueError: There are none.
        """
        if self._raw is None:
            raise ValueError(
                "`restore_weights` must come after a `fit` that averaged. Received: no weights to "
                "restore. Train with this callback first."
            )
        self.model.set_weights(self._raw)

    def _done(self) -> tf.Tensor:
        """Returns how many updates there were since `begin_epoch`."""
        iterations = tf.convert_to_tensor(self.model.optimizer.iterations)
        return tf.cast(iterations, tf.int64) - tf.convert_to_tensor(self._begun.value)

    def _take_epoch(self, epoch: int) -> None:
        if self.cycle is None and now(self._taken) < epoch:
            self._take(tf.constant(True), tf.constant(epoch, tf.int64))

    def _take(self, counts: tf.Tensor, place: tf.Tensor) -> None:
        """Has the weights as they are now count, where `counts` is true.

        Args:
            counts: bool scalar.
            place: int64 scalar, the epoch or the update that they are of.
        """
        before = tf.convert_to_tensor(self._count.value)
        share = 1.0 / tf.cast(before + 1, tf.float32)
        for variable, mean in zip(_averaged(self.model), self._means, strict=True):
            old = tf.convert_to_tensor(mean.value)
            weight = tf.cast(tf.convert_to_tensor(variable.value), tf.float32)
            mean.assign(tf.where(counts, old + share * (weight - old), old))
        self._count.assign(before + tf.cast(counts, tf.int64))
        taken = tf.convert_to_tensor(self._taken.value)
        self._taken.assign(tf.where(counts, place, taken))

    def _given_frequency(self) -> int | str:
        return "epoch" if self.cycle is None else self.cycle

    def _given_rates(self) -> float | list[float] | None:
        return None if not self.rates else self.rates[0] if len(self.rates) == 1 else self.rates

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments but `samples`."""
        return {
            "begin_epoch": self.begin_epoch,
            "frequency": self._given_frequency(),
            "learning_rate": self._given_rates(),
            "batch_size": self.batch_size,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SWA":
        """Returns the callback that `get_config` described, without samples."""
        return cls(**config)


def _averaged(model: keras.Model) -> list[keras.Variable]:
    """Returns the trained weights that have a mean: not codes or counters."""
    return [v for v in model.trainable_variables if keras.backend.is_float_dtype(v.dtype)]


def _checked_rates(given: Any, cycle: int | None) -> list[float]:
    """Returns no rate, a constant one, or the two ends of a cycle.

    Raises:
        ValueError: They are no such rates, or there is no cycle for two of them.
    """
    if given is None:
        return []
    try:
        rates = [float(rate) for rate in (given if isinstance(given, (list, tuple)) else [given])]
    except (TypeError, ValueError):  # a schedule, which counts from the start of the training
        rates = []
    if len(rates) > 2 or not rates or not all(0.0 < rate < float("inf") for rate in rates):
        raise ValueError(
            "`learning_rate` must be None, a number above 0, or (high, low). "
            f"Received: learning_rate={given!r}. Give a schedule to the optimizer."
        )
    if len(rates) == 2 and cycle is None:
        raise ValueError(
            "`frequency` must be the length of a cycle in updates where the learning rate falls in "
            f"each. Received: frequency='epoch', learning_rate={given!r}. Give the updates of an "
            "epoch."
        )
    return rates

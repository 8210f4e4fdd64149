"""SVRG: gradients of batches, corrected by what they were at an anchor."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import implements
from edgeax.training.added_loss import AddedLoss, TrainingStep
from edgeax.training.halp import HALP
from edgeax.training.saved_state import SavedState
from edgeax.transforms.base import now
from edgeax.transforms.checks import checked_count

_TEST = "tests/training/test_svrg.py::"


@implements("JZ13", test=_TEST + "test_jz13_a_step_is_corrected_by_the_gradients_at_the_anchor")
@implements("JZ13", test=_TEST + "test_jz13_there_is_no_variance_at_the_optimum")
@keras.saving.register_keras_serializable("edgeax")
class SVRG(AddedLoss):
    """Trains with `g_i(w) - g_i(anchor) + g(anchor)` instead of the gradient `g_i(w)` of a batch.

    The anchor is what the weights are at the start of every `refresh_epochs` epochs, and `g` is the
    gradient of all of `data` there. The corrected gradient is right on average, as is that of a
    batch, and its variance vanishes as weights and anchor come to the optimum: so a constant
    learning rate converges, linearly where the loss is strongly convex. Any optimizer takes it:
    with plain SGD this is the paper's method; with `edgeax.optimizers.HALP`, which it gives a
    center at each anchor, that of [DSLZ18].

    A batch must count as part of all samples: the loss be a mean over samples, and `data` hold the
    sample weights that `fit` gets, or those of its class weights.

    The loss that `fit` shows stays that of the batch. A step computes two gradients, and an anchor
    takes a pass over `data`. Both are taken in training mode: the correction needs a loss without
    dropout or other noise, and batch normalizations see their batch but do not learn from it.

    The anchor is saved with the model's weights while `fit` lasts, so BackupAndRestore takes it up
    again.

    Source: [JZ13].

    Args:
        data: What `fit` trains on: `(x, y)` or `(x, y, sample_weight)` of arrays, first axis the
            sample; or batches that can be gone through again, as a `tf.data.Dataset`, a
            `keras.utils.PyDataset` or a list of such tuples. `get_config` leaves it out.
        refresh_epochs: Epochs from one anchor to the next, at least 1.
        batch_size: Samples in a batch of arrays.
        begin_epoch: Epoch from which gradients are corrected, counted from 0 as `fit` does.

    Raises:
        ValueError: An argument is out of its range; or, in `fit`, there are no data, or a gradient
            of all of them that is not finite, the loss is no mean over samples, or weights of
            samples are not those of `data`.

    Example: `model.fit(x, y, epochs=20, callbacks=[SVRG((x, y), refresh_epochs=2)])`
    """

    def __init__(
        self,
        data: Any = None,
        refresh_epochs: int = 1,
        batch_size: int = 256,
        begin_epoch: int = 0,
    ) -> None:
        super().__init__(begin_epoch)
        self.data = data
        self.refresh_epochs = checked_count("refresh_epochs", refresh_epochs)
        self.batch_size = checked_count("batch_size", batch_size)
        self._state: SavedState | None = None
        self._weighted: bool | None = None  # whether `data` holds weights, once that is known

    def set_model(self, model: keras.Model) -> None:
        """Creates the anchor, before another callback restores a training."""
        super().set_model(model)
        with model.distribute_strategy.scope():
            self._state = SavedState(model, self)
            self._seen = self._state.variable("seen", dtype="int32")
            shapes = [variable.shape for variable in model.trainable_variables]
            self._anchors = [
                self._state.variable(f"anchor{place}", shape) for place, shape in enumerate(shapes)
            ]
            self._gradients = [
                self._state.variable(f"gradient{place}", shape)
                for place, shape in enumerate(shapes)
            ]

        self._of_batch = tf.function(self._gradients_of_batch, reduce_retracing=True)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks that there are data."""
        super().on_train_begin(logs)
        state: Any = self._state
        state.check(self.model)
        if self.data is None:
            raise ValueError(
                "`data` must be what `fit` trains on, for the gradient of all of it. Received: "
                "None. Pass (x, y), or a tf.data.Dataset of batches."
            )
        if _never_ends(self.data):
            raise ValueError(
                "`data` must end, for an anchor takes a pass over it. Received: a dataset that "
                "never does. Pass it as it is before `repeat`."
            )
        for loss in keras.tree.flatten(self.model.loss):
            reduction = getattr(loss, "reduction", "mean")
            if reduction not in ("mean", "sum_over_batch_size"):
                raise ValueError(
                    "`loss` must be a mean over samples, for the gradients of batches to be on "
                    f"average that of all samples. Received: {loss.name!r} with "
                    f"reduction={reduction!r}. Leave the reduction as it is, and lower or raise "
                    "the learning rate instead."
                )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Takes a new anchor when that is due."""
        if epoch < self.begin_epoch:
            return
        if not now(self._seen) or (epoch - self.begin_epoch) % self.refresh_epochs == 0:
            self._take_anchor()
        optimizer = _innermost(self.model.optimizer)
        if isinstance(optimizer, HALP):
            optimizer.centered = True  # a restored training has its center from the file
        super().on_epoch_begin(epoch, logs)

    def _take_anchor(self) -> None:
        """Makes the weights of now the anchor.

        Raises:
            ValueError: There are no data, or the gradient is not finite.
        """
        model = self.model
        for anchor, variable in zip(self._anchors, model.trainable_variables, strict=True):
            anchor.assign(keras.ops.cast(variable, "float32"))
        sums, count = [np.zeros(anchor.shape, np.float64) for anchor in self._anchors], 0
        for batch in _batches(self.data, self.batch_size):
            x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
            size = len(keras.tree.flatten(x)[0])
            self._weighted = _has_weights(weight)
            given = _mapped(tf.convert_to_tensor, (x, y, weight))
            for total, gradient in zip(sums, self._of_batch(*given), strict=True):
                total += size * gradient.numpy()
            count += size
        if not count or not all(np.isfinite(total).all() for total in sums):
            raise ValueError(
                "`data` must hold samples with a finite gradient. Received: "
                f"{'one that is not finite' if count else 'no sample'}. Pass what `fit` trains "
                "on, and lower the learning rate if training has diverged."
            )
        for full, total in zip(self._gradients, sums, strict=True):
            full.assign(np.float32(total / count))
        self._seen.assign(1)
        optimizer = _innermost(model.optimizer)
        if isinstance(optimizer, HALP):
            gradients = [tf.convert_to_tensor(full.value) for full in self._gradients]
            optimizer.recenter(model.trainable_variables, gradients)

    def _gradients_of_batch(self, x: Any, y: Any, weight: Any) -> list[tf.Tensor]:
        arguments = {"x": x, "y": y, "sample_weight": weight, "training": True}
        return self._at_anchor(self.model.compute_loss, arguments)

    def _at_anchor(self, compute_loss: Any, arguments: dict[str, Any]) -> list[tf.Tensor]:
        """Returns the gradients of a batch at the anchor, and changes nothing else.

        Args:
            compute_loss: The model's own.
            arguments: Of `compute_loss`, without `y_pred`.
        """
        model = self.model
        anchors = [tf.convert_to_tensor(anchor.value) for anchor in self._anchors]
        knows_mode = "training" in inspect.signature(model.call).parameters
        mode = {"training": True} if knows_mode else {}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(anchors)
            values = [
                (variable, tf.cast(anchor, variable.dtype))
                for variable, anchor in zip(model.trainable_variables, anchors, strict=True)
            ]
            with keras.StatelessScope(state_mapping=values, collect_losses=True):
                y_pred = model(arguments["x"], **mode)
                loss = compute_loss(**{**arguments, "y_pred": y_pred})
            # Keras divides the loss by the number of replicas, for gradients are summed up.
            loss = loss * tf.cast(tf.distribute.get_strategy().num_replicas_in_sync, loss.dtype)
        with keras.StatelessScope():  # what follows a gradient must not follow this one
            found = tape.gradient(loss, anchors, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(gradient) for gradient in found]

    def term(self, step: TrainingStep) -> Any:
        """See `AddedLoss.term`: 0, with the correction as its gradient."""
        weighted = _has_weights(step.arguments.get("sample_weight"))
        if self._weighted is not None and weighted != self._weighted:
            raise ValueError(
                "`data` must hold the sample weights of `fit`, or the class weights as such. "
                f"Received: `fit` {'with' if weighted else 'without'} weights, `data` "
                f"{'with' if self._weighted else 'without'}. Pass (x, y, sample_weight) to both, "
                "or to neither."
            )
        at_anchor = self._at_anchor(step.compute_loss, step.arguments)
        terms = [
            tf.reduce_sum(
                tf.stop_gradient(tf.convert_to_tensor(full.value) - gradient)
                * tf.cast(tf.convert_to_tensor(variable.value), tf.float32)
            )
            for full, gradient, variable in zip(
                self._gradients, at_anchor, step.model.trainable_variables, strict=True
            )
        ]
        total = tf.add_n(terms)
        return total - tf.stop_gradient(total)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """See `AddedLoss.on_train_end`."""
        super().on_train_end(logs)
        state: Any = self._state
        state.detach(self.model)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments but `data`."""
        return {
            "refresh_epochs": self.refresh_epochs,
            "batch_size": self.batch_size,
            "begin_epoch": self.begin_epoch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SVRG":
        """Returns the callback that `get_config` described, without data."""
        return cls(**config)


def _has_weights(weight: Any) -> bool:
    return any(part is not None for part in keras.tree.flatten(weight))


def _innermost(optimizer: Any) -> Any:
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


def _never_ends(data: Any) -> bool:
    if isinstance(data, tf.data.Dataset):
        return bool(data.cardinality() == tf.data.INFINITE_CARDINALITY)
    return isinstance(data, keras.utils.PyDataset) and data.num_batches is None


def _batches(data: Any, batch_size: int) -> Iterator[Any]:
    """Yields batches of arrays, or those that there are."""
    if isinstance(data, keras.utils.PyDataset):
        yield from (data[place] for place in range(data.num_batches))
    elif isinstance(data, tuple):
        arrays = _mapped(np.asarray, data)
        for start in range(0, len(keras.tree.flatten(arrays)[0]), batch_size):
            yield _mapped(lambda a: a[start : start + batch_size], arrays)  # noqa: B023
    else:
        batches: Iterable[Any] = data
        yield from batches


def _mapped(function: Callable[[Any], Any], structure: Any) -> Any:
    """Returns a structure with a function applied to its arrays; None stays."""
    return keras.tree.map_structure(lambda a: None if a is None else function(a), structure)

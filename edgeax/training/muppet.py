"""MuPPET: the word length of a training grows as its gradients become less diverse."""

import math
from collections.abc import Sequence
from typing import Any, cast

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.training.learning_rate import check_settable
from edgeax.training.saved_state import SavedState
from edgeax.transforms.base import now
from edgeax.transforms.checks import checked_count, checked_nonnegative, checked_positive
from edgeax.transforms.word_length import KeptGradient, SwitchedGradient, SwitchedWidth

_TEST = "tests/training/test_muppet.py::"


def gradient_diversity(squares: Sequence[float], sums: Sequence[np.ndarray]) -> float:
    """Returns the mean over layers of `sum_k |g_k|**2 / |sum_k g_k|**2`, at least 1 / count of k.

    It is 1 for orthogonal gradients, and 1 / count where all are equal. Layers without a gradient
    do not count; 0 if none counts.

    Source: [RVVB20].

    Args:
        squares: The sum of squared norms of each layer.
        sums: The sum of gradients of each layer.
    """
    ratios = [
        square / max(float(np.sum(np.square(total, dtype=np.float64))), 1e-300)
        for square, total in zip(squares, sums, strict=True)
        if square > 0.0
    ]
    return float(np.mean(ratios)) if ratios else 0.0


@implements("RVVB20", test=_TEST + "test_rvvb20_the_policy_trace_is_that_of_the_authors_code")
@keras.saving.register_keras_serializable("edgeax")
class MuPPET(keras.callbacks.Callback):
    """Takes a model with the arithmetic `"muppet"` from word length to word length in `fit`.

    Every `every` epochs the diversity of the gradients of their last batches is set against the
    largest one since the last switch. Where `largest / diversity` exceeds
    `1 + excess * exp(-decay * epoch)`, epochs counted from 0, that is a violation. After `patience`
    of them the next width of the arithmetic holds, and in the end float32; then violations and the
    largest diversity begin anew. It happens between epochs, so nothing is compiled again. `logs`
    get `word_length`, in which the epoch was trained, 32 for float32, and once it was measured
    `gradient_diversity`.

    In float32, with a `min_learning_rate`, the learning rate is multiplied by `factor` after each
    `float_epochs` epochs; once it is no higher than that, the training stops after as many more.

    Widths, gradients and counts are saved with the model's weights while `fit` lasts, so
    BackupAndRestore takes a training up again, in any order of the callbacks. The width stays with
    the model; the other counts begin anew in each `fit`.

    Source: [RVVB20]; diversity is that of kernels.

    Args:
        every: Epochs between two looks, the paper's r; at least 1.
        patience: Violations for a switch, the paper's gamma; at least 1.
        excess: Of the threshold over 1 at epoch 0, at least 0.
        decay: How fast it falls with epochs, at least 0.
        float_epochs: Epochs in float32 for each learning rate, at least 1.
        factor: In (0, 1), of the learning rate.
        min_learning_rate: Last of the rates in float32; None leaves rates to others, and the
            training does not stop.

    Raises:
        ValueError: An argument is out of its range; or, in `fit`, the model has no such arithmetic
            or several, or `min_learning_rate` stands beside a schedule.

    Example: `model = edgeax.compress(model, edgeax.Recipe(arithmetic="muppet"))`, then `compile`
    and `fit(x, y, epochs=150, callbacks=[MuPPET()])`
    """

    def __init__(
        self,
        every: int = 3,
        patience: int = 2,
        excess: float = 1.5,
        decay: float = 0.1,
        float_epochs: int = 15,
        factor: float = 0.1,
        min_learning_rate: float | None = None,
    ) -> None:
        super().__init__()
        self.every = checked_count("every", every)
        self.patience = checked_count("patience", patience)
        self.excess = checked_nonnegative("excess", excess)
        self.decay = checked_nonnegative("decay", decay)
        self.float_epochs = checked_count("float_epochs", float_epochs)
        if not 0.0 < factor < 1.0:
            raise ValueError(f"`factor` must lie in (0, 1). Received: factor={factor}.")
        self.factor = float(factor)
        self.min_learning_rate = (
            None
            if min_learning_rate is None
            else checked_positive("min_learning_rate", min_learning_rate)
        )
        self._state: SavedState | None = None

    def set_model(self, model: keras.Model) -> None:
        """Creates what it remembers, before another callback restores a training."""
        super().set_model(model)
        layers = model._flatten_layers(include_self=False)
        self._switched = [
            one for one in layers if isinstance(one, SwitchedWidth | SwitchedGradient)
        ]
        self._kept = [layer for layer in layers if isinstance(layer, KeptGradient) and layer.built]
        with model.distribute_strategy.scope():
            self._state = SavedState(model, self)
            self._done = self._state.variable("done", dtype="int32", value=-1)
            self._violations = self._state.variable("violations", dtype="int32")
            self._in_float = self._state.variable("in_float", dtype="int32")
            self._largest = self._state.variable("largest")
            self._last = self._state.variable("last")
            self._squares = self._state.variable("squares", (len(self._kept),))
            self._sums = [
                self._state.variable(f"sum{place}", kept.last.shape)
                for place, kept in enumerate(self._kept)
            ]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks that the model has word lengths to go through."""
        cast(SavedState, self._state).check(self.model)
        given = {tuple(one.widths) for one in self._switched}
        if not self._kept or len(given) != 1:
            raise ValueError(
                "`model` must have the arithmetic 'muppet', with the same widths in all layers. "
                f"Received: widths {sorted(given)} and {len(self._kept)} kernels. Use "
                "edgeax.compress(model, edgeax.Recipe(arithmetic='muppet'))."
            )
        if self.min_learning_rate is not None:
            check_settable(self.model, "min_learning_rate", self.min_learning_rate)

    @property
    def word_length(self) -> int:
        """The bits in force, 32 for float32."""
        place = int(now(self._switched[0].place))
        return [*self._switched[0].widths, 32][place]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sees to an epoch that ended before a back-up was written and is not counted in it."""
        if epoch and any(now(kept.last).any() for kept in self._kept):
            self._count(epoch - 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts the epoch, and switches the word length where that is due."""
        trained_in = self.word_length
        self._count(epoch)
        if logs is not None:
            logs["word_length"] = trained_in
            if now(self._last) > 0.0:
                logs["gradient_diversity"] = float(now(self._last))

    def _count(self, epoch: int) -> None:
        if now(self._done) >= epoch:
            return
        self._done.assign(epoch)
        if self.word_length == 32:
            self._count_in_float()
            return
        gradients = [now(kept.last) for kept in self._kept]
        for total, gradient in zip(self._sums, gradients, strict=True):
            total.assign(now(total) + gradient)
        squares = [np.sum(np.square(gradient)) for gradient in gradients]
        self._squares.assign(now(self._squares) + squares)
        if (epoch + 1) % self.every == 0:
            self._look(epoch)

    def _look(self, epoch: int) -> None:
        """Sets the diversity of some epochs against the largest one."""
        sums = [now(total) for total in self._sums]
        diversity = gradient_diversity(now(self._squares).tolist(), sums)
        for variable in (self._squares, *self._sums):
            variable.assign(np.zeros(variable.shape, np.float32))
        self._last.assign(diversity)
        largest = float(now(self._largest))
        if diversity >= largest:
            self._largest.assign(diversity)
        elif largest > diversity * (1.0 + self.excess * math.exp(-self.decay * epoch)):
            self._violations.assign(int(now(self._violations)) + 1)
        if now(self._violations) >= self.patience:
            self._violations.assign(0)
            self._largest.assign(0.0)
            place = int(now(self._switched[0].place)) + 1
            for one in self._switched:
                one.place.assign(place)

    def _count_in_float(self) -> None:
        """Lowers the learning rate, or stops, after epochs in float32."""
        count = int(now(self._in_float)) + 1
        self._in_float.assign(count)
        if self.min_learning_rate is None or count % self.float_epochs:
            return
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if rate > self.min_learning_rate * (1.0 + 1e-6):  # as if float32 had no roundings
            self.model.optimizer.learning_rate = rate * self.factor
        else:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Takes what it remembers off the model."""
        cast(SavedState, self._state).detach(self.model)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "every": self.every,
            "patience": self.patience,
            "excess": self.excess,
            "decay": self.decay,
            "float_epochs": self.float_epochs,
            "factor": self.factor,
            "min_learning_rate": self.min_learning_rate,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MuPPET":
        """Returns the callback that `get_config` described."""
        return cls(**config)

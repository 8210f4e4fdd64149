"""ProgressivePrecision: moves a training on to more bits where its loss has come to rest."""

import dataclasses
import math
import warnings
from typing import Any

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.training.saved_state import SavedState
from edgeax.transforms.base import now
from edgeax.transforms.checks import checked_count, checked_positive
from edgeax.transforms.stages import Stages

_FIRST = 10  # epochs whose mean loss is the unit of all differences
_MOST_EPOCHS = 15
_NONE = -2  # no epoch of this `fit` has begun


@dataclasses.dataclass(frozen=True)
class Progress:
    """What decides on the stages to come.

    Attributes:
        stage: The stage that the training is in, from 0 on.
        epochs: Epochs seen.
        first_losses: Sum of the losses of the first 10 epochs, or of those seen if fewer.
        losses: The last losses of this stage, the latest one last.
    """

    stage: int = 0
    epochs: int = 0
    first_losses: float = 0.0
    losses: tuple[float, ...] = ()

    def after(
        self, loss: float, threshold: float, decay: float, epochs: int, stages: int
    ) -> "Progress":
        """Returns what it comes to by an epoch.

        Args:
            loss: Of the epoch.
            threshold: What no difference must exceed in stage 0.
            decay: Factor of the threshold from stage to stage.
            epochs: How many losses of a stage are compared.
            stages: How many there are.
        """
        seen, first = self.epochs + 1, self.first_losses
        if self.epochs < _FIRST:
            first += loss
        recent = (*self.losses, loss)[-epochs:]
        unit = first / min(seen, _FIRST)
        limit = threshold * decay**self.stage * unit
        rests = len(recent) == epochs and all(abs(loss - one) <= limit for one in recent)
        if rests and self.stage < stages - 1:
            return Progress(self.stage + 1, seen, first)
        return Progress(self.stage, seen, first, recent)

    def as_numbers(self) -> np.ndarray:
        """Returns it as float32 `(20,)`: 1, all others, how many losses, and these."""
        padding = [0.0] * (_MOST_EPOCHS - len(self.losses))
        head = (1.0, self.stage, self.epochs, self.first_losses, len(self.losses))
        return np.array([*head, *self.losses, *padding], np.float32)

    @classmethod
    def from_numbers(cls, numbers: np.ndarray) -> "Progress | None":
        """Returns what `as_numbers` described, None where nothing has begun."""
        begun, stage, epochs, first, count = map(float, numbers[:5])
        losses = tuple(map(float, numbers[5 : 5 + int(count)]))
        return cls(int(stage), int(epochs), first, losses) if begun else None


@implements(
    "FYZ20",
    test="tests/training/test_progressive_precision.py::test_fyz20_a_trace_worked_out_by_hand",
)
@keras.saving.register_keras_serializable("edgeax")
class ProgressivePrecision(keras.callbacks.Callback):
    """Begins a training with few bits, and gives it more where its loss has come to rest.

    What has stages moves on together: `BitStages` in the transforms of a compressed model, as
    `arithmetic="pfq"` has them, and a `PrecisionGate` whose target has several values. The next
    stage begins when none of the last `epochs` losses of this stage is farther from the latest one
    than `threshold`, in units of the mean loss of the first 10 epochs. In each stage `threshold` is
    `decay` times that of the one before.

    `logs` get `precision_stage`, that of the epoch, from 0 on.

    All state is in variables of the model. A second `fit` goes on where the first one ended, and so
    does one that BackupAndRestore takes up again: list that behind this callback, or the loss of
    its last epoch is not in the file. A warning tells, once the training goes on.

    Source: [FYZ20]; its code has 0.15 and 0.4 for CIFAR.

    Args:
        threshold: Of the first stage, above 0.
        decay: Factor of the threshold, above 0 and at most 1.
        epochs: How many losses are compared, 2 to 15.

    Raises:
        ValueError: An argument is out of its range; or, in `fit`, nothing in the model has stages.

    Example: `small = compress(model, Recipe(arithmetic="pfq"))`, then
    `small.fit(x, y, epochs=100, callbacks=[ProgressivePrecision()])`
    """

    def __init__(self, threshold: float = 0.05, decay: float = 0.3, epochs: int = 5) -> None:
        super().__init__()
        self.threshold = checked_positive("threshold", threshold)
        self.decay = checked_positive("decay", decay)
        self.epochs = checked_count("epochs", epochs, least=2)
        self._state: SavedState | None = None
        if self.decay > 1.0 or self.epochs > _MOST_EPOCHS:
            raise ValueError(
                f"`decay` must be at most 1 and `epochs` at most {_MOST_EPOCHS}. "
                f"Received: decay={decay}, epochs={epochs}."
            )

    def set_model(self, model: keras.Model) -> None:
        """Creates what remembers the last epoch, before another callback restores a training."""
        super().set_model(model)
        with model.distribute_strategy.scope():
            self._state = SavedState(model, self)
            self._ended = self._state.variable("ended", dtype="int32", value=_NONE)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begins with the first stage, unless another training has begun already."""
        if not staged(self.model):
            raise ValueError(
                "`model` must have something with stages in it. Received: none. Compress it with "
                "`Recipe(arithmetic='pfq')` or with transforms that have `bits=BitStages(...)`, or "
                "give its PrecisionGate several targets."
            )
        state: Any = self._state
        state.check(self.model)
        self._enter(self._progress() or Progress())

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Warns where the end of the epoch before is missing in what was restored."""
        ended = int(now(self._ended))
        if ended == _NONE:
            self._ended.assign(epoch - 1)
        elif ended < epoch - 1:
            warnings.warn(
                "`BackupAndRestore` must stand behind ProgressivePrecision in the list of "
                f"callbacks. Received: a back-up without the loss of epoch {epoch - 1}; stages may "
                "begin an epoch later than they would have. Change the order.",
                stacklevel=2,
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves on to the next stage where the loss rests."""
        self._ended.assign(epoch)
        progress = self._progress() or Progress()
        if logs is None or "loss" not in logs:  # no step ran
            return
        logs["precision_stage"] = progress.stage
        count = max(one.count_of_stages for one in staged(self.model))
        loss = float(logs["loss"])
        if not math.isfinite(loss):  # its unit and differences would never be numbers again
            return
        self._enter(progress.after(loss, self.threshold, self.decay, self.epochs, count))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Takes off the model what only `fit` needs."""
        state: Any = self._state
        state.detach(self.model)

    def _progress(self) -> Progress | None:
        found = (Progress.from_numbers(now(one.progress)) for one in staged(self.model))
        return next((progress for progress in found if progress is not None), None)

    def _enter(self, progress: Progress) -> None:
        for one in staged(self.model):
            one.enter(progress.stage, progress.as_numbers())

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"threshold": self.threshold, "decay": self.decay, "epochs": self.epochs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ProgressivePrecision":
        """Returns the callback that `get_config` described."""
        return cls(**config)


def staged(model: keras.Model) -> list[Stages]:
    """Returns what has stages in a model, once each."""
    found = (layer for layer in model._flatten_layers() if isinstance(layer, Stages))
    return [layer for layer in found if layer.built and layer.count_of_stages > 1]

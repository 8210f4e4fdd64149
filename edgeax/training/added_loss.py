"""AddedLoss: base of the callbacks that add a term to the loss while `fit` trains a model."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from edgeax.model.wrapper import slot_of

_ARGUMENTS = ("x", "y", "y_pred", "sample_weight", "training")
_EXTENDED = ("compute_loss", "train_step", "make_train_function")


@dataclasses.dataclass
class TrainingStep:
    """One training step of a model as a term sees it.

    Attributes:
        model: The model.
        loss: What the model's own `compute_loss` returned, before anything was added.
        tape: Recorded the forward pass from its start; None where the callback wants no tape.
        compute_loss: The model's own.
        arguments: What it was called with by name: `x`, `y`, `y_pred`, `sample_weight`, `training`.
    """

    model: keras.Model
    loss: Any
    tape: tf.GradientTape | None
    compute_loss: Callable[..., Any]
    arguments: dict[str, Any]


class AddedLoss(keras.callbacks.Callback):
    """Adds a term to the loss of the model that it is given to, as long as `fit` lasts.

    The term is part of the loss that training shows and lowers, once per call of the model's
    `compute_loss` in a training step. Validation does not see it: `val_loss` compares with that of
    a model trained without. Sample weights do not scale it. Several such callbacks add up. The
    model is as before once `fit` ends, and also when the next `fit` begins after an exception.

    Args:
        begin_epoch: Epoch from which the term is added, counted from 0 as `fit` does.

    Raises:
        ValueError: `begin_epoch` is below 0; or, in `fit`, the model's `train_step` does not call
            `compute_loss`.
    """

    wants_tape = False

    def __init__(self, begin_epoch: int = 0) -> None:
        super().__init__()
        if int(begin_epoch) != begin_epoch or begin_epoch < 0:
            raise ValueError(
                f"`begin_epoch` must be an integer, at least 0. Received: {begin_epoch!r}."
            )
        self.begin_epoch = int(begin_epoch)

    def term(self, step: TrainingStep) -> Any:
        """Returns what is added to the loss, a float32 scalar."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Creates what the term needs, before the first step that has it."""

    def before_step(self) -> contextlib.AbstractContextManager[None]:
        """Returns a context in which the forward pass of each step runs."""
        return contextlib.nullcontext()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Sees to it that an interrupted `fit` has left nothing behind."""
        _take_out(self.model, self)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the term once its epoch has come."""
        if epoch >= self.begin_epoch and self not in _callbacks_of(self.model):
            self.prepare()
            _put_in(self.model, self)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Takes the term out of the loss."""
        _take_out(self.model, self)


def kernels_of(model: keras.Model) -> list[keras.Variable]:
    """Returns the kernels that training moves, as real numbers, nested models opened.

    Raises:
        ValueError: There is none.
    """
    kernels = [v for v in model.trainable_variables if slot_of(v.name) == "kernel"]
    if not kernels:
        raise ValueError(
            "`model` must have a kernel that is trained. Received: a model in which no trainable "
            "variable is a kernel. Build it first, or unfreeze a layer."
        )
    return kernels


class _Extension:
    """What is added to the loss of one model, and how to undo it."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.callbacks: list[AddedLoss] = []
        self.jit_compile = model.jit_compile
        self.before = {name: vars(model).get(name) for name in _EXTENDED}
        self.original: dict[str, Callable[..., Any]] = {n: getattr(model, n) for n in _EXTENDED}
        self.replica = _Replica()  # each replica of a strategy traces its step in a thread

    def install(self) -> None:
        """Replaces the methods of this one model and has `fit` trace its step anew."""
        for name in _EXTENDED:
            object.__setattr__(self.model, name, getattr(self, name))
        if any(callback.wants_tape for callback in self.callbacks):
            self.model.jit_compile = False
        self.original["make_train_function"](force=True)

    def remove(self) -> None:
        """Gives the model its own methods back."""
        for name, value in self.before.items():
            if value is None:
                vars(self.model).pop(name, None)
            else:
                object.__setattr__(self.model, name, value)
        if self.model.train_function is not None:  # else it was compiled anew since
            self.model.jit_compile = self.jit_compile
        self.model.train_function = None

    def make_train_function(self, force: bool = False) -> Any:
        """Makes what `fit` runs. Without `force` it is a new `fit` that asks: the last one broke
        off before it could take out what it had added.
        """
        if not force:
            self.remove()
        return self.original["make_train_function"](force=force)

    def train_step(self, data: Any) -> Any:
        """Runs the model's own step, in which `compute_loss` adds the terms."""
        with contextlib.ExitStack() as stack:
            for callback in self.callbacks:
                stack.enter_context(callback.before_step())
            self.replica.tapes = {
                id(callback): stack.enter_context(tf.GradientTape())
                for callback in self.callbacks
                if callback.wants_tape
            }
            stack.callback(setattr, self.replica, "tapes", None)
            self.replica.calls = 0
            results = self.original["train_step"](data)
        if not self.replica.calls:
            raise ValueError(
                f"`{type(self.callbacks[0]).__name__}` adds to what `compute_loss` returns. "
                f"Received: a {type(self.model).__name__} whose train_step does not call "
                "self.compute_loss(x, y, y_pred). Let it do so."
            )
        return results

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the model's own loss, in a training step with the terms."""
        loss = self.original["compute_loss"](*args, **kwargs)
        tapes = self.replica.tapes
        if tapes is None:
            return loss
        self.replica.calls += 1
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        own = self.original["compute_loss"]
        arguments = {**dict(zip(_ARGUMENTS, args, strict=False)), **kwargs}
        total = loss
        for callback in self.callbacks:
            tape = tapes.get(id(callback))
            term = callback.term(TrainingStep(self.model, loss, tape, own, arguments))
            # The gradients of the replicas are summed up; the model's loss is scaled for it too.
            total = total + tf.cast(term / replicas, loss.dtype)
        return total


class _Replica(threading.local):
    """The step that this thread runs."""

    tapes: dict[int, tf.GradientTape] | None = None
    calls: int = 0


def _extension_of(model: keras.Model) -> _Extension | None:
    step = vars(model).get("train_step")
    owner = getattr(step, "__self__", None)
    return owner if isinstance(owner, _Extension) else None


def _callbacks_of(model: keras.Model) -> list[AddedLoss]:
    extension = _extension_of(model)
    return extension.callbacks if extension is not None else []


def _put_in(model: keras.Model, callback: AddedLoss) -> None:
    extension = _extension_of(model) or _Extension(model)
    extension.callbacks.append(callback)
    extension.install()


def _take_out(model: keras.Model, callback: AddedLoss) -> None:
    extension = _extension_of(model)
    if extension is None or callback not in extension.callbacks:
        return
    extension.callbacks.remove(callback)
    if extension.callbacks:
        extension.install()
    else:
        extension.remove()

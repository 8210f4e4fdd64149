"""Trainer: lets a `.tflite` file learn on where it is used, without TensorFlow."""

import numbers
import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeax.formats import training_signature
from edgeax.formats.files import write_atomically
from edgeax.formats.flatbuffer import Model
from edgeax.formats.rehearsal import RehearsalBuffer, checked_rehearsed
from edgeax.formats.training_signature import KEEP, LABELS, LEARNING_RATE, LOSS
from edgeax.runtime import checkpoint
from edgeax.runtime.baked import bake
from edgeax.runtime.interpreter import Interpreter
from edgeax.runtime.training_rows import Rows, checked_labels, checked_share

_TIMED_STEPS = 100
_ROWS_TO_BAKE = 32  # of predictions from one state: from so many on a plain file has paid


class Trainer:
    """Trains a file that `edgeax.export` made with `train`, in the stock interpreter.

    One lock serializes all calls, so that several threads may share a trainer. Inputs are checked
    before anything changes.

    `predict` and `evaluate` compute from variables as long as few rows are asked for, and else from
    a plain file that is made of the present weights (`edgeax.runtime.bake`), for the speed of
    constants.

    Args:
        model_path: The file.
        learning_rate: Above 0; None: the one that it was exported with. An attribute.
        rehearsal: A memory of earlier samples, of the shape of the model's only input. `fit` mixes
            them with new ones, and adds the new ones to it.
        num_threads: Of the interpreter.
        backend: As of `edgeax.Interpreter`.
        seed: Of what is drawn: orders, dropped batches, blocks; an integer, at least 0.

    Attributes:
        signature: What the file says of its training.
        learning_rate: Of the next step.
        rehearsal: The memory of earlier samples, or None.

    Raises:
        ValueError: The file cannot be trained, is damaged, or an argument is out of its range.
        FileNotFoundError: There is no plugin.

    Example:
        trainer = edgeax.runtime.Trainer("model.tflite")
        trainer.fit(images, labels, epochs=3)
        trainer.save("learned.ckpt")
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str],
        learning_rate: float | None = None,
        rehearsal: RehearsalBuffer | None = None,
        num_threads: int = 1,
        backend: str = "auto",
        seed: int = 0,
    ) -> None:
        self._content = Path(model_path).read_bytes()
        self.signature = training_signature.read(Model.from_bytes(self._content))
        self.learning_rate = self.signature.learning_rate
        if learning_rate is not None:
            self.learning_rate = _checked_rate(learning_rate)
        if not _is_whole(seed) or seed < 0:
            raise ValueError(f"`seed` must be an integer of at least 0. Received: seed={seed!r}.")
        self._options: dict[str, Any] = {"num_threads": num_threads, "backend": backend}
        self._interpreter = Interpreter(model_content=self._content, **self._options)
        self._runners: dict[str, Any] = {}
        self._plain: Any = None
        self._predicted_rows = 0
        details = self._runner("infer").get_input_details()
        self._rows = Rows(self.signature.inputs, details)
        self.rehearsal = _checked_rehearsal(rehearsal, self._rows, self.signature.classes)
        self._draw = np.random.default_rng(seed)
        self._step_ms: deque[float] = deque(maxlen=_TIMED_STEPS)
        self._lock = threading.RLock()

    def fit(
        self,
        x: Any,
        y: Any,
        epochs: int = 1,
        drop: float = 0.0,
        keep: float | Sequence[float] = 1.0,
        rehearse: float = 0.5,
    ) -> dict[str, list[float]]:
        """Trains on samples, in another order in each epoch.

        The file has a fixed batch size: the last batch of an epoch is filled up with samples of its
        beginning.

        Args:
            x: Samples `(count, ...)`; of several inputs a list or a dict of arrays.
            y: Their classes, integers `(count,)` or `(count, 1)`; for a mean square their targets.
            epochs: At least 1.
            drop: Probability of leaving a batch out, in [0, 1): it computes nothing. [WJC19]
            keep: Probability of running a SelectiveBlock, above 0 and at most 1, for all or each.
                [WJC19]
            rehearse: Share of the samples of an epoch that come from `rehearsal`, in
                [0, 0.99].

        Returns:
            For each epoch: `loss` (a mean over its steps; nan where all were dropped), `accuracy`
            where there are classes, `steps_seen`, `steps_run`, `energy_j` where the file has
            modelled it.

        Raises:
            ValueError: An argument is out of its range, shapes do not fit, a value is not finite or
                there is no such class; nothing has changed then. Or a loss is no longer finite.
        """
        if not _is_whole(epochs) or epochs < 1:
            raise ValueError(f"`epochs` must be an integer of at least 1. Received: {epochs!r}.")
        drop = checked_share("drop", drop)
        rehearse = checked_rehearsed("rehearse", rehearse)
        with self._lock:
            keep_shares = self._checked_keep(keep)
            _checked_rate(self.learning_rate)
            inputs, labels = self._checked(x, y)
            count, old = len(labels), 0
            if self.rehearsal is not None:
                old_x, old_y = self.rehearsal.samples()
                self.rehearsal.add(inputs[0], labels)
                old_x = _as_stored(old_x, inputs[0].dtype)
                inputs, old = (np.concatenate([inputs[0], old_x]),), len(old_y)
                labels = np.concatenate([labels, old_y])
            history: dict[str, list[float]] = {}
            for _ in range(epochs):
                order = self._order(count, old, rehearse)
                logs = self._epoch(inputs, labels, order, drop, keep_shares)
                for name, value in logs.items():
                    history.setdefault(name, []).append(value)
            return history

    def train_on_batch(
        self, x: Any, y: Any, keep: float | Sequence[float] = 1.0
    ) -> dict[str, float]:
        """Makes one step of training.

        Args:
            x: As many samples as the file has in a batch: `signature.batch_size`.
            y: Their classes or targets.
            keep: As of `fit`.

        Returns:
            `loss`, before the step, and `accuracy` where there are classes.

        Raises:
            ValueError: As of `fit`, or there is another number of samples.
        """
        with self._lock:
            keep_shares = self._checked_keep(keep)
            inputs, labels = self._whole_batch(x, y)
            return self._step(inputs, labels, keep_shares)

    def gradients(self, x: Any, y: Any) -> tuple[float, dict[str, np.ndarray]]:
        """Returns the loss of one batch and the gradient of each trained weight, by its name.

        Nothing changes. Arguments and errors are those of `train_on_batch`.
        """
        with self._lock:
            feeds = self._feeds(*self._whole_batch(x, y))
            if KEEP in self.signature.signatures["gradients"].inputs:
                feeds[KEEP] = np.ones(len(self.signature.blocks), np.float32)
            found = self._runner("gradients")(**feeds)
            trained = [one.name for one in self.signature.variables if one.trained]
            return float(found[LOSS]), {name: found[name] for name in trained}

    def predict(self, x: Any) -> Any:
        """Returns the model's output for samples, float32 `(count, ...)`; a list of several ones.

        Raises:
            ValueError: Shapes do not fit, or a value is not finite.
        """
        with self._lock:
            inputs = self._rows.checked(x)
            count, size = len(inputs[0]), self.signature.infer_batch_size
            self._predicted_rows += count
            runner = self._runner_of_predictions()
            parts = []
            for start in range(0, count, size):
                batch = [_filled(one[start : start + size], size) for one in inputs]
                found = runner(**dict(zip(self.signature.inputs, batch, strict=True)))
                parts.append([found[name] for name in self.signature.outputs])
            outputs = [np.concatenate(of_one)[:count] for of_one in zip(*parts, strict=True)]
            return outputs[0] if len(outputs) == 1 else outputs

    def evaluate(self, x: Any, y: Any) -> dict[str, float]:
        """Returns `loss` over samples, and `accuracy` where there are classes.

        An older file with classes does not tell whether its outputs are logits: no `loss` then.

        Raises:
            ValueError: As of `fit`.
        """
        with self._lock:
            inputs, labels = self._checked(x, y)
            outputs = self.predict(list(inputs))
            outputs = outputs[0] if isinstance(outputs, list) else outputs
            if self.signature.classes is None:
                return {"loss": float(np.mean(np.square(outputs - labels)))}
            found = {"accuracy": float(np.mean(np.argmax(outputs, -1) == labels))}
            if self.signature.from_logits is None:
                return found
            logits = outputs if self.signature.from_logits else _log(outputs)
            return {"loss": _cross_entropy(logits, labels), **found}

    def state(self) -> dict[str, np.ndarray]:
        """Returns the values of all variables by name: what was learned, and the optimizer's."""
        with self._lock:
            found = self._runner("save")(**self._unused("save"))
            return {one.name: np.array(found[one.name]) for one in self.signature.variables}

    def set_state(self, values: Mapping[str, Any]) -> None:
        """Gives all variables values, such as `state` returned.

        Raises:
            ValueError: One is missing, unlike its variable, or not finite.
        """
        with self._lock:
            self._runner("restore")(**checkpoint.checked(self.signature, values))
            self._changed()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a checkpoint: whole, or the former file stays as it was.

        Raises:
            ValueError: The path cannot be written to, or a weight is not finite.
            OSError: The disk is full or failed.
        """
        with self._lock:
            checkpoint.write(path, self.signature, self.state())

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Takes up what a checkpoint holds.

        Raises:
            FileNotFoundError: There is none.
            ValueError: It is damaged or of another model; nothing has changed then.
        """
        with self._lock:
            self.set_state(checkpoint.read(path, self.signature))

    def reset(self) -> None:
        """Forgets what was learned: the model is as its file has it. `rehearsal` stays."""
        with self._lock:
            self._runner("reset")(**self._unused("reset"))
            self._changed()

    def export(self, path: str | os.PathLike[str]) -> None:
        """Writes the model with what it has learned as a plain file, which cannot be trained.

        Raises:
            ValueError: The path cannot be written to.
            OSError: The disk is full or failed.
        """
        with self._lock:
            write_atomically(path, bake(self._content, self.state()))

    @property
    def step_ms(self) -> float | None:
        """Median milliseconds of the last 100 steps; None before the first."""
        return float(np.median(self._step_ms)) if self._step_ms else None

    @property
    def memory(self) -> dict[str, int]:
        """Bytes by name.

        `state_bytes` and `activation_bytes` of a step as the file tells them, `file_bytes`, and
        `rehearsal_bytes` of the memory of samples.
        """
        held = 0 if self.rehearsal is None else self.rehearsal.bytes
        sizes = {"file_bytes": len(self._content), "rehearsal_bytes": held}
        return {**self.signature.memory, **sizes}

    def _checked(self, x: Any, y: Any) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        inputs = self._rows.checked(x)
        shape = self._runner("infer").get_output_details()[self.signature.outputs[0]]["shape"]
        return inputs, checked_labels(y, len(inputs[0]), self.signature.classes, shape[1:])

    def _whole_batch(self, x: Any, y: Any) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        inputs, labels = self._checked(x, y)
        if len(labels) != self.signature.batch_size:
            raise ValueError(
                f"`x` must hold {self.signature.batch_size} samples, the batch that the file was "
                f"exported for. Received: {len(labels)}. `fit` takes any number."
            )
        return inputs, labels

    def _checked_keep(self, keep: float | Sequence[float]) -> np.ndarray:
        blocks = self.signature.blocks
        try:
            shares = np.asarray(keep, np.float64)
        except (TypeError, ValueError):
            shares = np.full(1, np.nan)  # refused below, as any other share that is none
        if not blocks and np.all(shares == 1.0):
            return np.ones(0)
        if not blocks:
            raise ValueError(
                f"`keep` must be 1 for a file without selective blocks. Received: keep={keep!r}. "
                "Export it with OnDeviceTraining(..., keep=True)."
            )
        if shares.shape not in ((), (len(blocks),)) or not np.all((shares > 0) & (shares <= 1)):
            raise ValueError(
                f"`keep` must be above 0 and at most 1, one number or one for each of {blocks}. "
                f"Received: keep={keep!r}."
            )
        return np.broadcast_to(shares, len(blocks))

    def _order(self, count: int, old: int, rehearse: float) -> np.ndarray:
        """Returns places of the samples of an epoch: new ones, then those of the memory."""
        places = np.arange(count)
        if old:
            wanted = round(count * rehearse / (1.0 - rehearse))
            rounds = -(-wanted // old)
            drawn = [self._draw.permutation(old) for _ in range(rounds)]
            places = np.concatenate([places, count + np.concatenate([[], *drawn])[:wanted]])
        return self._draw.permutation(places.astype(np.int64))

    def _epoch(
        self,
        inputs: Sequence[np.ndarray],
        labels: np.ndarray,
        order: np.ndarray,
        drop: float,
        keep: np.ndarray,
    ) -> dict[str, float]:
        size = self.signature.batch_size
        seen, steps = 0, []
        for start in range(0, len(order), size):
            places = order.take(np.arange(start, start + size), mode="wrap")
            seen += 1
            if self._draw.random() >= drop:
                batch = tuple(one[places] for one in inputs)
                steps.append(self._step(batch, labels[places], keep))
        names = ("loss",) if self.signature.classes is None else ("loss", "accuracy")
        logs = {
            name: float(np.mean([step[name] for step in steps])) if steps else float("nan")
            for name in names
        }
        logs.update(steps_seen=float(seen), steps_run=float(len(steps)))
        if self.signature.energy:
            logs["energy_j"] = len(steps) * sum(self.signature.energy.values())
        return logs

    def _step(
        self, inputs: Sequence[np.ndarray], labels: np.ndarray, keep: np.ndarray
    ) -> dict[str, float]:
        feeds = self._feeds(inputs, labels)
        feeds[LEARNING_RATE] = np.array([_checked_rate(self.learning_rate)], np.float32)
        if KEEP in self.signature.signatures["train"].inputs:
            feeds[KEEP] = (self._draw.random(len(keep)) < keep).astype(np.float32)
        begun = time.perf_counter()
        found = self._runner("train")(**feeds)
        self._step_ms.append(1e3 * (time.perf_counter() - begun))
        self._changed()
        loss = float(found[LOSS])
        if not np.isfinite(loss):
            raise ValueError(
                f"The loss must stay finite. Received: {loss} at the learning rate "
                f"{self.learning_rate}. `reset` or `restore` the model and lower the rate."
            )
        if self.signature.classes is None:
            return {"loss": loss}
        right = np.argmax(found[self.signature.outputs[0]], -1) == labels
        return {"loss": loss, "accuracy": float(np.mean(right))}

    def _feeds(self, inputs: Sequence[np.ndarray], labels: np.ndarray) -> dict[str, Any]:
        return {**dict(zip(self.signature.inputs, inputs, strict=True)), LABELS: labels}

    def _unused(self, name: str) -> dict[str, Any]:
        """Returns zeros for the inputs of a signature that needs none, which some hosts demand."""
        details = self._runner(name).get_input_details()
        return {key: np.zeros(one["shape"], one["dtype"]) for key, one in details.items()}

    def _runner(self, name: str) -> Any:
        if name not in self._runners:
            self._runners[name] = self._interpreter.get_signature_runner(name)
        return self._runners[name]

    def _runner_of_predictions(self) -> Any:
        if self._plain is None and self._predicted_rows >= _ROWS_TO_BAKE:
            content = bake(self._content, self.state())
            self._plain = Interpreter(model_content=content, **self._options)
        plain = self._plain
        return self._runner("infer") if plain is None else plain.get_signature_runner("infer")

    def _changed(self) -> None:
        self._plain, self._predicted_rows = None, 0


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))


def _cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean over samples, of logits or of logarithms of probabilities."""
    shifted = np.float64(logits) - logits.max(-1, keepdims=True)
    wanted = np.take_along_axis(shifted, labels[:, None].astype(np.int64), -1)[:, 0]
    return float(np.mean(np.log(np.exp(shifted).sum(-1)) - wanted))


def _checked_rate(rate: float) -> float:
    with np.errstate(over="ignore"):
        single = np.float32(rate) if isinstance(rate, numbers.Real) else np.float32(np.nan)
    if not np.isfinite(single) or single <= 0.0:
        raise ValueError(
            f"`learning_rate` must be finite and above 0, in float32. Received: {rate!r}."
        )
    return float(rate)


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _checked_rehearsal(
    rehearsal: RehearsalBuffer | None, rows: Rows, classes: int | None
) -> RehearsalBuffer | None:
    if rehearsal is None:
        return None
    if classes is None or rows.shapes != (rehearsal.shape,):
        raise ValueError(
            "`rehearsal` must hold samples of the model's only input, and the model tell classes. "
            f"Received: samples of shape {rehearsal.shape}; the model takes {rows.shapes} and has "
            f"{classes or 'no'} classes."
        )
    if rows.dtypes[0].kind != "f" and not rehearsal.has_whole_levels:
        raise ValueError(
            f"`rehearsal` must keep whole numbers for a model that takes {rows.dtypes[0]}. "
            f"Received: {rehearsal.bits} bits for values in {rehearsal.span}. Use span=(0, 255) "
            "and 8 bits for bytes."
        )
    if rehearsal.reservoir.seen.size > classes:
        raise ValueError(
            f"`rehearsal` must have at most the model's {classes} classes. Received: "
            f"{rehearsal.reservoir.seen.size}."
        )
    return rehearsal


def _as_stored(samples: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Returns samples of a memory, whose levels are whole for integers, in the model's type."""
    return np.asarray((samples if dtype.kind == "f" else np.rint(samples)).astype(dtype))


def _filled(rows: np.ndarray, size: int) -> np.ndarray:
    """Returns so many rows: the last one again where there are fewer."""
    missing = size - len(rows)
    return rows if not missing else np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])

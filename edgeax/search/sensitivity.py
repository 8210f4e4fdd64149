"""Sensitivity: what a model loses when one of its layers alone is rounded."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgeax.formats import implements
from edgeax.formats.integer_form import snr_db
from edgeax.formats.tables import text_table
from edgeax.model import passes
from edgeax.model.graph import inputs_of
from edgeax.model.rewrite import paths_of_compressed
from edgeax.model.samples import take_samples
from edgeax.model.subclassed import as_functional
from edgeax.model.wrapper import Compressed
from edgeax.post_training.api import quantize
from edgeax.post_training.calibration import Calibration
from edgeax.search.pictures import figure

_BATCH = 64
_SMALLEST = 1e-12


@dataclasses.dataclass(frozen=True)
class LayerSensitivity:
    """What the model loses when this layer alone is rounded.

    Attributes:
        path: The layer's path.
        kind: Its class.
        weight_bits: Bits of its kernel; 32 if it has none or it stays as it is.
        snr_db: Ratio of signal to noise of the model's outputs in dB, infinite where none changes.
        kl: Mean Kullback-Leibler divergence of the outputs, as classes, from the float model's.
        lost: Accuracy that is lost, in points of a hundred; without labels, of a hundred samples
            how many get another answer.
    """

    path: str
    kind: str
    weight_bits: int
    snr_db: float
    kl: float
    lost: float


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """One row a rounded layer, in their order. Prints as a table, the worst layer named below it.

    Attributes:
        rows: The layers.
        metric: What `lost` counts: `"accuracy"` or `"agreement"`.
    """

    rows: tuple[LayerSensitivity, ...]
    metric: str

    @property
    def worst(self) -> LayerSensitivity:
        """The layer with the largest divergence."""
        return max(self.rows, key=lambda row: row.kl)

    def __str__(self) -> str:
        table = text_table(
            [
                {
                    "layer": row.path,
                    "kind": row.kind,
                    "bits": row.weight_bits,
                    "SNR dB": row.snr_db,
                    "KL": row.kl,
                    f"{self.metric} lost": row.lost,
                }
                for row in self.rows
            ]
        )
        return f"{table}\nmost sensitive: {self.worst.path}"

    def plot(self, path: str | Path) -> None:
        """Draws the divergence of each layer.

        Args:
            path: The PNG to write.

        Raises:
            ImportError: matplotlib is missing.
            ValueError: The file cannot be written.
        """
        picture = figure(path, 7, 1 + 0.25 * len(self.rows))
        axes = picture.subplots()
        axes.barh([row.path for row in self.rows], [row.kl for row in self.rows])
        axes.invert_yaxis()
        axes.set_xlabel("KL divergence from the float model when this layer alone is rounded")
        axes.grid(alpha=0.3, axis="x")
        picture.savefig(path, dpi=150, format="png")


@implements(
    "CYD20",
    test="tests/search/test_sensitivity.py::test_cyd20_the_divergence_is_that_of_one_rounded_layer",
)
def sensitivity(
    model: keras.Model,
    samples: Any,
    labels: Any = None,
    recipe: Any = "static_wi4_ai8",
    calibration: str | Calibration | Mapping[str, Any] = "min_max",
) -> Sensitivity:
    """Returns what a model loses when each of its layers alone is rounded as a recipe says.

    A layer is rounded with all that the recipe gives it, kernel and activations. Nothing is
    trained, and `model` is not changed. Source: [CYD20] for the divergence.

    Args:
        model: A built model, not compressed: Sequential, functional, or a subclass that can be seen
            as one.
        samples: Typical inputs, as for `edgeax.quantize`; of more than 512 the first.
        labels: Classes of the samples, integers `(count,)` or `(count, 1)`, or one-hot; None counts
            samples that get another answer.
        recipe: An `edgeax.Recipe`, a preset's name, or a list of transforms for every kernel.
        calibration: As for `edgeax.quantize`.

    Raises:
        ValueError: An argument is unusable, the recipe rounds nothing, or there are not as many
            labels as samples.

    Example: `print(edgeax.sensitivity(model, images, labels))`
    """
    model = as_functional(model)
    arrays = take_samples(samples, model)
    given = None if labels is None else _classes(labels, len(arrays[0]), model)
    rounded = quantize(model, samples, recipe, calibration)
    layers = paths_of_compressed(rounded)
    if not layers:
        raise ValueError("`recipe` must round at least one layer. Received: one that rounds none.")
    plain = _answers(rounded, arrays, None)
    wanted = [_chosen(output) for output in plain] if given is None else [given[: len(arrays[0])]]
    before = _share_right(plain, wanted)
    rows = []
    for path, layer in layers.items():
        answers = _answers(rounded, arrays, layer)
        after = _share_right(answers, wanted)
        rows.append(
            LayerSensitivity(
                path,
                type(layer.layer).__name__,
                min((code.bits for _, _, code in layer.freeze_weights()), default=32),
                snr_db(*(np.concatenate([o.ravel() for o in one]) for one in (plain, answers))),
                sum(_divergence(one, other) for one, other in zip(plain, answers, strict=True)),
                100.0 * (before - after),
            )
        )
    return Sensitivity(tuple(rows), "agreement" if given is None else "accuracy")


def _answers(
    model: keras.Model, arrays: Sequence[np.ndarray], layer: Compressed | None
) -> list[np.ndarray]:
    """Returns the outputs of a model in which one layer is rounded, or none."""
    structure = inputs_of(model)
    parts = []
    for start in range(0, len(arrays[0]), _BATCH):
        batch = [array[start : start + _BATCH] for array in arrays]
        with passes.unrounded(but=layer):
            outputs = model(keras.tree.pack_sequence_as(structure, batch), training=False)
        parts.append([np.asarray(one, np.float32) for one in keras.tree.flatten(outputs)])
    return [np.concatenate(batches) for batches in zip(*parts, strict=True)]


def _chosen(outputs: np.ndarray) -> np.ndarray:
    """Returns the class that each output means."""
    return _probabilities(outputs).argmax(-1)


def _share_right(outputs: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    """Returns how many samples of all have the classes wanted, in all outputs and places."""
    right = [
        (_chosen(one) == classes).reshape(len(one), -1).all(-1)
        for one, classes in zip(outputs, wanted, strict=True)
    ]
    return float(np.mean(np.all(right, axis=0)))


def _divergence(plain: np.ndarray, answers: np.ndarray) -> float:
    """Returns the mean KL(plain, answers) over all places but the last axis."""
    p, q = _probabilities(plain), _probabilities(answers)
    terms = p * (np.log(np.maximum(p, _SMALLEST)) - np.log(np.maximum(q, _SMALLEST)))
    return float(max(np.mean(terms.sum(-1)), 0.0))


def _probabilities(outputs: np.ndarray) -> np.ndarray:
    """Returns outputs as probabilities of classes: as they are, or as logits. A single one is that
    of a yes-no question.
    """
    wide = outputs.astype(np.float64)
    if wide.shape[-1] == 1:
        is_probability = wide.min() >= 0.0 and wide.max() <= 1.0
        yes = wide if is_probability else 1.0 / (1.0 + np.exp(-np.clip(wide, -60.0, 60.0)))
        return np.concatenate([1.0 - yes, yes], -1)
    if np.all(wide >= 0.0) and np.allclose(wide.sum(-1), 1.0, atol=0.05):
        return wide
    raised = np.exp(wide - wide.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def _classes(labels: Any, count: int, model: keras.Model) -> np.ndarray:
    outputs = keras.tree.flatten(model.outputs)
    if len(outputs) != 1 or len(outputs[0].shape) != 2:
        raise ValueError(
            "`labels` must be None for a model that does not give one vector of classes. Received: "
            f"labels, and outputs of shapes {[tuple(one.shape) for one in outputs]}."
        )
    array = np.asarray(labels)
    if array.ndim == 2:
        array = array[:, 0] if array.shape[1] == 1 else array.argmax(-1)
    if array.ndim != 1 or len(array) < count:
        raise ValueError(
            f"`labels` must hold a class for each of the {count} samples. "
            f"Received: shape {np.shape(labels)}."
        )
    highest = max(int(outputs[0].shape[-1]), 2) - 1
    if not np.issubdtype(array.dtype, np.number) or array.min() < 0 or array.max() > highest:
        raise ValueError(
            f"`labels` must be numbers of classes in [0, {highest}]. Received: {array.dtype} such "
            f"as {array[:3].tolist()}."
        )
    return array

"""What a teacher's soft labels do: their parts, and a teacher that is made of them."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import implements
from edgeax.transforms.checks import checked_positive

_PARTS = "tests/training/test_teacher_effects.py::test_tsz20_parts_are_those_worked_out_by_hand"
_RATIO = "tests/training/test_teacher_effects.py::test_tsz20_the_ratio_is_that_of_the_two_gradients"
_TEACHER = "tests/training/test_teacher_effects.py::test_tsz20_soft_labels_are_worked_out_by_hand"


class TeacherEffects(NamedTuple):
    """The three parts of soft labels, each float64 `(samples, classes)`.

    Attributes:
        smoothing: Label smoothing: every label gets the mean confidence, all other classes share
            the rest evenly. Its rows sum to 1.
        reweighting: What the confidence in this sample differs from the mean, taken evenly from
            the other classes. Its rows sum to 0.
        relationship: What the other classes differ from an even share. Its rows sum to 0.
    """

    smoothing: np.ndarray
    reweighting: np.ndarray
    relationship: np.ndarray


@implements("TSZ20", test=_PARTS)
def teacher_effects(probabilities: Any, labels: Any) -> TeacherEffects:
    """Splits soft labels into label smoothing, re-weighting and class relationship.

    The parts sum to `probabilities`. The gradient of a cross entropy for the logits is the
    student's probabilities less the soft labels, so it splits in the same way. `smoothing +
    reweighting` are soft labels without class relationship. Source: [TSZ20], as recalled: that
    there are these three effects; the formulas are ours, and exact.

    Args:
        probabilities: A teacher's, `(samples, classes)`, each row in [0, 1] with the sum 1.
        labels: Correct classes, integers `(samples,)`, each in [0, classes).

    Raises:
        ValueError: A shape or range is another.
    """
    given, index = _checked(probabilities, labels, "probabilities")
    samples, classes = given.shape
    correct = np.eye(classes)[index]
    others = (1.0 - correct) / (classes - 1)
    confidence = given[np.arange(samples), index][:, None]
    mean = confidence.mean()
    smoothing = mean * correct + (1.0 - mean) * others
    reweighting = (confidence - mean) * (correct - others)
    return TeacherEffects(smoothing, reweighting, given - smoothing - reweighting)


@implements("TSZ20", test=_RATIO)
def confidence_weights(
    teacher: Any, student: Any, labels: Any, weight: float = 0.7, temperature: float = 1.0
) -> np.ndarray:
    """Returns how many times larger distillation makes the gradient of each sample.

    That is of the gradient for the correct class's logit, with `edgeax.Distiller` and a cross
    entropy, against that of the cross entropy alone:
    `1 - weight + weight * temperature * (p_t - p_s) / (1 - q)`. p_t and p_s are the teacher's and
    the student's probabilities of the correct class at the temperature, q the student's at 1. A
    student that knows nothing yet is pulled as strongly as its teacher is confident.
    Source: [TSZ20], as recalled: that the ratio is a weight by the teacher's confidence.

    Args:
        teacher: Logits `(samples, classes)`.
        student: Logits `(samples, classes)`.
        labels: Correct classes, integers `(samples,)`, each in [0, classes).
        weight: Share of the teacher, in [0, 1].
        temperature: Above 0.

    Returns:
        float64 `(samples,)`. Below 0 where the student is surer than the teacher and is held back.

    Raises:
        ValueError: A shape or range is another.
    """
    temperature = checked_positive("temperature", temperature)
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"`weight` must lie in [0, 1]. Received: weight={weight}.")
    wanted, index = _checked(_softmax(teacher, temperature), labels, "teacher")
    given, _ = _checked(_softmax(student, temperature), labels, "student")
    if wanted.shape != given.shape:
        raise ValueError(
            "`teacher` and `student` must be of the same shape. Received: "
            f"{wanted.shape} and {given.shape}."
        )
    rows = np.arange(len(index))
    missing = _softmax(student, 1.0)
    missing[rows, index] = 0.0  # 1 - q, without cancellation
    pull = temperature * (wanted - given)[rows, index] / missing.sum(axis=1)
    return np.asarray(1.0 - weight + weight * pull)


@implements("TSZ20", test=_TEACHER)
class SyntheticTeacher:
    """Soft labels that no network made: confidence for the correct class, the rest by similarity.

    The other classes share `1 - confidence` by `softmax(similarity / temperature)` over
    themselves. Called with labels, it returns float32 probabilities with the classes on a last
    axis: targets for `fit` with `"categorical_crossentropy"`. It is a `teacher` of
    `edgeax.Distiller` too. Source: [TSZ20], as recalled.

    Args:
        similarities: `(classes, classes)`, finite, row c how similar the others are to class c;
            the diagonal does not count. `from_model` takes them from a trained model.
        confidence: Probability of the correct class, in [0, 1].
        temperature: Above 0; the smaller, the more the most similar class gets. Cosines lie in
            [-1, 1], so that 1 spreads them almost evenly.

    Raises:
        ValueError: An argument is out of its range.

    Example: `SyntheticTeacher.from_model(big, confidence=0.9)(labels)`
    """

    def __init__(
        self, similarities: Any, confidence: float = 0.9, temperature: float = 0.3
    ) -> None:
        matrix = np.asarray(similarities, np.float64)
        square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] >= 2
        if not square or not np.isfinite(matrix).all():
            raise ValueError(
                "`similarities` must be finite and of shape (classes, classes), at least 2 "
                f"classes. Received: shape {matrix.shape}."
            )
        if not 0.0 <= confidence <= 1.0:
            raise ValueError(f"`confidence` must lie in [0, 1]. Received: confidence={confidence}.")
        self.confidence = float(confidence)
        self.temperature = checked_positive("temperature", temperature)
        others = matrix.copy()
        np.fill_diagonal(others, -np.inf)
        rest = (1.0 - self.confidence) * _softmax(others, self.temperature)
        rest[np.diag_indices_from(rest)] = self.confidence
        self.probabilities = rest.astype(np.float32)

    @classmethod
    def from_model(
        cls, model: keras.Model, confidence: float = 0.9, temperature: float = 0.3
    ) -> "SyntheticTeacher":
        """Returns a teacher whose similarities are the cosines between a model's class weights.

        Args:
            model: A trained classifier whose last kernel, of shape `(..., classes)`, makes its
                logits.
            confidence: See the class.
            temperature: See the class.

        Raises:
            ValueError: The model has no kernel with one column per class.
        """
        kernels = [v for v in model.weights if v.name == "kernel" and len(v.shape) >= 2]
        outputs = [] if model.outputs is None else [tensor.shape[-1] for tensor in model.outputs]
        if not kernels or len(outputs) > 1 or kernels[-1].shape[-1] not in (outputs or [-1]):
            raise ValueError(
                "`model` must have one output, and a last kernel with a column for each of its "
                f"classes. Received: outputs of {outputs} classes, "
                f"last kernel {kernels[-1].shape if kernels else None}. Pass a matrix of "
                "similarities to SyntheticTeacher itself."
            )
        columns = np.asarray(kernels[-1], np.float64)
        columns = columns.reshape(-1, columns.shape[-1])
        lengths = np.linalg.norm(columns, axis=0)
        directions = columns / np.where(lengths > 0.0, lengths, 1.0)
        return cls(directions.T @ directions, confidence, temperature)

    def __call__(self, labels: Any) -> tf.Tensor:
        """Returns the soft labels of `labels`.

        Args:
            labels: Integers `(...)` or `(..., 1)`, each in [0, classes); or, as floats, one-hot
                `(..., classes)`.

        Raises:
            ValueError: Floats are not one-hot labels of this many classes.
        """
        index = tf.convert_to_tensor(labels)
        if index.dtype.is_floating:
            if index.shape.rank == 0 or index.shape[-1] != len(self.probabilities):
                raise ValueError(
                    "`labels` must be integers, or one-hot with "
                    f"{len(self.probabilities)} classes on the last axis. Received: "
                    f"{index.dtype.name} of shape {index.shape}. Cast class numbers to integers."
                )
            index = tf.argmax(index, axis=-1)
        elif index.shape.rank > 1 and index.shape[-1] == 1:
            index = tf.squeeze(index, axis=-1)
        return tf.gather(tf.constant(self.probabilities), index)


def _softmax(logits: Any, temperature: float) -> np.ndarray:
    """Returns float64 probabilities over the last axis."""
    scaled = np.asarray(logits, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _checked(probabilities: Any, labels: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    given, index = np.asarray(probabilities, np.float64), np.asarray(labels)
    if given.ndim != 2 or given.shape[1] < 2 or not np.allclose(given.sum(axis=1), 1.0, atol=1e-3):
        raise ValueError(
            f"`{name}` must be of shape (samples, classes), at least 2 classes, and finite; "
            f"probabilities must sum to 1. Received: shape {given.shape}."
        )
    if given.min(initial=0.0) < 0.0:
        raise ValueError(
            f"`{name}` must lie in [0, 1]. Received: min={given.min()}. Take logits to "
            "probabilities first."
        )
    whole = np.issubdtype(index.dtype, np.integer) and index.shape == given.shape[:1]
    if not whole or index.min(initial=0) < 0 or index.max(initial=0) >= given.shape[1]:
        raise ValueError(
            f"`labels` must be one integer in [0, {given.shape[1]}) per sample, of which there are "
            f"{len(given)}. Received: {index.dtype} of shape {index.shape}."
        )
    return given, index

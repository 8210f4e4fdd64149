"""SoftTargets: the loss by which a student learns what its teacher answers."""

from typing import Any

import keras
import tensorflow as tf

from edgeax.formats import implements
from edgeax.transforms.checks import checked_choice, checked_positive

KINDS = ("logits", "softmax", "sigmoid", "sigmoid_logits")
"""What a model may give: classes that exclude each other, as logits or as probabilities, or yes-no
questions, one per unit, as probabilities or as logits. One unit alone is always a yes-no question.
"""

YES_NO = ("sigmoid", "sigmoid_logits")
"""Those of `KINDS` that are yes-no questions of however many units."""

# Far below what Keras clips at: a student that is sure and wrong must still get its gradient.
_SMALLEST = 1e-30


@implements(
    "HVD15",
    test="tests/training/test_soft_targets.py::test_hvd15_gradient_is_the_one_worked_out_by_hand",
)
@keras.saving.register_keras_serializable("edgeax")
class SoftTargets(keras.losses.Loss):
    """`temperature**2 * KL(softmax(z_t / temperature) || softmax(z_s / temperature))`.

    The targets `z_t` are a teacher's answers, the predictions `z_s` the student's. The gradient for
    `z_s` is `temperature * (p_s - p_t)`, p being the two softmaxes; the targets get none.
    Probabilities are taken to logits by the logarithm. Yes-no questions are two classes each, and
    their divergences are averaged over the last axis. Source: [HVD15].

    Works in plain `fit(inputs, teacher_answers)`, and in `keras.distillation` as
    `FeatureDistillation(loss=SoftTargets(4.0))`.

    Args:
        temperature: Above 0; 2 to 20 is usual.
        targets: What the targets are: `"logits"` or `"softmax"` of classes on the last axis,
            `"sigmoid"` or `"sigmoid_logits"` of yes-no questions.
        predictions: The same of the predictions.
        reduction: As of any Keras loss.
        name: As of any Keras loss.
        dtype: As of any Keras loss.

    Raises:
        ValueError: An argument is out of its range; when it is called: targets and predictions are
            not of one shape, or one has classes where the other has yes-no questions.

    Input shape: targets and predictions `(batch, ..., classes)`. Output shape: a scalar, or
    `(batch, ...)` when nothing is reduced.
    """

    def __init__(
        self,
        temperature: float = 2.0,
        targets: str = "logits",
        predictions: str = "logits",
        reduction: str = "sum_over_batch_size",
        name: str = "soft_targets",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = checked_positive("temperature", temperature)
        self.targets = checked_choice("targets", targets, KINDS)
        self.predictions = checked_choice("predictions", predictions, KINDS)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the divergence of each sample and place."""
        _check_same_shape(y_true, y_pred)
        _check_same_question(self.targets, self.predictions, y_pred.shape[-1])
        wanted = as_logits(keras.ops.stop_gradient(y_true), self.targets)
        given = as_logits(y_pred, self.predictions)
        yes_no = self.predictions in YES_NO or y_pred.shape[-1] == 1
        if yes_no:  # softmax([0, z]) is [1 - sigmoid(z), sigmoid(z)]
            wanted, given = (
                keras.ops.stack([keras.ops.zeros_like(z), z], axis=-1) for z in (wanted, given)
            )
        wanted, given = (keras.ops.log_softmax(z / self.temperature) for z in (wanted, given))
        divergences = keras.ops.sum(keras.ops.exp(wanted) * (wanted - given), axis=-1)
        if yes_no:
            divergences = keras.ops.mean(divergences, axis=-1)
        return self.temperature**2 * divergences

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        own = {name: getattr(self, name) for name in ("temperature", "targets", "predictions")}
        return {**super().get_config(), **own}


def as_logits(values: Any, kind: str) -> Any:
    """Returns logits for what a model gives; `kind` is one of `KINDS`."""
    if kind == "softmax":
        return keras.ops.log(keras.ops.maximum(values, _SMALLEST))
    if kind == "sigmoid":
        yes, no = (keras.ops.maximum(part, _SMALLEST) for part in (values, 1.0 - values))
        return keras.ops.log(yes) - keras.ops.log(no)
    return values


def _check_same_shape(targets: Any, predictions: Any) -> None:
    if not tf.TensorShape(targets.shape).is_compatible_with(predictions.shape):
        raise ValueError(
            "`y_true` must be a teacher's answers, of the shape of the predictions. Received: "
            f"{tuple(targets.shape)} with predictions {tuple(predictions.shape)}. Labels need a "
            "loss of their own: see edgeax.Distiller."
        )


def _check_same_question(targets: str, predictions: str, units: int | None) -> None:
    if units == 1:
        same = "softmax" not in (targets, predictions)
    else:
        same = (targets in YES_NO) == (predictions in YES_NO)
    if not same:
        raise ValueError(
            "`targets` and `predictions` must both be classes ('logits', 'softmax') or both yes-no "
            "questions ('sigmoid', 'sigmoid_logits'; one unit is never 'softmax'). "
            f"Received: {targets!r} and {predictions!r} of {units} units. Say which they are; of "
            "an edgeax.Distiller they are `teacher_gives` and `student_gives`."
        )

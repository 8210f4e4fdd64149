"""Distiller: a student learns from the labels and from what a teacher answers."""

import numbers
from collections.abc import Callable
from typing import Any

import keras

from edgeax.formats import implements
from edgeax.training.model_outputs import (
    check_models,
    check_outputs,
    checked_gives,
    for_each_output,
    output_names,
)
from edgeax.training.soft_targets import YES_NO, SoftTargets
from edgeax.training.teacher_effects import SyntheticTeacher
from edgeax.training.teacher_logits import ModelAsTeacher, inputs_and_logits
from edgeax.transforms.checks import checked_positive


@implements(
    "PPA18",
    test="tests/training/test_distillation.py::test_ppa18_distillation_trains_a_two_bit_student",
)
@implements(
    "HVD15",
    test="tests/training/test_distillation.py::test_hvd15_the_loss_is_the_weighted_sum",
)
class Distiller(keras.Model):
    """Trains a student by `(1 - weight) * loss + weight * SoftTargets`, with `compile` and `fit`.

    `loss` is what `compile` gets; regularizers are added as they are. The metric
    `distillation_loss` is the teacher's part before `weight`. After `fit`, `student` is the trained
    model; `save`, and so `ModelCheckpoint`, writes the student alone. The teacher is run in
    inference mode, and not trained, saved or changed.

    With a student from `edgeax.compress` this is quantized distillation: the forward pass is
    rounded, the gradient goes to the float weights. With kernels of `"points4"` it is
    differentiable quantization: the gradient goes to the points. The defaults are those of [PPA18].
    Source: [HVD15], [PPA18].

    `keras.distillation.Distiller`, as of Keras 3.15, leaves out sample weights and regularizers,
    holds and saves the teacher's weights, freezes the teacher for good, and takes no teacher of
    other inputs: hence this class.

    Args:
        student: The model to train; it may be compressed or subclassed.
        teacher: A trained model; an `edgeax.SyntheticTeacher`, which is asked by the labels; or
            None: all data come from `with_teacher_logits`, and no teacher runs.
        temperature: Above 0; 2 to 20 is usual.
        weight: Share of the teacher, in [0, 1]. For several outputs also a list, or a dict by
            output name, in the form in which `compile` gets the losses; 0 leaves the teacher's
            answer out, as for a regression. With 1, `compile` needs no loss and `fit` no labels.
        adapt_inputs: Makes the teacher's inputs from a batch of the student's, such as
            `keras.layers.Resizing(224, 224)`. None: they are the same.
        student_gives: `"logits"`, `"softmax"`, `"sigmoid"` or `"sigmoid_logits"`, the last two for
            yes-no questions; for several outputs also a list, or a dict by output name. None: the
            last activation tells. It must be given for a subclassed model.
        teacher_gives: The same of the teacher, by its own output names.
        name: Name of the model.

    Raises:
        ValueError: An argument is out of its range, or teacher and student do not fit together:
            different inputs without `adapt_inputs`, different outputs. Of subclassed models this
            is known when `fit` begins, before the first step.

    Example: `edgeax.Distiller(student, teacher)`, then `compile("adam",
    "sparse_categorical_crossentropy", metrics=["accuracy"])` and `fit(images, labels)`.
    """

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model | SyntheticTeacher | None = None,
        temperature: float = 2.0,
        weight: Any = 0.7,
        adapt_inputs: Callable[[Any], Any] | None = None,
        student_gives: Any = None,
        teacher_gives: Any = None,
        name: str = "distiller",
    ) -> None:
        super().__init__(name=name, autocast=False)  # the student casts its inputs itself
        self.temperature = checked_positive("temperature", temperature)
        self._weight = _Untracked(_checked_weight(weight))
        self._student_gives = _Untracked(checked_gives("student", student, student_gives))
        self._teacher: SyntheticTeacher | ModelAsTeacher | None
        if teacher is None or isinstance(teacher, SyntheticTeacher):
            self._teacher = teacher
        else:
            self._teacher = ModelAsTeacher(teacher, adapt_inputs, teacher_gives)
            check_models(teacher, student, adapted=adapt_inputs is not None)
        self._supervised = False
        self.student = student
        self.built = student.built
        self._tracker_of_soft = keras.metrics.Mean(name="distillation_loss")

    @property
    def output_names(self) -> list[str]:
        """Names of the student's outputs, by which `compile` takes losses and metrics."""
        return self.student.output_names

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        loss_weights: Any = None,
        **kwargs: Any,
    ) -> None:
        """Configures the training; see `keras.Model.compile`.

        Args:
            optimizer: Trains the student.
            loss: Loss for the labels, as for the student alone. Only with `weight` 1 may it be
                None.
            loss_weights: As for the student alone; they do not weigh the teacher's part.
            **kwargs: Further arguments of `keras.Model.compile`. Metrics see the true labels.

        Raises:
            ValueError: There is no loss, or it has another form than `weight`.
        """
        weight = self._weight.value
        self._supervised = loss is not None
        if loss is None:
            if any(share < 1.0 for share in keras.tree.flatten(weight)):
                raise ValueError(
                    "`loss` must be given unless the teacher has all the weight. Received: "
                    f"loss=None with weight={weight}. Pass one for the labels, or weight=1.0."
                )
            super().compile(optimizer, **kwargs)
            return
        super().compile(optimizer, loss, _rests(weight, loss, loss_weights), **kwargs)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the student's outputs."""
        return self.student(inputs_and_logits(inputs)[0], training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Returns the loss with regularizers, a scalar.

        Raises:
            ValueError: There are no labels or no answers of the teacher, or the outputs do not fit.
        """
        total = self._soft_loss(*self._answers(x, y), y_pred, sample_weight)
        if self._supervised and y is None:
            raise ValueError(
                "`y` must hold the labels, for `compile` got a loss. Received: y=None. Pass "
                "labels, or weight=1.0 and no loss to learn from the teacher alone."
            )
        if self._supervised or self.losses:
            total += super().compute_loss(x, y, y_pred, sample_weight, training)
        return total

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Saves the student alone; see `keras.Model.save`."""
        self.student.save(filepath, overwrite=overwrite, **kwargs)

    def _answers(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Returns what the teacher says to a batch, and what that is.

        That is None for logits that came with the data: of whatever question the student answers.
        """
        _, logits = inputs_and_logits(x)
        if logits is not None:
            return logits, None
        if self._teacher is None:
            raise ValueError(
                "`x` must hold the teacher's logits, for there is no `teacher`. Received: inputs "
                "alone. Take all data through edgeax.with_teacher_logits, those for validation "
                "too, or construct the Distiller with a teacher."
            )
        if isinstance(self._teacher, ModelAsTeacher):
            return self._teacher.answers(x)
        if y is None:
            raise ValueError(
                "`y` must hold the labels, by which alone a SyntheticTeacher is asked. "
                "Received: y=None. Pass labels, or a model as teacher."
            )
        return keras.tree.map_structure(self._teacher, y), "softmax"

    def _soft_loss(self, answers: Any, kinds: Any, y_pred: Any, sample_weight: Any) -> Any:
        """Returns the teacher's part of the loss; see `_answers` for the first two arguments."""
        check_outputs(answers, y_pred)
        names = output_names(y_pred, self.student)
        predictions, targets = keras.tree.flatten(y_pred), keras.tree.flatten(answers)
        shares = for_each_output("weight", self._weight.value, names)
        gives = for_each_output("student_gives", self._student_gives.value, names)
        kinds = for_each_output("teacher_gives", kinds, names)
        of_samples = keras.tree.flatten(sample_weight)
        if len(of_samples) != len(predictions):
            of_samples = [sample_weight] * len(predictions)
        total, soft = 0.0, 0.0
        for i, share in enumerate(shares):
            if not share:
                continue
            kind = kinds[i] or ("sigmoid_logits" if gives[i] in YES_NO else "logits")
            loss = SoftTargets(self.temperature, targets=kind, predictions=gives[i])
            value = loss(targets[i], predictions[i], of_samples[i])
            total, soft = total + share * value, soft + value
        count = keras.ops.shape(predictions[0])[0]
        self._tracker_of_soft.update_state(soft, sample_weight=count)
        return keras.ops.convert_to_tensor(total, "float32")


class _Untracked:
    """Holds what Keras shall neither track nor wrap."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _checked_weight(weight: Any) -> Any:
    for share in keras.tree.flatten(weight):
        if not isinstance(share, numbers.Real) or not 0.0 <= float(share) <= 1.0:
            raise ValueError(
                "`weight` must lie in [0, 1]: 0 is the labels alone, 1 the teacher alone. "
                f"Received: weight={weight!r}."
            )
    return weight


def _rests(weight: Any, loss: Any, loss_weights: Any) -> Any:
    """Returns the loss weights that leave the teacher its share."""
    if loss_weights is None:
        loss_weights = keras.tree.map_structure(lambda _: 1.0, loss)
    if not keras.tree.is_nested(weight):
        return keras.tree.map_structure(lambda given: (1.0 - weight) * given, loss_weights)
    try:
        keras.tree.assert_same_structure(weight, loss)
        keras.tree.assert_same_structure(weight, loss_weights)
    except (TypeError, ValueError):
        raise ValueError(
            "`loss` and `loss_weights` must have the form of `weight` when that has a share for "
            f"each output. Received: weight={weight}, loss={loss}, loss_weights={loss_weights}."
        ) from None
    return keras.tree.map_structure(
        lambda share, given: (1.0 - share) * given, weight, loss_weights
    )

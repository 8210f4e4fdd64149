"""Objective: the loss of a model, its value and its curvature in the outputs."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.model.graph import is_nested

_SMALLEST = 1e-30  # probability that a logarithm is taken of

# Gets outputs `(batch, places, classes)`; returns what the loss is convex in, and factors R of its
# Hessian there, `(batch, places, classes, factors)`: that is R R^T for each sample and place.
Curvature = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Objective:
    """The loss of a model.

    Args:
        model: The model.
        loss: A name, a Keras loss or a function of labels and outputs, of a model with one output;
            None for all that the model was compiled with, its regularizers included.

    Raises:
        ValueError: There is no loss, or there are several outputs and one loss.
    """

    def __init__(self, model: keras.Model, loss: Any = None) -> None:
        if loss is None and getattr(model, "loss", None) is None:
            raise ValueError(
                "`loss` must be given for a model that is not compiled. Received: loss=None. Pass "
                "e.g. loss='sparse_categorical_crossentropy', or compile the model."
            )
        self.model = model
        self.loss = model.loss if loss is None else loss
        self._given = None if loss is None else keras.losses.get(loss)

    def __call__(self, inputs: Any, labels: Any, outputs: Any) -> tf.Tensor:
        """Returns the loss of a batch, a scalar, in the graph."""
        if self._given is None:
            return self.model.compute_loss(x=inputs, y=labels, y_pred=outputs, training=False)
        if len(keras.tree.flatten(outputs)) != 1:
            raise ValueError(
                "`loss` must be left out for a model with several outputs. Received: "
                f"loss={self.loss!r}. Compile the model with the loss of each."
            )
        return tf.reduce_mean(self._given(labels, keras.tree.flatten(outputs)[0]))

    def check(self, labels: Any) -> None:
        """Checks labels that are numbers of classes, where the model says how many there are.

        Args:
            labels: As many as samples; None if there are none.

        Raises:
            ValueError: One is the number of no class.
        """
        given = [] if labels is None else keras.tree.flatten(labels)
        if len(given) != 1 or not is_nested(self.model) or len(self.model.outputs) != 1:
            return
        classes, numbers = self.model.outputs[0].shape[-1], np.asarray(given[0])
        if _wants_numbers(self.loss) and not (numbers.min() >= 0 and numbers.max() < classes):
            raise ValueError(
                f"`labels` must be numbers of the model's {classes} classes, 0 to {classes - 1}. "
                f"Received: {numbers.min()} to {numbers.max()}. Count them from 0, as fit() needs "
                "it too."
            )

    def curvature(self, outputs: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns numbers that the loss is convex in, and the factors of its Hessian in them.

        These are the outputs for a mean squared error, and logits for crossentropies, of which the
        Hessian needs no labels.

        Args:
            outputs: Of a batch, a single tensor.

        Returns:
            float32 `(batch, n)` with a gradient, and `(batch, n, factors)` without one: R with
            `R R^T` the Hessian of each sample's loss.

        Raises:
            ValueError: It is another loss, or there are several outputs.
        """
        flat = keras.tree.flatten(outputs)
        known = _curvature_of(self.loss)
        if known is None or len(flat) != 1:
            raise ValueError(
                "`loss` must be a mean squared error or a crossentropy of one output, for its "
                f"curvature to be known. Received: {self.loss!r} of {len(flat)} outputs. Use "
                "what takes any: criterion='taylor' to prune, grouping='optimal' to cluster."
            )
        output = tf.cast(flat[0], tf.float32)
        classes = output.shape[-1]
        numbers, factors = known(tf.reshape(output, (tf.shape(output)[0], -1, classes)))
        batch, places = tf.shape(numbers)[0], tf.shape(numbers)[1]
        # The loss of a sample is the mean over its places.
        factors = tf.stop_gradient(factors) / tf.sqrt(tf.cast(places, tf.float32))
        apart = tf.einsum("bpcf,pq->bpcqf", factors, tf.eye(places))
        size = places * classes
        return tf.reshape(numbers, (batch, size)), tf.reshape(apart, (batch, size, size))


def _found(loss: Any) -> Any:
    """Returns the Keras loss or the function that is meant, None if it is no single one."""
    try:
        return keras.losses.get(loss)
    except (ValueError, TypeError):  # a dict or list of several
        return None


def _wants_numbers(loss: Any) -> bool:
    """Returns whether the labels of a loss are the numbers of classes, all of which count."""
    found = _found(loss)
    if isinstance(found, keras.losses.SparseCategoricalCrossentropy):
        return found.ignore_class is None
    return found is keras.losses.sparse_categorical_crossentropy


def _curvature_of(loss: Any) -> Curvature | None:
    found = _found(loss)
    if found is None:
        return None
    if isinstance(found, keras.losses.Loss):
        names = {
            keras.losses.MeanSquaredError: "mean_squared_error",
            keras.losses.BinaryCrossentropy: "binary_crossentropy",
            keras.losses.CategoricalCrossentropy: "categorical_crossentropy",
            keras.losses.SparseCategoricalCrossentropy: "categorical_crossentropy",
        }
        name = names.get(type(found), "")
    else:
        own = str(getattr(found, "__name__", "?"))
        name = own.removeprefix("sparse_") if getattr(keras.losses, own, None) is found else ""
    from_logits = bool(getattr(found, "from_logits", False))
    known: dict[str, Curvature] = {
        "mean_squared_error": _squared_error,
        "binary_crossentropy": lambda outputs: _binary(outputs, from_logits),
        "categorical_crossentropy": lambda outputs: _softmax(outputs, from_logits),
    }
    return known.get(name)


def _squared_error(outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    size = tf.cast(tf.shape(outputs)[-1], tf.float32)
    return outputs, tf.linalg.diag(tf.fill(tf.shape(outputs), tf.sqrt(2.0 / size)))


def _binary(outputs: tf.Tensor, from_logits: bool) -> tuple[tf.Tensor, tf.Tensor]:
    logits = outputs if from_logits else _log(outputs) - _log(1.0 - outputs)
    probability = tf.sigmoid(logits) if from_logits else outputs
    size = tf.cast(tf.shape(outputs)[-1], tf.float32)
    return logits, tf.linalg.diag(tf.sqrt(probability * (1.0 - probability) / size))


def _softmax(outputs: tf.Tensor, from_logits: bool) -> tuple[tf.Tensor, tf.Tensor]:
    # Logarithms of probabilities are logits but for a number that is the same for all classes, and
    # (diag(sqrt p) - p sqrt(p)^T)^T does not see that.
    logits = outputs if from_logits else _log(outputs)
    p = tf.nn.softmax(outputs) if from_logits else outputs
    root = tf.sqrt(p)
    return logits, tf.linalg.diag(root) - p[..., :, None] * root[..., None, :]


def _log(probability: tf.Tensor) -> tf.Tensor:
    return tf.math.log(tf.maximum(probability, _SMALLEST))

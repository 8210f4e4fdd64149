"""Weights that a training step moves, as variables of a file: floats, or int8 codes."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.export.integer_weights import codes_of
from edgeax.export.partial_kernels import part_of
from edgeax.model.trained_weights import TrainedWeight


@dataclasses.dataclass(frozen=True)
class HeldWeight:
    """A weight that is trained, or the part of it that is.

    Attributes:
        weight: The weight.
        reference: A float variable that the optimizer is built for; it is the weight itself where
            that is float.
        codes: The weight in int8 codes, None where it is float.
        steps: What multiplies them.
    """

    weight: TrainedWeight
    reference: keras.Variable
    codes: keras.Variable | None = None
    steps: np.ndarray | None = None

    @property
    def variable(self) -> keras.Variable:
        """The variable that the file keeps."""
        return self.reference if self.codes is None else self.codes

    def value(self) -> tf.Tensor:
        """Returns the weight in float32."""
        if self.codes is None or self.steps is None:
            return tf.convert_to_tensor(self.reference.value)
        return tf.cast(self.codes.value, tf.float32) * tf.constant(self.steps)


def hold(name: str, weight: TrainedWeight, steps: np.ndarray | None) -> HeldWeight:
    """Makes the variables of a weight.

    Args:
        name: Of the weight in the file.
        weight: The weight.
        steps: Steps of its layer's kernel in int8 codes; None where kernels stay float.
    """
    value = part_of(weight)
    reference = variable_of(name, value)
    reference.constraint = weight.variable.constraint
    if steps is None or weight.variable is not getattr(weight.layer, "kernel", None):
        return HeldWeight(weight, reference)
    if weight.channels is not None and steps.shape[weight.axis] > 1:
        steps = np.take(steps, np.arange(weight.channels), weight.axis)
    codes = codes_of(value, steps)
    kept = keras.Variable(codes, dtype="int8", name=reference.name, trainable=False)
    return HeldWeight(weight, reference, kept, steps)


def variable_of(name: str, value: Any) -> keras.Variable:
    """Returns a new variable; files tell variables apart by their names."""
    value = keras.ops.convert_to_numpy(value)
    return keras.Variable(value, dtype="float32", name=name.replace("/", "_"))

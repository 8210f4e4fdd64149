"""Pieces: small layers that the unfolded form of large layers is made of, besides Keras's own."""

from typing import Any

import keras
import tensorflow as tf

from edgeax.model.placement import Moving


class Step(Moving):
    """One time step of a sequence: `(batch, time, ...)` to `(batch, ...)`."""

    def __init__(self, index: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.index = index

    def call(self, sequence: tf.Tensor) -> tf.Tensor:
        """Returns the step."""
        return sequence[:, self.index]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of a step."""
        return (input_shape[0], *input_shape[2:])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "index": self.index}


class Steps(Moving):
    """All time steps of a sequence `(batch, time, ...)`, a list of `(batch, ...)`."""

    def call(self, sequence: tf.Tensor) -> list[tf.Tensor]:
        """Returns the steps."""
        return tf.unstack(sequence, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shapes of the steps."""
        return [(input_shape[0], *input_shape[2:])] * input_shape[1]


class Reversed(Moving):
    """A sequence from its end to its start, `(batch, time, ...)`."""

    def call(self, sequence: tf.Tensor) -> tf.Tensor:
        """Returns the reversed sequence; all runtimes have GATHER in integers."""
        return tf.gather(sequence, list(reversed(range(sequence.shape[1]))), axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the same shape."""
        return input_shape


class TimeIntoBatch(Moving):
    """All steps of a sequence as a batch: `(batch, time, ...)` to `(batch * time, ...)`."""

    def call(self, sequence: tf.Tensor) -> tf.Tensor:
        """Returns the batch."""
        return tf.reshape(sequence, (-1, *sequence.shape[2:]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the batch."""
        batch, time, *rest = input_shape
        return (None if batch is None else batch * time, *rest)


class TimeFromBatch(Moving):
    """Undoes `TimeIntoBatch` for sequences of `time` steps."""

    def __init__(self, time: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.time = time

    def call(self, batch: tf.Tensor) -> tf.Tensor:
        """Returns the sequence."""
        return tf.reshape(batch, (-1, self.time, *batch.shape[1:]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the sequence."""
        batch, *rest = input_shape
        return (None if batch is None else batch // self.time, self.time, *rest)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "time": self.time}


class Sequence(keras.layers.Layer):
    """Steps, each `(batch, units)`, as one sequence `(batch, time, units)`."""

    def call(self, steps: list[tf.Tensor]) -> tf.Tensor:
        """Returns the sequence."""
        return tf.stack(steps, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the sequence."""
        batch, *rest = input_shape[0]
        return (batch, len(input_shape), *rest)


class Sum(keras.layers.Layer):
    """Two tensors of one shape added up. Keras's own Add reshapes one of them in batches of 1."""

    def call(self, terms: list[tf.Tensor]) -> tf.Tensor:
        """Returns the sum."""
        left, right = terms
        return left + right

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of a term."""
        return input_shape[0]


class MatMul(keras.layers.Layer):
    """The product of two tensors over their last two axes."""

    def call(self, factors: list[tf.Tensor]) -> tf.Tensor:
        """Returns the product."""
        left, right = factors
        return tf.matmul(left, right)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the product."""
        left, right = input_shape
        return (*left[:-1], right[-1])

"""LSTM as the one operator that the device has for it."""

import dataclasses
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.export.placeholder import PREFIX, Placeholder, kept_whole
from edgeax.formats import EncodedTensor
from edgeax.model.layout import LSTM_GATES

_OPERATOR = f"{PREFIX}LSTM"
"""Name in the converter's file, until `lower_lstm` replaces it."""


@dataclasses.dataclass(frozen=True)
class LSTMWeights:
    """What an LSTM of `units` computes with, gates in Keras's order (input, forget, cell, output).

    Attributes:
        kernel: float32 `(features, 4 * units)`.
        recurrent_kernel: float32 `(units, 4 * units)`.
        bias: float32 `(4 * units,)`.
        encoded: Both kernels in integer codes of shape `(rows, units, 4)`, one scale a gate; or
            None.
    """

    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray
    encoded: tuple[EncodedTensor, EncodedTensor] | None

    @property
    def units(self) -> int:
        """Width of the state."""
        return self.recurrent_kernel.shape[0]


class FusedLSTM(Placeholder):
    """Keras's standard LSTM from a zero state, as the converter keeps it whole.

    Input shape `(batch, time, features)`, output shape `(batch, time, units)`.

    Args:
        number: Different for every layer of a model.
        weights: What it computes with.
        stateful: Whether the device keeps the state from one run to the next, in which the cell
            state may grow. In Keras every call starts from zero.
    """

    def __init__(self, number: int, weights: LSTMWeights, stateful: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number = number
        self.values = weights
        self.stateful = stateful
        self.largest_cell = 0.5
        self.operator = f"{_OPERATOR}{number}"
        self._whole = kept_whole(lambda sequence: self._states(sequence)[0], self.operator)

    @property
    def cell_bits(self) -> int:
        """Integer bits of the cell state in 16-bit codes, 0 to 6, so that its largest value fits.

        The operator wants a scale of `2**(cell_bits - 15)`.
        """
        largest = self.largest_cell * (2.0 if self.stateful else 1.0)
        return min(max(math.ceil(math.log2(largest)), 0), 6)

    def call(self, sequence: tf.Tensor) -> tf.Tensor:
        """Returns the hidden state after each step."""
        return self._whole(sequence)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the output's shape."""
        return (*input_shape[:2], self.values.units)

    def _states(self, sequence: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns hidden and cell state after each step, both `(batch, time, units)`."""
        weights = self.values
        hidden = cell = tf.zeros((tf.shape(sequence)[0], weights.units))
        every_hidden, every_cell = [], []
        for step in range(sequence.shape[1]):
            summed = (
                sequence[:, step] @ tf.constant(weights.kernel)
                + hidden @ tf.constant(weights.recurrent_kernel)
                + tf.constant(weights.bias)
            )
            entry, forget, change, exit = tf.split(summed, LSTM_GATES, axis=1)
            cell = tf.sigmoid(forget) * cell + tf.sigmoid(entry) * tf.tanh(change)
            hidden = tf.sigmoid(exit) * tf.tanh(cell)
            every_hidden.append(hidden)
            every_cell.append(cell)
        return tf.stack(every_hidden, axis=1), tf.stack(every_cell, axis=1)


class CellStates(keras.layers.Layer):
    """The cell state of a `FusedLSTM` after each step, to measure how large it gets."""

    def __init__(self, lstm: FusedLSTM, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lstm = lstm

    def call(self, sequence: tf.Tensor) -> tf.Tensor:
        """Returns `(batch, time, units)`."""
        return self.lstm._states(sequence)[1]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the states."""
        return self.lstm.compute_output_shape(input_shape)

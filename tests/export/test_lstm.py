import keras
import numpy as np
import pytest

from edgeax.export.lstm import CellStates, FusedLSTM, LSTMWeights
from tests.export.networks import normal


def keras_lstm():
    keras.utils.set_random_seed(0)
    layer = keras.layers.LSTM(4, return_sequences=True, return_state=True)
    layer.build((None, 5, 3))
    layer.cell.bias.assign(normal(16) * 0.3)
    return layer


def fused(layer, stateful=False):
    values = [np.asarray(variable) for variable in layer.cell.weights]
    return FusedLSTM(7, LSTMWeights(*values, encoded=None), stateful)


def test_in_keras_it_computes_what_keras_computes():
    layer, sequence = keras_lstm(), normal(2, 5, 3)
    states, hidden, cell = layer(sequence)
    lstm = fused(layer)
    assert np.allclose(lstm(sequence), states, atol=1e-6)
    cells = CellStates(lstm)(sequence)
    assert np.allclose(cells[:, -1], cell, atol=1e-6)
    assert np.allclose(lstm(sequence)[:, -1], hidden, atol=1e-6)
    assert lstm.compute_output_shape((None, 5, 3)) == (None, 5, 4)


@pytest.mark.parametrize(
    "largest, bits", [(0.1, 0), (1.0, 0), (1.01, 1), (2.0, 1), (3.9, 2), (64.0, 6), (1e9, 6)]
)
def test_the_cell_state_gets_the_integer_bits_that_it_needs(largest, bits):
    lstm = fused(keras_lstm())
    lstm.largest_cell = largest
    assert lstm.cell_bits == bits


def test_a_stateful_cell_gets_room_to_grow():
    lstm = fused(keras_lstm(), stateful=True)
    lstm.largest_cell = 1.0
    assert lstm.cell_bits == 1

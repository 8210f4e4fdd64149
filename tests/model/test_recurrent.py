"""Recurrent layers with rounded hidden states."""

import keras
import numpy as np
import pytest

from edgeax import Quantize
from edgeax.formats import Integer
from edgeax.layers import QuantGRU, QuantLSTM, RoundedGRUCell, RoundedLSTMCell
from edgeax.transforms.learned_step import LearnedStep

layers = keras.layers


def sequences(count=4, steps=5, size=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, steps, size)).astype(np.float32)


def on_grid(values, bits):
    """Rounds to 2**bits even steps of [-1, 1] on which 0 lies, by the definition."""
    step = np.float32(2.0 / (2**bits - 1))
    zero = np.floor(1.0 / step + 0.5)
    return step * np.clip(np.rint(values / step), -zero, 2**bits - 1 - zero)


@pytest.mark.parametrize(
    "kind, plain, states",
    [(RoundedLSTMCell, layers.LSTMCell, 2), (RoundedGRUCell, layers.GRUCell, 1)],
)
def test_each_step_is_that_of_keras_from_a_rounded_state_and_rounded_again(kind, plain, states):
    keras.utils.set_random_seed(0)
    cell = kind(4, state_quantizer="int4")
    given = sequences()
    expected_cell = plain(4)
    expected_cell.build((None, 3))
    hidden = layers.RNN(cell, return_sequences=True)(given)
    expected_cell.set_weights(cell.get_weights())
    state = [np.zeros((4, 4), np.float32)] * states
    for step in range(5):
        output, state = expected_cell(given[:, step], state)
        state = [np.asarray(part) for part in state]
        state[0] = on_grid(np.asarray(output), 4)
        np.testing.assert_allclose(hidden[:, step], state[0], atol=1e-5)
    assert len(np.unique(np.round(np.asarray(hidden), 5))) <= 16


@pytest.mark.parametrize("make", [QuantLSTM, QuantGRU])
def test_kernels_have_quantizers_of_their_own_and_it_saves(make, tmp_path):
    keras.utils.set_random_seed(0)
    layer = make(
        4, name="cell", return_sequences=True, kernel_quantizer="int3",
        recurrent_quantizer="int5", bias_quantizer="int8", state_quantizer="int8",
    )  # fmt: skip
    model = keras.Sequential([keras.Input((5, 3)), layer])
    frozen = {variable.name: code for variable, _, code in layer.freeze_weights()}
    assert {name: code.bits for name, code in frozen.items()} == {
        "kernel": 3,
        "recurrent_kernel": 5,
        "bias": 8,
    }
    assert (layer.name, model.output_shape) == ("cell", (None, 5, 4))
    model.compile("sgd", "mse")
    model.fit(sequences(), np.zeros((4, 5, 4)), verbose=0)
    model.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(copy.predict(sequences(), verbose=0), model(sequences()))


def test_without_a_state_quantizer_it_stays_the_layer_of_keras():
    assert type(QuantLSTM(4, kernel_quantizer="int8").layer) is layers.LSTM
    assert type(QuantGRU(4, recurrent_quantizer="int8").layer) is layers.GRU


def test_settings_of_the_layer_are_kept():
    layer = QuantGRU(
        4, activation="relu", dropout=0.25, go_backwards=True, return_state=True, unroll=True,
        reset_after=False, dtype="mixed_bfloat16", state_quantizer="int8",
    )  # fmt: skip
    rnn = layer.layer
    assert (rnn.go_backwards, rnn.return_state, rnn.unroll) == (True, True, True)
    assert (rnn.cell.dropout, rnn.cell.reset_after) == (0.25, False)
    assert rnn.cell.activation is keras.activations.relu
    assert rnn.compute_dtype == rnn.cell.compute_dtype == "bfloat16"


def test_hwz16_a_quantized_cell_learns_to_copy():
    # The target is the sign that was seen two steps before: only the hidden state can tell.
    keras.utils.set_random_seed(0)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (512, 8, 1)).astype(np.float32)
    model = keras.Sequential(
        [
            keras.Input((8, 1)),
            QuantGRU(
                16, return_sequences=True, kernel_quantizer="int4",
                recurrent_quantizer="int4", state_quantizer="int4",
            ),
            layers.Dense(1),
        ]
    )  # fmt: skip
    model.compile(keras.optimizers.Adam(0.02), "mse")
    model.fit(signs, np.roll(signs, 2, 1), epochs=15, verbose=0)
    seen = model.predict(signs, verbose=0)[:, 2:]
    assert np.mean(np.sign(seen) == signs[:, :-2]) > 0.99


def test_a_fixed_range_and_a_format_object_are_taken():
    fixed = RoundedLSTMCell(4, state_quantizer=Quantize("int8", range=(-0.5, 0.5)))
    assert fixed._rounding[0].fixed_range == (-0.5, 0.5)
    assert RoundedLSTMCell(4, state_quantizer=Integer(6))._rounding[0].fixed_range == (-1.0, 1.0)


@pytest.mark.parametrize("cell", [RoundedLSTMCell, RoundedGRUCell])
def test_a_state_that_would_have_to_be_followed_is_refused(cell):
    with pytest.raises(ValueError, match="`state_quantizer` must have no state.*LearnedStep"):
        cell(4, state_quantizer=LearnedStep(4))

import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.assemble import assemble
from edgeax.export.recurrent import is_fused, state_extremes, why_not_recurrent
from edgeax.runtime import Interpreter
from tests.export.networks import normal, sequential

layers = keras.layers

SAMPLES = normal(16, 4, 3)


def recurrent(layer):
    model = sequential(keras.Input((4, 3)), layer)
    for cell in model._flatten_layers():
        if getattr(cell, "bias", None) is not None:
            cell.bias.assign(normal(*cell.bias.shape, seed=3) * 0.4)
    return model


LAYERS = {
    "gru": lambda: layers.GRU(5),
    "gru_without_bias": lambda: layers.GRU(5, use_bias=False),
    "gru_reset_before": lambda: layers.GRU(5, reset_after=False, return_sequences=True),
    "gru_backwards": lambda: layers.GRU(5, go_backwards=True, return_sequences=True),
    "rnn": lambda: layers.SimpleRNN(5),
    "rnn_relu": lambda: layers.SimpleRNN(5, activation="relu", return_sequences=True),
    "lstm_of_other_kind": lambda: layers.LSTM(
        5, activation="relu", recurrent_activation="hard_sigmoid"
    ),
    "lstm_backwards": lambda: layers.LSTM(5, go_backwards=True),
    "lstm_without_bias": lambda: layers.LSTM(5, use_bias=False),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_without_a_loop_it_computes_what_keras_computes(kind):
    model = recurrent(LAYERS[kind]())
    made = assemble(model, [SAMPLES], integer=False)
    assert "WHILE" not in {op.name for op in made.file.subgraphs[0].operators}
    outputs = Interpreter(model_content=made.file.to_bytes()).run(SAMPLES)
    assert np.abs(outputs - model.predict(SAMPLES, verbose=0)).max() < 1e-5


@pytest.mark.parametrize("kind", ["gru", "lstm_of_other_kind"])
def test_its_kernels_are_the_codes_of_training(kind):
    layer = LAYERS[kind]()
    model = edgeax.compress(recurrent(layer), "static_wc4_ai8")
    made = assemble(model, [SAMPLES], integer=True, pack=True)
    assert all(one.how in ("int8", "packed") for one in made.kernels), made.kernels
    held = np.concatenate([weight.encoded.decode().ravel() for weight in made.frozen.weights])
    trained = [code.decode().ravel() for _, _, code in model.layers[0].freeze_weights()]
    assert sorted(held.tolist()) == sorted(np.concatenate(trained).tolist())
    outputs = Interpreter(model_content=made.file.to_bytes()).run(SAMPLES)
    wanted = edgeax.strip(model).predict(SAMPLES, verbose=0)
    assert np.abs(outputs - wanted).max() < 0.04 * max(1.0, np.ptp(wanted))


def test_all_states_of_a_gru_lie_on_one_grid():
    model = recurrent(layers.GRU(5, return_sequences=True))
    graph = assemble(model, [SAMPLES], integer=True).file.subgraphs[0]
    (pack,) = [op for op in graph.operators if op.name == "PACK"]
    ends = [graph.tensors[index] for index in (*pack.inputs, *pack.outputs)]
    assert {(float(end.scale[0]), int(end.zero_point[0])) for end in ends} == {
        (2.0**-14, 0)
    }  # 16 bits for twice the range


def test_kernels_stand_in_the_file_once_for_all_steps():
    model = recurrent(layers.GRU(5))
    graph = assemble(model, [SAMPLES], integer=True).file.subgraphs[0]
    kernels = [op.inputs[1] for op in graph.operators if op.name == "FULLY_CONNECTED"]
    assert len(set(kernels)) == 6  # three gates, of the input and of the state
    assert len(kernels) == 3 + 3 * 3  # the input at once, the state in three of four steps


def test_only_keras_default_lstm_is_the_devices():
    assert is_fused(layers.LSTM(2))
    assert not is_fused(layers.LSTM(2, activation="relu"))
    assert not is_fused(layers.LSTM(2, recurrent_activation="hard_sigmoid"))
    assert not is_fused(layers.GRU(2))


def test_a_state_behind_tanh_has_a_known_range():
    assert state_extremes(layers.GRU(2)) == (-1.0, 127 / 128)
    assert state_extremes(layers.GRU(2, activation="relu")) is None


def test_what_has_to_stay_a_loop_says_why():
    assert why_not_recurrent(layers.LSTM(2, return_state=True)) == "it returns its state"
    stateful = layers.GRU(2, stateful=True)
    assert why_not_recurrent(stateful) == "only the LSTM operator keeps its state"
    assert why_not_recurrent(layers.LSTM(2, stateful=True)) == ""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.stateful import check_stateful, predict_rows, stateful_layers
from edgeax.runtime import Interpreter
from tests.export.networks import normal

layers = keras.layers

ROWS = normal(6, 4, 3)


def model(batch=1, kind=layers.LSTM, **options):
    keras.utils.set_random_seed(0)
    given = keras.Input(batch_shape=(batch, 4, 3))
    memory = kind(5, stateful=True, name="memory", **options)
    return keras.Model(given, layers.Dense(3)(memory(given)))


def test_a_stateful_file_goes_on_where_it_stopped_as_keras_does(tmp_path):
    network = model()
    result = edgeax.export(network, tmp_path / "model.tflite", ROWS, measure=False)
    network.layers[1].reset_state()
    wanted = np.concatenate([network.predict_on_batch(ROWS[i : i + 1]) for i in range(6)])
    interpreter = Interpreter(tmp_path / "model.tflite")
    assert interpreter.details.is_stateful
    first = interpreter.run(ROWS[:2])
    outputs = np.concatenate([first, interpreter.run(ROWS[2:])])
    assert np.abs(outputs - wanted).max() < 0.03
    assert np.abs(interpreter.run(ROWS[:1]) - outputs[:1]).max() > 0.03  # it has not forgotten
    interpreter.reset_state()
    assert np.array_equal(interpreter.run(ROWS), outputs)
    assert result.parity.most_output_difference < 0.03


def test_other_files_start_every_row_from_a_cleared_state(tmp_path):
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((4, 3)), layers.LSTM(5)])
    edgeax.export(network, tmp_path / "model.tflite", ROWS, measure=False)
    interpreter = Interpreter(tmp_path / "model.tflite")
    assert not interpreter.details.is_stateful
    assert np.array_equal(interpreter.run(ROWS), interpreter.run(ROWS))


def test_an_export_leaves_what_the_model_remembers_as_it_was(tmp_path):
    network = model()
    network.predict_on_batch(ROWS[:1])
    before = [np.asarray(state) for state in network.layers[1].states]
    edgeax.export(network, tmp_path / "model.tflite", ROWS, measure=False)
    assert all(map(np.array_equal, before, map(np.asarray, network.layers[1].states)))


def test_rows_are_predicted_from_a_cleared_state():
    network = model()
    (outputs,) = predict_rows(network, [ROWS[:1], ROWS[:1]], count=1)
    assert np.array_equal(outputs[0], outputs[1])


def test_another_batch_than_the_files_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(ValueError, match=r"`model` must have batch 1.*batch 4 at 'memory'.*set_w"):
        edgeax.export(model(batch=4), tmp_path / "model.tflite", ROWS)
    assert list(tmp_path.iterdir()) == []


def test_another_layer_than_lstm_cannot_keep_a_state():
    with pytest.raises(ValueError, match=r"stateful in LSTM layers.*GRU 'memory'.*Use an LSTM"):
        check_stateful(model(kind=layers.GRU))
    with pytest.raises(ValueError, match="default activations"):
        check_stateful(model(activation="relu"))


def test_only_stateful_layers_are_found():
    assert [layer.name for layer in stateful_layers(model())] == ["memory"]
    assert stateful_layers(keras.Sequential([keras.Input((4, 3)), layers.LSTM(5)])) == []

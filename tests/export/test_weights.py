import keras
import numpy as np

import edgeax
from edgeax.export.weights import Builder, Slice, Weights, trained_extremes
from tests.export.networks import normal

layers = keras.layers


def wrapped(layer, recipe="static_wi8_ai8", *shape):
    keras.utils.set_random_seed(0)
    model = edgeax.compress(keras.Sequential([keras.Input(shape or (4, 3)), layer]), recipe)
    return model.layers[0]


def test_weights_of_a_plain_layer_are_its_own_and_have_no_codes():
    layer = layers.Dense(2)
    layer.build((None, 3))
    weights = Weights(layer)
    assert np.array_equal(weights.value(layer.kernel), np.asarray(layer.kernel))
    assert weights.encoded(layer.kernel) is None


def test_weights_of_a_compressed_layer_are_what_its_codes_stand_for():
    layer = wrapped(layers.GRU(2))
    weights, kernel = Weights(layer), layer.layer.cell.kernel
    encoded = weights.encoded(kernel)
    assert np.array_equal(weights.value(kernel), encoded.decode())
    assert not np.array_equal(weights.value(kernel), np.asarray(kernel))
    assert np.array_equal(weights.value(layer.layer.cell.bias), np.asarray(layer.layer.cell.bias))


def test_a_slice_holds_the_same_channels_in_values_and_in_codes():
    layer = wrapped(layers.GRU(2))
    kernel = layer.layer.cell.recurrent_kernel
    part = Slice(Weights(layer), kernel, slice(2, 4))
    assert np.array_equal(part.value, Weights(layer).value(kernel)[:, 2:4])
    assert np.array_equal(part.encoded.decode(), part.value)


def test_a_slice_of_an_lstm_takes_one_gate_though_codes_are_kept_by_gates():
    layer = wrapped(layers.LSTM(2, activation="relu"))
    kernel = layer.layer.cell.kernel
    for gate in range(4):
        part = Slice(Weights(layer), kernel, slice(2 * gate, 2 * gate + 2))
        assert part.encoded.shape == (3, 2)
        assert np.array_equal(part.encoded.decode(), part.value)


def test_a_copy_has_the_values_and_the_codes_with_a_gain():
    layer = wrapped(layers.Dense(2, name="dense"), "static_wi8_ai8", 3)
    build = Builder()
    build.copy_of(layer.layer, Weights(layer), "path", keras.Input((3,)), gain=0.5)
    (call,) = build.calls
    value = Weights(layer).value(layer.layer.kernel)
    assert np.array_equal(np.asarray(call.operation.kernel), value * np.float32(0.5))
    assert np.allclose(build.kernels[id(call.operation)]["kernel"].decode(), value / 2, rtol=1e-6)
    assert build.paths[id(call.operation)] == "path"


def test_trained_extremes_are_none_until_training_has_seen_a_batch():
    layer = wrapped(layers.Dense(2, activation="relu"), "static_wi8_ai8", 3)
    assert trained_extremes(layer, "output") is None
    outputs = layer(normal(8, 3), training=True)
    low, high = trained_extremes(layer, "output")
    assert low == 0.0 and np.isclose(high, np.max(outputs), rtol=1e-2)
    assert trained_extremes(layers.Dense(2), "output") is None

"""Moves: where the channels of a tensor go, worked out by hand, and what is known of values."""

import keras
import numpy as np
import pytest

from edgeax.model.channel_moves import (
    acts_on_values,
    is_value_function,
    keeps_constants,
    keeps_zeros_only,
    kind_of,
    merges,
    move_of,
)
from edgeax.model.graph import trace

layers, ops = keras.layers, keras.ops


def call_of(function, *shapes):
    """Returns the last call of a model of what `function` computes."""
    given = [keras.Input(shape) for shape in shapes or [(2, 2, 3)]]
    return trace(keras.Model(given, function(*given))).calls[-1]


MOVES = {
    "flatten": (layers.Flatten(), [[0, 1, 2] * 4]),
    "reshape": (layers.Reshape((4, 3)), [0, 1, 2]),
    "reshape, inferred": (layers.Reshape((-1,)), [[0, 1, 2] * 4]),
    "reshape to rows": (layers.Reshape((2, 6)), [[0, 1, 2, 0, 1, 2]] * 2),
    "reshape across": (layers.Reshape((6, 2)), [[0, 1], [2, 0], [1, 2]] * 2),
    "permute": (layers.Permute((2, 1, 3)), [0, 1, 2]),
    "softmax": (layers.Softmax(axis=1), [0, 1, 2]),
    "pooling": (layers.MaxPooling2D(2), [0, 1, 2]),
    "global": (layers.GlobalAveragePooling2D(), [0, 1, 2]),
    "dropout": (layers.Dropout(0.5, noise_shape=(None, 1, 1, None)), [0, 1, 2]),
    "activation": (layers.Activation("hard_swish"), [0, 1, 2]),
    "resizing": (layers.Resizing(3, 3), [0, 1, 2]),
    "mean": (lambda x: ops.mean(x, axis=(1, -2)), [0, 1, 2]),
    "sum": (lambda x: ops.sum(x, axis=1, keepdims=True), [0, 1, 2]),
    "expand": (lambda x: ops.expand_dims(x, 1), [0, 1, 2]),
    "squeeze": (lambda x: ops.squeeze(ops.expand_dims(x, 1), 1), [0, 1, 2]),
    "transpose": (lambda x: ops.transpose(x, (0, 2, 1, 3)), [0, 1, 2]),
    "item": (lambda x: x[:, 0, 1:], [0, 1, 2]),
    "pad": (lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 1), (0, 0))), [0, 1, 2]),
    "resize": (lambda x: ops.image.resize(x, (4, 4), data_format="channels_last"), [0, 1, 2]),
    "clip": (lambda x: ops.clip(x, 0.0, 1.0), [0, 1, 2]),
}


@pytest.mark.parametrize("name", MOVES)
def test_channels_go_where_they_were_worked_out_to_go(name):
    function, expected = MOVES[name]
    call = call_of(function)
    moved = np.atleast_2d(move_of(call)(call, [np.arange(3)]))
    rows = np.atleast_2d(expected)
    repeats = len(moved) // len(rows)
    np.testing.assert_array_equal(moved, np.concatenate([rows] * repeats))
    assert moved.shape[-1] == call.output_tensors[0].shape[-1]


def test_concatenated_channels_stand_behind_each_other_or_in_rows():
    call = call_of(lambda a, b: layers.Concatenate()([a, b]), (2, 3), (2, 1))
    assert move_of(call)(call, [np.arange(3), np.arange(7, 8)]).tolist() == [0, 1, 2, 7]
    call = call_of(lambda a, b: ops.concatenate([a, b], axis=1), (2, 3), (4, 3))
    given = [np.arange(3), np.arange(3, 6)]
    assert move_of(call)(call, given).tolist() == [[0, 1, 2], [3, 4, 5]]


REFUSED = {
    "permute": (layers.Permute((3, 1, 2)), "moves the axis of the channels"),
    "transpose": (lambda x: ops.transpose(x), "moves the axis of the channels"),
    "softmax": (layers.Softmax(), "mixes channels"),
    "mean": (lambda x: ops.mean(x, axis=-1, keepdims=True), "mixes channels"),
    "sum of all": (lambda x: ops.sum(x, keepdims=True), "mixes channels"),
    "expand": (lambda x: ops.expand_dims(x, -1), "moves the axis of the channels"),
    "item": (lambda x: x[..., :2], "takes some of the channels"),
    "slice": (lambda x: x[:, :, :, 1:], "takes some of the channels"),
    "pad": (lambda x: ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, 1))), "may pad channels"),
    "noise": (layers.Dropout(0.5, noise_shape=(None, 1, 1, 3)), "fixes their number"),
    "first": (layers.MaxPooling2D(2, data_format="channels_first"), "channels not last"),
    "flatten first": (layers.Flatten(data_format="channels_first"), "channels not last"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_takes_channels_apart_says_so(name):
    function, why = REFUSED[name]
    call = call_of(function)
    assert why in move_of(call)(call, [np.arange(3)])


@pytest.mark.parametrize("part", [layers.Flatten(), layers.Reshape((-1, 6))])
def test_unknown_sizes_are_told(part):
    call = call_of(part, (None, 4, 3))
    why = move_of(call)(call, [np.arange(3)])
    assert "unknown size" in why or "not known" in why


UNKNOWN = {
    "normalization": layers.LayerNormalization(),
    "own function": layers.Activation(lambda x: ops.flip(x, -1)),
    "softmax": layers.Activation("softmax"),
    "lambda": layers.Lambda(lambda x: x[..., ::-1], output_shape=(2, 2, 3)),
    "flip": lambda x: ops.flip(x, -1),
    "cumulated": lambda x: ops.cumsum(x, -1),
    "rescaling": layers.Rescaling([1.0, 2.0, 3.0]),
    "clip": lambda x: ops.clip(x, np.zeros(3), np.ones(3)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_has_no_move(name):
    assert move_of(call_of(UNKNOWN[name])) is None


def test_subclasses_are_not_taken_for_their_bases():
    class Own(layers.Flatten):
        pass

    assert move_of(call_of(Own())) is None


@pytest.mark.parametrize("name", ["relu", "gelu", "hard_silu", "sigmoid", "leaky_relu", "linear"])
def test_functions_of_single_values_are_known(name):
    function = keras.activations.get(name)
    assert is_value_function(function)
    given = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    alone = np.concatenate([np.asarray(function(given[:, [i]])) for i in range(4)], axis=1)
    np.testing.assert_allclose(function(given), alone, rtol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax", "glu"])
def test_functions_that_mix_are_not(name):
    assert not is_value_function(keras.activations.get(name))
    assert not is_value_function(lambda x: x)
    assert is_value_function(None) and is_value_function(layers.LeakyReLU())


def test_kinds_of_calls_are_told_apart():
    assert acts_on_values(call_of(lambda x: ops.relu(x)))
    assert not acts_on_values(call_of(layers.MaxPooling2D(2)))
    assert merges(call_of(lambda x: x + 3.0))
    assert merges(call_of(lambda a, b: layers.Add()([a, b]), (3,), (3,)))
    assert not merges(call_of(lambda a, b: layers.Dot(1)([a, b]), (3,), (3,)))
    assert kind_of(call_of(lambda x: ops.relu(x)).operation) == "Relu"
    assert kind_of(layers.ReLU()) == ""
    assert keeps_constants(call_of(layers.AveragePooling2D(2)))
    for part in (layers.Softmax(1), layers.Resizing(3, 3), layers.ZeroPadding2D(1)):
        assert not keeps_constants(call_of(part))
    for function in (ops.max, ops.min):
        assert keeps_constants(call_of(lambda x, f=function: f(x, axis=1)))
        assert not keeps_constants(call_of(lambda x, f=function: f(x, axis=1, initial=0.0)))
    assert keeps_zeros_only(call_of(layers.ZeroPadding2D(1)))
    assert keeps_zeros_only(call_of(lambda x: ops.sum(x, axis=1)))
    assert not keeps_zeros_only(call_of(layers.Resizing(3, 3)))

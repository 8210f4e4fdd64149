"""Multiply-accumulates: against numbers worked out by hand and those of the papers."""

import keras
import pytest

from edgeax.model.macs import macs
from tests.model import small_models

layers = keras.layers

ONE_LAYER = {
    "dense": (layers.Dense(5), (7,), 7 * 5),
    "dense at each step": (layers.Dense(5), (3, 7), 3 * 7 * 5),
    "conv": (layers.Conv2D(6, 3, padding="same"), (8, 8, 2), 64 * 9 * 2 * 6),
    "conv, strides": (layers.Conv2D(6, 3, strides=2), (9, 9, 2), 16 * 9 * 2 * 6),
    "conv, first": (
        layers.Conv2D(6, 3, data_format="channels_first"),
        (2, 8, 8),
        36 * 9 * 2 * 6,
    ),
    "grouped": (layers.Conv2D(6, 3, padding="same", groups=2), (8, 8, 4), 64 * 9 * 2 * 6),
    "conv 1D": (layers.Conv1D(6, 3), (8, 2), 6 * 3 * 2 * 6),
    "conv 3D": (layers.Conv3D(6, 2), (3, 3, 3, 2), 8 * 8 * 2 * 6),
    "depthwise": (
        layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        (8, 8, 4),
        64 * 9 * 4 * 2,
    ),
    "separable": (
        layers.SeparableConv2D(6, 3, padding="same"),
        (8, 8, 4),
        64 * (9 * 4 + 4 * 6),
    ),
    # each input position goes into all positions of the kernel
    "transposed": (layers.Conv2DTranspose(6, 3, strides=2), (4, 4, 2), 16 * 9 * 2 * 6),
    "einsum": (layers.EinsumDense("abc,cd->abd", (3, 5)), (3, 7), 3 * 7 * 5),
    "einsum, several axes": (
        layers.EinsumDense("abc,cde->abde", (3, 5, 2)),
        (3, 7),
        3 * 7 * 5 * 2,
    ),
    "lstm": (layers.LSTM(4), (5, 3), 5 * (3 + 4) * 16),
    "lstm, all steps": (layers.LSTM(4, return_sequences=True), (5, 3), 5 * (3 + 4) * 16),
    "gru": (layers.GRU(4), (5, 3), 5 * (3 + 4) * 12),
    "rnn": (layers.SimpleRNN(4), (5, 3), 5 * (3 + 4) * 4),
    "both ways": (layers.Bidirectional(layers.LSTM(4)), (5, 3), 2 * 5 * (3 + 4) * 16),
    "conv lstm 1D": (layers.ConvLSTM1D(4, 3, padding="same"), (5, 8, 3), 5 * 8 * 3 * (3 + 4) * 16),
    "conv lstm 2D": (layers.ConvLSTM2D(4, 3, padding="same"), (5, 8, 8, 3), 322560),
    "conv lstm 3D": (
        layers.ConvLSTM3D(2, 2, strides=2, return_sequences=True),
        (3, 4, 4, 4, 1),
        3 * 8 * 8 * (1 + 2) * 8,
    ),
    "conv lstm, first": (
        layers.ConvLSTM2D(4, 3, data_format="channels_first", return_sequences=True),
        (5, 3, 8, 8),
        5 * 36 * 9 * (3 + 4) * 16,
    ),
    "conv lstm, both ways": (
        layers.Bidirectional(layers.ConvLSTM2D(4, 3, padding="same")),
        (5, 8, 8, 3),
        2 * 322560,
    ),
    "time distributed": (
        layers.TimeDistributed(layers.Conv2D(6, 3)),
        (5, 4, 4, 2),
        5 * 4 * 9 * 2 * 6,
    ),
}


@pytest.mark.parametrize("name", ONE_LAYER)
def test_one_layer_needs_what_was_worked_out_by_hand(name):
    part, shape, expected = ONE_LAYER[name]
    part = type(part).from_config({**part.get_config(), "name": "part"})
    given = keras.Input(shape)
    model = keras.Model(given, layers.ReLU()(part(given)))
    assert macs(model) == {"part": expected}


def test_an_embedding_is_looked_up():
    model = keras.Sequential(
        [keras.Input((None,), dtype="int32"), layers.Embedding(9, 3, name="e")]
    )
    assert macs(model) == {"e": 0}


def test_nested_layers_have_paths_and_count_each_call():
    assert macs(small_models.nested()) == {
        "stem": 36 * 2 * 4,
        "deep/inner/conv": 36 * 9 * 4 * 4,
        "shallow/conv": 2 * 36 * 9 * 4 * 4,
        "head": 36 * 4 * 3,
    }


def test_sizes_that_may_vary_are_refused():
    model = keras.Sequential([keras.Input((None, None, 2)), layers.Conv2D(3, 3, name="conv")])
    with pytest.raises(ValueError, match="known sizes.*Received: 'conv' makes"):
        macs(model)


def test_models_without_a_graph_are_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match="must be a Sequential or functional"):
        macs(Own())


PAPERS = {
    "MobileNet": 569e6,  # table 4 of the paper
    "MobileNetV2": 300e6,  # table 4
    "MobileNetV3Small": 56e6,  # table 3
    "EfficientNetB0": 0.39e9,  # table 2
    "ResNet50": 3.8e9,  # table 1
}


@pytest.mark.parametrize("name", PAPERS)
def test_known_networks_need_what_their_papers_say(name):
    model = getattr(keras.applications, name)(weights=None, input_shape=(224, 224, 3))
    assert sum(macs(model).values()) == pytest.approx(PAPERS[name], rel=0.02)

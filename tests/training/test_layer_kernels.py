"""Kernels by the paths of their layers, in canonical layout."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.training.layer_kernels import checked_layers, layer_kernels, owners

layers = keras.layers


def nested():
    inner = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 3, name="conv"),
            layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise"),
        ],
        name="backbone",
    )
    given = keras.Input((6, 6, 2))
    x = layers.Flatten()(inner(given))
    x = layers.Dense(5, name="hidden")(x)
    return keras.Model(given, layers.Dense(2, name="head")(x))


@pytest.mark.parametrize("make", [nested, lambda: edgeax.compress(nested(), ["int8"])])
def test_all_but_the_layers_that_make_the_outputs_are_found_by_their_paths(make):
    kernels = {kernel.path: kernel for kernel in layer_kernels(make(), None, "X")}
    assert [*kernels] == ["backbone/conv", "backbone/depthwise", "hidden"]
    assert kernels["backbone/depthwise"].shape == (3, 3, 6)  # inputs times multiplier
    assert kernels["backbone/depthwise"].input_axes == ()


@pytest.mark.parametrize(
    "picked, expected",
    [
        ("conv|depth", ["backbone/conv", "backbone/depthwise"]),
        ("^backbone/conv$", ["backbone/conv"]),
        (["hidden", "head"], ["hidden", "head"]),
    ],
)
def test_an_expression_is_searched_in_the_path(picked, expected):
    assert [k.path for k in layer_kernels(nested(), picked, "X")] == expected


def test_a_kernel_is_read_and_set_in_canonical_layout():
    model = keras.Sequential([keras.Input((4, 4, 2)), layers.Conv2DTranspose(3, 1, name="up")])
    (kernel,) = layer_kernels(model, "up", "X")
    assert kernel.variable.shape == (1, 1, 3, 2) and kernel.shape == (1, 1, 2, 3)
    value = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    kernel.assign(value)
    assert kernel.value.numpy().tolist() == value.tolist()
    assert kernel.variable.numpy()[0, 0].tolist() == value[0, 0].T.tolist()


def test_kernels_inside_recurrent_layers_go_by_the_layers_path():
    model = keras.Sequential([keras.Input((4, 2)), layers.GRU(3, name="gru"), layers.Dense(1)])
    kernels = layer_kernels(model, None, "X")
    assert [kernel.path for kernel in kernels] == ["gru", "gru:recurrent_kernel"]


def test_what_is_not_trained_and_embeddings_are_left_out():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Embedding(5, 3),
            layers.Flatten(),
            layers.Dense(4, name="a"),
            layers.Dense(4, name="b"),
        ]
    )
    model.get_layer("a").trainable = False
    assert [kernel.path for kernel in layer_kernels(model, ".", "X")] == ["b"]
    with pytest.raises(ValueError, match=r"`layers` of X must pick.*layers=None.*\['b'\]"):
        layer_kernels(model, None, "X")


@keras.saving.register_keras_serializable("test_layer_kernels")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(3, name="first")
        self.last = layers.Dense(2, name="last")

    def call(self, x):
        return self.last(self.first(x))


def test_a_subclassed_model_must_have_its_layers_named():
    model = Subclassed()
    model(np.ones((1, 4), np.float32))
    for one in (model, edgeax.compress(model, ["int8"])):
        assert [kernel.path for kernel in layer_kernels(one, "first", "X")] == ["first"]
        assert [kernel.path for kernel in layer_kernels(one, ".", "X")] == ["first", "last"]
        with pytest.raises(ValueError, match="`layers` of X must be given.*no graph"):
            layer_kernels(one, None, "X")


def test_each_layer_is_visited_once():
    model = edgeax.compress(nested(), ["int8"])
    found = [owner for _, owner in owners(model)]
    assert len({id(owner) for owner in found}) == len(found)


@pytest.mark.parametrize(
    "value, message",
    [
        (3, "None, a regular expression.*layers=3"),
        ([], "None, a regular expression"),
        (["a", 1], "None, a regular expression"),
        ("(", r"must be a regular expression. Received: '\('"),
    ],
)
def test_what_picks_no_layers_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        checked_layers(value)


def test_expressions_stay_as_they_are():
    assert checked_layers(None) is None and checked_layers("a") == "a"
    assert checked_layers(("a", "b")) == ["a", "b"]

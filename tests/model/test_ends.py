"""Which layers stand first and last."""

import keras
import pytest

from edgeax import Quantize, Recipe, Rule, compress
from edgeax.model.copying import compressed_layers
from edgeax.model.ends import closing_layers, first_layers, last_layers
from edgeax.model.graph import trace
from tests.model import small_models

layers = keras.layers


def ends_of(model):
    graph = trace(model)

    def counts(call):
        return bool(getattr(call.operation, "kernel", None) is not None)

    names = {id(call.operation): call.operation.name for call in graph.calls}
    return [
        sorted(names[identity] for identity in find(graph, counts))
        for find in (first_layers, last_layers, closing_layers)
    ]


def dense(name, given, units=4):
    return layers.Dense(units, name=name)(given)


def two_by_two():
    one, two = keras.Input((4,)), keras.Input((4,))
    joined = layers.Add()([dense("a", one), layers.ReLU()(dense("b", two))])
    middle = dense("middle", joined)
    return keras.Model([one, two], [dense("x", middle), layers.Softmax()(dense("y", middle))])


def residual():
    given = keras.Input((4,))
    first = dense("first", given)
    return keras.Model(given, layers.Add()([first, dense("second", first)]))


def shared():
    given, layer = keras.Input((4,)), layers.Dense(4, name="shared")
    return keras.Model(given, layer(dense("middle", layer(given))))


@pytest.mark.parametrize(
    "make, first, last, closing",
    [
        (two_by_two, ["a", "b"], ["x", "y"], ["x", "y"]),
        (residual, ["first"], ["second"], ["first", "second"]),  # one output sees both
        (shared, ["shared"], ["shared"], ["shared"]),
        (small_models.convolutional, ["conv"], ["head"], ["head"]),
    ],
)
def test_first_and_last_are_counted_along_the_graph(make, first, last, closing):
    assert ends_of(make()) == [first, last, closing]


@keras.saving.register_keras_serializable("tests")
class Between(keras.Model):
    """Its call does more than use Keras: what goes from layer to layer is out of sight."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = [layers.Dense(4, name=name) for name in ("one", "two", "three")]

    def call(self, inputs):
        import tensorflow as tf

        for part in self.parts:
            inputs = tf.raw_ops.Relu(features=part(inputs)) * 1.0
        return inputs


def test_what_goes_on_between_layers_out_of_sight_is_taken_to_join_all_of_them():
    model = Between()
    model(keras.ops.zeros((1, 4)))
    recipe = Recipe([Rule("@first", kernel="int8"), Rule("@last", kernel="int4")])
    compressed = compress(model, recipe)
    assert {
        layer.name: layer.slots.templates["kernel"][0].number_format.bits
        for layer in compressed_layers(compressed)
    } == {"one": 8, "three": 4}


def test_rules_for_the_first_and_the_last_layer_go_through_json():
    recipe = Recipe(
        [
            Rule(".*", kernel=Quantize("int4", axis=-1)),
            Rule(["@first", "@last"], kernel="int8"),
        ]
    )
    compressed = compress(small_models.convolutional(), Recipe.from_json(recipe.to_json()))
    bits = {
        layer.name: layer.slots.templates["kernel"][0].number_format.bits
        for layer in compressed_layers(compressed)
    }
    assert bits == {"conv": 8, "depthwise": 4, "head": 8}

"""Subclassed models: made again, seen as a graph, and refused where that cannot be."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax import Compressed, Prune, Quantize, Recipe, Rule
from edgeax.model.subclassed import as_functional, graph_of, plain_model, rebuilt
from tests.model.layer_kinds import kinds

layers = keras.layers

GIVEN = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)


def branches():
    return kinds()["subclassed model"]().model


class Raw(keras.Model):
    """Uses TensorFlow between its layers, and a model with layers of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inside = keras.Sequential([layers.Dense(4, name="dense")], name="inside")
        self.twice = layers.Dense(4, name="dense", activation="relu")
        self.head = layers.Dense(2, name="head", activation="softmax")

    def call(self, inputs):
        tensor = tf.sin(self.inside(inputs))
        return self.head(self.twice(tf.abs(self.twice(tensor))))


class Unnamed(keras.Model):
    """Has an argument that Keras cannot note."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.dense = layers.Dense(2)

    def call(self, inputs):
        return self.function(self.dense(inputs))


class Integers(keras.Model):
    """Cannot be called with floats."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(2)

    def call(self, inputs):
        return self.dense(tf.one_hot(inputs, 3))


class TwoArguments(keras.Model):
    """Takes two tensors; Keras notes the shape of the first only."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(2)

    def call(self, inputs, other):
        return self.dense(inputs) + other


def built(model, *given):
    keras.utils.set_random_seed(0)
    model(*given)
    return model


def test_a_rebuilt_model_has_the_structure_and_new_weights():
    model = branches()
    model.backbone.trainable = False
    copy = rebuilt(model)
    assert type(copy) is type(model) and copy.get_config() == model.get_config()
    assert [w.shape for w in copy.weights] == [w.shape for w in model.weights]
    assert {id(w) for w in copy.weights}.isdisjoint(id(w) for w in model.weights)
    assert not copy.backbone.trainable and copy.head.trainable


def test_a_plain_copy_computes_the_same():
    model = branches()
    assert np.array_equal(plain_model(model)(GIVEN), model(GIVEN))


def test_a_call_of_keras_operations_is_a_graph():
    graph, originals = graph_of(rebuilt(branches()))
    operations = [call.operation for call in graph.calls]
    paths = [graph.path(operation) for operation in operations]
    assert paths[:2] == ["block_0", "block_1"] and paths[-2:] == ["norm", "head"]
    assert sorted(paths[2:5]) == ["backbone/inner", "shared", "shared"]
    shared = next(o for o in operations if graph.path(o) == "shared")
    assert len(graph.calls_of(shared)) == 2
    assert graph.only_consumer(graph.calls_of(operations[0])[0]).operation is operations[1]
    assert originals[id(operations[0])].name == "block_0"


def test_calls_with_raw_tensorflow_between_them_stand_for_themselves():
    copy = rebuilt(built(Raw(), GIVEN))
    kinds_before = [type(layer) for layer in copy._flatten_layers()]
    graph, originals = graph_of(copy)
    assert [graph.path(call.operation) for call in graph.calls] == [
        "inside/dense",
        "dense",
        "dense",
        "head",
    ]
    assert [graph.is_input(call.input_tensors[0]) for call in graph.calls] == [True] + [False] * 3
    assert [graph.is_output(call) for call in graph.calls] == [False] * 3 + [True]
    assert all(graph.only_consumer(call) is None for call in graph.calls)
    assert [type(layer) for layer in copy._flatten_layers()] == kinds_before
    assert originals[id(copy.head)] is copy.head


def test_the_plan_of_separate_calls_rounds_the_input_once_and_no_final_softmax():
    copy = edgeax.compress(built(Raw(), GIVEN), "static_wi8_ai8")
    slots = {
        path: sorted(slot for slot, members in wrapper.slots.templates.items() if members)
        for path, wrapper in copy.wrappers.items()
    }
    assert slots == {
        "inside/dense": ["input", "kernel", "output"],
        "dense": ["kernel", "output"],
        "head": ["before_activation", "kernel"],
    }
    assert copy.wrappers["dense"].uses == 2
    copy(GIVEN, training=True)
    assert np.allclose(copy(GIVEN), edgeax.strip(copy)(GIVEN), atol=0.02)


def test_the_functional_model_of_a_compressed_one_computes_the_same():
    model = branches()
    copy = edgeax.compress(model, "static_wi4_ai8")
    copy(GIVEN, training=True)
    functional = as_functional(copy)
    assert isinstance(functional, keras.Function)
    assert isinstance(functional.get_layer("backbone").get_layer("inner"), Compressed)
    assert np.array_equal(functional(GIVEN), copy(GIVEN))
    assert np.array_equal(as_functional(model)(GIVEN), model(GIVEN))
    assert {id(w) for w in functional.weights}.isdisjoint(id(w) for w in copy.weights)
    assert as_functional(functional) is functional


def test_a_schedule_stands_at_the_same_step_in_the_functional_model():
    copy = edgeax.compress(branches(), [Prune(0.5)])
    copy(GIVEN, training=True)
    shared = as_functional(copy).get_layer("shared")
    assert shared.uses == 2 and int(shared.chains[0].calls) == 2  # one step of two calls


def test_a_model_without_a_graph_cannot_become_functional_and_says_why():
    with pytest.raises(ValueError, match="nothing but Keras's layers.*Raw.*symbolic"):
        as_functional(built(Raw(), GIVEN))


def test_a_summary_of_a_subclassed_model_counts_all_its_calls():
    summary = edgeax.summary(built(Raw(), GIVEN))
    assert [(row.path, row.macs) for row in summary.rows] == [
        ("inside/dense", 24),
        ("dense", 32),
        ("head", 8),
    ]
    compressed = edgeax.summary(edgeax.compress(branches(), "static_wi4_ai8"))
    bits = {row.path: row.weight_bits for row in compressed.rows}
    assert bits == {
        "block_0": 4,
        "block_1": 4,
        "shared": 4,
        "backbone/inner": 4,
        "norm": 32,
        "head": 4,
    }
    assert compressed.macs == edgeax.summary(branches()).macs == 24 + 16 + 32 + 16 + 12


@pytest.mark.parametrize(
    "model, given, message",
    [
        (Unnamed(tf.abs), [GIVEN], r"(?s)make again from its get_config.*Unnamed.*get_config that"),
        (Integers(), [np.int32([[1, 2]])], "build again.*Integers, of 2 .*has 0.*it must cast"),
        (TwoArguments(), [GIVEN, np.ones((8, 2))], "build again.*TwoArguments.*shapes_dict"),
    ],
)
def test_a_model_that_keras_cannot_make_again_is_refused_with_the_way_out(model, given, message):
    built(model, *given)
    weights = model.get_weights()
    with pytest.raises(ValueError, match=message):
        edgeax.compress(model, "static_wi8_ai8")
    assert all(map(np.array_equal, model.get_weights(), weights))
    assert type(model).__mro__[1] is keras.Model


def test_a_subclassed_model_that_was_never_called_is_refused():
    with pytest.raises(ValueError, match="`model` must be built.*call it once"):
        edgeax.compress(Raw(), "static_wi8_ai8")


def test_a_rule_that_picks_nothing_names_the_layers_of_a_subclassed_model():
    with pytest.raises(ValueError, match=r"picks none.*backbone/inner"):
        edgeax.compress(branches(), Recipe([Rule("inner_layer", kernel=Quantize("int8"))]))


def test_strict_names_what_a_subclassed_model_leaves_out():
    with pytest.raises(ValueError, match=r"`strict`.*\['block_0', 'block_1', 'shared', 'head'\]"):
        recipe = Recipe([Rule("backbone", kernel=Quantize("int8"))])
        edgeax.compress(branches(), recipe, strict=True)


def test_a_compressed_subclassed_model_is_not_compressed_again():
    copy = edgeax.compress(branches(), "static_wi8_ai8")
    with pytest.raises(ValueError, match="`model` must be a plain model.*edgeax.strip"):
        edgeax.compress(copy, "static_wi8_ai8")
    assert edgeax.compress(edgeax.strip(copy), "static_wi8_ai8")


def test_the_copy_is_compiled_as_the_model_was():
    model = branches()
    model.compile(keras.optimizers.Adam(0.5), "mae", metrics=["mse"])
    copy = edgeax.compress(model, "static_wi8_ai8")
    assert copy.compiled and float(copy.optimizer.learning_rate) == 0.5
    assert copy.optimizer is not model.optimizer
    assert set(copy.evaluate(GIVEN, GIVEN[:, :3], verbose=0, return_dict=True)) == {"loss", "mse"}


class Inner(keras.Model):
    """A subclassed model within another."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(3)

    def call(self, inputs):
        return self.dense(inputs)


class Outer(keras.Model):
    """Holds another subclassed model."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = Inner(name="inner")

    def call(self, inputs):
        return self.inner(inputs)

    def get_config(self):
        return {}


def test_a_subclassed_model_within_a_compressed_one_has_no_graph_and_says_so():
    model = Outer()
    model(np.ones((2, 4), np.float32))
    with pytest.raises(ValueError, match=r"hold no other subclassed model.*Inner 'inner'.*functio"):
        edgeax.model.subclassed.as_functional(edgeax.compress(model, "static_wi8_ai8"))
    forecast = edgeax.can_export(model, "static_wi8_ai8")
    assert not forecast and "Inner 'inner'" in forecast.problem

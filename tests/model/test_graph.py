"""Graph: a model as a list of calls."""

import keras
import numpy as np
import pytest

from edgeax.model.copying import clone, fresh_copy
from edgeax.model.graph import inputs_of, is_functional, is_nested, new_inputs, trace
from tests.model import small_models

layers = keras.layers


def traced(model):
    return trace(clone(model, fresh_copy, {}))


def steps(graph):
    """Returns for each call its path and the paths of those that use its result."""
    return [
        (
            graph.path(call.operation),
            [
                graph.path(other.operation)
                for other in graph.calls
                if any(
                    given is made for given in other.input_tensors for made in call.output_tensors
                )
            ],
        )
        for call in graph.calls
    ]


def test_a_sequential_model_is_a_row_of_calls():
    assert steps(traced(small_models.convolutional())) == [
        ("conv", ["norm"]),
        ("norm", ["relu"]),
        ("relu", ["depthwise"]),
        ("depthwise", ["pool"]),
        ("pool", ["head"]),
        ("head", []),
    ]


def test_nested_models_are_opened_and_connected_to_what_lies_around_them():
    graph = traced(small_models.nested())
    consumers = dict(steps(graph))
    assert consumers["stem"] == ["deep/inner/conv", "shallow/conv"]
    assert consumers["deep/inner/conv"] == ["deep/inner/norm"]
    assert consumers["deep/inner/relu"] == ["add"]
    assert consumers["add"] == ["shallow/conv"]
    relus = [call for call in graph.calls if graph.path(call.operation) == "shallow/relu"]
    users = [graph.path(graph.only_consumer(call).operation) for call in relus]
    assert sorted(users) == ["add", "flatten"]
    conv = relus[0].operation, graph.calls[1].operation
    assert len(graph.calls_of(conv[0])) == 2


def test_a_nested_model_sees_the_shapes_it_is_called_with():
    graph = traced(small_models.nested())
    shapes = {graph.path(call.operation): call.output_tensors[0].shape for call in graph.calls}
    assert shapes["deep/inner/conv"] == shapes["shallow/conv"] == (None, 6, 6, 4)


def test_inputs_and_outputs_are_known():
    graph = traced(small_models.nested())
    first, last = graph.calls[0], graph.calls[-1]
    assert graph.is_input(first.input_tensors[0]) and not graph.is_input(last.input_tensors[0])
    assert graph.is_output(last) and not graph.is_output(first)
    assert graph.only_consumer(last) is None


@pytest.mark.parametrize("make", [small_models.convolutional, small_models.nested])
def test_rebuilding_with_the_same_layers_computes_the_same(make):
    model = make()
    made = {}
    copy = clone(model, fresh_copy, made)
    copy.set_weights(model.get_weights())
    graph = trace(copy)
    images = keras.ops.convert_to_tensor(small_models.images())

    def emit(call, args, kwargs):
        return call.operation(*args, **kwargs)

    assert np.array_equal(graph.rebuild(emit, images), model(images))


def test_several_inputs_and_outputs_keep_their_structure():
    given = {"b": keras.Input((2,), name="b"), "a": keras.Input((3,), name="a")}
    first, second = layers.Dense(2, name="first"), layers.Dense(2, name="second")
    model = keras.Model(given, {"y": first(given["a"]), "x": [second(given["b"]), given["a"]]})
    graph = traced(model)

    def emit(call, args, kwargs):
        return graph.path(call.operation)

    assert graph.rebuild(emit, {"a": 1, "b": 2}) == {"y": "first", "x": ["second", 1]}


def test_a_nested_model_may_be_called_by_keyword_with_other_structures_and_pass_inputs_on():
    pair = [keras.Input((2,)), keras.Input((2,))]
    inner = keras.Model(pair, [layers.Add(name="add")(pair), pair[0]], name="inner")
    given = keras.Input((2,))
    total, same = inner(inputs=(given, given), training=False)
    model = keras.Model(given, layers.Subtract(name="subtract")([total, same]))
    graph = traced(model)
    assert steps(graph) == [("inner/add", ["subtract"]), ("subtract", [])]
    assert graph.is_input(graph.calls[1].input_tensors[1])


def test_raw_operators_are_calls_too():
    given = keras.Input((4,))
    x = layers.Dense(4, name="dense")(given)
    graph = traced(keras.Model(given, keras.ops.relu(x)[:, ::-1] + 1.0))
    assert [type(call.operation).__name__ for call in graph.calls] == [
        "Dense",
        "Relu",
        "GetItem",
        "Add",
    ]


def test_a_mask_is_an_argument_only_where_there_is_one():
    given = keras.Input((4,), dtype="int32")
    x = layers.Embedding(5, 3, mask_zero=True, name="embedding")(given)
    x = layers.BatchNormalization(name="norm")(layers.LSTM(2, name="recurrent")(x))
    calls = {call.operation.name: call for call in traced(keras.Model(given, x)).calls}
    assert isinstance(calls["recurrent"].kwargs["mask"], keras.KerasTensor)
    assert calls["norm"].kwargs == {}


def test_fresh_inputs_are_like_the_models_own():
    given = [keras.Input((2,), name="a", dtype="int32"), keras.Input((None, 3), batch_size=4)]
    model = keras.Model(given, given)
    for new, old in zip(new_inputs(model), inputs_of(model), strict=True):
        assert new is not old
        assert (new.shape, new.dtype, new.name) == (old.shape, old.dtype, old.name)
    sequential = small_models.convolutional()
    assert inputs_of(sequential).shape == new_inputs(sequential).shape == (None, 6, 6, 2)


def test_only_sequential_and_functional_models_are_nested():
    class Subclassed(keras.Model):
        pass

    given = keras.Input((2,))
    functional = keras.Model(given, given)
    sequential = keras.Sequential([given])
    assert is_nested(functional) and is_functional(functional)
    assert is_nested(sequential) and not is_functional(sequential)
    assert not is_nested(Subclassed()) and not is_nested(layers.Dense(1))

"""plan: what each layer gets, as wrappers and as data."""

import keras
import pytest

from edgeax import Compressed, Prune, Quantize, Recipe, Rule
from edgeax.model.graph import trace
from edgeax.model.plan import check_nothing_left_out, make_plans
from tests.model import small_models
from tests.model.test_layer_calls import with_odd_layer

layers = keras.layers

RECIPE = Recipe(
    [Rule(".*", kernel=[Prune(0.5), Quantize("int4")], bias=[], output=Quantize("int8"))]
)


def plans_of(model, recipe=RECIPE):
    graph = trace(model)
    originals = {id(call.operation): call.operation for call in graph.calls}
    plans = make_plans(graph, originals, recipe)
    return graph, {graph.paths[identity]: plan for identity, plan in plans.items()}, plans


def test_a_plan_is_the_same_as_data_and_as_a_wrapper():
    given = keras.Input((4,))
    dense = layers.Dense(4, activation="tanh", name="dense")
    _, plans, _ = plans_of(keras.Model(given, dense(dense(given))))
    settings = plans["dense"].settings(dense)
    assert (settings["uses"], settings["activation"]) == (2, "tanh")
    assert [member["class_name"] for member in settings["kernel"]] == ["Prune", "Quantize"]
    assert settings["bias"] == settings["input"] == []
    copy = layers.Dense.from_config(dense.get_config())
    assert plans["dense"].wrap(dense).settings() == settings
    wrapper = Compressed.from_settings(copy, settings)
    assert wrapper.settings() == settings and copy.activation is keras.activations.linear


def test_layers_with_nothing_to_transform_have_no_plan():
    _, plans, _ = plans_of(small_models.convolutional())
    assert list(plans) == ["conv", "relu", "depthwise", "pool", "head"]  # not the batch norm
    assert list(plans["relu"].slots) == ["output"] and list(plans["head"].slots)[0] == "kernel"


def test_a_layer_that_cannot_be_wrapped_has_no_plan_and_counts_as_left_out():
    graph, plans, by_id = plans_of(with_odd_layer())
    assert list(plans) == ["first", "head"]
    with pytest.raises(ValueError, match=r"Left out by the recipe: \['odd \(its call takes"):
        check_nothing_left_out(graph, by_id)

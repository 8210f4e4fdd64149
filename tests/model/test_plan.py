"""plan: what each layer gets, as wrappers and as data."""

import keras
import pytest

from edgeax import Compressed, Prune, Quantize, Recipe, Rule, compress
from edgeax.model.graph import trace
from edgeax.model.plan import behind, check_nothing_left_out, make_plans
from edgeax.transforms.learned_step import LearnedStep
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


def bits_of(plans):
    return {path: plans[path].slots["kernel"][0].number_format.bits for path in plans}


def test_the_last_rule_gives_a_layer_bits_of_its_own():
    recipe = Recipe(
        [
            Rule(".*", kernel="int4"),
            Rule("conv$", kernel="int6"),
            Rule("@last", kernel="int8"),
            Rule("head", kernel=[]),
        ]
    )
    _, plans, _ = plans_of(small_models.convolutional(), recipe)
    assert bits_of(plans) == {"conv": 6, "depthwise": 4}
    recipe.rules.pop()
    _, plans, _ = plans_of(small_models.convolutional(), recipe)
    assert bits_of(plans) == {"conv": 6, "depthwise": 4, "head": 8}


def test_first_and_last_are_the_ends_of_nested_models_too():
    model = small_models.nested()
    recipe = Recipe([Rule("@first", kernel="int8"), Rule("@last", kernel="int7")])
    _, plans, _ = plans_of(model, recipe)
    assert bits_of(plans) == {"stem": 8, "head": 7}


def test_single_weights_are_picked_by_name_and_stand_before_the_kernel():
    given = keras.Input((6, 6, 2))
    x = layers.SeparableConv2D(3, 3, name="separable")(given)
    model = keras.Model(given, layers.Conv2D(2, 1, name="plain")(x))
    recipe = Recipe(
        [
            Rule(".*", weights={"pointwise_kernel": "int3", "bias": "int8"}),
            Rule(".*", kernel="int5"),
        ]
    )
    compressed = compress(model, recipe)
    bits = {
        (layer.name, variable.name): code.bits
        for layer in compressed.layers[1:]
        for variable, _, code in layer.freeze_weights()
    }
    assert bits == {
        ("separable", "depthwise_kernel"): 5,
        ("separable", "pointwise_kernel"): 3,
        ("separable", "bias"): 8,
        ("plain", "kernel"): 5,
        ("plain", "bias"): 8,
    }
    graph, _, by_id = plans_of(model, Recipe([Rule("sep", weights={"depthwise_kernel": "int8"})]))
    with pytest.raises(ValueError, match=r"Left out by the recipe: \['plain'\]"):
        check_nothing_left_out(graph, by_id)


def test_a_rule_for_single_weights_must_find_some():
    recipe = Recipe([Rule("conv", weights={"recurrent_kernel": "int8"})])
    with pytest.raises(ValueError, match=r"\['conv'\]. Received: \['recurrent_kernel'\]"):
        plans_of(small_models.convolutional(), recipe)
    # Also where the rule has other things to do.
    recipe = Recipe([Rule(".*", kernel="int8", weights={"kernle": "int4"})])
    with pytest.raises(ValueError, match=r"\['kernle'\], of which there are none.*'kernel'"):
        plans_of(small_models.convolutional(), recipe)


def test_integer_inputs_have_no_format():
    given = keras.Input((4,), dtype="int32")
    words = layers.Embedding(5, 3, name="words")(given)
    model = keras.Model(given, layers.Flatten(name="flat")(words))
    _, plans, _ = plans_of(model, Recipe([Rule(".*", kernel="int8", input="int8")]))
    assert [*plans["words"].slots] == ["kernel"] and plans["words"].input_places is None
    for kernel in (None, "int8"):
        with pytest.raises(
            ValueError, match=r"\['input'\] for \['words'\].*floating-point, for indices"
        ):
            plans_of(model, Recipe([Rule("words", kernel=kernel, input="int8")]))


def inner_layers():
    """Two dense layers with an activation and a pooling between them."""
    given = keras.Input((4, 4, 1))
    x = layers.Conv2D(2, 3, name="conv")(given)
    x = layers.MaxPooling2D(2, name="pool")(layers.BatchNormalization(name="norm")(x))
    return keras.Model(given, layers.Dense(3, name="head")(layers.Flatten(name="flat")(x)))


@pytest.mark.parametrize(
    "rules, rounded",
    [
        # Nobody rounds what lies between: each layer with a kernel rounds its input.
        ([Rule(".*", kernel="int8", input="ste_sign")], {"conv", "head"}),
        # The layer before rounds it already.
        ([Rule(".*", input="int8", output="int8")], {"conv"}),
        ([Rule(".*", input="int8", output="pact4")], {"conv"}),
        # The later rule wins.
        (
            [Rule(".*", input="int8", output="int8"), Rule("head", input="ste_sign")],
            {"conv", "head"},
        ),
        ([Rule("head", input="ste_sign"), Rule(".*", input="int8", output="int8")], {"conv"}),
        # Of an output whose gradient alone is rounded the values are not.
        ([Rule(".*", input="int8", output="gradient_fp8_e5m2")], {"conv", "head"}),
        (
            [Rule(".*", input="int8", output="int8"), Rule("norm", output="gradient_int8")],
            {"conv", "head"},
        ),
        ([Rule(".*", input="int8", output=["int8", "gradient_int8"])], {"conv"}),
        # What a rule takes back is not rounded.
        ([Rule(".*", input="int8", output="int8"), Rule("norm", output=[])], {"conv", "head"}),
        (
            [
                Rule(".*", output="int8"),
                Rule("norm", output=[]),
                Rule(".*", kernel="int8", input="int8"),
            ],
            {"conv", "head"},
        ),
    ],
)
def test_an_input_is_rounded_once_where_the_later_rule_says(rules, rounded):
    _, plans, _ = plans_of(inner_layers(), Recipe(rules))
    assert {path for path, plan in plans.items() if plan.slots.get("input")} == rounded


@pytest.mark.parametrize(
    "activation, settings",
    [
        ("relu", {"nonnegative": True, "range": "moving_average"}),
        ("sigmoid", {"nonnegative": False, "range": [0.0, 255 / 256]}),
        ("tanh", {"nonnegative": False, "range": [-1.0, 127 / 128]}),
        ("linear", {"nonnegative": False, "range": "moving_average"}),
    ],
)
def test_an_output_transform_learns_what_is_known_behind_an_activation(activation, settings):
    config = behind(activation, Quantize("int8")).get_config()
    assert {name: config[name] for name in settings} == settings
    learned = behind(activation, LearnedStep(4))
    assert learned.nonnegative == (activation in ("relu", "sigmoid"))


def test_a_layer_that_cannot_be_wrapped_has_no_plan_and_counts_as_left_out():
    graph, plans, by_id = plans_of(with_odd_layer())
    assert list(plans) == ["first", "head"]
    with pytest.raises(ValueError, match=r"Left out by the recipe: \['odd \(its call takes"):
        check_nothing_left_out(graph, by_id)


def test_what_is_moved_behind_a_rounded_input_is_not_rounded_again():
    model = keras.Sequential(
        [
            keras.Input((6, 2)),
            layers.ZeroPadding1D(1, name="pad"),
            layers.Cropping1D(1, name="crop"),
            layers.Conv1D(4, 3, name="conv"),
        ]
    )
    compressed = compress(model, "static_wi8_ai8")
    wrapped = {layer.name: layer for layer in compressed.layers}
    assert wrapped["pad"].slots.templates["input"] and not wrapped["conv"].slots.templates["input"]

"""Presets: names that say what a recipe does."""

import pytest

from edgeax import Cluster, Quantize, Recipe, Rule
from edgeax.model.presets import PRESETS, as_recipe, at_once, preset


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_does_what_its_name_says(name):
    recipe = preset(name)
    (rule,) = recipe.rules
    assert recipe.name == name
    assert rule.filter == [".*"]
    kernel = rule.slots["kernel"]
    kind, bits = name[len("static_w")], int(name[len("static_wx")])
    activations = name.replace("static_", "").split("_ai")[1]
    if kind == "i":
        assert [type(member) for member in kernel] == [Quantize]
        assert kernel[0].format == f"int{bits}"
    else:
        assert [type(member) for member in kernel] == [Cluster, Quantize]
        assert kernel[0].number_of_clusters == 2**bits
        assert kernel[1].format == "int8"
    assert kernel[-1].axis == -1
    formats = [rule.slots[slot][0].format for slot in ("input", "output")]
    assert formats == [f"int{activations}"] * 2


def test_the_three_names_of_the_architecture_exist():
    assert {"static_wi8_ai8", "static_wi4_ai8", "static_wc4_ai8"} <= set(PRESETS)
    assert "static_wi8_ai16" in PRESETS


@pytest.mark.parametrize("weights, format", [("i5", "int5"), ("fp8_e4m3", "fp8_e4m3")])
def test_the_grammar_has_other_weights_and_weights_alone(weights, format):
    (rule,) = preset(f"static_w{weights}_ai16").rules
    assert (rule.slots["kernel"][-1].format, rule.slots["output"][0].format) == (format, "int16")
    (rule,) = preset(f"weight_only_w{weights}_afp32").rules
    assert [*rule.slots] == ["kernel"] and rule.slots["kernel"][-1].format == format
    assert preset("weight_only_wc3_afp32").rules[0].slots["kernel"][0].number_of_clusters == 8


def test_an_unknown_name_suggests_near_ones():
    with pytest.raises(ValueError, match="static_wi9_ai8.*Did you mean.*'static_wi8_ai8'"):
        as_recipe("static_wi9_ai8")
    with pytest.raises(ValueError, match="Did you mean one of"):
        as_recipe("smaller, please")
    for name in ("static_wi4_ai4", "weight_only_wi8_ai8", "static_wternery_ai8", "static_wc9_ai8"):
        with pytest.raises(ValueError, match=f"recipe='{name}'. Did you mean one of"):
            as_recipe(name)


def test_a_recipe_is_taken_as_it_is_and_transforms_are_for_every_kernel():
    recipe = Recipe([Rule("x", kernel=Quantize("int8"))])
    assert as_recipe(recipe) is recipe
    (rule,) = as_recipe(["int5"]).rules
    assert rule.slots["kernel"][0].number_format.bits == 5
    (rule,) = as_recipe([Cluster(4), Quantize("int8")]).rules
    assert (rule.filter, list(rule.slots)) == ([".*"], ["kernel"])


@pytest.mark.parametrize("recipe", [3, None, [8], {"kernel": 3}])
def test_anything_else_is_refused(recipe):
    with pytest.raises(ValueError, match="`recipe` must be an edgeax.Recipe, the name"):
        as_recipe(recipe)


def test_at_once_lets_every_transform_of_a_recipe_act_from_the_start():
    late = Cluster(4, begin_step=9)
    recipe = Recipe([Rule("a", kernel=late, weights={"x": late}), Rule("b", bias=[])], name="late")
    now = at_once(recipe)
    assert now.name == "late" and [rule.filter for rule in now.rules] == [["a"], ["b"]]
    assert now.rules[0].slots["kernel"][0].begin_step == 0
    assert now.rules[0].weights["x"][0].begin_step == 0
    assert now.rules[1].slots == {"bias": []}
    assert recipe.rules[0].slots["kernel"][0].begin_step == 9

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
    if kind == "i":
        assert [type(member) for member in kernel] == [Quantize]
        assert kernel[0].format == f"int{bits}"
    else:
        assert [type(member) for member in kernel] == [Cluster, Quantize]
        assert kernel[0].number_of_clusters == 2**bits
        assert kernel[1].format == "int8"
    assert kernel[-1].axis == -1
    assert [rule.slots[slot][0].format for slot in ("input", "output")] == ["int8", "int8"]


def test_the_three_names_of_the_architecture_exist():
    assert {"static_wi8_ai8", "static_wi4_ai8", "static_wc4_ai8"} <= set(PRESETS)


def test_an_unknown_name_suggests_near_ones():
    with pytest.raises(ValueError, match="static_wi9_ai8.*Did you mean.*'static_wi8_ai8'"):
        as_recipe("static_wi9_ai8")
    with pytest.raises(ValueError, match="Did you mean one of"):
        as_recipe("smaller, please")


def test_a_recipe_is_taken_as_it_is_and_transforms_are_for_every_kernel():
    recipe = Recipe([Rule("x", kernel=Quantize("int8"))])
    assert as_recipe(recipe) is recipe
    (rule,) = as_recipe([Cluster(4), Quantize("int8")]).rules
    assert (rule.filter, list(rule.slots)) == ([".*"], ["kernel"])


@pytest.mark.parametrize("recipe", [3, None, ["int8"], {"kernel": 3}])
def test_anything_else_is_refused(recipe):
    with pytest.raises(ValueError, match="`recipe` must be an edgeax.Recipe, the name"):
        as_recipe(recipe)


def test_at_once_lets_every_transform_of_a_recipe_act_from_the_start():
    recipe = Recipe([Rule("a", kernel=Cluster(4, begin_step=9)), Rule("b", bias=[])], name="late")
    now = at_once(recipe)
    assert now.name == "late" and [rule.filter for rule in now.rules] == [["a"], ["b"]]
    assert now.rules[0].slots["kernel"][0].begin_step == 0
    assert now.rules[1].slots == {"bias": []}
    assert recipe.rules[0].slots["kernel"][0].begin_step == 9

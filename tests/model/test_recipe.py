"""Recipe and Rule: data that say which layers get what."""

import json

import keras
import pytest

from edgeax import Cluster, PolynomialDecay, Prune, Quantize, Recipe, Rule
from edgeax.formats import Integer
from edgeax.transforms.structures import Blocks

layers = keras.layers


def some_recipe():
    kernel = [
        Prune(PolynomialDecay(0.0, 0.75, 0, 4000), block=(1, 4)),
        Cluster(16, "density", seed=3),
        Quantize("int8", axis=-1),
    ]
    return Recipe(
        [
            Rule("conv", kernel=kernel, output=Quantize("int8", momentum=0.9)),
            Rule(["^head$", "dense"], kernel=Quantize("int4"), bias=[], input=Quantize("int8")),
        ],
        name="mine",
    )


@pytest.mark.parametrize(
    "filter, path, picked",
    [
        ("conv", "backbone/conv1", True),
        ("^conv", "backbone/conv1", False),
        ("backbone/", "backbone/conv1", True),
        ("conv|dense", "dense", True),
        (["head", "1$"], "backbone/conv1", True),
        (["head", "tail"], "backbone/conv1", False),
        ([], "conv", False),
        (lambda layer: isinstance(layer, layers.Dense), "anything", True),
        (lambda layer: layer.units > 8, "anything", False),
    ],
)
def test_a_filter_is_an_expression_a_list_or_a_callable(filter, path, picked):
    rule = Rule(filter, kernel=Quantize("int8"))
    assert rule.matches(layers.Dense(8), path) is picked


def test_the_first_and_the_last_layer_are_picked_by_their_place_alone():
    rule = Rule(["@first", "head"], kernel="int8")
    layer = layers.Dense(8)
    assert rule.matches(layer, "conv", ["@first"]) and rule.matches(layer, "head", [])
    assert not rule.matches(layer, "@first", ["@last"])


def test_slots_take_names_formats_and_transforms_and_json_keeps_them():
    recipe = Recipe(
        [
            Rule("conv", kernel=["int4"], output=Integer(6)),
            Rule("lstm", weights={"recurrent_kernel": "int8", "bias": []}),
        ]
    )
    copy = Recipe.from_json(recipe.to_json())
    for one in (recipe, copy):
        conv, lstm = one.rules
        assert conv.slots["kernel"][0].number_format.bits == 4
        assert conv.slots["output"][0].number_format == Integer(6)
        assert lstm.slots == {} and lstm.weights["bias"] == []
        assert lstm.weights["recurrent_kernel"][0].number_format.bits == 8
    assert copy.to_json() == recipe.to_json()


def test_json_goes_round():
    text = some_recipe().to_json()
    copy = Recipe.from_json(text)
    assert copy.to_json() == text
    assert copy.name == "mine"
    assert json.loads(text)["registered_name"] == "edgeax>Recipe"
    prune, cluster, quantize = copy.rules[0].slots["kernel"]
    assert prune.schedule.get_config() == PolynomialDecay(0.0, 0.75, 0, 4000).get_config()
    assert (prune.structure, cluster.number_of_clusters, cluster.seed) == (Blocks(1, 4), 16, 3)
    assert (quantize.format, quantize.axis) == ("int8", -1)
    assert copy.rules[1].filter == ["^head$", "dense"]
    assert copy.rules[1].slots["bias"] == []


def test_a_callable_filter_cannot_become_json_and_says_so():
    recipe = Recipe([Rule(lambda layer: True, kernel=Quantize("int8"))])
    with pytest.raises(ValueError, match="`filter` must be a regular expression.*written as data"):
        recipe.to_json()


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "`text` must be a recipe"),
        ("[1, 2]", "`text` must be a recipe.*JSON of a list"),
        ("null", "`text` must be a recipe.*JSON of a NoneType"),
        (json.dumps(keras.saving.serialize_keras_object(Quantize("int8"))), "JSON of a Quantize"),
        (some_recipe().to_json().replace("int4", "int44"), "`text` must be.*Received: 44"),
        (some_recipe().to_json().replace("int4", "itn4"), "itn4.*Did you mean.*int4"),
        (some_recipe().to_json().replace("edgeax>Recipe", "edgeax>Recip"), "`text` must be"),
    ],
)
def test_text_that_is_no_recipe_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Recipe.from_json(text)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"filter": "x"}, r"at least one of \('kernel', 'bias', 'input', 'output', 'weights', 'ar"),
        ({"filter": 3, "kernel": Quantize("int8")}, "`filter` must be.*filter=3"),
        ({"filter": [3], "kernel": Quantize("int8")}, r"`filter` must be.*\[3\]"),
        ({"filter": "(", "kernel": Quantize("int8")}, r"`filter` must be.*'\('"),
        ({"filter": "x", "kernel": 8}, "`kernel` must be a transform.*kernel=8"),
        ({"filter": "x", "kernel": "itn8"}, "itn8.*Did you mean"),
        ({"filter": "x", "weights": "int8"}, "`weights` must map names of variables"),
        ({"filter": "@frist", "kernel": "int8"}, "'@frist'. Did you mean '@first'"),
        ({"filter": "x", "output": [Quantize("int8"), 3]}, "`output` must be a transform"),
    ],
)
def test_a_rule_refuses_what_is_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        Rule(**arguments)


@pytest.mark.parametrize("rules", [[], [3], [Quantize("int8")]])
def test_a_recipe_needs_rules(rules):
    with pytest.raises(ValueError, match="`rules` must be a list of at least one edgeax.Rule"):
        Recipe(rules)

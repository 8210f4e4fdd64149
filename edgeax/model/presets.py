"""Recipes with names that say what they do, in litert-quantizer's grammar.

`static_w<weights>_a<activations>`: weights `i4` are 4-bit integers, `c4` are 4-bit indices into one
codebook of 16 int8 values; activations `i8` are 8-bit integers. Scales are per output channel.
"""

import difflib
import re
from typing import Any

from edgeax.model.recipe import Recipe, Rule
from edgeax.transforms.base import Transform
from edgeax.transforms.cluster import Cluster
from edgeax.transforms.quantize import Quantize

PRESETS = (
    *(f"static_wi{bits}_ai8" for bits in range(2, 9)),
    *(f"static_wc{bits}_ai8" for bits in range(1, 9)),
)

_GRAMMAR = re.compile(r"static_w([ic])(\d)_ai(\d)")


def preset(name: str) -> Recipe:
    """Returns the recipe called `name`, for every layer of a model.

    Raises:
        ValueError: There is no such recipe.
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(str(name), PRESETS, n=3, cutoff=0.4) or PRESETS
        raise ValueError(
            f"`recipe` must name a preset or be an edgeax.Recipe. Received: recipe={name!r}. "
            f"Did you mean one of {list(near)}?"
        )
    kind, weight_bits, activation_bits = _GRAMMAR.fullmatch(name).groups()  # type: ignore[union-attr]
    kernel: list[Transform] = (
        [Quantize(f"int{weight_bits}", axis=-1)]
        if kind == "i"
        else [Cluster(2 ** int(weight_bits), at_most=True), Quantize("int8", axis=-1)]
    )
    activation = f"int{activation_bits}"
    rule = Rule(".*", kernel=kernel, input=Quantize(activation), output=Quantize(activation))
    return Recipe([rule], name=name)


def as_recipe(recipe: Any) -> Recipe:
    """Returns a recipe from a `Recipe`, a preset's name, or a list of transforms for every kernel.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, str):
        return preset(recipe)
    if isinstance(recipe, (list, tuple)) and all(isinstance(part, Transform) for part in recipe):
        return Recipe([Rule(".*", kernel=list(recipe))])
    raise ValueError(
        "`recipe` must be an edgeax.Recipe, the name of a preset such as 'static_wi8_ai8', or a "
        f"list of transforms. Received: recipe={recipe!r}."
    )


def at_once(recipe: Any) -> Recipe:
    """Returns a recipe whose transforms have their full effect from step 0 on, for models that
    nobody is going to train.

    Args:
        recipe: A `Recipe`, a preset's name, or a list of transforms for every kernel.

    Raises:
        ValueError: It is none of these.
    """
    recipe = as_recipe(recipe)
    rules = [
        Rule(
            rule.filter,
            **{slot: [member.at_once() for member in rule.slots[slot]] for slot in rule.slots},
        )
        for rule in recipe.rules
    ]
    return Recipe(rules, recipe.name)

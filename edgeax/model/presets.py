"""Recipes with names that say what they do, in litert-quantizer's grammar.

`static_w<weights>_a<activations>`: weights `i4` are 4-bit integers, `c4` are 4-bit indices into one
codebook of 16 int8 values; any other name of a quantizer or number format stands for itself, as in
`static_wternary_ai8`. Activations `i8` are 8-bit integers, `i16` symmetric 16-bit ones. Scales are
per output channel. `weight_only_w<weights>_afp32` leaves activations as they are.
"""

import difflib
import re
from typing import Any

from edgeax.formats import NumberFormat
from edgeax.model.recipe import Recipe, Rule
from edgeax.model.slots import as_transforms
from edgeax.transforms.arithmetic import Arithmetic
from edgeax.transforms.base import Transform
from edgeax.transforms.cluster import Cluster
from edgeax.transforms.quantize import Quantize

PRESETS = (
    *(f"static_wi{bits}_ai8" for bits in range(2, 9)),
    *(f"static_wc{bits}_ai8" for bits in range(1, 9)),
    "static_wi8_ai16",
)
"""Those whose weights are stored packed; the grammar has more."""

_EXAMPLES = (*PRESETS, "static_wternary_ai8", "weight_only_wi8_afp32", "weight_only_wternary_afp32")
_GRAMMAR = re.compile(r"static_w(\w+)_ai(8|16)|weight_only_w(\w+)_afp32")
_INTEGERS, _INDICES = re.compile(r"i([2-8])"), re.compile(r"c([1-8])")


def preset(name: str) -> Recipe:
    """Returns the recipe called `name`, for every layer of a model.

    Raises:
        ValueError: There is no such recipe.
    """
    match = _GRAMMAR.fullmatch(str(name))
    if match is None:
        raise _unknown(name)
    static_weights, bits, weights = match.groups()
    try:
        kernel = _kernel(static_weights or weights)
    except ValueError as error:
        raise _unknown(name) from error
    if bits is None:
        return Recipe([Rule(".*", kernel=kernel)], name=name)
    activation = Quantize(f"int{bits}")
    return Recipe([Rule(".*", kernel=kernel, input=activation, output=activation)], name=name)


def _kernel(weights: str) -> list[Transform]:
    """Returns the transforms of kernels that the grammar calls `weights`.

    Raises:
        ValueError: There are no such.
    """
    integers, indices = _INTEGERS.fullmatch(weights), _INDICES.fullmatch(weights)
    if integers:
        return [Quantize(f"int{integers[1]}", axis=-1)]
    if indices:
        return [Cluster(2 ** int(indices[1]), at_most=True), Quantize("int8", axis=-1)]
    return as_transforms("kernel", weights)


def _unknown(name: str) -> ValueError:
    near = difflib.get_close_matches(str(name), _EXAMPLES, n=3, cutoff=0.4) or _EXAMPLES
    return ValueError(
        f"`recipe` must name a preset or be an edgeax.Recipe. Received: recipe={name!r}. "
        f"Did you mean one of {list(near)}?"
    )


def as_recipe(recipe: Any) -> Recipe:
    """Returns a recipe from a `Recipe`, a preset's name, an `Arithmetic`, or a list for every
    kernel: of transforms, number formats and names of these.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, Arithmetic):
        return Recipe(arithmetic=recipe)
    if isinstance(recipe, str):
        return preset(recipe)
    if isinstance(recipe, (list, tuple)) and all(
        isinstance(part, (Transform, NumberFormat, str)) for part in recipe
    ):
        return Recipe([Rule(".*", kernel=recipe)])
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
        Rule(rule.filter, **_all_at_once(rule.slots), weights=_all_at_once(rule.weights))
        for rule in recipe.rules
        if rule.slots or rule.weights
    ]
    return Recipe(rules, recipe.name)


def _all_at_once(slots: dict[str, list[Transform]]) -> dict[str, Any]:
    return {name: [member.at_once() for member in slots[name]] for name in slots}

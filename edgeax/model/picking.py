"""Picking: the layers that a user names by an argument `layers`, in plain and compressed models."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from edgeax.model import placement
from edgeax.model.container import CompressedModel
from edgeax.model.copying import clone, copy_of, originals_of, plain_copy
from edgeax.model.graph import Graph, is_nested, trace
from edgeax.model.plan import make_plans
from edgeax.model.recipe import PLACES, Recipe, Rule
from edgeax.model.rewrite import paths_of_compressed
from edgeax.model.subclassed import graph_of, layers_of, rebuilt
from edgeax.model.wrapper import Compressed
from edgeax.transforms.base import Transform


def rule_of(layers: Any, transform: Transform) -> Rule:
    """Returns the rule that gives a transform to the kernels of the layers that a user picks.

    Raises:
        ValueError: It is no filter.
    """
    if isinstance(layers, type):
        raise ValueError(
            "`layers` must be a regular expression, a list of them, or a function of a layer. "
            f"Received: the class {layers.__name__}. Pass lambda layer: isinstance(layer, "
            f"{layers.__name__})."
        )
    with said_of_layers():
        return Rule(layers, kernel=transform)


@contextlib.contextmanager
def said_of_layers() -> Iterator[None]:
    """In here, what is wrong with a rule's filter is said of the argument that it came by."""
    try:
        yield
    except ValueError as error:
        if "`filter`" not in str(error):
            raise
        words = str(error).replace("`filter` of a rule", "`layers`").replace("`filter`", "`layers`")
        raise ValueError(words.replace("filter=", "layers=")) from error


def picked_wrappers(model: keras.Model, rule: Rule) -> Iterator[tuple[str, Compressed]]:
    """Yields path and wrapper of each layer of a compressed model that a rule picks."""
    places = _places(model, rule)
    for path, layer in paths_of_compressed(model).items():
        if rule.matches(layer.layer, path, places.get(id(layer.layer), ())):
            yield path, layer


def copy_of_compressed(model: keras.Model) -> keras.Model:
    """Returns a copy of a compressed model with weights of its own, not compiled.

    Raises:
        ValueError: It is no compressed model, but a subclassed one that holds Compressed layers.
    """
    if is_nested(model):
        return copy_of(model)
    check_compressed(model)
    copy = CompressedModel.from_config(model.get_config())
    copy.build_from_config(model.get_build_config())
    copy.set_weights(model.get_weights())
    return copy


def check_compressed(model: keras.Model) -> None:
    """Checks of a subclassed model that `edgeax.compress` returned it.

    Raises:
        ValueError: It did not.
    """
    if not isinstance(model, CompressedModel):
        raise ValueError(
            "`model` must be plain, or one that edgeax.compress returned. Received: a "
            f"{type(model).__name__} that holds Compressed layers of its own. Put the "
            "transforms, such as edgeax.Prune, into these."
        )


def _places(model: keras.Model, rule: Rule) -> dict[int, list[str]]:
    """Returns at which of the places that a rule names the layers of a compressed model stand, by
    the ids of what their wrappers wrap.
    """
    named = [] if callable(rule.filter) else [p for p in PLACES if p in rule.filter]
    if not named:
        return {}
    graph, originals = _plain_graph(model)
    places: dict[int, list[str]] = {}
    for place in named:
        plans = make_plans(graph, originals, Recipe([Rule(place, kernel=rule.slots["kernel"])]))
        for identity in plans:
            layer = placement.plain(originals[identity])
            places.setdefault(id(layer), []).append(place)
    return places


def _plain_graph(model: keras.Model) -> tuple[Graph, dict[int, keras.layers.Layer]]:
    """Returns the calls of a plain copy, and the layers of `model` by the ids of the copies."""
    if is_nested(model):
        copies: dict[int, Any] = {}
        return trace(clone(model, plain_copy, copies)), originals_of(model, copies)
    check_compressed(model)
    copy = rebuilt(model)
    graph, originals = graph_of(copy)
    actual = dict(zip(map(id, layers_of(copy)), layers_of(model), strict=True))
    return graph, {identity: actual[id(layer)] for identity, layer in originals.items()}

"""Plan: what each layer of a model gets from a recipe."""

import dataclasses
import difflib
from typing import Any

import keras

from edgeax.model import placement
from edgeax.model.ends import first_layers, last_layers
from edgeax.model.graph import Call, Graph
from edgeax.model.recipe import Recipe, Rule
from edgeax.model.slots import serialized
from edgeax.model.wrapper import SLOTS, Compressed, slot_of, unwrappable
from edgeax.transforms.base import Transform
from edgeax.transforms.quantize import Quantize


@dataclasses.dataclass
class Plan:
    """What one layer gets.

    Attributes:
        uses: How many times one forward pass calls it.
        slots: Its transforms by slot.
        input_places: Which of its inputs are inputs of the model, in every call.
        weights: Transforms of single weights by the names of their variables.
    """

    uses: int
    slots: dict[str, list[Transform]] = dataclasses.field(default_factory=dict)
    input_places: tuple[int, ...] | None = None
    weights: dict[str, list[Transform]] = dataclasses.field(default_factory=dict)

    def wrap(self, layer: keras.layers.Layer) -> Compressed:
        """Returns `layer` in a wrapper that does what is planned."""
        activation = layer.activation if self.slots.get("before_activation") else None
        return Compressed(
            layer,
            **self.slots,
            activation=activation,
            uses=self.uses,
            input_places=self.input_places,
            weights=self.weights,
        )

    @property
    def is_empty(self) -> bool:
        """Whether the layer stays as it is."""
        return not any(self.slots.values()) and not any(self.weights.values())

    @property
    def has_kernel(self) -> bool:
        """Whether a kernel of the layer gets something."""
        named = any(slot_of(name) == "kernel" and self.weights[name] for name in self.weights)
        return named or bool(self.slots.get("kernel"))

    def settings(self, layer: keras.layers.Layer) -> dict[str, Any]:
        """Returns what is planned for `layer`, as the data that `Compressed.settings` returns."""
        data: dict[str, Any] = serialized({slot: self.slots.get(slot, []) for slot in SLOTS})
        taken = layer.activation if self.slots.get("before_activation") else None
        data["activation"] = taken and keras.activations.serialize(taken)
        return {
            **data,
            "uses": self.uses,
            "input_places": self.input_places,
            "weights": serialized(self.weights),
        }


def make_plans(
    graph: Graph, originals: dict[int, keras.layers.Layer], recipe: Recipe
) -> dict[int, Plan]:
    """Returns what each layer of the graph gets, by its id; nothing for those that stay plain.

    Raises:
        ValueError: A rule picks nothing, or nothing that has what the rule transforms.
    """
    layers = _layers(graph)
    places = _places(graph)
    plans = {id(layer): Plan(uses=len(graph.calls_of(layer))) for layer in layers}
    for rule in recipe.rules:
        picked = [
            layer
            for layer in layers
            if rule.matches(originals[id(layer)], graph.path(layer), places.get(id(layer), ()))
        ]
        if not picked:
            raise _nothing_picked(rule.filter, [graph.path(layer) for layer in layers])
        if not any([_place(rule, graph, layer, plans) for layer in picked]):
            raise _nothing_to_transform(rule, [graph.path(layer) for layer in picked])
    _leave_to_concatenations(graph, plans)
    return {
        id(layer): plans[id(layer)]
        for layer in layers
        if not plans[id(layer)].is_empty and not unwrappable(layer)
    }


def _leave_to_concatenations(graph: Graph, plans: dict[int, Plan]) -> None:
    """Takes back the roundings of results that are only concatenated, and rounded alike there."""
    for layer in _layers(graph):
        slots = plans[id(layer)].slots
        if all(_is_left(graph, call, plans) for call in graph.calls_of(layer)):
            slots.pop("output", None)


def _is_left(graph: Graph, call: Call, plans: dict[int, Plan]) -> bool:
    whole = placement.concatenation_of(graph, call)
    if whole is None:
        return False
    own, its = (plans[id(one.operation)].slots.get("output", []) for one in (call, whole))
    return bool(own) and _formats(own) == _formats(its)


def _formats(members: list[Transform]) -> list[Any]:
    return [getattr(member, "format", member) for member in members]


def _places(graph: Graph) -> dict[int, list[str]]:
    """Returns at which of the places that a filter may name the layers stand, by their ids."""

    def has_kernel(call: Call) -> bool:
        operation = call.operation
        return isinstance(operation, keras.layers.Layer) and _has_slot(operation, "kernel")

    places: dict[int, list[str]] = {}
    for place, found in (
        ("@first", first_layers(graph, has_kernel)),
        ("@last", last_layers(graph, has_kernel)),
    ):
        for identity in found:
            places.setdefault(identity, []).append(place)
    return places


def _place(rule: Rule, graph: Graph, layer: keras.layers.Layer, plans: dict[int, Plan]) -> bool:
    """Writes into `plans` what a rule gives to a layer; returns whether that is anything."""
    placed = False
    for slot in ("kernel", "bias"):
        if slot in rule.slots and _has_slot(layer, slot):
            plans[id(layer)].slots[slot] = rule.slots[slot]
            placed = True
    names = {variable.name for variable in layer.weights}
    for name in names & {*rule.weights}:
        plans[id(layer)].weights[name] = rule.weights[name]
        placed = True
    calls = graph.calls_of(layer)
    places = {_input_places(graph, call) for call in calls}
    # One range serves all calls of a layer: it is not for a tensor that comes from within as well.
    if "input" in rule.slots and len(places) == 1 and any(places):
        plans[id(layer)].slots["input"] = rule.slots["input"]
        (plans[id(layer)].input_places,) = places
        placed = True
    for call in calls:
        if "output" in rule.slots and placement.rounds(call):
            last = placement.last_of_group(graph, call)
            _place_output(last, plans[id(last.operation)].slots, rule.slots["output"], graph)
            placed = True
    return placed


def _input_places(graph: Graph, call: Call) -> tuple[int, ...]:
    """Returns which tensors of a call's first argument are floating-point inputs of the model."""
    return tuple(
        place
        for place, tensor in enumerate(call.first_argument)
        if isinstance(tensor, keras.KerasTensor)
        and graph.is_input(tensor)
        and keras.backend.is_float_dtype(tensor.dtype)
    )


def _place_output(
    last: Call, slots: dict[str, list[Transform]], members: list[Transform], graph: Graph
) -> None:
    activation = placement.activation_name(last.operation)
    if placement.splits_activation(last.operation):
        slots["before_activation"] = members
    if graph.is_output(last) and activation in placement.FIXED_RANGES:
        return  # Losses take the logarithm of probabilities: a rounded 0 would drown the rest.
    slots["output"] = [behind(activation, member) for member in members]


def behind(activation: str, member: Transform) -> Transform:
    """Returns an output transform with what is known of the values behind an activation: the range
    that TFLite prescribes, or that nothing lies below 0.
    """
    config = member.get_config()
    if isinstance(member, Quantize) and activation in placement.FIXED_RANGES:
        config["range"] = placement.FIXED_RANGES[activation]
    elif "nonnegative" in config and activation in placement.NONNEGATIVE:
        config["nonnegative"] = True
    else:
        return member
    return type(member).from_config(config)


def _layers(graph: Graph) -> list[keras.layers.Layer]:
    unique = {id(call.operation): call.operation for call in graph.calls}
    return [layer for layer in unique.values() if isinstance(layer, keras.layers.Layer)]


def _has_slot(layer: keras.layers.Layer, slot: str) -> bool:
    return any(slot_of(variable.name) == slot for variable in layer.weights)


def _nothing_picked(filter: Any, paths: list[str]) -> ValueError:
    expressions = filter if isinstance(filter, list) else []
    near = {
        path: None
        for expression in expressions
        for path in difflib.get_close_matches(expression, paths, n=3, cutoff=0.3)
    }
    return ValueError(
        "`filter` of a rule must pick at least one layer. Received: "
        f"filter={expressions or filter}, which picks none. Layers near it: {[*near] or paths[:8]}."
    )


def _nothing_to_transform(rule: Rule, paths: list[str]) -> ValueError:
    return ValueError(
        "`filter` of a rule must pick a layer that has what the rule transforms. "
        f"Received: {sorted([*rule.slots, *rule.weights])} for {paths[:8]}, which have none of it. "
        "A kernel needs weights; only layers at the model's inputs have an `input`, which must be "
        "floating-point: indices and other integers have no number format."
    )


def check_nothing_left_out(graph: Graph, plans: dict[int, Plan]) -> None:
    """Checks that every layer with a kernel gets something for it.

    Raises:
        ValueError: One does not.
    """
    left = [
        graph.path(layer) + (f" ({unwrappable(layer)})" if unwrappable(layer) else "")
        for layer in _layers(graph)
        if _has_slot(layer, "kernel") and not (id(layer) in plans and plans[id(layer)].has_kernel)
    ]
    if left:
        raise ValueError(
            f"`strict` allows no layer to stay as it is. Left out by the recipe: {left}. "
            "Add a rule for them or use strict=False."
        )

"""Plan: what each layer of a model gets from a recipe."""

import dataclasses
import difflib
from typing import Any

import keras

from edgeax.model import placement
from edgeax.model.graph import Call, Graph
from edgeax.model.recipe import Recipe, Rule
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
    """

    uses: int
    slots: dict[str, list[Transform]] = dataclasses.field(default_factory=dict)
    input_places: tuple[int, ...] | None = None

    def wrap(self, layer: keras.layers.Layer) -> Compressed:
        """Returns `layer` in a wrapper that does what is planned."""
        activation = layer.activation if self.slots.get("before_activation") else None
        return Compressed(
            layer,
            **self.slots,
            activation=activation,
            uses=self.uses,
            input_places=self.input_places,
        )

    def settings(self, layer: keras.layers.Layer) -> dict[str, Any]:
        """Returns what is planned for `layer`, as the data that `Compressed.settings` returns."""
        data: dict[str, Any] = {}
        for slot in SLOTS:
            members = self.slots.get(slot, [])
            data[slot] = [keras.saving.serialize_keras_object(member) for member in members]
        taken = layer.activation if self.slots.get("before_activation") else None
        data["activation"] = taken and keras.activations.serialize(taken)
        return {**data, "uses": self.uses, "input_places": self.input_places}


def make_plans(
    graph: Graph, originals: dict[int, keras.layers.Layer], recipe: Recipe
) -> dict[int, Plan]:
    """Returns what each layer of the graph gets, by its id; nothing for those that stay plain.

    Raises:
        ValueError: A rule picks nothing, or nothing that has what the rule transforms.
    """
    layers = _layers(graph)
    plans = {id(layer): Plan(uses=len(graph.calls_of(layer))) for layer in layers}
    for rule in recipe.rules:
        picked = [
            layer for layer in layers if rule.matches(originals[id(layer)], graph.path(layer))
        ]
        if not picked:
            raise _nothing_picked(rule.filter, [graph.path(layer) for layer in layers])
        if not any([_place(rule, graph, layer, plans) for layer in picked]):
            raise _nothing_to_transform(rule, [graph.path(layer) for layer in picked])
    return {
        id(layer): plans[id(layer)]
        for layer in layers
        if any(plans[id(layer)].slots.values()) and not unwrappable(layer)
    }


def _place(rule: Rule, graph: Graph, layer: keras.layers.Layer, plans: dict[int, Plan]) -> bool:
    """Writes into `plans` what a rule gives to a layer; returns whether that is anything."""
    placed = False
    for slot in ("kernel", "bias"):
        if slot in rule.slots and _has_slot(layer, slot):
            plans[id(layer)].slots[slot] = rule.slots[slot]
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
    """Returns which tensors of a call's first argument are inputs of the model."""
    return tuple(
        place
        for place, tensor in enumerate(call.first_argument)
        if isinstance(tensor, keras.KerasTensor) and graph.is_input(tensor)
    )


def _place_output(
    last: Call, slots: dict[str, list[Transform]], members: list[Transform], graph: Graph
) -> None:
    activation = placement.activation_name(last.operation)
    if placement.splits_activation(last.operation):
        slots["before_activation"] = members
    if graph.is_output(last) and activation in placement.FIXED_RANGES:
        return  # Losses take the logarithm of probabilities: a rounded 0 would drown the rest.
    slots["output"] = [_behind(activation, member) for member in members]


def _behind(activation: str, member: Transform) -> Transform:
    """Returns an output transform with what is known of the values behind an activation: the range
    that TFLite prescribes, or that nothing lies below 0.
    """
    if not isinstance(member, Quantize):
        return member
    if activation in placement.FIXED_RANGES:
        known: dict[str, Any] = {"range": placement.FIXED_RANGES[activation]}
    elif activation in placement.NONNEGATIVE:
        known = {"nonnegative": True}
    else:
        return member
    return type(member).from_config({**member.get_config(), **known})


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
        f"Received: {sorted(rule.slots)} for {paths[:8]}, which have none of it. "
        "A kernel needs weights; only layers at the model's inputs have an `input`."
    )


def check_nothing_left_out(graph: Graph, plans: dict[int, Plan]) -> None:
    """Checks that every layer with a kernel gets something for it.

    Raises:
        ValueError: One does not.
    """
    left = [
        graph.path(layer) + (f" ({unwrappable(layer)})" if unwrappable(layer) else "")
        for layer in _layers(graph)
        if _has_slot(layer, "kernel")
        and not (id(layer) in plans and plans[id(layer)].slots.get("kernel"))
    ]
    if left:
        raise ValueError(
            f"`strict` allows no layer to stay as it is. Left out by the recipe: {left}. "
            "Add a rule for them or use strict=False."
        )

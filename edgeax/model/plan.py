"""Plan: what each layer of a model gets from a recipe."""

import dataclasses
import difflib
from typing import Any

import keras

from edgeax.formats import Integer
from edgeax.model import placement
from edgeax.model.device import averages, is_separable
from edgeax.model.ends import first_layers, last_layers
from edgeax.model.graph import Call, Graph
from edgeax.model.recipe import Recipe, Rule
from edgeax.model.slots import serialized
from edgeax.model.wrapper import SLOTS, Compressed, arithmetic_as_data, slot_of, unwrappable
from edgeax.transforms.arithmetic import Arithmetic
from edgeax.transforms.base import Transform
from edgeax.transforms.gradient_transform import GradientTransform
from edgeax.transforms.quantize import Quantize

_NO_RULE = -1


@dataclasses.dataclass
class Plan:
    """What one layer gets.

    Attributes:
        uses: How many times one forward pass calls it.
        slots: Its transforms by slot.
        input_places: Which of its inputs are inputs of the model, in every call.
        weights: Transforms of single weights by the names of their variables.
        averages: Whether it averages values that were rounded, which the wrapper rounds again.
        arithmetic: How it computes while it is trained.
    """

    uses: int
    slots: dict[str, list[Transform]] = dataclasses.field(default_factory=dict)
    input_places: tuple[int, ...] | None = None
    weights: dict[str, list[Transform]] = dataclasses.field(default_factory=dict)
    averages: bool = False
    arithmetic: Arithmetic | None = None

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
            arithmetic=self.arithmetic,
        )

    @property
    def is_empty(self) -> bool:
        """Whether the layer stays as it is."""
        given = any(self.slots.values()) or any(self.weights.values())
        return not given and not self.averages and self.arithmetic is None

    @property
    def has_kernel(self) -> bool:
        """Whether a kernel of the layer gets something."""
        named = any(slot_of(name) == "kernel" and self.weights[name] for name in self.weights)
        return named or bool(self.slots.get("kernel")) or self.arithmetic is not None

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
            "arithmetic": arithmetic_as_data(self.arithmetic),
        }


def make_plans(
    graph: Graph, originals: dict[int, keras.layers.Layer], recipe: Recipe
) -> dict[int, Plan]:
    """Returns what each layer of the graph gets, by its id; nothing for those that stay plain.

    Raises:
        ValueError: A rule picks nothing, or nothing that has what the rule transforms.
    """
    layers = _layers(graph)
    picks = _picks(graph, originals, recipe)
    plans = {id(layer): Plan(uses=len(graph.calls_of(layer))) for layer in layers}
    placed: list[set[str]] = [set() for _ in recipe.rules]  # what each rule finds
    output_rules: dict[int, int] = {}
    for place, (rule, picked) in enumerate(zip(recipe.rules, picks, strict=True)):
        for layer in picked:
            placed[place] |= _place_weights(rule, layer, plans[id(layer)])
            if rule.arithmetic is not None and _has_slot(layer, "kernel"):
                plans[id(layer)].arithmetic = rule.arithmetic
                placed[place].add("arithmetic")
            for end in _place_outputs(rule, graph, layer, plans):
                output_rules[id(end.operation)] = place if _rounds(rule) else _NO_RULE
                placed[place].add("output")
    rounded_by = _rounded_by(graph, output_rules)
    _place_inputs(recipe, picks, graph, plans, rounded_by, placed)
    for rule, picked, found in zip(recipe.rules, picks, placed, strict=True):
        _check_placed(rule, graph, picked, found, is_for_all=len(picked) == len(layers))
    _leave_to_concatenations(graph, plans)
    for call in graph.calls:
        if averages(call.operation) and any(id(t) in rounded_by for t in call.input_tensors):
            plans[id(call.operation)].averages = True
    return {
        id(layer): plans[id(layer)]
        for layer in layers
        if not plans[id(layer)].is_empty and not unwrappable(layer)
    }


def _picks(
    graph: Graph, originals: dict[int, keras.layers.Layer], recipe: Recipe
) -> list[list[keras.layers.Layer]]:
    """Returns the layers that each rule picks.

    Raises:
        ValueError: A rule picks none.
    """
    layers, places = _layers(graph), _places(graph)
    picks = []
    for rule in recipe.rules:
        picked = [
            layer
            for layer in layers
            if rule.matches(originals[id(layer)], graph.path(layer), places.get(id(layer), ()))
        ]
        if not picked:
            raise _nothing_picked(rule.filter, [graph.path(layer) for layer in layers])
        picks.append(picked)
    return picks


def _place_inputs(
    recipe: Recipe,
    picks: list[list[keras.layers.Layer]],
    graph: Graph,
    plans: dict[int, Plan],
    rounded_by: dict[int, int],
    placed: list[set[str]],
) -> None:
    """Writes into `plans` what the rules give to inputs, and into `placed` which rules do: of
    several for one layer the last, which counts for those before it. What a layer moves that rounds
    its inputs is rounded from there on.
    """
    for layer in _layers(graph):
        moves = isinstance(placement.plain(layer), placement.MOVING)
        calls = graph.calls_of(layer)
        for call in calls if moves else []:
            before = [rounded_by.get(id(tensor), _NO_RULE) for tensor in call.input_tensors]
            if min(before, default=_NO_RULE) != _NO_RULE:
                rounded_by |= {id(tensor): min(before) for tensor in call.output_tensors}
        giving = _rules_for_input(recipe, picks, layer)
        for place in giving[:-1]:
            placed[place].add("input")
        for last in giving[-1:]:
            rounded = {tensor for tensor, by in rounded_by.items() if by >= last}
            if _place_input(recipe.rules[last], graph, layer, plans[id(layer)], rounded):
                placed[last].add("input")
                for call in calls if moves else []:
                    rounded_by |= {id(tensor): last for tensor in call.output_tensors}


def _rules_for_input(
    recipe: Recipe, picks: list[list[keras.layers.Layer]], layer: keras.layers.Layer
) -> list[int]:
    """Returns the places of the rules that give the inputs of a layer something."""
    return [
        place
        for place, (rule, picked) in enumerate(zip(recipe.rules, picks, strict=True))
        if "input" in rule.slots and any(one is layer for one in picked)
    ]


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


def _place_weights(rule: Rule, layer: keras.layers.Layer, plan: Plan) -> set[str]:
    """Writes into `plan` what a rule gives to weights; returns which slots and names these are."""
    placed: set[str] = set()
    for slot in ("kernel", "bias"):
        if slot in rule.slots and _has_slot(layer, slot):
            plan.slots[slot] = rule.slots[slot]
            placed.add(slot)
    for name in {variable.name for variable in layer.weights} & {*rule.weights}:
        plan.weights[name] = rule.weights[name]
        placed.add(name)
    return placed


def _place_outputs(
    rule: Rule, graph: Graph, layer: keras.layers.Layer, plans: dict[int, Plan]
) -> list[Call]:
    """Writes into `plans` what a rule gives to outputs; returns the calls behind which it acts."""
    if "output" not in rule.slots:
        return []
    if is_separable(layer):
        plans[id(layer)].slots["between"] = between_halves(rule.slots["output"])
    ends = [
        placement.last_of_group(graph, call)
        for call in graph.calls_of(layer)
        if placement.rounds(call)
    ]
    for last in ends:
        _place_output(last, plans[id(last.operation)].slots, rule.slots["output"], graph)
    return ends


def between_halves(members: list[Transform]) -> list[Transform]:
    """Returns those transforms of a separable convolution's output that act between its halves too:
    those that round to integers, as the device does there, in a range that they follow.
    """
    return [
        member
        for member in members
        if isinstance(member, Quantize)
        and isinstance(member.number_format, Integer)
        and member.fixed_range is None
    ]


def _place_input(
    rule: Rule,
    graph: Graph,
    layer: keras.layers.Layer,
    plan: Plan,
    rounded: set[int],
) -> bool:
    """Writes into `plan` what a rule gives to inputs; returns whether that is anything.

    Args:
        rule: The rule, the last one that gives the layer's inputs something.
        graph: The model.
        layer: The layer.
        plan: What it gets.
        rounded: Ids of the tensors that a rule as late has rounded as outputs.
    """

    def acts_on(tensor: Any) -> bool:
        if not isinstance(tensor, keras.KerasTensor):
            return False
        if not keras.backend.is_float_dtype(tensor.dtype):
            return False
        inner = _has_slot(layer, "kernel") and id(tensor) not in rounded
        return graph.is_input(tensor) or inner

    places = {
        tuple(place for place, tensor in enumerate(call.first_argument) if acts_on(tensor))
        for call in graph.calls_of(layer)
    }
    # One range serves all calls of a layer: it is not for a tensor that another one rounds as well.
    if len(places) != 1 or not any(places):
        return False
    plan.slots["input"] = rule.slots["input"]
    (plan.input_places,) = places
    return True


def _rounded_by(graph: Graph, output_rules: dict[int, int]) -> dict[int, int]:
    """Returns the place of the rule that has a tensor rounded as a layer's output, by the tensor's
    id; none for what nothing rounds.

    What a layer only moves, or an operation that is no layer makes of rounded tensors, counts as
    rounded too. What is made out of sight is taken for the result of any layer.
    """
    unseen = max(output_rules.values(), default=_NO_RULE)
    found = {id(tensor): _NO_RULE for tensor in keras.tree.flatten(graph.inputs)}
    for call in graph.calls:
        operation = call.operation
        rounding = _NO_RULE
        before = [found.setdefault(id(tensor), unseen) for tensor in call.input_tensors]
        if id(operation) in output_rules:
            rounding = output_rules[id(operation)]
        elif not isinstance(operation, keras.layers.Layer) or isinstance(
            placement.plain(operation), placement.MOVING
        ):
            rounding = min(before, default=_NO_RULE)
        found |= {id(tensor): rounding for tensor in call.output_tensors}
    return {tensor: place for tensor, place in found.items() if place != _NO_RULE}


def _rounds(rule: Rule) -> bool:
    """Returns whether a rule does anything to the values of outputs, and not to gradients alone."""
    return not all(isinstance(one, GradientTransform) for one in rule.slots["output"])


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


def _check_placed(
    rule: Rule,
    graph: Graph,
    picked: list[keras.layers.Layer],
    placed: set[str],
    is_for_all: bool,
) -> None:
    """Checks that a rule found what it transforms.

    Args:
        rule: The rule.
        graph: The model.
        picked: The layers that it picks.
        placed: The slots, and names of weights, that it found.
        is_for_all: Whether it picks all layers, to give each what it has a place for.

    Raises:
        ValueError: It found nothing, a weight that it names is nowhere, or its inputs are integers.
    """
    paths = [graph.path(layer) for layer in picked][:8]
    unknown = sorted({*rule.weights} - placed)
    if unknown:
        known = sorted({variable.name for layer in picked for variable in layer.weights})
        near = difflib.get_close_matches(unknown[0], known, n=3) or known
        raise ValueError(
            f"`weights` of a rule must name weights of the layers that it picks, {paths}. "
            f"Received: {unknown}, of which there are none. Did you mean one of {near}?"
        )
    has_float = any(
        keras.backend.is_float_dtype(tensor.dtype)
        for layer in picked
        for call in graph.calls_of(layer)
        for tensor in call.first_argument
        if isinstance(tensor, keras.KerasTensor)
    )
    arithmetic = [] if rule.arithmetic is None else ["arithmetic"]
    if not placed or ("input" in rule.slots and not has_float and not is_for_all):
        raise ValueError(
            "`filter` of a rule must pick a layer that has what the rule transforms. Received: "
            f"{sorted({*rule.slots, *rule.weights, *arithmetic} - placed)} for {paths}, which have "
            "none of it. "
            "A kernel needs weights; an `input` must be floating-point, for indices and other "
            "integers have no number format, and belong to a layer with a kernel or at the model's "
            "inputs that no rule as late has rounded as an output before."
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

"""Recipe: which transforms which tensors of which layers get, as data."""

import difflib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import keras

from edgeax.model.arithmetics import as_arithmetic
from edgeax.model.slots import Slot, as_named_transforms, as_transforms, deserialized, serialized

Filter = str | Sequence[str] | Callable[[keras.layers.Layer], bool]

SLOTS = ("kernel", "bias", "input", "output")

PLACES = ("@first", "@last")
"""Filters that pick layers by where they stand in the model."""


@keras.saving.register_keras_serializable("edgeax")
class Rule:
    """Transforms for the layers that a filter picks.

    A slot takes a transform, a number format, the name of a quantizer or of a format (`"ternary"`,
    `"int8"`, `"fp8_e4m3"`), or a list of these. An empty list takes back what an earlier rule
    gives: the tensor stays as it is.

    Args:
        filter: A regular expression searched in the layer's path (`backbone/conv1`), `"@first"` for
            the layers with kernels that no layer with a kernel comes before in the model's graph,
            `"@last"` for those that none comes after, a list of such expressions of which one must
            match, or a callable that gets the model's layer.
        kernel: Transforms of the kernels, in order.
        bias: Transforms of the biases.
        input: Transforms of the floating-point inputs in the layer's first argument: of any layer
            where they are inputs of the model, of layers with kernels also where they come from
            other layers. A tensor that is rounded as an `output` already is left as it is, unless
            this rule comes later than the one of that output. A layer that is called several times
            gets them where all its calls can have them.
        output: Transforms of the layer's output. They act behind the batch normalization and the
            ReLU that follow the layer, because the device computes them as one. A layer that is
            called several times has one range for all its calls.
        weights: Transforms of single weights by the names of their variables, such as
            `{"recurrent_kernel": "int8"}` or `{"pointwise_kernel": "int4"}`. For these they stand
            instead of those of `kernel` and `bias`, whichever rule gives them.

        arithmetic: How layers with kernels compute while they are trained, an
            `edgeax.training.Arithmetic` or the name of one, such as `"bfloat16"`. The last rule
            that gives a layer one wins.

    Raises:
        ValueError: No slot is given, the filter is none, an expression does not compile, or a slot
            is given what is no transform, format or name of one.

    Example: `Rule("conv", kernel="ternary", output="int8")`
    """

    def __init__(
        self,
        filter: Filter,
        kernel: Slot = None,
        bias: Slot = None,
        input: Slot = None,
        output: Slot = None,
        weights: Mapping[str, Slot] | None = None,
        arithmetic: Any = None,
    ) -> None:
        self.filter = filter if callable(filter) else _checked_expressions(filter)
        self.slots = {
            slot: as_transforms(slot, value)
            for slot, value in zip(SLOTS, (kernel, bias, input, output), strict=True)
            if value is not None
        }
        self.weights = as_named_transforms(weights)
        self.arithmetic = None if arithmetic is None else as_arithmetic(arithmetic)
        if not self.slots and not self.weights and self.arithmetic is None:
            raise ValueError(
                f"`Rule` must give at least one of {(*SLOTS, 'weights', 'arithmetic')}. "
                f"Received: filter={filter!r} alone."
            )

    def matches(self, layer: keras.layers.Layer, path: str, places: Collection[str] = ()) -> bool:
        """Returns whether the rule's filter picks a layer.

        Args:
            layer: The layer.
            path: Its path in the model.
            places: Which of `PLACES` it stands at.
        """
        if callable(self.filter):
            return bool(self.filter(layer))
        return any(
            expression in places if expression in PLACES else re.search(expression, path)
            for expression in self.filter
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments.

        Raises:
            ValueError: The filter is a callable, which is no data.
        """
        if callable(self.filter):
            raise ValueError(
                "`filter` must be a regular expression or a list of them to be written as data. "
                f"Received: {self.filter!r}."
            )
        weights = {"weights": serialized(self.weights)} if self.weights else {}
        data = {"filter": list(self.filter), **serialized(self.slots), **weights}
        if self.arithmetic is not None:
            data["arithmetic"] = keras.saving.serialize_keras_object(self.arithmetic)
        return data

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Rule":
        """Returns the rule that `get_config` described."""
        slots = deserialized({slot: config[slot] for slot in SLOTS if slot in config})
        arithmetic = config.get("arithmetic")
        if arithmetic is not None:
            arithmetic = keras.saving.deserialize_keras_object(arithmetic)
        weights = deserialized(config.get("weights", {}))
        return cls(config["filter"], **slots, weights=weights, arithmetic=arithmetic)


@keras.saving.register_keras_serializable("edgeax")
class Recipe:
    """An ordered list of rules. For each slot of a layer, the last rule that matches wins.

    Args:
        rules: The rules.
        name: What to call the recipe.
        arithmetic: How all layers with kernels compute while they are trained, unless a rule says
            otherwise: an `edgeax.training.Arithmetic`, or the name of one such as `"bfloat16"`. It
            becomes the first rule.

    Raises:
        ValueError: There is no rule, or something is no rule; or rules scale the loss differently.
    """

    def __init__(
        self, rules: Sequence[Rule] = (), name: str = "recipe", arithmetic: Any = None
    ) -> None:
        self.rules = list(rules)
        self.name = name
        if arithmetic is not None:
            self.rules.insert(0, Rule(".*", arithmetic=arithmetic))
        if not self.rules or not all(isinstance(rule, Rule) for rule in self.rules):
            raise ValueError(
                f"`rules` must be a list of at least one edgeax.Rule. Received: rules={rules!r}."
            )
        scales = {rule.arithmetic.loss_scale for rule in self.rules if rule.arithmetic} - {None}
        if len(scales) > 1:
            raise ValueError(
                "`rules` must not scale the loss differently: there is one loss. Received: "
                f"loss_scale of {sorted(map(str, scales))}. Set the same, or None."
            )
        self.loss_scale: float | str | None = next(iter(scales), None)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "rules": [keras.saving.serialize_keras_object(rule) for rule in self.rules],
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Recipe":
        """Returns the recipe that `get_config` described."""
        rules = [keras.saving.deserialize_keras_object(rule) for rule in config["rules"]]
        return cls(rules, config["name"])

    def to_json(self) -> str:
        """Returns the recipe as JSON text."""
        return json.dumps(keras.saving.serialize_keras_object(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Returns the recipe that `to_json` wrote.

        Raises:
            ValueError: The text is no JSON, or no recipe.
        """
        try:
            recipe = keras.saving.deserialize_keras_object(json.loads(text))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"`text` must be a recipe written by to_json. {error}") from error
        if not isinstance(recipe, cls):
            raise ValueError(
                "`text` must be a recipe written by to_json. "
                f"Received: JSON of a {type(recipe).__name__}."
            )
        return recipe


def _checked_expressions(filter: Any) -> list[str]:
    expressions = [filter] if isinstance(filter, str) else filter
    if not isinstance(expressions, (list, tuple)) or not all(
        isinstance(expression, str) for expression in expressions
    ):
        raise ValueError(
            "`filter` must be a regular expression, a list of them, or a callable. "
            f"Received: filter={filter!r}."
        )
    for expression in expressions:
        if expression.startswith("@") and expression not in PLACES:
            near = difflib.get_close_matches(expression, PLACES, n=1, cutoff=0.0)
            raise ValueError(
                f"`filter` must be one of {PLACES} where it begins with '@'. "
                f"Received: {expression!r}. Did you mean {near[0]!r}?"
            )
        try:
            re.compile(expression)
        except re.error as error:
            raise ValueError(
                f"`filter` must be a regular expression. Received: {expression!r} ({error})."
            ) from error
    return list(expressions)

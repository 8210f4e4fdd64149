"""Recipe: which transforms which tensors of which layers get, as data."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras

from edgeax.transforms.base import Transform

Filter = str | Sequence[str] | Callable[[keras.layers.Layer], bool]
Slot = Transform | Sequence[Transform] | None

SLOTS = ("kernel", "bias", "input", "output")


@keras.saving.register_keras_serializable("edgeax")
class Rule:
    """Transforms for the layers that a filter picks.

    An empty list of transforms takes back what an earlier rule gives: the tensor stays as it is.

    Args:
        filter: A regular expression searched in the layer's path (`backbone/conv1`), a list of such
            expressions of which one must match, or a callable that gets the model's layer.
        kernel: Transforms of the kernels, in order.
        bias: Transforms of the biases.
        input: Transforms of those inputs of the layer that are inputs of the model: every other
            tensor is somebody's output. A layer that is called on both kinds gets none.
        output: Transforms of the layer's output. They act behind the batch normalization and the
            ReLU that follow the layer, because the device computes them as one. A layer that is
            called several times has one range for all its calls.

    Raises:
        ValueError: No slot is given, the filter is none, or an expression does not compile.
    """

    def __init__(
        self,
        filter: Filter,
        kernel: Slot = None,
        bias: Slot = None,
        input: Slot = None,
        output: Slot = None,
    ) -> None:
        self.filter = filter if callable(filter) else _checked_expressions(filter)
        self.slots = {
            slot: _checked_slot(slot, value)
            for slot, value in zip(SLOTS, (kernel, bias, input, output), strict=True)
            if value is not None
        }
        if not self.slots:
            raise ValueError(
                f"`Rule` must give at least one of {SLOTS}. Received: filter={filter!r} alone."
            )

    def matches(self, layer: keras.layers.Layer, path: str) -> bool:
        """Returns whether the rule's filter picks `layer`, whose path is `path`."""
        if callable(self.filter):
            return bool(self.filter(layer))
        return any(re.search(expression, path) for expression in self.filter)

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
        slots = {
            slot: [keras.saving.serialize_keras_object(member) for member in members]
            for slot, members in self.slots.items()
        }
        return {"filter": list(self.filter), **slots}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Rule":
        """Returns the rule that `get_config` described."""
        slots = {
            slot: [keras.saving.deserialize_keras_object(member) for member in config[slot]]
            for slot in SLOTS
            if slot in config
        }
        return cls(config["filter"], **slots)


@keras.saving.register_keras_serializable("edgeax")
class Recipe:
    """An ordered list of rules. For each slot of a layer, the last rule that matches wins.

    Args:
        rules: The rules.
        name: What to call the recipe.

    Raises:
        ValueError: There is no rule, or something is no rule.
    """

    def __init__(self, rules: Sequence[Rule], name: str = "recipe") -> None:
        self.rules = list(rules)
        self.name = name
        if not self.rules or not all(isinstance(rule, Rule) for rule in self.rules):
            raise ValueError(
                f"`rules` must be a list of at least one edgeax.Rule. Received: rules={rules!r}."
            )

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
        try:
            re.compile(expression)
        except re.error as error:
            raise ValueError(
                f"`filter` must be a regular expression. Received: {expression!r} ({error})."
            ) from error
    return list(expressions)


def _checked_slot(slot: str, value: Any) -> list[Transform]:
    members = [value] if isinstance(value, Transform) else value
    if not isinstance(members, (list, tuple)) or not all(
        isinstance(member, Transform) for member in members
    ):
        raise ValueError(
            f"`{slot}` must be a transform such as edgeax.Quantize('int8') or a list of them. "
            f"Received: {slot}={value!r}."
        )
    return list(members)

"""What a slot may be given: transforms, number formats, or the names of either."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from edgeax.formats import NumberFormat
from edgeax.transforms.base import Transform
from edgeax.transforms.named import transform_of
from edgeax.transforms.quantize import Quantize

Given = str | NumberFormat | Transform
Slot = Given | Sequence[Given] | None


def as_transforms(slot: str, given: Any) -> list[Transform]:
    """Returns the transforms that a slot is given, in order; none for None.

    A name is one of a quantizer or of a number format, as `edgeax.transforms.named.transform_of`
    reads it; a format object becomes a `Quantize` to it.

    Args:
        slot: `"kernel"`, `"bias"`, `"input"` or `"output"`, or an argument that stands for one.
        given: A name, a format, a transform, or a list of these.

    Raises:
        ValueError: There is no such name, or something is none of these.
    """
    if given is None:
        return []
    members = given if isinstance(given, (list, tuple)) else [given]
    return [_as_transform(slot, member, given) for member in members]


def as_named_transforms(given: Any) -> dict[str, list[Transform]]:
    """Returns the transforms of single weights by the names of their variables.

    Raises:
        ValueError: It is no such mapping.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise ValueError(
            "`weights` must map names of variables to transforms, such as "
            f"{{'recurrent_kernel': 'int8'}}. Received: weights={given!r}."
        )
    return {name: as_transforms(name, members) for name, members in given.items()}


def _as_transform(slot: str, member: Any, given: Any) -> Transform:
    if isinstance(member, Transform):
        return member
    if isinstance(member, NumberFormat):
        return Quantize(member)
    if isinstance(member, str):
        try:
            return transform_of(member, _role_of(slot))
        except ValueError as error:
            raise ValueError(f"`{slot}` cannot be {member!r}: {error}") from error
    raise ValueError(
        f"`{slot}` must be a transform such as edgeax.Quantize('int8'), a number format, the name "
        f"of one such as 'int8' or 'ternary', or a list of these. Received: {slot}={given!r}."
    )


def _role_of(slot: str) -> str:
    """Returns which of the four slots an argument such as `kernel_quantizer` stands for."""
    name = slot.removesuffix("_quantizer")
    for role in ("bias", "input", "output"):
        if name.endswith(role):
            return role
    return "output" if name in ("state", "before_activation", "between") else "kernel"


def serialized(slots: Mapping[str, Sequence[Transform]]) -> dict[str, list[dict[str, Any]]]:
    """Returns the transforms of slots as data."""
    return {
        name: [keras.saving.serialize_keras_object(member) for member in members]
        for name, members in slots.items()
    }


def deserialized(data: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, list[Transform]]:
    """Returns what `serialized` described, without state."""
    return {
        name: [keras.saving.deserialize_keras_object(member) for member in members]
        for name, members in data.items()
    }

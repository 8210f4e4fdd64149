"""Names of number formats: `"int4"`, `"fp8_e4m3"`, `"log4"`, `"ternary"`.

Each format declares its names beside its class; nothing else knows them.
"""

import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any

from edgeax.formats.base import NumberFormat

# Pattern of the name, what makes the format of the groups in it, and examples.
_NAMED: list[tuple[re.Pattern[str], Callable[..., NumberFormat], tuple[str, ...]]] = []


def name_format(pattern: str, make: Callable[..., NumberFormat], examples: Sequence[str]) -> None:
    r"""Declares names of a format.

    Args:
        pattern: Regular expression of whole names; each group in it must match digits.
        make: Gets the groups as integers, and `axis=` (None or -1) where the name is used for a
            weight with one scale per output channel; returns the format.
        examples: Names to suggest.
    Example: `name_format(r"log(\d+)", lambda bits, axis=None: Logarithmic(bits), ["log4"])`
    """
    _NAMED.append((re.compile(pattern), make, tuple(examples)))


def names() -> list[str]:
    """Returns names that are worth suggesting, sorted."""
    return sorted({example for _, _, examples in _NAMED for example in examples})


def format_of(name: str, axis: int | None = None) -> NumberFormat:
    """Returns the number format called `name`.

    Args:
        name: E.g. `"int4"`, `"fp8_e4m3"`, `"ternary"`.
        axis: None for one scale per tensor, -1 for one per output channel; formats without a scale
            take no notice.

    Raises:
        ValueError: There is no such format, or its settings are out of range.
    """
    for pattern, make, _ in _NAMED:
        match = pattern.fullmatch(str(name))
        if match:
            return make(*map(int, match.groups()), axis=axis)
    near = difflib.get_close_matches(str(name).lower(), names(), n=4, cutoff=0.4) or names()
    raise ValueError(
        f"`format` must name a number format. Received: format={name!r}. "
        f"Did you mean one of {near}?"
    )


def described(format: NumberFormat | None) -> str:
    """Returns the name of a format, or its settings if none of the names worth suggesting is."""
    for name in names():
        if format in (format_of(name), format_of(name, axis=-1)):
            return name
    return str(format)


def is_name(value: Any) -> bool:
    """Returns whether `value` is the name of a number format; its settings may be out of range."""
    return any(pattern.fullmatch(str(value)) for pattern, _, _ in _NAMED)


def serialized(format: NumberFormat) -> dict[str, Any]:
    """Returns a format as JSON values, for `deserialized`."""
    return {"class": type(format).__name__, "config": format.get_config()}


def deserialized(data: dict[str, Any]) -> NumberFormat:
    """Returns the format that `serialized` described.

    Raises:
        ValueError: There is no such format.
    """
    classes = {cls.__name__: cls for cls in _all_subclasses(NumberFormat)}
    if data.get("class") not in classes:
        raise ValueError(
            f"`data` must describe a number format, one of {sorted(classes)}. Received: {data}."
        )
    return classes[data["class"]].from_config(data["config"])


def _all_subclasses(cls: Any) -> list[type[NumberFormat]]:
    direct: list[type[NumberFormat]] = cls.__subclasses__()
    return [*direct, *(far for near in direct for far in _all_subclasses(near))]

"""Checks of arguments that several transforms share."""

import difflib
import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any


def checked_bits(bits: Any, low: int, high: int, owner: str, name: str = "bits") -> int:
    """Returns `bits` if it is a width, or another number called `name`, that `owner` has.

    Raises:
        ValueError: It is no integer, or lies outside [low, high].
    """
    is_whole = isinstance(bits, numbers.Integral) and not isinstance(bits, bool)
    if not is_whole or not low <= bits <= high:
        raise ValueError(
            f"`{name}` of {owner} must be an integer in [{low}, {high}]. Received: {name}={bits!r}."
        )
    return int(bits)


def checked_steps(name: str, values: Any) -> list[int]:
    """Returns training steps as a list.

    Raises:
        ValueError: They are no sequence of whole numbers.
    """
    is_sequence = isinstance(values, (list, tuple)) or hasattr(values, "tolist")
    steps = list(values) if is_sequence else []
    if not is_sequence or not all(isinstance(step, numbers.Integral) for step in steps):
        raise ValueError(
            f"`{name}` must be a list of training steps, such as [1000, 2000]. "
            f"Received: {name}={values!r}."
        )
    return [int(step) for step in steps]


def checked_count(name: str, value: Any, least: int = 1) -> int:
    """Returns `value` if it is a whole number, at least `least`.

    Raises:
        ValueError: It is not.
    """
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or value < least:
        raise ValueError(
            f"`{name}` must be an integer, at least {least}. Received: {name}={value!r}."
        )
    return int(value)


def checked_seed(value: Any) -> int:
    """Returns `value` if random numbers can be drawn from it.

    Raises:
        ValueError: It is no integer, or below 0.
    """
    return checked_count("seed", value, least=0)


def checked_axis(axis: Any) -> int | None:
    """Returns `axis` if it says where the scales of a weight are.

    Raises:
        ValueError: It is neither -1 nor None.
    """
    if axis not in (None, -1):
        raise ValueError(
            "`axis` must be -1 (one scale per output channel) or None (one per tensor). "
            f"Received: axis={axis}."
        )
    return axis


def checked_positive(name: str, value: Any) -> float:
    """Returns `value` if it is finite and above 0.

    Raises:
        ValueError: It is not.
    """
    if not isinstance(value, numbers.Real) or not 0.0 < float(value) < math.inf:
        raise ValueError(f"`{name}` must be above 0 and finite. Received: {name}={value!r}.")
    return float(value)


def checked_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Returns `value` if it is one of `choices`.

    Raises:
        ValueError: It is not.
    """
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {choices}. Received: {name}={value!r}.")
    return str(value)


def checked_nonnegative(name: str, value: Any) -> float:
    """Returns `value` if it is finite and at least 0.

    Raises:
        ValueError: It is not.
    """
    if not isinstance(value, numbers.Real) or not 0.0 <= float(value) < math.inf:
        raise ValueError(f"`{name}` must be at least 0 and finite. Received: {name}={value!r}.")
    return float(value)


def checked_strength(strength: Any) -> float:
    """Returns `strength` if it can be the factor of a term.

    Raises:
        ValueError: It is below 0 or not finite.
    """
    return checked_nonnegative("strength", strength)


def checked_below_1(name: str, value: Any) -> float:
    """Returns `value` if it lies in [0, 1).

    Raises:
        ValueError: It does not.
    """
    if not isinstance(value, numbers.Real) or not 0.0 <= float(value) < 1.0:
        raise ValueError(f"`{name}` must lie in [0, 1). Received: {name}={value!r}.")
    return float(value)


def named_object(
    argument: str,
    given: Any,
    names: Mapping[str, Callable[[], Any]],
    kinds: tuple[type, ...],
) -> Any:
    """Returns an object of some kinds, given itself or by a word.

    Args:
        argument: What the user calls it.
        given: The object or its name.
        names: What makes the object of each name.
        kinds: Classes of which it may be.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(given, kinds):
        return given
    if isinstance(given, str) and given in names:
        return names[given]()
    near = difflib.get_close_matches(str(given), names, n=3, cutoff=0.3)
    raise ValueError(
        f"`{argument}` must be one of {sorted(names)}, or a "
        f"{' or a '.join(kind.__name__ for kind in kinds)}. "
        f"Received: {given!r}.{f' Did you mean one of {near}?' if near else ''}"
    )

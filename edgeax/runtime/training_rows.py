"""Samples and labels as a file that learns takes them, checked before anything changes."""

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


class Rows:
    """The inputs of a model, row by row.

    Args:
        names: Of the inputs, in their order.
        details: Of each by name, as a signature runner tells them.

    Attributes:
        shapes: Of one row of each input.
        dtypes: Of each input.
    """

    def __init__(self, names: Sequence[str], details: Mapping[str, Mapping[str, Any]]) -> None:
        self._names = tuple(names)
        self.dtypes = [np.dtype(details[name]["dtype"]) for name in names]
        self.shapes = tuple(tuple(map(int, details[name]["shape"][1:])) for name in names)

    def checked(self, x: Any) -> tuple[np.ndarray, ...]:
        """Returns an array for each input, of the type that the model takes.

        Args:
            x: An array `(count, ...)` for a model of one input; else a list in the order of the
                inputs, or a dict by their names.

        Raises:
            ValueError: An input is missing, has another shape or no row, or a value is not finite
                or does not fit the type.
        """
        if isinstance(x, Mapping):
            if set(x) != set(self._names):
                raise ValueError(f"`x` must hold {[*self._names]}. Received: {[*x]}.")
            given: list[Any] = [x[name] for name in self._names]
        elif len(self._names) == 1:
            alone = isinstance(x, (list, tuple)) and len(x) == 1
            first = as_array(f"Input {self._names[0]!r}", x[0]) if alone else None
            whole = first is not None and first.ndim == len(self.shapes[0]) + 1
            given = [first if whole else x]
        elif isinstance(x, (list, tuple)):
            given = [*x]
        else:
            raise ValueError(
                f"`x` must be a list or a dict of one array for each of {[*self._names]}. "
                f"Received: {type(x).__name__}."
            )
        if len(given) != len(self._names):
            raise ValueError(
                f"`x` must be one array for each of {[*self._names]}. Received: {len(given)}."
            )
        fields = zip(self._names, given, self.shapes, self.dtypes, strict=True)
        arrays = tuple(_checked(*field) for field in fields)
        counts = {len(array) for array in arrays}
        if len(counts) != 1:
            raise ValueError(
                f"`x` must have equally many rows for all inputs. Received: {sorted(counts)}."
            )
        return arrays


def _checked(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    array = as_array(f"Input {name!r}", value)
    if array.shape[1:] != shape or not array.ndim or not len(array):
        wanted = ", ".join(("count", *map(str, shape)))
        raise ValueError(
            f"Input {name!r} must have shape ({wanted}), with one row at least. Received: "
            f"{array.shape}."
        )
    if array.dtype.kind not in "fiub":
        raise ValueError(f"Input {name!r} must hold numbers. Received: {array.dtype}.")
    if dtype.kind == "f":
        converted = _as_floats(array, dtype)
        if not np.all(np.isfinite(converted)):
            raise ValueError(
                f"Input {name!r} must be finite in {dtype}. Received: nan, inf or numbers beyond "
                "it. Leave such samples out."
            )
        return converted
    limits = np.iinfo(dtype)
    whole = array.dtype.kind in "iub" or bool(np.all(array == np.round(array)))
    # Python's numbers are compared exactly, those of numpy as float32 where one is.
    if not whole or array.min().item() < limits.min or array.max().item() > limits.max:
        raise ValueError(
            f"Input {name!r} must hold whole numbers of type {dtype}. Received: {array.dtype}, "
            f"values in [{array.min()}, {array.max()}]."
        )
    return array.astype(dtype)


def as_array(what: str, value: Any) -> np.ndarray:
    """Returns an array, or an array's content as it is.

    Args:
        what: What the user calls it, for an error.
        value: An array, or lists of numbers.

    Raises:
        ValueError: Rows have different lengths.
    """
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"{what} must be an array, or rows of equal lengths. Received: "
            f"{type(value).__name__}, of which numpy says: {error}"
        ) from error


def _as_floats(array: np.ndarray, dtype: Any) -> np.ndarray:
    """Returns floats; what is beyond their range is infinite."""
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def checked_labels(
    y: Any, count: int, classes: int | None, target_shape: Sequence[int], name: str = "y"
) -> np.ndarray:
    """Returns labels as the file takes them: int32 `(count,)`, for a mean square float32 targets.

    Args:
        y: Classes, integers `(count,)` or `(count, 1)`, or targets `(count, *target_shape)`.
        count: Samples.
        classes: How many there are; None for a mean square.
        target_shape: Of one row of the model's output.
        name: What the user calls them.

    Raises:
        ValueError: The shape does not fit, a value is not finite, or there is no such class.
    """
    labels = as_array(f"`{name}`", y)
    if classes is None:
        shape = (count, *map(int, target_shape))
        if labels.size != math.prod(shape) or labels.shape[:1] != (count,):
            raise ValueError(f"`{name}` must have shape {shape}. Received: {labels.shape}.")
        targets = _as_floats(labels, np.float32) if labels.dtype.kind in "fiub" else None
        if targets is None or not np.all(np.isfinite(targets)):
            raise ValueError(
                f"`{name}` must hold finite numbers, in float32. Received: nan, inf, numbers "
                "beyond it, or no numbers."
            )
        return targets.reshape(shape)
    if labels.shape not in ((count,), (count, 1)):
        raise ValueError(
            f"`{name}` must have shape ({count},), one class for each sample. Received: "
            f"{labels.shape}."
        )
    if labels.dtype.kind not in "iu" or np.any((labels < 0) | (labels >= classes)):
        shown = labels.ravel() if labels.dtype == object else np.unique(labels)
        raise ValueError(
            f"`{name}` must hold integers in [0, {classes}). Received: {labels.dtype}, "
            f"{shown[:20]}."
        )
    return labels.astype(np.int32).reshape(count)


def checked_share(name: str, value: float) -> float:
    """Returns a number in [0, 1).

    Raises:
        ValueError: It lies outside.
    """
    if not isinstance(value, numbers.Real) or not 0.0 <= value < 1.0:
        raise ValueError(f"`{name}` must lie in [0, 1). Received: {name}={value!r}.")
    return float(value)

"""Samples and labels as a file that learns takes them, checked before anything changes."""

import math
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
    """

    def __init__(self, names: Sequence[str], details: Mapping[str, Mapping[str, Any]]) -> None:
        self._names = tuple(names)
        self._dtypes = [np.dtype(details[name]["dtype"]) for name in names]
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
                raise ValueError(f"`x` must hold {[*self._names]}. Received: {sorted(x)}.")
            given: list[Any] = [x[name] for name in self._names]
        elif len(self._names) == 1:
            alone = isinstance(x, (list, tuple)) and len(x) == 1
            given = [x[0]] if alone and np.ndim(x[0]) == len(self.shapes[0]) + 1 else [x]
        else:
            given = list(x)
        if len(given) != len(self._names):
            raise ValueError(
                f"`x` must be one array for each of {[*self._names]}. Received: {len(given)}."
            )
        fields = zip(self._names, given, self.shapes, self._dtypes, strict=True)
        arrays = tuple(_checked(*field) for field in fields)
        counts = {len(array) for array in arrays}
        if len(counts) != 1:
            raise ValueError(
                f"`x` must have equally many rows for all inputs. Received: {sorted(counts)}."
            )
        return arrays


def _checked(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    array = np.asarray(value)
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


def _as_floats(array: np.ndarray, dtype: Any) -> np.ndarray:
    """Returns floats; what is beyond their range is infinite."""
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def checked_labels(
    y: Any, count: int, classes: int | None, target_shape: Sequence[int]
) -> np.ndarray:
    """Returns labels as the file takes them: int32 `(count,)`, for a mean square float32 targets.

    Args:
        y: Classes, integers `(count,)` or `(count, 1)`, or targets `(count, *target_shape)`.
        count: Samples.
        classes: How many there are; None for a mean square.
        target_shape: Of one row of the model's output.

    Raises:
        ValueError: The shape does not fit, a value is not finite, or there is no such class.
    """
    labels = np.asarray(y)
    if classes is None:
        shape = (count, *map(int, target_shape))
        if labels.size != math.prod(shape) or labels.shape[:1] != (count,):
            raise ValueError(f"`y` must have shape {shape}. Received: {labels.shape}.")
        targets = _as_floats(labels, np.float32) if labels.dtype.kind in "fiub" else None
        if targets is None or not np.all(np.isfinite(targets)):
            raise ValueError(
                "`y` must hold finite numbers, in float32. Received: nan, inf, numbers beyond "
                "it, or no numbers."
            )
        return targets.reshape(shape)
    if labels.shape not in ((count,), (count, 1)):
        raise ValueError(
            f"`y` must have shape ({count},), one class for each sample. Received: {labels.shape}."
        )
    wrong = labels.dtype.kind not in "iu" or np.any((labels < 0) | (labels >= classes))
    if wrong:
        raise ValueError(
            f"`y` must hold integers in [0, {classes}). Received: {labels.dtype}, "
            f"{np.unique(labels)[:20]}."
        )
    return labels.astype(np.int32).reshape(count)


def checked_share(name: str, value: float) -> float:
    """Returns a number in [0, 1).

    Raises:
        ValueError: It lies outside.
    """
    if not 0.0 <= value < 1.0:
        raise ValueError(f"`{name}` must lie in [0, 1). Received: {name}={value}.")
    return float(value)

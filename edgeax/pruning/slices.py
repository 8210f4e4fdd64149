"""Slices: where the units of a group of channels lie along the axes of weights."""

from typing import Any

import numpy as np


def per_unit(values: np.ndarray, units: np.ndarray, size: int) -> np.ndarray:
    """Returns the sum over the positions of each unit, float64 `(size,)`.

    Args:
        values: `(positions,)`.
        units: The unit of each position, -1 for those of others.
        size: How many units there are.
    """
    ours = units >= 0
    return np.bincount(units[ours], np.asarray(values, np.float64)[ours], size)


def positions_of_units(units: np.ndarray, size: int) -> np.ndarray:
    """Returns the positions of each unit in their order, int `(size, positions of a unit)`.

    Args:
        units: The unit of each position, -1 for those of others; see `is_even`.
        size: How many units there are.
    """
    found = np.argsort(units, kind="stable")[np.count_nonzero(units < 0) :]
    return found.reshape(size, -1)


def is_even(units: np.ndarray, size: int) -> bool:
    """Returns whether all units have equally many positions.

    Args:
        units: The unit of each position, -1 for those of others.
        size: How many units there are.
    """
    return int(np.ptp(np.bincount(units[units >= 0], minlength=size))) == 0


def is_named(variable: Any, name: str) -> bool:
    """Returns whether a slice means a variable: it has its name, or the end of its path."""
    return f"/{variable.path}".endswith(f"/{name}")

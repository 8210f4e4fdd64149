"""Prices, none below zero, that explain measured totals best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

_MOST_ROUNDS = 200
_LEAST_SHARE = 1e-9


def prices(rows: Sequence[Mapping[str, float]], totals: Sequence[float]) -> dict[str, float]:
    """Returns the prices, at least 0, with the least sum of squares of relative errors.

    Args:
        rows: Amounts of each measurement, by name.
        totals: What each took in all, above 0.
    Returns:
        Those that are not 0.
    Raises:
        ValueError: A total is not above 0.
    """
    if min(totals) <= 0:
        raise ValueError(
            f"`totals` must be above 0. Received: {min(totals)}. Leave such measurements out."
        )
    names = list(dict.fromkeys(name for row in rows for name in row))
    amounts = np.array([[row.get(name, 0.0) for name in names] for row in rows], np.float64)
    amounts /= np.asarray(totals, np.float64)[:, None]
    size = np.abs(amounts).max(axis=0)
    used = size > 0
    found = np.zeros(len(names))
    found[used] = _nonnegative(amounts[:, used] / size[used], np.ones(len(rows))) / size[used]
    return {name: float(price) for name, price in zip(names, found, strict=True) if price > 0}


def _nonnegative(matrix: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Returns the least-squares solution without negative numbers, as Lawson and Hanson find it."""
    count = matrix.shape[1]
    solution, free = np.zeros(count), np.zeros(count, bool)
    for _ in range(_MOST_ROUNDS):
        gain = np.where(free, 0.0, matrix.T @ (wanted - matrix @ solution))
        if gain.max(initial=0.0) <= _LEAST_SHARE:
            break
        free[int(gain.argmax())] = True
        while True:
            trial = np.zeros(count)
            trial[free] = np.linalg.lstsq(matrix[:, free], wanted, rcond=None)[0]
            negative = free & (trial <= 0)
            if not negative.any():
                break
            steps = solution[negative] / (solution[negative] - trial[negative])
            solution += steps.min() * (trial - solution)
            free &= solution > _LEAST_SHARE
        solution = trial
    return solution

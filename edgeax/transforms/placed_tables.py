"""Placed tables: shared values and assignments that come from outside, checked and put in order."""

from typing import Any

import numpy as np

from edgeax.formats.base import finite_float32


def checked_tables(
    centroids: Any, groups: int, count: int, has_zero: bool, top: float | None
) -> np.ndarray:
    """Returns tables as float32 `(groups, count)`.

    Args:
        centroids: `(groups, count)`, or `(count,)` for the same table in each group.
        groups: Number of groups.
        count: Number of values of a table.
        has_zero: Whether each table must hold a zero.
        top: On a grid of integers the largest code, which a value of 1 stands for; else None.

    Raises:
        ValueError: They have another shape, a value that is not finite or beyond the grid, or a
            table has no zero.
    """
    tables = finite_float32(centroids, "centroids")
    if tables.shape not in ((count,), (groups, count)):
        raise ValueError(
            f"`centroids` must have shape ({groups}, {count}), or ({count},) for the same table in "
            f"each group. Received: shape {tables.shape}. Repeat values where there are fewer."
        )
    if top is not None and np.abs(tables).max() >= 1.0 + 0.5 / top:
        raise ValueError(
            "`centroids` must lie in [-1, 1] before Quantize: they are parts of the largest "
            f"magnitude. Received: values up to {np.abs(tables).max():g}. Divide codes by "
            f"{top:g}, weights as in_units() does."
        )
    if has_zero and not np.all(np.any(tables == 0.0, axis=-1)):
        raise ValueError(
            "`centroids` must hold a 0 in each table, for the weights that are pruned. Received: "
            "a table without. Put one in, or use preserve_sparsity=False."
        )
    return np.broadcast_to(tables, (groups, count))


def checked_codes(codes: Any, shape: tuple[int, ...], count: int) -> np.ndarray:
    """Returns assignments as an integer array.

    Args:
        codes: For each weight the place of its value in its table.
        shape: Of the weight.
        count: Number of values of a table.

    Raises:
        ValueError: They are no integers in the table, or have another shape.
    """
    found = np.asarray(codes)
    if found.shape != shape or not np.issubdtype(found.dtype, np.integer):
        raise ValueError(
            f"`codes` must be integers of the shape of the weight, {shape}. Received: "
            f"{found.dtype} of shape {found.shape}. Leave them out to take the nearest centroids."
        )
    if not 0 <= found.min() <= found.max() < count:
        raise ValueError(
            f"`codes` must lie in [0, {count - 1}]. Received: min={found.min()}, "
            f"max={found.max()}. They are places in `centroids`."
        )
    return found


def zero_first(tables: np.ndarray, codes: np.ndarray | None) -> tuple[np.ndarray, Any]:
    """Returns tables whose first zero comes first, and the codes for these.

    Args:
        tables: `(groups, count)`, each with a zero.
        codes: `(groups, members)`, or None.
    """
    is_other = np.arange(tables.shape[1]) != np.argmax(tables == 0.0, axis=1)[:, np.newaxis]
    return _reordered(tables, codes, np.argsort(is_other, axis=1, kind="stable"))


def sorted_tables(tables: np.ndarray, codes: np.ndarray | None) -> tuple[np.ndarray, Any]:
    """Returns sorted tables, and the codes for these; see `zero_first`."""
    return _reordered(tables, codes, np.argsort(tables, axis=1, kind="stable"))


def _reordered(
    tables: np.ndarray, codes: np.ndarray | None, order: np.ndarray
) -> tuple[np.ndarray, Any]:
    tables = np.take_along_axis(tables, order, axis=1)
    if codes is None:
        return tables, None
    return tables, np.take_along_axis(np.argsort(order, axis=1), codes.astype(np.int64), axis=1)

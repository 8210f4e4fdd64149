"""Scopes: which weights share a table, and how a weight is divided into their groups and back."""

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from edgeax.formats.codebooks import as_params, axes_of_groups, tables_of

SCOPES = ("layer", "channel", "kernel", "network")
"""The scopes that have a name; an integer n is one too, every n inputs in a row."""


def checked_scope(scope: Any) -> str | int:
    """Returns `scope` if it is one.

    Raises:
        ValueError: It is neither a name nor a number of inputs.
    """
    is_count = isinstance(scope, numbers.Integral) and not isinstance(scope, bool)
    if isinstance(scope, str) and scope in SCOPES:
        return scope
    if not is_count or scope < 1:
        raise ValueError(
            f"`scope` must be one of {SCOPES}, or a number of inputs of at least 1. "
            f"Received: scope={scope!r}."
        )
    return int(scope)


@dataclasses.dataclass(frozen=True)
class Division:
    """A weight in groups that have a table each.

    Attributes:
        shape: Of the weight, canonical layout: output channels last.
        tables: `()` for one table, or the shape of several as `Codebooks` keeps them.
    """

    shape: tuple[int, ...]
    tables: tuple[int, ...]

    @classmethod
    def of(
        cls, scope: str | int, shape: Sequence[int], input_axes: Sequence[int] | None = None
    ) -> "Division":
        """Returns how a scope divides a weight.

        Args:
            scope: What `checked_scope` returned. The table of a network is one for this weight too.
            shape: Of the weight, canonical layout.
            input_axes: As `Transform.input_axes` has them.

        Raises:
            ValueError: The weight cannot be divided so.
        """
        shape = tuple(int(size) for size in shape)
        if scope in ("layer", "network"):
            return cls(shape, ())
        axes_of_space = None
        if input_axes is not None:
            axes_of_space = input_axes[0] if input_axes else len(shape) - 1
        return cls(shape, tables_of(scope, shape, axes_of_space))

    @property
    def groups(self) -> int:
        """Number of groups."""
        return math.prod(self.tables)

    @property
    def members(self) -> int:
        """Number of weights in each group."""
        return math.prod(self.shape) // self.groups if self.groups else 0

    def clusters(self, wanted: int, at_most: bool) -> int:
        """Returns how many values a table has, at least 2.

        Args:
            wanted: How many it shall have.
            at_most: Whether it gets fewer where its group has fewer weights.

        Raises:
            ValueError: A group has fewer weights, or the weight has none.
        """
        if not self.members:
            raise ValueError(
                "`Cluster` must stand at a weight that has values. Received: a weight of shape "
                f"{self.shape}. Leave this layer out by the filter of its Rule."
            )
        if wanted > self.members and not at_most:
            each = f" in each of {self.groups} groups" if self.groups > 1 else ""
            raise ValueError(
                "`number_of_clusters` must not exceed the number of weights. "
                f"Received: number_of_clusters={wanted} for a weight of shape {self.shape} "
                f"({self.members} values{each}). Use fewer clusters, a wider scope "
                "or edgeax.Cluster's at_most=True, or leave this layer out."
            )
        return max(2, min(wanted, self.members))

    def grouped(self, values: Any) -> Any:
        """Returns what stands for each weight, a tensor or array of its shape, as
        `(groups, members)`.
        """
        ops = np if isinstance(values, np.ndarray) else tf
        before, groups, behind = axes_of_groups(self.shape, self.tables)
        if before > 1:
            values = ops.transpose(ops.reshape(values, [before, groups]))
        return ops.reshape(values, [groups, before * behind])

    def ungrouped(self, rows: Any) -> Any:
        """Undoes `grouped`."""
        ops = np if isinstance(rows, np.ndarray) else tf
        before, _, _ = axes_of_groups(self.shape, self.tables)
        return ops.reshape(ops.transpose(rows) if before > 1 else rows, self.shape)

    def codebook(self, rows: np.ndarray) -> np.ndarray:
        """Returns tables `(groups, entries)` as the format of the weight keeps them: a `Codebook`
        if it has one, else `Codebooks`.
        """
        return as_params(rows, self.tables)

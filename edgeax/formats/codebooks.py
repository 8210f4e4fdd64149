"""Codebooks: codes are indices into one of several small tables, each for a part of the tensor."""

import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from edgeax.formats.base import NumberFormat, Params, finite_float32, optional_scale
from edgeax.formats.codebook import Codebook, checked_indices
from edgeax.formats.integer import Integer


@dataclass(frozen=True)
class Codebooks(NumberFormat):
    """Indices into tables of `entries` values: `real = scale * table[code]`, a table for each group
    of weights.

    `params["codebook"]` holds the tables, their entries along the first axis, in one of two shapes:
    `(entries, inputs, channels)` has a table for each pair of an input and an output channel, or
    with `inputs` 1 for each output channel; `(entries, blocks)` has one for each of `blocks` equal
    parts of the inputs, which are all axes but the last, in a row.

    Args:
        entries: Number of entries of each table, 2 to 256.
        scope: What `fit` gives a table: `"channel"`, each output channel; `"kernel"`, each pair of
            an input and an output channel, the last two axes; an integer n, every n inputs in a
            row, of all output channels.
        value: Symmetric Integer format of the entries, at most 8 bits, or None for float32 entries,
            which need no scale.

    Raises:
        ValueError: An argument is out of its range.
    """

    channel_axes: ClassVar[Mapping[str, int]] = {"scale": 1, "codebook": 3}

    entries: int = 16
    scope: str | int = "channel"
    value: Integer | None = Integer(8, axis=-1)

    def __post_init__(self) -> None:
        Codebook(self.entries, self.value)
        is_count = isinstance(self.scope, numbers.Integral) and not isinstance(self.scope, bool)
        if self.scope not in ("channel", "kernel") and not (is_count and int(self.scope) >= 1):
            raise ValueError(
                "`scope` must be 'channel', 'kernel' or a number of inputs of at least 1. "
                f"Received: scope={self.scope!r}. A Codebook has one table for all weights."
            )
        if self.value is not None and self.value.bits > 8:
            raise ValueError(
                "`value` must have at most 8 bits: entries are int8. "
                f"Received: {self.value}. Use Integer(8) or None."
            )

    @property
    def bits(self) -> int:
        """Width of one index in bits: ceil(log2(entries))."""
        return (self.entries - 1).bit_length()

    def fit(self, x: np.ndarray) -> Params:
        """Fits each table to its group, as `Codebook.fit` does.

        Args:
            x: Real values, all finite; last axis the output channel.
        Returns:
            `{"codebook": float32 or int8 (entries, ...)}`, and `"scale"` with a `value` format.
        Raises:
            ValueError: `x` is not finite, or cannot be divided as `scope` says.
        """
        x = finite_float32(x)
        tables = tables_of(self.scope, x.shape)
        params = {} if self.value is None else self.value.fit(x)
        units = x if self.value is None else self.value.encode(x, params).astype(np.float32)
        book = Codebook(self.entries, None)
        fitted = [book.fit(group)["codebook"] for group in self._groups(units, tables)]
        rows = np.asarray(fitted, np.float32).reshape(-1, self.entries)
        rows = rows if self.value is None else np.rint(rows).astype(np.int8)
        return {"codebook": as_params(rows, tables), **params}

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns uint8 indices of the nearest entries; in a tie, of the smaller one.

        Args:
            x: Real values in the shape that was fitted.
            params: What `fit` returned.
        Raises:
            ValueError: `x` is not finite, or params have the wrong shape or a zero scale.
        """
        x = finite_float32(x)
        tables = self._checked_tables(params, x.shape)
        x = x / self._checked_scale(params, x.shape, divides=True)
        before, groups, behind = axes_of_groups(x.shape, tables.shape[1:])
        book, rows = Codebook(self.entries, None), tables.reshape(self.entries, -1).T
        codes = np.zeros((before, groups, behind), np.uint8)
        for place, group in enumerate(self._groups(x, tables.shape[1:])):
            codes[:, place] = book.encode(group, {"codebook": rows[place].astype(np.float32)})
        return codes.reshape(x.shape)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns float32 `scale * table[codes]`, rounded once.

        Args:
            codes: Indices in 0..entries-1, last axis = output channel.
            params: What `fit` returned; the scale may be negative or 0.
        Raises:
            ValueError: an index is outside the tables, or params have the wrong shape.
        """
        codes = checked_indices(codes, self.entries)
        tables = self._checked_tables(params, codes.shape)
        before, groups, behind = axes_of_groups(codes.shape, tables.shape[1:])
        places = np.arange(groups)[:, np.newaxis]
        entries = tables.reshape(self.entries, -1)[codes.reshape(before, groups, behind), places]
        values = entries.astype(np.float32).reshape(codes.shape)
        return self._checked_scale(params, codes.shape) * values

    def per_channel(self) -> "Codebooks":
        """Returns the same format with a per-channel value format; float32 entries need none."""
        return self if self.value is None else replace(self, value=self.value.per_channel())

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON values."""
        value = None if self.value is None else self.value.get_config()
        return {"entries": self.entries, "scope": self.scope, "value": value}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Builds the format from what `get_config` returned."""
        config = dict(config)
        if config.get("value") is not None:
            config["value"] = Integer.from_config(config["value"])
        return super().from_config(config)

    @staticmethod
    def _groups(x: np.ndarray, tables: Sequence[int]) -> Iterator[np.ndarray]:
        """Yields the values of each group, `(before, behind)`."""
        seen = x.reshape(axes_of_groups(x.shape, tables))
        yield from (seen[:, place] for place in range(seen.shape[1]))

    def _checked_scale(
        self, params: Params, shape: tuple[int, ...], divides: bool = False
    ) -> np.ndarray:
        scale_of = optional_scale if self.value is None else self.value.checked_scale
        return scale_of(params, shape, divides)

    def _checked_tables(self, params: Params, shape: tuple[int, ...]) -> np.ndarray:
        tables = np.asarray(params["codebook"])
        dtype = np.dtype(np.float32 if self.value is None else np.int8)
        fits = tables.dtype == dtype and tables.shape[:1] == (self.entries,)
        if not fits or not _divides(tables.shape[1:], shape):
            raise ValueError(
                f"`params['codebook']` must be {dtype} of shape ({self.entries}, inputs, channels) "
                f"or ({self.entries}, blocks) that divides a tensor of shape {shape}. Received: "
                f"{tables.dtype} {tables.shape}. Fit the format to this tensor."
            )
        return tables


def tables_of(
    scope: str | int, shape: Sequence[int], axes_of_space: int | None = None
) -> tuple[int, ...]:
    """Returns how many tables a scope gives a tensor, as `params["codebook"]` has them behind its
    entries: `(inputs, channels)`, `(1, channels)` or `(blocks,)`.

    Args:
        scope: `"channel"`, `"kernel"` or a number of inputs; see `Codebooks`.
        shape: Of the tensor, output channels last.
        axes_of_space: How many axes of space come before those of the inputs; None: all but two.

    Raises:
        ValueError: The tensor cannot be divided so.
    """
    if not shape:
        raise ValueError(
            "`scope` must stand at a tensor with a channel axis. Received: shape (). Use one "
            "table for it."
        )
    *inputs, channels = (int(size) for size in shape)
    if scope == "channel":
        return (1, channels)
    if scope == "kernel":
        space = len(shape) - 2 if axes_of_space is None else axes_of_space
        if space < 1:
            raise ValueError(
                "`scope` must not be 'kernel' for a weight without spatial axes. Received: shape "
                f"{tuple(shape)}. Use 'channel', 'layer' or a number of inputs, or leave the layer "
                "out by the filter of its Rule."
            )
        return (math.prod(inputs[space:]), channels)
    rows = math.prod(inputs)
    if rows % int(scope):
        raise ValueError(
            "`scope` must divide the number of inputs if it is a number. Received: "
            f"scope={scope} for {rows} inputs of a weight of shape {tuple(shape)}. Use a divisor "
            "of that, 'channel' or 'layer', or leave the layer out by the filter of its Rule."
        )
    return (rows // int(scope),)


def axes_of_groups(shape: Sequence[int], tables: Sequence[int]) -> tuple[int, int, int]:
    """Returns the shape `(before, groups, behind)` in which a tensor is seen by its groups.

    Args:
        shape: Of the tensor, output channels last.
        tables: What `tables_of` returned; `()` for one table.
    """
    size, groups = math.prod(shape), math.prod(tables)
    members = size // groups if groups else 0
    return (members, groups, 1) if len(tables) == 2 else (1, groups, members)


def as_params(rows: np.ndarray, tables: Sequence[int]) -> np.ndarray:
    """Returns tables `(groups, entries)` as `params["codebook"]` has them."""
    return np.ascontiguousarray(rows.T).reshape(rows.shape[1], *tables)


def _divides(tables: Sequence[int], shape: Sequence[int]) -> bool:
    *inputs, channels = shape or (1,)
    if len(tables) == 2:
        return tables[1] == channels and tables[0] in (1, *inputs[-1:])
    return len(tables) == 1 and tables[0] > 0 and math.prod(inputs) % tables[0] == 0

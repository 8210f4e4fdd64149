"""Codebook formats: codes are indices into a small table that the whole tensor shares."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from edgeax.formats.base import NumberFormat, Params, finite_float32, optional_scale
from edgeax.formats.integer import Integer
from edgeax.formats.weighted_values import WeightedValues, lloyd


@dataclass(frozen=True)
class Codebook(NumberFormat):
    """Indices into a table of `entries` values: `real = scale * codebook[code]`.

    One table serves the whole tensor; with an integer `value` format its int8 entries are scaled
    per tensor or per output channel.

    Args:
        entries: Number of table entries, 2 to 256.
        value: Symmetric Integer format of the entries, or None for float32 entries, which need
            no scale.
    Raises:
        ValueError: `entries` is out of range or `value` is affine.
    """

    entries: int = 16
    value: Integer | None = Integer(8, axis=-1)

    def __post_init__(self) -> None:
        if not 2 <= self.entries <= 256:
            raise ValueError(
                f"`entries` must be in 2..256. Received: {self.entries}. Indices are one byte."
            )
        if self.value is not None and not self.value.symmetric:
            raise ValueError(
                f"`value` must be symmetric: codebook kernels have no weight zero point. "
                f"Received: {self.value}. Use symmetric=True."
            )

    @property
    def bits(self) -> int:
        """Width of one index in bits: ceil(log2(entries))."""
        return (self.entries - 1).bit_length()

    def fit(self, x: np.ndarray) -> Params:
        """Fits the table: the values of `x` where they are few enough, else 1-D k-means over them.

        k-means starts from centroids spread evenly over the range. When zeros occur in `x`, one
        entry is exactly 0 and the others are fitted to the non-zero values, so that pruned
        weights stay pruned.

        Args:
            x: Real values, all finite; shape `(..., channels)` when `value` is per channel.
        Returns:
            `{"codebook": int8 (entries,), "scale": float32 () or (channels,)}`, or with
            value=None `{"codebook": float32 (entries,)}`. Sorted; unused entries are 0, at the end.
        Raises:
            ValueError: `x` is not finite or has no channel axis.
        """
        if self.value is None:
            return {"codebook": self._padded(_centroids(finite_float32(x), self.entries))}
        params = self.value.fit(x)
        table = np.rint(_centroids(self.value.encode(x, params), self.entries))
        return {"codebook": self._padded(np.unique(table).astype(np.int8)), **params}

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns uint8 indices of the nearest entries; in a tie, of the smaller one.

        Args:
            x: Real values in the shape that was fitted.
            params: What `fit` returned.
        Raises:
            ValueError: `x` is not finite, or params have the wrong shape or a zero scale.
        """
        x = finite_float32(x)
        table = self._checked_table(params)
        x = x / self._checked_scale(params, x.shape, divides=True)
        values, first = np.unique(table, return_index=True)
        values = values.astype(np.float64)
        nearest = np.searchsorted((values[:-1] + values[1:]) / 2, x.astype(np.float64))
        return first[nearest].astype(np.uint8)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns float32 `scale * codebook[codes]`, rounded once.

        Args:
            codes: Indices in 0..entries-1, last axis = output channel.
            params: What `fit` returned; the scale may be negative or 0.
        Raises:
            ValueError: an index is outside the table, or params have the wrong shape.
        """
        codes = checked_indices(codes, self.entries)
        entries = self._checked_table(params)[codes].astype(np.float32)
        return self._checked_scale(params, codes.shape) * entries

    def per_channel(self) -> "Codebook":
        """Returns the same format with a per-channel value format; float32 entries need none."""
        return self if self.value is None else replace(self, value=self.value.per_channel())

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON values."""
        value = None if self.value is None else self.value.get_config()
        return {"entries": self.entries, "value": value}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Builds the format from what `get_config` returned."""
        config = dict(config)
        if config.get("value") is not None:
            config["value"] = Integer.from_config(config["value"])
        return super().from_config(config)

    def _padded(self, table: np.ndarray) -> np.ndarray:
        return np.pad(table, (0, self.entries - table.size))

    def _checked_scale(
        self, params: Params, shape: tuple[int, ...], divides: bool = False
    ) -> np.ndarray:
        scale_of = optional_scale if self.value is None else self.value.checked_scale
        return scale_of(params, shape, divides)

    def _checked_table(self, params: Params) -> np.ndarray:
        table = np.asarray(params["codebook"])
        dtype = np.dtype(np.float32 if self.value is None else np.int8)
        if table.shape != (self.entries,) or table.dtype != dtype:
            raise ValueError(
                f"`params['codebook']` must be {dtype} of shape ({self.entries},). Received: "
                f"{table.dtype} {table.shape}. Pad a shorter table with zeros."
            )
        return table


def checked_indices(codes: Any, entries: int) -> np.ndarray:
    """Returns codes as an array.

    Raises:
        ValueError: One is no index into a table of so many entries.
    """
    codes = np.asarray(codes)
    if codes.size and not 0 <= codes.min() <= codes.max() < entries:
        raise ValueError(
            f"`codes` must lie in [0, {entries - 1}]. Received: min={codes.min()}, "
            f"max={codes.max()}. Encode with the same format."
        )
    return codes


def _centroids(values: np.ndarray, count: int) -> np.ndarray:
    """Returns at most `count` sorted values that represent `values`; 0 is kept when it occurs."""
    points, weights = np.unique(values, return_counts=True)
    if points.size <= count:
        return points
    kept = points[points == 0]
    rest = points != 0
    others = WeightedValues.sorted(points[rest], weights[rest])
    start = np.linspace(others.values[0], others.values[-1], count - kept.size)
    return np.unique(np.concatenate([kept, lloyd(others, start).astype(np.float32)]))

"""VectorCodebook: product quantization. Codes point into tables whose entries are sub-vectors."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeax.formats.base import (
    NumberFormat,
    Params,
    check_whole,
    finite_float32,
    optional_scale,
)

TABLES = ("shared", "per_position", "per_input")
"""Which sub-vectors share a table; see `VectorCodebook`."""

MOST_ENTRIES = 1 << 16

_MOST_ITERATIONS = 30
_MOST_SCORES = 1 << 22  # at once: 32 MB


@dataclass(frozen=True)
class VectorCodebook(NumberFormat):
    """Each sub-vector of a weight is one of the codewords of a table.

    A weight in canonical layout has an output channel on its last axis and inputs on all others,
    flattened. The inputs of each output channel are cut into sub-vectors of `length` in a row. The
    code of a weight is its place in all tables laid out in a row, `(table * entries + codeword) *
    length + place in the sub-vector`; stored is one index for each sub-vector.

    Args:
        entries: Codewords of a table, 2 to 65536.
        length: Weights in a sub-vector, 1 or more. It must divide the inputs.
        tables: `"shared"`: one table for the whole weight. `"per_position"`: one for each place of
            a sub-vector among the inputs. `"per_input"`: one for each place along the last but one
            axis, so that all places of a convolution's window share those of the input channels, as
            in [WLW15]; `length` must divide that axis.
    Raises:
        ValueError: A setting is out of its range.
    """

    entries: int = 16
    length: int = 4
    tables: str = "shared"

    def __post_init__(self) -> None:
        check_whole(entries=self.entries, length=self.length)
        if not 2 <= self.entries <= MOST_ENTRIES:
            raise ValueError(
                f"`entries` must be in 2..{MOST_ENTRIES}. Received: entries={self.entries}. More "
                "codewords than that take more room than the weights."
            )
        if self.length < 1:
            raise ValueError(
                f"`length` must be at least 1. Received: length={self.length}. With 1 each weight "
                "is a sub-vector."
            )
        if self.tables not in TABLES:
            raise ValueError(f"`tables` must be one of {TABLES}. Received: tables={self.tables!r}.")

    @property
    def bits(self) -> int:
        """Width in bits of the index of one sub-vector: ceil(log2(entries))."""
        return (self.entries - 1).bit_length()

    def size_bits(self, codes: np.ndarray, params: Params) -> int:
        """Returns the bits of one index for each sub-vector, and those of the tables."""
        tables = sum(8 * np.asarray(values).nbytes for values in params.values())
        return codes.size // self.length * self.bits + tables

    def check(self, shape: Sequence[int]) -> None:
        """Checks that a weight of this canonical shape can be cut into sub-vectors.

        Raises:
            ValueError: It cannot.
        """
        inputs = math.prod(shape[:-1])
        what, count = "number of inputs of an output channel", inputs
        if self.tables == "per_input":
            what, count = "last but one axis when tables='per_input'", [1, *shape][-2]
        if not len(shape) or not count or count % self.length:
            fitting = [n for n in range(1, count + 1) if count % n == 0]
            raise ValueError(
                f"`length` must divide the {what}. Received: length={self.length} for a weight of "
                f"shape {tuple(shape)}, where it is {count}. Use one of {fitting}, or leave this "
                "weight out."
            )

    def table_count(self, shape: Sequence[int]) -> int:
        """Returns how many tables a weight of this canonical shape has.

        Raises:
            ValueError: `length` does not divide its inputs.
        """
        self.check(shape)
        if self.tables == "shared":
            return 1
        inputs = shape[-2] if self.tables == "per_input" else math.prod(shape[:-1])
        return int(inputs) // self.length

    def cut(self, x: Any, ops: Any = np) -> Any:
        """Returns the sub-vectors of a weight, those that share a table together.

        Args:
            x: Canonical layout.
            ops: `numpy` for an array, `keras.ops` for a tensor.
        Returns:
            Shape `(tables, sub-vectors of each, length)`, these by place, then by output.
        Raises:
            ValueError: `length` does not divide the inputs.
        """
        tables, outputs = self.table_count(x.shape), int(x.shape[-1])
        laid_out = ops.reshape(x, (-1, tables, self.length, outputs))
        together = ops.transpose(laid_out, (1, 0, 3, 2))
        return ops.reshape(together, (tables, -1, self.length))

    def joined(self, vectors: Any, shape: Sequence[int], ops: Any = np) -> Any:
        """Undoes `cut`: returns the weight of the canonical `shape` that has these sub-vectors."""
        tables, outputs = self.table_count(shape), int(shape[-1])
        together = ops.reshape(vectors, (tables, -1, outputs, self.length))
        return ops.reshape(ops.transpose(together, (1, 0, 3, 2)), tuple(shape))

    def codes(self, indices: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Returns the codes of a weight, int64.

        Args:
            indices: Index of the codeword of each sub-vector in its table, integers of shape
                `(tables, sub-vectors of each)`.
            shape: Of the weight, canonical.
        """
        codewords = self.entries * np.arange(len(indices))[:, None] + indices
        return self.joined(self.length * codewords[..., None] + np.arange(self.length), shape)

    def codewords(self, codes: np.ndarray) -> np.ndarray:
        """Returns the codeword of each sub-vector, counted through all tables.

        Args:
            codes: Of a weight.
        Returns:
            int64 `(places, outputs)`, the places of sub-vectors among the inputs in order.
        """
        self.check(codes.shape)
        rows = codes.reshape(-1, self.length, codes.shape[-1])
        return rows[:, 0] // self.length

    def fit(self, x: np.ndarray) -> Params:
        """Fits the tables: the sub-vectors where they are few enough, else k-means over them.

        k-means starts from sub-vectors evenly spaced among all different ones, sorted.

        Args:
            x: Real values, all finite; canonical layout.
        Returns:
            `{"codebook": float32 (tables, entries, length)}`; unused entries are 0, at the end.
        Raises:
            ValueError: `x` is not finite, or `length` does not divide its inputs.
        """
        vectors = self.cut(finite_float32(x))
        tables = [_centroids(of_table, self.entries) for of_table in vectors]
        padded = [np.pad(t, ((0, self.entries - len(t)), (0, 0))) for t in tables]
        return {"codebook": np.stack(padded).astype(np.float32)}

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the codes of the nearest codewords, int64; in a tie, of the first of them.

        Args:
            x: Real values in the shape that was fitted.
            params: What `fit` returned.
        Raises:
            ValueError: `x` is not finite, or params have the wrong shape or a zero scale.
        """
        x = finite_float32(x)
        vectors = self.cut(x / optional_scale(params, x.shape, divides=True))
        tables = self._checked_tables(params)
        if len(tables) != len(vectors):
            raise ValueError(
                f"`params['codebook']` must hold {len(vectors)} tables for a weight of shape "
                f"{x.shape}. Received: {len(tables)}. Fit the format to this weight."
            )
        pairs = zip(vectors, tables, strict=True)
        return self.codes(np.stack([nearest(v, t) for v, t in pairs]), x.shape)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns the float32 values of the codes.

        Args:
            codes: Shape of the weight.
            params: What `fit` returned.
        Raises:
            ValueError: A code is outside the tables, or params have the wrong shape.
        """
        codes, flat = np.asarray(codes), self._checked_tables(params).reshape(-1)
        if codes.size and not 0 <= codes.min() <= codes.max() < flat.size:
            raise ValueError(
                f"`codes` must lie in [0, {flat.size - 1}]. Received: min={codes.min()}, "
                f"max={codes.max()}. Encode with the same format."
            )
        return optional_scale(params, codes.shape) * flat[codes]

    def per_channel(self) -> "VectorCodebook":
        """Returns itself: a scale per channel comes on top of the codewords."""
        return self

    def _checked_tables(self, params: Params) -> np.ndarray:
        tables = np.asarray(params["codebook"])
        wanted = (self.entries, self.length)
        if tables.ndim != 3 or tables.shape[1:] != wanted or tables.dtype != np.float32:
            raise ValueError(
                f"`params['codebook']` must be float32 of shape (tables, {wanted[0]}, "
                f"{wanted[1]}). Received: {tables.dtype} {tables.shape}. Pad a shorter table with "
                "zeros."
            )
        return tables


def nearest(vectors: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Returns the index of the nearest codeword of each vector, int64; the first in a tie.

    Args:
        vectors: `(count, length)`.
        table: `(entries, length)`.
    """
    wide, codewords = np.asarray(vectors, np.float64), np.asarray(table, np.float64)
    halves = np.sum(codewords * codewords, axis=-1) / 2
    parts = [np.argmin(halves - rows @ codewords.T, axis=-1) for rows in _blocks(wide, len(table))]
    return np.concatenate(parts)


def _blocks(vectors: np.ndarray, entries: int) -> Iterator[np.ndarray]:
    """Yields the rows of an array, so many at once that a score for each entry takes no room."""
    rows = max(1, _MOST_SCORES // entries)
    for start in range(0, max(len(vectors), 1), rows):
        yield vectors[start : start + rows]


def _centroids(vectors: np.ndarray, count: int) -> np.ndarray:
    """Returns at most `count` vectors, sorted, that represent `vectors`."""
    points, weights = np.unique(vectors, axis=0, return_counts=True)
    if len(points) <= count:
        return points
    points = points.astype(np.float64)
    centroids = points[np.rint(np.linspace(0, len(points) - 1, count)).astype(int)]
    for _ in range(_MOST_ITERATIONS):
        members = nearest(points, centroids)
        mass = np.bincount(members, weights, count)[:, None]
        sums = np.stack([np.bincount(members, weights * axis, count) for axis in points.T], axis=1)
        after = np.where(mass > 0, sums / np.maximum(mass, 1), centroids)
        if np.array_equal(after, centroids):
            break
        centroids = after
    return np.unique(centroids.astype(np.float32), axis=0)

"""LevelFormat: formats whose values are a fixed table times a scale."""

import abc
import functools
from typing import Any, Literal

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.base import Params, finite_float32, optional_scale

Ties = Literal["even", "away", "up"]


class LevelFormat(ArrayFormat):
    """`real = scale * table[code]` with a table that follows from the format's settings.

    A value goes to the nearest level of the table. `ties` says where one halfway between two goes:
    to the level with the even code, away from zero, or up.
    """

    ties: Ties = "even"

    @property
    @abc.abstractmethod
    def table(self) -> np.ndarray:
        """float32 `(2**bits,)` or shorter: the value of every code; NaN for codes never used."""

    @functools.cached_property
    def levels(self) -> np.ndarray:
        """The different finite values, float32, sorted."""
        return self._sorted[0]

    @functools.cached_property
    def boundaries(self) -> np.ndarray:
        """float32 `(len(levels) - 1,)`: the smallest value that goes to the upper one of two."""
        levels, codes = self._sorted
        low, high = levels[:-1].astype(np.float64), levels[1:].astype(np.float64)
        middle = (low + high) / 2
        if self.ties == "even":
            upwards = codes[1:] % 2 == 0
        else:
            upwards = np.ones(middle.size, bool) if self.ties == "up" else middle > 0
        nearest = middle.astype(np.float32)
        above = np.nextafter(nearest, np.float32(np.inf))
        # Only a middle that is a float32 can be met: others are passed by one side or the other.
        taken = np.where(nearest == middle, upwards, nearest > middle)
        return np.where(taken, nearest, above)

    @functools.cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the levels, sorted, and the smallest code of each."""
        table = np.asarray(self.table, np.float32)
        codes = np.flatnonzero(np.isfinite(table))
        levels, first = np.unique(table[codes] + np.float32(0), return_index=True)
        return levels, codes[first]

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns `scale` times the nearest level, or a random one of both neighbors; see base."""
        scale = params.get("scale", np.float32(1))
        places = self._places(x / scale, ops, noise)
        return scale * ops.take(self.levels, places)

    def _places(self, x: Any, ops: Any, noise: Any = None) -> Any:
        """Returns the index of the level of each value, int32, in the shape of `x`."""
        flat = ops.reshape(x, (-1,))
        if noise is None:
            found = ops.searchsorted(self.boundaries, flat, side="right")
            return ops.reshape(ops.cast(found, "int32"), ops.shape(x))
        below = ops.cast(ops.searchsorted(self.levels[1:-1], flat, side="right"), "int32")
        low, high = ops.take(self.levels, below), ops.take(self.levels, below + 1)
        way = (flat - low) / (high - low)
        up = ops.cast(ops.reshape(noise, (-1,)) < way, "int32")
        return ops.reshape(below + up, ops.shape(x))

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the codes of the nearest levels: uint8, or uint16 for more than 8 bits.

        Raises:
            ValueError: `x` is not finite, or the scale has the wrong shape or is 0.
        """
        x = finite_float32(x)
        scale = optional_scale(params, x.shape, divides=True)
        with np.errstate(over="ignore"):
            places = self._places(x / scale, arrays)
        codes = self._sorted[1].astype(np.uint8 if self.bits <= 8 else np.uint16)
        return codes[places]

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns float32 `scale * table[codes]`, rounded once.

        Raises:
            ValueError: a code stands for no number, or the scale has the wrong shape.
        """
        codes = np.asarray(codes)
        table = np.asarray(self.table, np.float32)
        if codes.size and not 0 <= codes.min() <= codes.max() < table.size:
            raise ValueError(
                f"`codes` must lie in [0, {table.size - 1}]. Received: min={codes.min()}, "
                f"max={codes.max()}. Encode with the same format."
            )
        return optional_scale(params, codes.shape) * table[codes]

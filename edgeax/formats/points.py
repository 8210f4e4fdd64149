"""Points: values of a small table of its own that an activation is put on."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.base import Params, check_whole, finite_float32, optional_scale

_TINY = 4 * np.finfo(np.float32).tiny


@dataclass(frozen=True)
class Points(ArrayFormat):
    """`real = scale * points[code]` with the point nearest to each value, the lower one in a tie.

    One point is 0, so that zeros stay zero, such as those that a convolution pads with.

    Args:
        entries: Number of points, 2 to 256.
    Raises:
        ValueError: `entries` is out of its range.
    """

    measure = "values"

    entries: int = 16

    def __post_init__(self) -> None:
        check_whole(entries=self.entries)
        if not 2 <= self.entries <= 256:
            raise ValueError(
                f"`entries` must be in 2..256. Received: entries={self.entries}. Codes are one "
                "byte."
            )

    @property
    def bits(self) -> int:
        """Width of one code in bits: ceil(log2(entries))."""
        return (self.entries - 1).bit_length()

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns `points`, float32 `(entries,)`, sorted: values at the middle of equal shares of
        the sorted ones, the one nearest to 0 put at 0. `edgeax.ClusterActivations` finds better
        ones, by k-means.
        """
        ordered = ops.sort(ops.reshape(x, (-1,)))
        last = ops.cast(ops.shape(ordered)[0] - 1, "float32")
        shares = (np.arange(self.entries, dtype=np.float32) + np.float32(0.5)) / self.entries
        points = ops.take(ordered, ops.cast(ops.round(shares * last), "int32"))
        # What is below normal numbers, as half of a point may be, some processors take for 0.
        magnitudes = ops.maximum(ops.abs(points), _TINY)
        is_nearest = magnitudes == ops.min(magnitudes)
        return {"points": ops.where(is_nearest, np.float32(0), points)}

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the nearest points, or random ones of both neighbors; see `ArrayFormat`."""
        points, scale = params["points"], params.get("scale", np.float32(1))
        return scale * ops.take(points, self._places(x / scale, points, ops, noise))

    def _places(self, x: Any, points: Any, ops: Any, noise: Any = None) -> Any:
        """Returns the index of the point of each value, int32, in the shape of `x`."""
        flat = ops.reshape(x, (-1,))
        if noise is None:
            found = ops.searchsorted(middles(points), flat, side="left")
            return ops.reshape(ops.cast(found, "int32"), ops.shape(x))
        below = ops.cast(ops.searchsorted(points[1:-1], flat, side="right"), "int32")
        low, high = ops.take(points, below), ops.take(points, below + 1)
        gap = ops.where(high > low, high - low, np.float32(1))
        up = ops.cast(ops.reshape(noise, (-1,)) < (flat - low) / gap, "int32")
        return ops.reshape(below + up, ops.shape(x))

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the indices of the nearest points, uint8.

        Raises:
            ValueError: `x` is not finite, the points are not as many as `entries`, or the scale has
                the wrong shape or is 0.
        """
        x = finite_float32(x)
        units = x / optional_scale(params, x.shape, divides=True)
        return self._places(units, self._checked(params), arrays).astype(np.uint8)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns float32 `scale * points[codes]`.

        Raises:
            ValueError: A code stands for no point, or the params have the wrong shape.
        """
        codes, points = np.asarray(codes), self._checked(params)
        if codes.size and not 0 <= codes.min() <= codes.max() < self.entries:
            raise ValueError(
                f"`codes` must lie in [0, {self.entries - 1}]. Received: min={codes.min()}, "
                f"max={codes.max()}. Encode with the same format."
            )
        return optional_scale(params, codes.shape) * points[codes]

    def per_channel(self) -> "Points":
        """Returns itself: a scale per channel comes on top of the points."""
        return self

    def _checked(self, params: Params) -> np.ndarray:
        points = finite_float32(params["points"], "params['points']")
        if points.shape != (self.entries,) or np.any(np.diff(points) < 0):
            raise ValueError(
                f"`params['points']` must be sorted and of shape ({self.entries},). Received: "
                f"{points.tolist()}. Repeat one to fill the table up."
            )
        return points


def middles(points: Any) -> Any:
    """Returns float32 `(entries - 1,)`: the largest value that goes to the lower one of two."""
    half = np.float32(0.5)
    return half * points[1:] + half * points[:-1]

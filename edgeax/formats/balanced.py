"""Equal-population levels: each code is used equally often."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.base import Params, finite_float32, optional_scale
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format
from edgeax.formats.scales import largest_magnitude
from edgeax.formats.sums import TINY, check_bits

_TEST = "tests/formats/test_balanced.py::"


@implements("ZWW17", test=_TEST + "test_zww17_every_level_holds_as_many_values")
@implements("HWZ16", test=_TEST + "test_hwz16_peaked_recurrent_weights_use_all_their_bits")
@dataclasses.dataclass(frozen=True)
class Balanced(ArrayFormat):
    """Values in `2**bits` bins of equal population; the bins stand for evenly spaced levels.

    The tensor is split at its median, both halves at theirs, and so on: the bounds of the bins are
    quantiles, here of linear interpolation between neighboring values. The levels go from
    `-max|x|` to `max|x|`, or from 0 where no value is negative. A level need not be the nearest to
    the values that it stands for: the codes, not the errors, are the aim [ZWW17; HWZ16 for
    recurrent weights; both as recalled]. With noise, a value goes to one of the two nearest levels
    instead.

    Of an activation the quantiles are followed; in a range that is fixed the bins are equally wide.

    Args:
        bits: Width of a code, 1 to 8.
    Raises:
        ValueError: `bits` is out of its range.
    Source: [ZWW17], [HWZ16].
    """

    encode_only: ClassVar[tuple[str, ...]] = ("boundary",)
    channel_axes: ClassVar[Mapping[str, int]] = {"scale": 1}
    measure = "values"

    bits: int = 2

    def __post_init__(self) -> None:
        check_bits("bits", self.bits, 1, 8)

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns `level`, float32 `(2**bits,)`, and `boundary`, the least value of all but the
        first of them, float32 `(2**bits - 1,)`.
        """
        ordered = ops.sort(ops.reshape(x, (-1,)))
        levels = 1 << self.bits
        place = (int(ordered.shape[0]) - 1) * np.arange(1, levels) / levels
        below = ops.take(ordered, np.floor(place).astype(np.int32))
        above = ops.take(ordered, np.ceil(place).astype(np.int32))
        wide = ops.cast(below, "float64")
        between = wide + (ops.cast(above, "float64") - wide) * (place - np.floor(place))
        boundary = ops.cast(between, "float32")
        # Between neighboring floats there is nothing: only the upper one belongs above.
        boundary = ops.where(boundary > below, boundary, above)
        # Subnormal numbers count as zeros, as TensorFlow takes them.
        boundary = ops.where(ops.abs(boundary) < TINY, -TINY, boundary)
        upward = np.arange(levels) / (levels - 1)
        negative = ops.any(x < 0)
        steps = ops.where(negative, np.float32(2 * upward - 1), np.float32(upward))
        return {"level": largest_magnitude(x, None, ops) * steps, "boundary": boundary}

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the level of the bin of each value; with noise one of the nearest two."""
        scale = params.get("scale")
        flat = ops.reshape(x if scale is None else x / scale, (-1,))
        if noise is None:
            place = _place(flat, params["boundary"], ops)
        else:
            place = _place(flat, params["level"][1:-1], ops)
            low, high = ops.take(params["level"], place), ops.take(params["level"], place + 1)
            up = ops.reshape(noise, (-1,)) * (high - low) < flat - low
            place = place + ops.cast(up, "int32")
        values = ops.reshape(ops.take(params["level"], place), ops.shape(x))
        return values if scale is None else scale * values

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the number of the bin of each value, uint8, in the order of the levels.

        Raises:
            ValueError: `x` is not finite, or a scale has the wrong shape or is 0.
        """
        x = finite_float32(x)
        scale = optional_scale(params, x.shape, divides=True)
        place = _place((x / scale).reshape(-1), params["boundary"], arrays)
        return place.reshape(x.shape).astype(np.uint8)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns the float32 levels of the codes.

        Raises:
            ValueError: A code has no level, or a scale has the wrong shape.
        """
        codes = np.asarray(codes)
        level = finite_float32(params["level"], "params['level']")
        if codes.size and not 0 <= codes.min() <= codes.max() < level.size:
            raise ValueError(
                f"`codes` must lie in [0, {level.size - 1}]. Received: min={codes.min()}, "
                f"max={codes.max()}. Encode with the same format."
            )
        return optional_scale(params, codes.shape) * level[codes]

    def per_channel(self) -> "Balanced":
        """Returns itself: a scale per channel comes on top of the levels."""
        return self


name_format(
    r"balanced(\d+)", lambda bits, axis=None: Balanced(bits), [f"balanced{b}" for b in (2, 3, 4)]
)


def _place(flat: Any, boundary: Any, ops: Any) -> Any:
    """Returns how many of the sorted boundaries each value reaches, int32."""
    return ops.cast(ops.searchsorted(boundary, flat, side="right"), "int32")

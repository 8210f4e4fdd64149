"""Integers of as many bits in each channel as its range deserves, for a given width on average."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.base import Params, check_whole, finite_float32, optional_scale
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format
from edgeax.formats.scales import largest_magnitude, nonzero

FEWEST, MOST = 2, 8
"""Bits of a channel."""

_TEST = "tests/formats/test_mixed_integer.py::test_bns19_bits_go_by_the_power_of_two_thirds"


@implements("BNS19", test=_TEST)
@dataclasses.dataclass(frozen=True)
class MixedInteger(ArrayFormat):
    """Symmetric integers with one scale and one width per output channel.

    Channel i gets `round(log2(r_i**(2/3) / sum(r**(2/3)) * channels * 2**width))` bits, 2 to 8,
    where r is its largest magnitude: the levels, not the bits, add up to those of `width` for each
    channel. A code is stored as int8; an operator computes from the widest channel's bits.

    Args:
        width: Bits that all channels would have if they had the same, 2 to 8.
    Raises:
        ValueError: `width` is out of its range.
    Source: [BNS19].
    """

    encode_only: ClassVar[tuple[str, ...]] = ("top",)
    channel_axes: ClassVar[Mapping[str, int]] = {"scale": 1, "top": 1}

    width: int = 4
    axis: ClassVar[int] = -1

    def __post_init__(self) -> None:
        check_whole(width=self.width)
        if not FEWEST <= self.width <= MOST:
            raise ValueError(
                f"`width` must be in {FEWEST}..{MOST}. Received: {self.width}. Choose one of them."
            )

    @property
    def bits(self) -> int:
        """Width of a stored code: 8."""
        return MOST

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns `scale` and `top`, the largest code of each channel, float32 `(channels,)`."""
        largest = largest_magnitude(x, -1, ops)
        top = ops.cast(_tops(bits_of_channels(largest, self.width, ops), ops), "float32")
        wide = ops.cast(largest, "float64") / ops.cast(top, "float64")
        return {"scale": nonzero(ops.cast(wide, "float32"), ops), "top": top}

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the nearest values, or random ones of both neighbors; see base."""
        return params["scale"] * self._codes(x, params, ops, noise)

    def _codes(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        steps = x / params["scale"]
        steps = ops.round(steps) if noise is None else ops.floor(steps + noise)
        return ops.clip(steps, -params["top"], params["top"])

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns int8 codes, each within the bits of its channel.

        Raises:
            ValueError: `x` is not finite, or the scale has the wrong shape or is 0.
        """
        x = finite_float32(x)
        optional_scale(params, x.shape, divides=True)
        with np.errstate(over="ignore"):  # clipped
            return np.asarray(self._codes(x, params, arrays), np.int8)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns float32 `scale * codes`.

        Raises:
            ValueError: The scale has the wrong shape.
        """
        codes = np.asarray(codes)
        return optional_scale(params, codes.shape) * codes.astype(np.float32)

    def size_bits(self, codes: np.ndarray, params: Params) -> int:
        """Returns the bits of all codes, each channel in its own width, and of the scales."""
        bits = np.ceil(np.log2(np.asarray(params["top"]) + 1.0)) + 1
        per_channel = codes.size // max(codes.shape[-1], 1)
        return int(per_channel * bits.sum()) + 8 * np.asarray(params["scale"]).nbytes

    def for_activations(self) -> "MixedInteger":
        """Raises ValueError: the device has one scale for an activation."""
        raise ValueError(
            f"`format` of an activation must have one scale for all channels. Received: {self}. "
            f"Use 'int{self.width}'."
        )

    def per_channel(self) -> "MixedInteger":
        """Returns itself: it has one scale per channel."""
        return self


def bits_of_channels(limits: Any, width: int, ops: Any) -> Any:
    """Returns how many bits each channel gets, float64 `(channels,)`.

    Args:
        limits: float32 `(channels,)`: the range of each channel, at least 0.
        width: Bits of each if all had the same.
        ops: `formats.arrays` or `keras.ops`.
    """
    logarithms = ops.log2(ops.maximum(ops.cast(limits, "float64"), 1e-30)) * (2.0 / 3.0)
    # Relative to the largest, so that no power over- or underflows.
    largest = ops.max(logarithms)
    shares = ops.exp((logarithms - largest) * np.log(2.0))
    levels = logarithms - largest - ops.log2(ops.mean(shares)) + float(width)
    return ops.clip(ops.round(levels), float(FEWEST), float(MOST))


def _tops(bits: Any, ops: Any) -> Any:
    """Returns the largest code of so many bits, exactly."""
    return ops.round(ops.exp((bits - 1.0) * np.log(2.0))) - 1.0


name_format(r"mixed(\d+)", lambda width, axis=None: MixedInteger(width), ["mixed4", "mixed3"])

"""AdaptivFloat: floats whose exponent range follows the largest magnitude of the tensor."""

import dataclasses
import functools
from typing import Any

import numpy as np

from edgeax.formats.base import check_whole
from edgeax.formats.levels import LevelFormat
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format
from edgeax.formats.scales import floor_log2, largest_magnitude, power_of_two


@implements(
    "TYW20",
    test="tests/formats/test_adaptivfloat.py::test_tyw20_the_papers_4_by_4_example",
)
@dataclasses.dataclass(frozen=True)
class AdaptivFloat(LevelFormat):
    """Sign, exponent and mantissa without subnormals: `real = 2**bias * 2**e * (1 + m / 2**M)`.

    The bias puts the largest exponent at `floor(log2(max|x|))`; params keep it as the power of two
    of that exponent. Zero takes the code of the smallest magnitude, so that the least one is
    `2**bias * (1 + 2**-M)`. As in the paper a magnitude below half of it becomes 0 and from there
    on it; the mantissa is rounded to nearest, halves to even; what is too large is clipped.

    Args:
        width: Bits of a code, 3 to 16.
        exponent_bits: 1 to 6, at most width - 1.
        axis: Of the bias: None per tensor, -1 per output channel.
    Raises:
        ValueError: An argument is out of its range.
    Source: [TYW20].
    """

    width: int = 8
    exponent_bits: int = 3
    axis: int | None = None

    def __post_init__(self) -> None:
        check_whole(width=self.width, exponent_bits=self.exponent_bits)
        if not 3 <= self.width <= 16:
            raise ValueError(
                f"`width` must be in 3..16. Received: {self.width}. Use ternary or binary below."
            )
        if not 1 <= self.exponent_bits <= min(6, self.width - 1):
            raise ValueError(
                f"`exponent_bits` must be in 1..{min(6, self.width - 1)} when width={self.width}. "
                f"Received: {self.exponent_bits}. Take fewer."
            )
        if self.axis not in (None, -1):
            raise ValueError(
                f"`axis` must be None (per tensor) or -1 (per output channel). Received: "
                f"{self.axis}. Transpose the tensor so that the channel axis comes last."
            )

    @property
    def bits(self) -> int:
        """Width of a code in bits."""
        return self.width

    @functools.cached_property
    def table(self) -> np.ndarray:
        """float32 `(2**bits,)`: the value of every code where the largest exponent is 0."""
        mantissa_bits = self.width - 1 - self.exponent_bits
        codes = np.arange(1 << (self.width - 1))
        significand = (codes & ((1 << mantissa_bits) - 1)) + (1 << mantissa_bits)
        highest = (1 << self.exponent_bits) - 1
        exponent = (codes >> mantissa_bits) - highest - mantissa_bits
        positive = np.ldexp(significand.astype(np.float32), exponent)
        negative = -positive
        positive[0], negative[0] = 0, np.nan
        return np.concatenate([positive, negative])

    @functools.cached_property
    def boundaries(self) -> np.ndarray:
        """As in base, but half of the least magnitude goes to it, not to 0."""
        boundaries = super().boundaries.copy()
        half = self.table[1] / 2
        zero = int(np.flatnonzero(self.levels == 0)[0])
        boundaries[zero] = half
        boundaries[zero - 1] = np.nextafter(-half, np.float32(1))
        return boundaries

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns the power of two of the largest exponent as the scale; see base."""
        exponent = floor_log2(largest_magnitude(x, self.axis, ops), ops)
        # Half of the least magnitude stays a normal float32: training takes what is below for 0.
        lowest = (1 << self.exponent_bits) - 126
        return {"scale": power_of_two(ops.maximum(exponent, lowest), ops)}

    def per_channel(self) -> "AdaptivFloat":
        """Returns the same format with axis=-1."""
        return dataclasses.replace(self, axis=-1)


name_format(
    r"adaptivfloat(\d+)_e(\d+)",
    lambda width, exponent_bits, axis=None: AdaptivFloat(width, exponent_bits, axis),
    ["adaptivfloat4_e2", "adaptivfloat6_e3", "adaptivfloat8_e3"],
)

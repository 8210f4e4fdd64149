"""Powers of two and zero: values that a shift multiplies by."""

import dataclasses
import functools
import math
from typing import Any, Literal

import numpy as np

from edgeax.formats.levels import LevelFormat, Ties
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format
from edgeax.formats.scales import ceil_log2, floor_log2, largest_magnitude, power_of_two, quotient
from edgeax.formats.sums import check_axis, check_bits

_TEST = "tests/formats/test_power_of_two.py::"


@implements("ZYG17", test=_TEST + "test_zyg17_the_levels_are_those_of_the_paper")
@implements("SG94", test=_TEST + "test_sg94_exponents_are_rounded_to_nearest_in_the_log_domain")
@dataclasses.dataclass(frozen=True)
class PowerOfTwo(LevelFormat):
    """0 and `2**(bits - 2)` powers of two of either sign: `+-2**n1, +-2**(n1 - 1), ...`.

    With domain `"linear"` [ZYG17]: `n1 = floor(log2(4 max|x| / 3))` and the smallest exponent is
    `n2 = n1 + 1 - 2**(bits - 1) / 2` (5 bits: `n1 - 7`). A value goes to the nearest level, one
    halfway to the larger. With `"log"` [SG94, as recalled]: `n1 = ceil(log2(max|x|))`, and the
    exponent is rounded to nearest; below `2**(n2 - 1/2)` is 0. With noise both are right on
    average; `"log"` up to the largest value, too.

    A code holds the sign in its highest bit; the others are 0 for 0, 1 for `2**n2`, and so on.

    Args:
        bits: Width of a code, 2 to 7.
        axis: None for one n1 per tensor, -1 for one per output channel (the last axis).
        domain: `"linear"` or `"log"`: where distances are measured.
    Raises:
        ValueError: An argument is out of its range.
    Source: [ZYG17], [SG94].
    """

    bits: int = 5
    axis: int | None = None
    domain: Literal["linear", "log"] = "linear"

    def __post_init__(self) -> None:
        check_bits("bits", self.bits, 2, 7)
        check_axis(self.axis)
        if self.domain not in ("linear", "log"):
            raise ValueError(
                f"`domain` must be 'linear' or 'log'. Received: {self.domain!r}. Choose one."
            )

    @property
    def ties(self) -> Ties:  # type: ignore[override]
        """A value halfway between two levels goes to the larger one."""
        return "away"

    @property
    def exponents(self) -> int:
        """How many powers of two of either sign there are."""
        return 1 << (self.bits - 2)

    @property
    def table(self) -> np.ndarray:
        """The value of each code relative to `2**n1`; NaN where there is none."""
        half = np.full(2 * self.exponents, np.nan, np.float32)
        half[0] = 0
        half[1 : self.exponents + 1] = np.ldexp(
            np.float32(1), np.arange(1 - self.exponents, 1, dtype=np.int32)
        )
        negative = -half
        negative[0] = np.nan
        return np.concatenate([half, negative])

    @functools.cached_property
    def boundaries(self) -> np.ndarray:
        """float32: the smallest value that goes to the upper one of two neighboring levels."""
        if self.domain == "linear":
            return super().boundaries
        # A power of two and a half is irrational: never a float32, so no ties.
        middle = self.levels[self.levels > 0].astype(np.float64) / math.sqrt(2)
        below = middle.astype(np.float32)
        below = np.where(below > middle, np.nextafter(below, np.float32(0)), below)
        above = np.nextafter(below, np.float32(np.inf))
        return np.concatenate([-below[::-1], above])

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns `{"scale": 2**n1}`, float32 `()` or `(channels,)`."""
        largest = largest_magnitude(x, self.axis, ops)
        if self.domain == "log":
            return {"scale": power_of_two(ceil_log2(largest, ops), ops)}
        # 4/3 is 2 / 1.5; exact, as no float32 below 1.5 gives a quotient that rounds to 1.
        exponent = floor_log2(quotient(largest, 1.5, ops), ops) + 1
        return {"scale": power_of_two(exponent, ops)}

    def per_channel(self) -> "PowerOfTwo":
        """Returns the same format with axis=-1."""
        return dataclasses.replace(self, axis=-1)


name_format(
    r"pow2_(\d+)",
    lambda bits, axis=None: PowerOfTwo(bits, axis),
    [f"pow2_{bits}" for bits in (3, 4, 5)],
)

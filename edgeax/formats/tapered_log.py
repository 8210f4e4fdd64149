"""Tapered logarithms with exact linear accumulation: products add logs, sums are exact (ELMA)."""

import dataclasses
import functools
from fractions import Fraction
from typing import Any

import numpy as np

from edgeax.formats.base import EncodedTensor, check_whole
from edgeax.formats.levels import LevelFormat
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format


@implements(
    "Joh18",
    test="tests/formats/test_tapered_log.py::test_joh18_elma_dot_is_the_exact_sum_of_the_products",
)
@dataclasses.dataclass(frozen=True)
class TaperedLog(LevelFormat):
    """The paper's `(width, s, alpha, beta, gamma)` log: a posit whose fraction is one of the log.

    After the sign comes a regime, a run of k+1 ones or of -k zeros ended by the other bit, then `s`
    exponent bits e, and what is left is a fraction f: `log2|real| = k * 2**s + e + f`. All codes
    without a sign are in rising order; 0 is zero, the sign alone stands for no number.

    A linear value is `2**f` rounded to `alpha` fraction bits, times the power of two. A real value
    becomes a code by a table too: its significand is rounded to `beta` fraction bits, the logarithm
    of that to `gamma`, and this to the nearest code; halves go to even each time. Up to half of the
    smallest magnitude becomes 0, larger than the largest becomes the largest.

    Args:
        width: Bits of a code, 4 to 12.
        exponent_bits: s, 0 to 2.
        alpha: Fraction bits of linear values.
        beta: Fraction bits of the significand whose logarithm is taken.
        gamma: Fraction bits of that logarithm.
    Raises:
        ValueError: An argument is out of its range.
    Source: [Joh18].
    """

    width: int = 8
    exponent_bits: int = 1
    alpha: int = 5
    beta: int = 5
    gamma: int = 7

    def __post_init__(self) -> None:
        check_whole(width=self.width, exponent_bits=self.exponent_bits)
        if not 4 <= self.width <= 12:
            raise ValueError(f"`width` must be in 4..12. Received: {self.width}. Use 8.")
        if not 0 <= self.exponent_bits <= min(2, self.width - 3):
            raise ValueError(
                f"`exponent_bits` must be in 0..{min(2, self.width - 3)} when width={self.width}. "
                f"Received: {self.exponent_bits}. Use 1."
            )
        for name in ("alpha", "beta", "gamma"):
            if not self.fraction_bits < getattr(self, name) <= 15:
                raise ValueError(
                    f"`{name}` must be in {self.fraction_bits + 1}..15, for each code to have its "
                    f"own value. Received: {getattr(self, name)}. Use more bits."
                )

    @property
    def bits(self) -> int:
        """Width of a code in bits."""
        return self.width

    @property
    def fraction_bits(self) -> int:
        """Fraction bits of a logarithm, most that a code has: beside 1."""
        return self.width - 3 - self.exponent_bits

    @functools.cached_property
    def logs(self) -> np.ndarray:
        """int64 `(2**(bits-1) - 1,)`: log2 of the codes from 1, in units of 2**-fraction_bits."""
        return np.array([self._log(code) for code in range(1, 1 << (self.width - 1))])

    def _log(self, code: int) -> int:
        """Returns the logarithm of a code without its sign."""
        text = f"{code:0{self.width - 1}b}"
        run = len(text) - len(text.lstrip(text[0]))
        regime = run - 1 if text[0] == "1" else -run
        field_bits = self.exponent_bits + self.fraction_bits
        field = text[run + 1 :].ljust(field_bits, "0")[:field_bits]
        return (regime << field_bits) + int(field or "0", 2)

    @functools.cached_property
    def linear(self) -> np.ndarray:
        """int64 `(2**fraction_bits,)`: 2**f for each fraction f, in units of 2**-alpha."""
        fractions = np.arange(1 << self.fraction_bits) / (1 << self.fraction_bits)
        return np.round(np.exp2(fractions) * (1 << self.alpha)).astype(np.int64)

    @functools.cached_property
    def table(self) -> np.ndarray:
        """float32 `(2**bits,)`: the linear value of every code; NaN for minus zero."""
        whole, fraction = self.logs >> self.fraction_bits, self.logs % self.linear.size
        positive = np.ldexp(self.linear[fraction].astype(np.float32), whole - self.alpha)
        return np.concatenate([[np.float32(0)], positive, [np.float32(np.nan)], -positive])

    @functools.cached_property
    def boundaries(self) -> np.ndarray:
        """The smallest value that goes to the upper one of two neighbors, by way of both tables."""
        steps = 1 << self.beta
        shift = self.gamma - self.fraction_bits
        significands = 1 + np.arange(steps) / steps
        fractions = np.round(np.log2(significands) * (1 << self.gamma)).astype(np.int64)
        octaves = np.arange(self.logs[0] >> self.fraction_bits, self.logs[-1] + 1)
        logs = ((octaves << self.gamma)[:, np.newaxis] + fractions).ravel()
        # Twice the middle of two codes; a logarithm there goes to the even one.
        middles = (self.logs[:-1] + self.logs[1:]) << shift
        upper_is_even = np.arange(2, self.logs.size + 1) % 2 == 0
        places = np.searchsorted(2 * logs, middles + ~upper_is_even, side="left")
        octave, step = octaves[places // steps], places % steps
        # The least value rounded to this significand: half a step below it, or just above that
        # where the step is odd. Below a power of two steps are half as wide.
        half = np.where(step > 0, 0.5, 0.25) / steps
        least = np.ldexp(significands[step] - half, octave).astype(np.float32)
        least = np.where(step % 2 == 0, least, np.nextafter(least, np.float32(np.inf)))
        to_zero = np.nextafter(self.table[1:2] / 2, np.float32(1))
        upper = np.concatenate([to_zero, least])
        return np.concatenate([np.nextafter(-upper[::-1], np.float32(np.inf)), upper])

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns no params: the range is fixed."""
        return {}

    def per_channel(self) -> "TaperedLog":
        """Returns itself: any scale is taken."""
        return self


def elma_dot(x: EncodedTensor, y: EncodedTensor) -> float:
    """Returns the dot product of two vectors of tapered logs, accumulated exactly.

    The logs of a pair are added, their sum becomes a linear value of `alpha` fraction bits, and
    these are summed in a fixed-point accumulator that holds them all (Kulisch). Scales of the
    vectors multiply the sum.

    Args:
        x: Vector in a `TaperedLog`, scale of shape `()` or none.
        y: As `x`, of the same format and length.
    Returns:
        The exact sum, rounded once to float64.
    Raises:
        ValueError: The vectors are of another format or shape.
    Source: [Joh18].
    """
    format = x.format
    if not isinstance(format, TaperedLog) or y.format != format:
        raise ValueError(
            f"`x` and `y` must be in one TaperedLog format. Received: {x.format} and {y.format}."
        )
    if x.shape != y.shape or len(x.shape) != 1:
        raise ValueError(
            f"`x` and `y` must be vectors of one length. Received: shapes {x.shape} and {y.shape}."
        )
    sign_bit = 1 << (format.width - 1)
    lowest = 2 * int(format.logs[0]) >> format.fraction_bits
    accumulator = 0
    for a, b in zip(x.codes.tolist(), y.codes.tolist(), strict=True):
        if a & (sign_bit - 1) and b & (sign_bit - 1):
            log = int(format.logs[(a & (sign_bit - 1)) - 1] + format.logs[(b & (sign_bit - 1)) - 1])
            term = int(format.linear[log % format.linear.size])
            term <<= (log >> format.fraction_bits) - lowest
            accumulator += -term if (a ^ b) & sign_bit else term
    total = accumulator * Fraction(2) ** (lowest - format.alpha)
    for vector in (x, y):
        total *= Fraction(float(vector.params.get("scale", 1.0)))
    return float(total)


name_format(r"elma8", lambda axis=None: TaperedLog(), ["elma8"])

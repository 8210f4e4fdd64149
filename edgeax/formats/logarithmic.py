"""Logarithmic formats: powers of 2, of its square root, and of a fixed-point exponent."""

import abc
import dataclasses
import functools
from typing import Any

import numpy as np

from edgeax.formats.base import EncodedTensor, check_whole
from edgeax.formats.levels import LevelFormat
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format
from edgeax.formats.scales import floor_log2, largest_magnitude, power_of_two

# How far below the smallest power a value must lie to count as 0.
_OCTAVES_BELOW = 20


class LogLevels(LevelFormat):
    """`real = scale * sign * 2**exponent`; magnitudes go to the nearest exponent.

    Code 0 is zero, codes 1 to `2**(bits-1) - 1` are the exponents in rising order; the highest bit
    is the sign. Halves between two exponents are irrational: no tie can occur.
    """

    @property
    @abc.abstractmethod
    def exponents(self) -> np.ndarray:
        """float64 `(2**(bits-1) - 1,)`: log2 of the magnitudes, rising."""

    @property
    @abc.abstractmethod
    def smallest_nonzero(self) -> float:
        """The smallest magnitude that does not become 0, with scale 1; a normal float32."""

    @functools.cached_property
    def table(self) -> np.ndarray:
        """float32 `(2**bits,)`: the value of every code; NaN for minus zero."""
        positive = np.exp2(self.exponents).astype(np.float32)
        return np.concatenate([[np.float32(0)], positive, [np.float32(np.nan)], -positive])

    @functools.cached_property
    def boundaries(self) -> np.ndarray:
        """The smallest value that goes to the upper one of two neighbors: halves of exponents."""
        halves = _from(np.exp2((self.exponents[:-1] + self.exponents[1:]) / 2))
        upper = np.concatenate([[np.float32(self.smallest_nonzero)], halves])
        return np.concatenate([np.nextafter(-upper[::-1], np.float32(np.inf)), upper])


def _from(exact: np.ndarray) -> np.ndarray:
    """Returns the smallest float32 numbers that are not below `exact`, float64."""
    nearest = np.asarray(exact, np.float32)
    return np.where(nearest < exact, np.nextafter(nearest, np.float32(np.inf)), nearest)


@implements(
    "MLM16",
    test="tests/formats/test_logarithmic.py::test_mlm16_rounding_is_in_the_logarithm_to_the_last_bit",
)
@implements(
    "HCS17",
    test="tests/formats/test_logarithmic.py::test_hcs17_a_value_is_2_to_its_rounded_logarithm",
)
@dataclasses.dataclass(frozen=True)
class LogQuant(LogLevels):
    """`real = sign * 2**clip(round(log2|x|), FSR - 2**b + 1, FSR - 1)` with `b = width - 1`.

    Only 0 becomes 0, with it what is below `2**-20` times the smallest power. FSR, the full-scale
    range, follows max|x|; params keep the largest power of two as the scale. The papers count no
    sign: `LogQuant(5)` is their 4 bits for values of either sign. With `half_steps` the base is the
    square root of 2 [MLM16]: twice the resolution, half the octaves. As recalled.

    Args:
        width: Bits of a code with its sign, 2 to 7; with half steps to 8.
        half_steps: Whether exponents are multiples of 1/2.
        axis: Of the scale: None per tensor, -1 per output channel.
    Raises:
        ValueError: An argument is out of its range.
    Source: [MLM16], [HCS17].
    """

    width: int = 4
    half_steps: bool = False
    axis: int | None = None

    def __post_init__(self) -> None:
        check_whole(width=self.width)
        widest = 8 if self.half_steps else 7
        if not 2 <= self.width <= widest:
            raise ValueError(
                f"`width` must be in 2..{widest} when half_steps={self.half_steps}, for the powers "
                f"to fit into float32. Received: {self.width}. Take fewer bits."
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

    @property
    def _step(self) -> float:
        return 0.5 if self.half_steps else 1.0

    @functools.cached_property
    def exponents(self) -> np.ndarray:
        """float64: log2 of the magnitudes with scale 1, up to 0."""
        return self._step * np.arange(2 - (1 << (self.width - 1)), 1, dtype=np.float64)

    @property
    def smallest_nonzero(self) -> float:
        """Far below the smallest power, but a normal float32 with any scale that is found."""
        return 2.0 ** (self.exponents[0] - _OCTAVES_BELOW)

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns the power of two that max|x| is nearest to as the scale; see base."""
        largest = largest_magnitude(x, self.axis, ops)
        exponent = floor_log2(largest, ops)
        up = largest >= power_of_two(exponent, ops) * float(_from(np.exp2(self._step / 2)))
        exponent = exponent + ops.cast(up, "int32")
        lowest = _OCTAVES_BELOW - 126 - int(self.exponents[0])
        return {"scale": power_of_two(ops.maximum(exponent, lowest), ops)}

    def per_channel(self) -> "LogQuant":
        """Returns the same format with axis=-1."""
        return dataclasses.replace(self, axis=-1)


@implements(
    "FML10",
    test="tests/formats/test_logarithmic.py::test_fml10_lns_is_2_to_a_fixed_point_exponent",
)
@dataclasses.dataclass(frozen=True)
class LogarithmicNumber(LogLevels):
    """LNS: `real = (-1)**s * 2**(I.F)`, a two's-complement fixed-point exponent.

    The lowest exponent stands for zero; magnitudes below half of the smallest one become zero.

    Args:
        integer_bits: I, with the exponent's sign, 2 to 7.
        fraction_bits: F, 0 to 13; with both signs at most 16 bits.
    Raises:
        ValueError: An argument is out of its range.
    Source: [FML10].
    """

    integer_bits: int = 4
    fraction_bits: int = 3

    def __post_init__(self) -> None:
        check_whole(integer_bits=self.integer_bits, fraction_bits=self.fraction_bits)
        if not 2 <= self.integer_bits <= 7:
            raise ValueError(
                f"`integer_bits` must be in 2..7. Received: {self.integer_bits}. float32 holds no "
                "larger exponent."
            )
        if not 0 <= self.fraction_bits <= 15 - self.integer_bits:
            raise ValueError(
                f"`fraction_bits` must be in 0..{15 - self.integer_bits} when integer_bits="
                f"{self.integer_bits}. Received: {self.fraction_bits}. A code has up to 16 bits."
            )

    @property
    def bits(self) -> int:
        """Width of a code in bits."""
        return 1 + self.integer_bits + self.fraction_bits

    @functools.cached_property
    def exponents(self) -> np.ndarray:
        """float64: log2 of the magnitudes, all multiples of 2**-F but the lowest."""
        half = 1 << (self.bits - 2)
        return np.arange(1 - half, half) / float(1 << self.fraction_bits)

    @property
    def smallest_nonzero(self) -> float:
        """Half of the smallest magnitude."""
        return float(self.table[1]) / 2

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns no params: the range is fixed."""
        return {}

    def per_channel(self) -> "LogarithmicNumber":
        """Returns itself: any scale is taken."""
        return self


def shift_dot(x: EncodedTensor, y: EncodedTensor) -> float:
    """Returns the dot product of two vectors of powers of two, by shifts and integer additions.

    `sum of sign * 2**(exponent + exponent)`: multiplication is the addition of exponents [MLM16].

    Args:
        x: Vector in `LogQuant` without half steps, scale of shape `()`.
        y: As `x`, of the same length.
    Returns:
        The sum, exact up to one rounding to float64.
    Raises:
        ValueError: The vectors are of another format or shape.
    Source: [MLM16].
    """
    if x.shape != y.shape or len(x.shape) != 1:
        raise ValueError(
            f"`x` and `y` must be vectors of one length. Received: shapes {x.shape} and {y.shape}."
        )
    total = 0
    for x_code, y_code in zip(x.codes.tolist(), y.codes.tolist(), strict=True):
        (x_sign, x_shift), (y_sign, y_shift) = _shift(x, x_code), _shift(y, y_code)
        total += x_sign * y_sign << (x_shift + y_shift)
    lowest = [int(v.format.exponents[0]) for v in (x, y)]  # type: ignore[attr-defined]
    scale = float(x.params["scale"]) * float(y.params["scale"])
    return float(np.ldexp(float(total), sum(lowest)) * scale)


def _shift(x: EncodedTensor, code: int) -> tuple[int, int]:
    """Returns the sign (0 for zero) and the exponent above the lowest one."""
    format = x.format
    if not isinstance(format, LogQuant) or format.half_steps or np.ndim(x.params["scale"]):
        raise ValueError(
            "`x` and `y` must be in LogQuant without half steps, with one scale. Received: "
            f"{format}. Encode them so."
        )
    magnitude = code & ((1 << (format.bits - 1)) - 1)
    if magnitude == 0:
        return 0, 0
    return (-1 if code >> (format.bits - 1) else 1), magnitude - 1


name_format(r"log(\d+)", lambda width, axis=None: LogQuant(width, axis=axis), ["log4", "log5"])
name_format(
    r"lns(\d+)_(\d+)",
    lambda integer_bits, fraction_bits, axis=None: LogarithmicNumber(integer_bits, fraction_bits),
    ["lns4_3", "lns5_2"],
)

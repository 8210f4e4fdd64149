"""Fixed point: two's complement with a binary point that stays, and how to choose it."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.base import Params, check_whole, finite_float32, optional_scale, signed_range
from edgeax.formats.levels import Ties
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format

_TIES = ("even", "away", "up")
_TEST = "tests/formats/test_fixed_point.py::"
# Farthest place of the binary point: the steps stay normal float32.
_FARTHEST = 64


@implements("HB91", test=_TEST + "test_hb91_xor_is_learned_in_16_bits_and_not_in_8")
@implements("PH94", test=_TEST + "test_ph94_values_outside_the_range_saturate")
@implements("SMA07", test=_TEST + "test_sma07_halves_go_where_the_rule_says")
@implements("GAGN15", test=_TEST + "test_gagn15_stochastic_rounding_is_right_on_average")
@dataclasses.dataclass(frozen=True)
class FixedPoint(ArrayFormat):
    """Two's complement fixed point: `real = code * 2**-fraction_bits`, saturating.

    The step and the range follow from the settings, nothing is fitted:
    `[-2**(integer_bits - 1), 2**(integer_bits - 1) - 2**-fraction_bits]`, GAGN15's <IL, FL>, in
    which the sign is one of the integer bits. With noise, values are rounded stochastically: up
    with the probability that is the distance from below [GAGN15]. As recalled.

    Args:
        integer_bits: Bits above the binary point, with the sign; 0 or less for small values only.
        fraction_bits: Bits below the binary point, negative for steps above 1; the two together
            make 2 to 16.
        ties: Where a value halfway between two codes goes: to the `"even"` code (numpy,
            TensorFlow), `"away"` from zero (C's `round`) or `"up"` (`floor(x + 1/2)`; GAGN15).
    Raises:
        ValueError: The bits are not 2 to 16 together, the point lies too far away, or `ties` is
            unknown.
    Example: `FixedPoint(2, 14)` holds -2 to 1.99994 in steps of 2**-14.
    Source: [GAGN15], [HB91], [PH94], [SMA07].
    """

    integer_bits: int
    fraction_bits: int
    ties: Ties = "even"

    def __post_init__(self) -> None:
        check_whole(integer_bits=self.integer_bits, fraction_bits=self.fraction_bits)
        if not 2 <= self.bits <= 16:
            raise ValueError(
                "`integer_bits` + `fraction_bits` must be in 2..16. Received: "
                f"{self.integer_bits} + {self.fraction_bits}. Codes are int16 at most."
            )
        if abs(self.fraction_bits) > _FARTHEST:
            raise ValueError(
                f"`fraction_bits` must be in {-_FARTHEST}..{_FARTHEST}. Received: "
                f"{self.fraction_bits}. Scale the tensor first."
            )
        if self.ties not in _TIES:
            raise ValueError(
                f"`ties` must be one of {_TIES}. Received: {self.ties!r}. Choose one of them."
            )

    @property
    def bits(self) -> int:
        """Width of a code in bits."""
        return self.integer_bits + self.fraction_bits

    @property
    def step(self) -> float:
        """Distance of neighboring values."""
        return math.ldexp(1.0, -self.fraction_bits)

    @classmethod
    def for_deviation(cls, deviation: float, bits: int) -> Self:
        """Returns the format of `bits` bits for normally distributed values.

        The step is the power of two of least squared error, one of both beside [LTA16]'s
        `deviation * gaussian_step(bits)`.

        Args:
            deviation: Standard deviation of the values, above 0.
            bits: Width of a code, 2 to 8.
        Raises:
            ValueError: An argument is out of its range.
        """
        if not 0 < deviation < math.inf:
            raise ValueError(
                f"`deviation` must be above 0 and finite. Received: {deviation}. Measure it on "
                "values that are not all equal."
            )
        above = -math.ceil(math.log2(deviation * gaussian_step(bits)))
        beside = [cls(bits - places, places) for places in (above, above + 1)]
        return max(beside, key=lambda format: format.gaussian_sqnr_db(deviation))

    def gaussian_sqnr_db(self, deviation: float) -> float:
        """Returns the ratio of signal to quantization noise of normally distributed values, in dB.

        Args:
            deviation: Their standard deviation, above 0.
        """
        step = self.step / deviation
        levels = step * np.arange(*np.add(signed_range(self.bits), (0, 1)))
        return -10 * math.log10(_error_of_levels(levels))

    @classmethod
    def from_sqnr(cls, deviation: float, sqnr_db: float) -> Self:
        """Returns the narrowest format of 2 to 8 bits that reaches a signal-to-noise ratio.

        The ratio is that of normally distributed values in the format itself, whose step is a power
        of two [LTA16].

        Args:
            deviation: Standard deviation of the values, above 0.
            sqnr_db: Wanted ratio of signal to quantization noise in dB.
        Raises:
            ValueError: 8 bits do not reach the ratio, or `deviation` is not above 0.
        """
        for bits in range(2, 9):
            format = cls.for_deviation(deviation, bits)
            if format.gaussian_sqnr_db(deviation) >= sqnr_db:
                return format
        most = format.gaussian_sqnr_db(deviation)
        raise ValueError(
            f"`sqnr_db` must be at most {most:.1f}, what 8 bits reach for deviation={deviation}. "
            f"Received: {sqnr_db}. Use 16 bits."
        )

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns no params: the settings say all."""
        del x, ops
        return {}

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the nearest value, or a random one of both neighbors; see base."""
        scale = params.get("scale")
        values = self._codes(x if scale is None else x / scale, ops, noise) * np.float32(self.step)
        return values if scale is None else scale * values

    def _codes(self, x: Any, ops: Any, noise: Any = None) -> Any:
        """Returns the codes of values, as float32."""
        low, high = signed_range(self.bits)
        # Clipped before rounding, which then stays within. A power of two: exact.
        steps = ops.clip(x, low * self.step, high * self.step) * np.float32(1 / self.step)
        if noise is None and self.ties == "even":
            return ops.round(steps)
        if noise is None and self.ties == "away":
            size = ops.abs(steps)
            nearest = ops.floor(size) + ops.cast(size - ops.floor(size) >= 0.5, "float32")
            return ops.where(steps < 0, -nearest, nearest)
        below = ops.floor(steps)
        rest = steps - below
        up = rest >= 0.5 if noise is None else noise < rest
        return below + ops.cast(up, "float32")

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the codes of the nearest values: int8, or int16 above 8 bits.

        Raises:
            ValueError: `x` is not finite, or a scale has the wrong shape or is 0.
        """
        x = finite_float32(x)
        scale = optional_scale(params, x.shape, divides=True)
        with np.errstate(over="ignore"):  # saturates
            codes = self._codes(x / scale, arrays)
        return np.asarray(codes, np.int8 if self.bits <= 8 else np.int16)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns float32 `codes * step`, times a scale where there is one.

        Raises:
            ValueError: A code needs more bits, or a scale has the wrong shape.
        """
        codes = np.asarray(codes)
        low, high = signed_range(self.bits)
        if codes.size and not low <= codes.min() <= codes.max() <= high:
            raise ValueError(
                f"`codes` must lie in [{low}, {high}]. Received: min={codes.min()}, "
                f"max={codes.max()}. Encode with the same format."
            )
        values = codes.astype(np.float32) * np.float32(self.step)
        return optional_scale(params, codes.shape) * values

    def per_channel(self) -> "FixedPoint":
        """Returns itself: a scale per channel comes on top of the step."""
        return self


name_format(
    r"fixed(\d+)_(\d+)",
    lambda integer_bits, fraction_bits, axis=None: FixedPoint(integer_bits, fraction_bits),
    ["fixed1_7", "fixed2_6", "fixed2_14", "fixed8_8"],
)


@implements("LTA16", test=_TEST + "test_lta16_steps_and_sqnr_of_normal_values_are_the_table")
def gaussian_step(bits: int) -> float:
    """Returns the step of the uniform quantizer of least squared error for the standard normal.

    Its `2**bits` levels lie symmetric to zero, none of them on it: +-step/2, +-3 step/2, ...

    Args:
        bits: 1 to 9.
    Raises:
        ValueError: `bits` is out of range.
    Source: [LTA16].
    """
    return _gaussian_optimum(bits)[0]


def gaussian_sqnr_db(bits: int) -> float:
    """Returns the ratio of signal to quantization noise at `gaussian_step(bits)`, in dB.

    Args:
        bits: 1 to 8.
    Raises:
        ValueError: `bits` is out of range.
    Source: [LTA16].
    """
    return -10 * math.log10(_gaussian_optimum(bits)[1])


def combined_sqnr_db(ratios_db: Sequence[float]) -> float:
    """Returns the ratio of signal to noise where several noises add: 1/out = sum(1/in) [LTA16].

    Args:
        ratios_db: Ratio of each source in dB, e.g. of a layer's weights and its input.
    """
    return -10 * math.log10(sum(10 ** (-ratio / 10) for ratio in ratios_db))


@implements("LTA16", test=_TEST + "test_lta16_bits_differ_by_the_logarithm_of_the_sizes")
def allocated_bits(
    counts: Sequence[int], sqnr_db: float, db_per_bit: float = 20 * math.log10(2)
) -> list[float]:
    """Returns the bits of each layer that meet a signal-to-noise ratio with fewest bits in all.

    `bits_i - bits_j = 10 log10(counts_j / counts_i) / db_per_bit`: layers with many parameters
    bear more of the noise. As recalled from [LTA16].

    Args:
        counts: Number of parameters of each layer, each above 0.
        sqnr_db: Wanted `combined_sqnr_db` of all layers.
        db_per_bit: What a bit more adds to the ratio of a layer, above 0.
    Returns:
        A real number per layer, not rounded: round up to be sure of the ratio.
    Raises:
        ValueError: A count or `db_per_bit` is not above 0.
    """
    if not counts or min(counts) <= 0 or db_per_bit <= 0:
        raise ValueError(
            "`counts` must hold numbers above 0, and `db_per_bit` must be above 0. Received: "
            f"counts={list(counts)}, db_per_bit={db_per_bit}. Leave empty layers out."
        )
    total = sum(counts)
    return [(sqnr_db + 10 * math.log10(total / count)) / db_per_bit for count in counts]


@functools.cache
def _gaussian_optimum(bits: int) -> tuple[float, float]:
    """Returns the step of least squared error and that error, by golden-section search."""
    if not 1 <= bits <= 9:
        raise ValueError(f"`bits` must be in 1..9. Received: {bits}. Use 16 bits without a search.")
    low, high = 0.0, 4.0
    golden = (math.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _gaussian_error(left, bits) < _gaussian_error(right, bits):
            high = right
        else:
            low = left
    step = (low + high) / 2
    return step, _gaussian_error(step, bits)


def _gaussian_error(step: float, bits: int) -> float:
    """Returns the error of 2**bits levels around 0, half a step on both sides of it."""
    half = 1 << (bits - 1)
    return _error_of_levels(step * (np.arange(-half, half) + 0.5))


def _error_of_levels(levels: np.ndarray) -> float:
    """Returns E(x - Q(x))**2 of x ~ N(0, 1) at the nearest of sorted levels, in closed form."""
    ends = [-math.inf, *(levels[1:] + levels[:-1]) / 2, math.inf]
    below = np.array([math.erfc(-end / math.sqrt(2)) / 2 for end in ends])
    density = np.array([math.exp(-end * end / 2) / math.sqrt(2 * math.pi) for end in ends])
    # 1 - 2 E(x Q(x)) + E(Q(x)**2), cell by cell.
    mass, first = np.diff(below), -np.diff(density)
    return float(1 + np.sum(levels * levels * mass - 2 * levels * first))

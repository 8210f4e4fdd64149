"""Small floating-point formats of any split into exponent and mantissa: fp16, bfloat16, FP8."""

import dataclasses
import functools
from typing import Any, Literal, get_args

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.base import Params, check_whole, finite_float32, optional_scale
from edgeax.formats.levels import LevelFormat
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format
from edgeax.formats.rounding import rounded_steps
from edgeax.formats.scales import largest_magnitude, quotient

Specials = Literal["ieee", "none", "fn"]

_SIGN = -(1 << 31)
_TINY = float(np.finfo(np.float32).tiny)


@implements(
    "SBD18",
    test="tests/formats/test_minifloat.py::test_sbd18_every_code_of_8_bits_equals_ml_dtypes",
)
@implements(
    "KMM19",
    test="tests/formats/test_minifloat.py::test_kmm19_bfloat16_equals_tensorflow_bit_for_bit",
)
@dataclasses.dataclass(frozen=True)
class Minifloat(LevelFormat):
    """Sign, exponent and mantissa: `real = scale * (-1)**s * 2**(e - bias) * (1 + m / 2**M)`.

    Codes are the bit patterns, sign first, with subnormals (exponent field 0) and signed zeros.
    Values are rounded to nearest, halves to the even code. A value beyond the largest finite one
    becomes that one, where IEEE 754 and ml_dtypes go to infinity or NaN; infinities and NaN can be
    decoded but are never encoded. fp16 is `Minifloat(5, 10)`, bfloat16 `Minifloat(8, 7)` [KMM19],
    FP8 `Minifloat(4, 3)` or `Minifloat(5, 2)` [SBD18, as recalled: a scale per tensor].

    Args:
        exponent_bits: Width of the exponent field, 1 to 8.
        mantissa_bits: Width of the mantissa field, 0 or more; with the sign, 2 to 16 bits in all.
        bias: Of the exponent; None: `2**(exponent_bits - 1) - 1`.
        specials: Codes that stand for no number. `"ieee"`: all of the highest exponent (infinities,
            NaN). `"fn"`: the highest magnitude (NaN). `"none"`: every code is a number.
        scaled: Whether values are divided by a scale that maps max|x| to the largest finite value.
        axis: Of the scale: None per tensor, -1 per output channel.
    Raises:
        ValueError: There is no such split, or its values do not fit into float32.
    Example: `Minifloat(4, 3).encode(np.float32([-1.0]), {})` is `[0xB8]`.
    Source: [SBD18], [KMM19].
    """

    exponent_bits: int
    mantissa_bits: int
    bias: int | None = None
    specials: Specials = "ieee"
    scaled: bool = False
    axis: int | None = None

    def __post_init__(self) -> None:
        check_whole(exponent_bits=self.exponent_bits, mantissa_bits=self.mantissa_bits)
        if not 1 <= self.exponent_bits <= 8:
            raise ValueError(
                f"`exponent_bits` must be in 1..8. Received: {self.exponent_bits}. Without an "
                "exponent numbers are integers: use Integer."
            )
        if not 0 <= self.mantissa_bits <= 15 - self.exponent_bits:
            raise ValueError(
                f"`mantissa_bits` must be in 0..{15 - self.exponent_bits} when exponent_bits="
                f"{self.exponent_bits}. Received: {self.mantissa_bits}. A code has up to 16 bits."
            )
        if self.specials not in get_args(Specials):
            raise ValueError(
                f"`specials` must be one of {get_args(Specials)}. Received: {self.specials!r}. "
                "Use 'none' where every code is a number."
            )
        if self._largest_code < 1:
            raise ValueError(
                "`specials` must leave a number besides 0. Received: "
                f"specials={self.specials!r} with exponent_bits={self.exponent_bits} and "
                f"mantissa_bits={self.mantissa_bits}. Use specials='none'."
            )
        if self.axis not in (None, -1) or (self.axis is not None and not self.scaled):
            raise ValueError(
                "`axis` must be None, or -1 for one scale per output channel when scaled=True. "
                f"Received: axis={self.axis}, scaled={self.scaled}. Drop it, or set scaled=True."
            )
        self._check_bias()
        if self.scaled and self.exponent_bias == 127:
            raise ValueError(
                "`scaled` must be False for exponents as wide as those of float32. Received: "
                f"scaled=True with a bias of {self.exponent_bias}. Such a format reaches every "
                "value without a scale."
            )

    def _check_bias(self) -> None:
        low = (self._largest_code >> self.mantissa_bits) - 127
        high = 126 - self.mantissa_bits
        if not (low <= self.exponent_bias <= high or low <= self.exponent_bias == 127):
            raise ValueError(
                f"`bias` must be in {low}..{high} or 127 when exponent_bits={self.exponent_bits}, "
                f"mantissa_bits={self.mantissa_bits} and specials={self.specials!r}, for all values"
                f" to fit into float32. Received: {self.exponent_bias}."
            )

    @property
    def bits(self) -> int:
        """Width of a code in bits."""
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def exponent_bias(self) -> int:
        """What the exponent field exceeds the exponent by."""
        return (1 << (self.exponent_bits - 1)) - 1 if self.bias is None else self.bias

    @property
    def _largest_code(self) -> int:
        """The code of the largest finite value."""
        reserved = {"ieee": 1 << self.mantissa_bits, "none": 0, "fn": 1}[self.specials]
        return (1 << (self.exponent_bits + self.mantissa_bits)) - 1 - reserved

    @property
    def largest(self) -> float:
        """The largest finite value, with scale 1."""
        return float(self.table[self._largest_code])

    @property
    def smallest(self) -> float:
        """The smallest value above 0, with scale 1."""
        return float(self.table[1])

    @functools.cached_property
    def table(self) -> np.ndarray:
        """float32 `(2**bits,)`: the value of every code, also of infinities and NaN."""
        codes = np.arange(1 << (self.bits - 1))
        field, mantissa = codes >> self.mantissa_bits, codes & ((1 << self.mantissa_bits) - 1)
        significand = mantissa + np.where(field > 0, 1 << self.mantissa_bits, 0)
        exponent = np.maximum(field, 1) - self.exponent_bias - self.mantissa_bits
        values = np.ldexp(significand.astype(np.float64), exponent)
        values[self._largest_code + 1 :] = np.nan
        if self.specials == "ieee":
            values[self._largest_code + 1] = np.inf
        positive = values.astype(np.float32)
        return np.concatenate([positive, -positive])

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns the scale of a scaled format; see base."""
        if not self.scaled:
            return {}
        scale = quotient(largest_magnitude(x, self.axis, ops), self.largest, ops)
        # Below, it or half of the smallest value would be subnormal in float32: 0 while training.
        usable = scale >= max(_TINY, 2 * _TINY / self.smallest)
        return {"scale": ops.where(usable, scale, ops.ones_like(scale))}

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the values that `x` is stored as; see base."""
        if "scale" not in params:
            return self._rounded(x, ops, noise)
        return params["scale"] * self._rounded(x / params["scale"], ops, noise)

    def _rounded(self, x: Any, ops: Any, noise: Any = None) -> Any:
        """Rounds by the bits of float32, which a graph that flushes subnormals leaves alone."""
        bits = ops.view(x, "int32")
        magnitude = ops.bitwise_and(bits, 0x7FFFFFFF)
        dropped = 23 - self.mantissa_bits
        if noise is None:
            odd = ops.bitwise_and(ops.right_shift(magnitude, dropped), 1)
            added = odd + ((1 << (dropped - 1)) - 1)
        else:
            added = ops.cast(noise * float(1 << dropped), "int32")
        rounded = ops.bitwise_and(magnitude + added, -(1 << dropped))
        if self.exponent_bias != 127:  # else subnormals are float32's own
            near_zero = self._near_zero(ops.view(magnitude, "float32"), ops, noise)
            rounded = ops.where(magnitude < self._normal_bits, near_zero, rounded)
        largest = int(np.float32(self.largest).view(np.int32))
        rounded = ops.minimum(rounded, largest)
        return ops.view(ops.bitwise_or(rounded, ops.bitwise_and(bits, _SIGN)), "float32")

    def _near_zero(self, magnitude: Any, ops: Any, noise: Any) -> Any:
        """Returns the bits of magnitudes up to the smallest normal one on the subnormal grid."""
        steps = ops.minimum(magnitude, self._smallest_normal) * (1 / self.smallest)
        steps = rounded_steps(steps, noise, ops)
        return ops.view(steps * self.smallest, "int32")

    @property
    def _smallest_normal(self) -> float:
        return 2.0 ** (1 - self.exponent_bias)

    @property
    def _normal_bits(self) -> int:
        """The smallest normal value as bits of float32."""
        return (128 - self.exponent_bias) << 23

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the bit patterns of the nearest values: uint8, or uint16 for more than 8 bits.

        Raises:
            ValueError: `x` is not finite, or the scale has the wrong shape or is 0.
        """
        x = finite_float32(x)
        scale = optional_scale(params, x.shape, divides=True)
        with np.errstate(over="ignore"):
            values = np.asarray(self._rounded(x / scale, arrays))
        magnitude = np.abs(values).view(np.int32)
        codes = (magnitude >> (23 - self.mantissa_bits)) - (
            (127 - self.exponent_bias) << self.mantissa_bits
        )
        if self.exponent_bias != 127:
            near_zero = np.minimum(np.abs(values), self._smallest_normal)
            steps = (near_zero / np.float64(self.smallest)).astype(np.int64)
            codes = np.where(magnitude < self._normal_bits, steps, codes)
        codes = codes | (np.signbit(values).astype(np.int64) << (self.bits - 1))
        return codes.astype(np.uint8 if self.bits <= 8 else np.uint16)

    def per_channel(self) -> "Minifloat":
        """Returns the same format with axis=-1; itself if it finds no scale."""
        return dataclasses.replace(self, axis=-1) if self.scaled else self


@implements(
    "WWC20",
    "WWL20",
    test="tests/formats/test_minifloat.py::test_wwc20_wwl20_heavy_tails_want_more_exponent_bits",
)
def best_split(x: np.ndarray, bits: int) -> tuple[Minifloat, Params]:
    """Finds the split into exponent and mantissa, and the scale, with the least squared error.

    Every split with a mantissa is tried with scales from the one that maps max|x| to the largest
    value down by factors of 2**(1/8) over six octaves. No code is an infinity or NaN. As recalled
    from the papers, which found M4E3 best for their networks.

    Args:
        x: float32, any shape, finite.
        bits: Width of a code, 3 to 16.
    Returns:
        The format, scaled per tensor, and its params.
    Raises:
        ValueError: `bits` is out of range, or `x` is not finite.
    Source: [WWC20], [WWL20].
    """
    if not 3 <= bits <= 16:
        raise ValueError(
            f"`bits` must be in 3..16: a sign, an exponent and a mantissa. Received: {bits}."
        )
    x = finite_float32(x)
    tried = []
    for exponent_bits in range(1, min(bits - 1, 8)):
        format = Minifloat(exponent_bits, bits - 1 - exponent_bits, specials="none", scaled=True)
        widest = format.fit(x)["scale"]
        for eighths in range(49):
            params = {"scale": np.asarray(widest * 2.0 ** (-eighths / 8), np.float32)}
            errors = format.rounded(x, params, arrays) - x
            tried.append((float(np.sum(np.square(errors, dtype=np.float64))), format, params))
    _, format, params = min(tried, key=lambda result: result[0])
    return format, params


def _named(
    bits: int, exponent_bits: int, mantissa_bits: int, axis: int | None, specials: Specials
) -> Minifloat:
    """Returns the format of a name: scaled up to 8 bits; below 8 bits every code is a number."""
    width = 1 + exponent_bits + mantissa_bits
    if bits != width:
        split = f"e{exponent_bits}m{mantissa_bits}{'fn' if specials == 'fn' else ''}"
        raise ValueError(
            "`format` must name a width that is 1 + exponent + mantissa bits. Received: "
            f"fp{bits}_{split}. Use fp{width}_{split}."
        )
    scaled = bits <= 8
    return Minifloat(
        exponent_bits,
        mantissa_bits,
        specials=specials if bits >= 8 and exponent_bits > 1 else "none",
        scaled=scaled,
        axis=axis if scaled else None,
    )


name_format(
    r"fp(\d+)_e(\d+)m(\d+)",
    lambda bits, exponent_bits, mantissa_bits, axis=None: _named(
        bits, exponent_bits, mantissa_bits, axis, "ieee"
    ),
    ["fp4_e2m1", "fp6_e2m3", "fp6_e3m2", "fp8_e3m4", "fp8_e4m3", "fp8_e5m2", "fp16_e6m9"],
)
# Finite, one NaN: what the Open Compute Project and ml_dtypes call float8_e4m3fn.
name_format(
    r"fp(\d+)_e(\d+)m(\d+)fn",
    lambda bits, exponent_bits, mantissa_bits, axis=None: _named(
        bits, exponent_bits, mantissa_bits, axis, "fn"
    ),
    ["fp8_e4m3fn"],
)
name_format(r"fp16", lambda axis=None: Minifloat(5, 10), ["fp16"])
name_format(r"bfloat16", lambda axis=None: Minifloat(8, 7), ["bfloat16"])

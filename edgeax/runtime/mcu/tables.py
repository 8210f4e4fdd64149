"""Tables of functions of 8-bit codes.

A table holds the outputs of the codes -128 to 127. LiteRT's functions are those of real numbers;
those of TensorFlow Lite Micro are computed in fixed point and may differ by a code.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from edgeax.formats.rounding import quantize_multiplier, requantize
from edgeax.runtime.mcu import fixed_point

CODES = np.arange(-128, 128, dtype=np.int32)
_INT16 = np.iinfo(np.int16)


@dataclasses.dataclass(frozen=True)
class Codes:
    """What codes mean: `real = scale * (code - zero_point)`."""

    scale: np.float32
    zero_point: int


def bytewise(table: np.ndarray) -> np.ndarray:
    """Returns a table in the order of micro/lookup.h: the codes 0 to 127 come first."""
    return np.roll(table, 128).astype(np.int8)


def clipped(values: np.ndarray) -> np.ndarray:
    """Returns values as int8, those beyond as the nearest code."""
    return np.clip(values, -128, 127).astype(np.int8)


def of_reals(function: Callable[[np.ndarray], np.ndarray], into: Codes, out: Codes) -> np.ndarray:
    """Returns LiteRT's table of a function of real numbers, computed in float32."""
    reals = into.scale * (CODES - into.zero_point).astype(np.float32)
    steps = function(reals).astype(np.float32) * (np.float32(1) / out.scale)
    whole = np.trunc(steps)
    away = whole + np.where(np.abs(steps - whole) >= 0.5, np.sign(steps), 0)
    return clipped(away.astype(np.int64) + out.zero_point)


def logistic(reals: np.ndarray) -> np.ndarray:
    """Returns 1 / (1 + exp(-x)) as float32 arithmetic gives it."""
    with np.errstate(over="ignore"):
        exponential = np.exp(-reals.astype(np.float64)).astype(np.float32)
        return np.float32(1) / (np.float32(1) + exponential)


def tanh(reals: np.ndarray) -> np.ndarray:
    """Returns the hyperbolic tangent as float32 arithmetic gives it."""
    return np.tanh(reals.astype(np.float64)).astype(np.float32)


def micro_logistic(into: Codes) -> np.ndarray:
    """Returns the table of TensorFlow Lite Micro: output scale 1/256, zero point -128."""
    return clipped(_fixed(into, fixed_point.logistic, 23) - 128 * _inside(into))


def micro_tanh(into: Codes) -> np.ndarray:
    """Returns the table of TensorFlow Lite Micro: output scale 1/128, zero point 0."""
    return clipped(_fixed(into, fixed_point.tanh, 24))


def _radius(into: Codes) -> tuple[int, int, int]:
    """Returns multiplier and shift to units of 2**-27, and the first distance beyond 15."""
    multiplier, shift = quantize_multiplier(float(into.scale) * 2.0**27)
    return multiplier, shift, int(np.floor(15 * 2.0 ** (27 - shift)))


def _inside(into: Codes) -> np.ndarray:
    return np.abs(CODES - into.zero_point) < _radius(into)[2]


def _fixed(into: Codes, function: Callable[[np.ndarray], np.ndarray], right: int) -> np.ndarray:
    multiplier, shift, _ = _radius(into)
    real = (CODES - into.zero_point).astype(np.int32)
    inside = _inside(into)
    scaled = requantize(np.where(inside, real, 0).astype(np.int32), multiplier, shift, "double")
    wide = fixed_point.halved(function(scaled.astype(np.int64)), right)
    return np.where(inside, wide, np.where(real < 0, -1000, 1000))


def hard_swish(into: Codes, out: Codes) -> np.ndarray:
    """Returns the table of x * min(max(x + 3, 0), 6) / 6 in TFLite's 16-bit fixed point."""
    high = into.scale * (np.float32(1) / np.float32(128))
    output, output_shift = _int16_factor(high / out.scale)
    relu, relu_shift = _int16_factor(high / (np.float32(3) / np.float32(32768)))
    value = (CODES - into.zero_point).astype(np.int64) * 128
    slope = value
    if relu_shift > 0:
        slope = _saturated(slope * 2 ** (relu_shift - 1))
    slope = fixed_point.product16(slope, relu)
    if relu_shift > 0:
        slope = _saturated(slope * 2)
    elif relu_shift < 0:
        slope = _halved16(slope, -relu_shift)
    slope = (slope + (1 << 15)) >> 1  # from [-1, 1] to [0, 1]
    product = slope * fixed_point.product16(value, output)
    truncated = np.sign(product) * (np.abs(product) >> 15)
    return clipped(_halved16(truncated, -output_shift) + out.zero_point)


def _int16_factor(ratio: np.float32) -> tuple[int, int]:
    multiplier, shift = quantize_multiplier(float(ratio))
    return (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else _INT16.max, shift


def _halved16(values: np.ndarray, times: int) -> np.ndarray:
    """Returns `values / 2**times`, rounded half away from zero; a mask of 16 bits makes it 1 and -1
    beyond 15 times.
    """
    return fixed_point.halved(values, times) if times < 16 else np.where(values < 0, -1, 1)


def _saturated(values: np.ndarray) -> np.ndarray:
    return np.clip(values, _INT16.min, _INT16.max)


def rescaled(
    into: Codes,
    out: Codes,
    positive: float,
    negative: float | None = None,
    limits: tuple[int, int] = (-128, 127),
) -> np.ndarray:
    """Returns the table of a function that is linear in two pieces, rounded twice.

    Args:
        into: What input codes mean.
        out: What output codes mean.
        positive: Output steps of an input step where the real number is not negative.
        negative: The same where it is; None: `positive`.
        limits: The least and the largest output code.
    """
    real = CODES - into.zero_point
    up = requantize(real, *quantize_multiplier(positive), "double")
    slope = positive if negative is None else negative
    down = requantize(real, *quantize_multiplier(abs(slope)), "double")
    down = -down if slope < 0 else down
    return clipped(np.clip(np.where(real < 0, down, up) + out.zero_point, *limits))


def rescaled_by_256ths(
    into: Codes, out: Codes, positive: np.float32, negative: np.float32
) -> np.ndarray:
    """Returns what XNNPACK gives for the same: factors in 256ths, halves up."""
    real = CODES - into.zero_point
    factors = np.where(real < 0, _in_256ths(negative), _in_256ths(positive))
    return clipped(((out.zero_point << 8) + 128 + real * factors) >> 8)


def _in_256ths(ratio: np.float32) -> int:
    return int(np.rint(np.float32(256) * ratio))

"""How values become whole steps, and how a scale ratio becomes integer arithmetic.

C++ twin of the latter: tflite_kernels/core/rounding.h.
"""

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

KINDS = ("single", "double")
_INT32 = np.iinfo(np.int32)

Halves = Literal["away", "up"]

_HALF_TOLERANCE = 1e-3  # of an average that was computed in float32


def rounded_steps(x: Any, noise: Any, ops: Any) -> Any:
    """Returns `x`, float32, rounded to whole numbers.

    Args:
        x: Values in units of a step, any shape.
        noise: None rounds to nearest, halves to even. Uniform in [0, 1) in the shape of `x` rounds
            up with the probability that is the distance from below: `floor(x + noise)`, but for
            the rounding of that sum, which would move large whole numbers now and then.
        ops: `formats.arrays` or `keras.ops`.
    Example: `rounded_steps(np.float32(2.25), np.float32(0.8), arrays)` is 3.
    """
    if noise is None:
        return ops.round(x)
    below = ops.floor(x)
    return below + ops.cast(noise >= 1 - (x - below), "float32")


def averaged_codes(codes: Any, halves: Halves, ops: Any) -> Any:
    """Returns averages of int8 codes rounded as the averaging operators of TFLite round them.

    Args:
        codes: float32, averages of up to a few hundred codes: a half, or far from it.
        halves: Where halves go: `"away"` from code 0, or `"up"`.
        ops: `formats.arrays` or `keras.ops`.
    Example: `averaged_codes(np.float32(-2.5), "away", arrays)` is -3.
    """
    half = 0.5 + _HALF_TOLERANCE
    if halves == "up":
        return ops.floor(codes + half)
    return ops.sign(codes) * ops.floor(ops.abs(codes) + half)


def quantize_multiplier(ratio: float) -> tuple[int, int]:
    """Splits a real ratio into a 31-bit multiplier and a power of two, as TFLite does.

    `ratio` is close to `multiplier * 2**(shift - 31)`.

    Args:
        ratio: Finite. A negative ratio gives the negative multiplier of its magnitude.
    Returns:
        multiplier: 0, or its magnitude in `[2**30, 2**31 - 1]`; halves round away from zero.
        shift: In `[-31, 30]`. Magnitudes below `2**-32` give (0, 0); from `2**30` on they
            saturate at `(2**31 - 1, 30)`.
    Raises:
        ValueError: `ratio` is NaN or infinite.
    Example: `quantize_multiplier(0.75)` is `(0x60000000, 0)`.
    """
    if not math.isfinite(ratio):
        raise ValueError(f"`ratio` must be finite. Received: {ratio}. Check the scales it is from.")
    mantissa, shift = math.frexp(abs(float(ratio)))
    multiplier = math.floor(math.ldexp(mantissa, 31) + 0.5)  # exact: 53 bits hold 32
    if multiplier == 1 << 31:
        multiplier, shift = 1 << 30, shift + 1
    if shift < -31 or multiplier == 0:
        return 0, 0
    if shift > 30:
        multiplier, shift = _INT32.max, 30
    return int(math.copysign(multiplier, ratio)), shift


def requantize(
    acc: np.ndarray, multiplier: npt.ArrayLike, shift: npt.ArrayLike, kind: str
) -> np.ndarray:
    """Returns `acc * multiplier * 2**(shift - 31)`, rounded to int32.

    Args:
        acc: int32 accumulators, any shape.
        multiplier: int32, scalar or broadcastable to `acc` (per channel: the last axis).
        shift: Integer in `[-31, 30]`, in the shape of `multiplier`.
        kind: "single": one rounding, halves up (LiteRT's XNNPACK; TFLITE_SINGLE_ROUNDING).
            "double": gemmlowp's two roundings, the second with halves away from zero (TFLM,
            CMSIS-NN).
    Returns:
        int32, shape of `acc`; values outside int32 saturate.
    Raises:
        ValueError: `acc` is not int32, `kind` is unknown, or `shift` or `multiplier` is outside.
    """
    if acc.dtype != np.int32:
        raise ValueError(f"`acc` must be int32. Received: {acc.dtype}. Accumulate in int32.")
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {KINDS}. Received: {kind!r}. Choose one of them.")
    wide, factors, shifts = acc.astype(np.int64), np.asarray(multiplier), np.asarray(shift)
    if np.any((factors < _INT32.min) | (factors > _INT32.max)):
        raise ValueError(
            f"`multiplier` must be int32. Received: min={factors.min()}, max={factors.max()}. "
            "Use `quantize_multiplier`."
        )
    if np.any((shifts < -31) | (shifts > 30)):
        raise ValueError(
            f"`shift` must lie in [-31, 30]. Received: min={shifts.min()}, max={shifts.max()}. "
            "Use `quantize_multiplier`."
        )
    rounded = _single if kind == "single" else _double
    result = rounded(wide, factors.astype(np.int64), shifts.astype(np.int64))
    return np.clip(result, _INT32.min, _INT32.max).astype(np.int32)


def _single(acc: np.ndarray, multiplier: np.ndarray, shift: np.ndarray) -> np.ndarray:
    right = 31 - shift
    return (acc * multiplier + (np.int64(1) << (right - 1))) >> right


def _double(acc: np.ndarray, multiplier: np.ndarray, shift: np.ndarray) -> np.ndarray:
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    shifted = np.clip(acc << left, _INT32.min, _INT32.max)
    return _rounding_shift(_doubling_high_mul(shifted, multiplier), right)


def _doubling_high_mul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns a * b / 2**31, halves up, saturated (gemmlowp: SaturatingRoundingDoublingHighMul)."""
    return np.minimum((a * b + (1 << 30)) >> 31, _INT32.max)


def _rounding_shift(x: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns x / 2**right, halves away from zero (gemmlowp: RoundingDivideByPOT)."""
    mask = (np.int64(1) << right) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> right) + ((x & mask) > threshold)

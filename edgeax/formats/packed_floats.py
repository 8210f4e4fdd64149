"""Packed floats: a weight as codes of 8, 4, 2 or 1 bits that point into one table of floats.

C++ twin: tflite_kernels/core/float_fully_connected.h.
"""

import dataclasses
import functools

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.base import EncodedTensor, optional_scale
from edgeax.formats.block_float import SharedExponent
from edgeax.formats.grouped import GroupedInteger
from edgeax.formats.scales import power_of_two

_SMALL = (2, 4, 16)
"""Entries of tables for codes of less than 8 bits."""
_ENTRIES = 256

_CLOSE = 1e-6  # what the rounding of a scale may cost


class NoPackedFloats(ValueError):
    """Why a weight has no such form."""


@dataclasses.dataclass(frozen=True, eq=False)
class PackedFloats:
    """A matrix `(inputs, channels)`: `real = scale[input // group] * codebook[code]`.

    Attributes:
        codes: uint8 `(inputs, channels)`.
        codebook: float32, 256, 16, 4 or 2 values.
        scale: float32 `(groups, channels)`.
        group: Inputs that share a scale, a multiple of 8; 0: all.
    """

    codes: np.ndarray
    codebook: np.ndarray
    scale: np.ndarray
    group: int = 0

    @property
    def bits(self) -> int:
        """Width of a code in bits."""
        return self.codebook.size.bit_length() - 1

    def decode(self) -> np.ndarray:
        """Returns the float32 values."""
        inputs = len(self.codes)
        scale = np.repeat(self.scale, self.group or inputs, axis=0)[:inputs]
        return scale * self.codebook[self.codes]


def packed_floats(encoded: EncodedTensor) -> PackedFloats:
    """Returns a weight in codes of the fewest bits and a table of their values.

    The table is that of all whole numbers of 8 bits or of a short float where one holds the values:
    kernels compute these instead of looking them up.

    Args:
        encoded: A weight in canonical layout, seen as a matrix of all axes but the last.
    Raises:
        NoPackedFloats: It has more than 256 values beside its scales, or a scale for each input.
    """
    units, scale, group = _units(encoded)
    values = np.unique(units)
    codebook, step = _codebook(values)
    table, first = np.unique(codebook, return_index=True)
    codes = first[np.searchsorted(table, units / step)].astype(np.uint8)
    found = PackedFloats(codes, codebook, (scale * step).astype(np.float32), group)
    wanted = encoded.decode().reshape(units.shape)
    if not np.allclose(found.decode(), wanted, rtol=_CLOSE, atol=0.0):
        raise NoPackedFloats("its scales are beyond those of float32")
    return found


def _units(encoded: EncodedTensor) -> tuple[np.ndarray, np.ndarray, int]:
    """Returns the values of a weight without their scales, these, and how many inputs share one."""
    params = {**encoded.params}
    shape = encoded.shape
    scale = np.broadcast_to(optional_scale(params, shape), shape)
    if "scale" in params:
        params["scale"] = np.ones_like(params["scale"])
    if isinstance(encoded.format, SharedExponent):
        step = power_of_two(
            encoded.format.spread(params["exponent"], encoded.codes, arrays), arrays
        )
        scale = scale * np.broadcast_to(np.asarray(step), shape)
        params["exponent"] = np.zeros_like(params["exponent"])
    if isinstance(encoded.format, GroupedInteger):
        scale = scale * np.broadcast_to(encoded.format.spread(params["step"], shape, arrays), shape)
        params["step"] = np.ones_like(params["step"])
    units = encoded.format.decode(encoded.codes, params)
    if encoded.mask is not None:
        units = np.where(encoded.mask, units, np.float32(0))
    units = np.asarray(units, np.float32) + np.float32(0)  # there is one zero
    columns = shape[-1]
    return (units.reshape(-1, columns), *_grouped(scale.reshape(-1, columns)))


def _grouped(scale: np.ndarray) -> tuple[np.ndarray, int]:
    """Returns the different rows of scales, and how many beside each other are equal."""
    changes = np.flatnonzero(np.any(scale[1:] != scale[:-1], axis=1)) + 1
    if not changes.size:
        return scale[:1], 0
    group = functools.reduce(np.gcd, changes)
    if group % 8:
        raise NoPackedFloats("its scales change within eight inputs")
    return scale[::group], int(group)


def _codebook(values: np.ndarray) -> tuple[np.ndarray, np.float32]:
    """Returns a table that holds all values when they are divided by a power of two, and that.

    Args:
        values: float32, sorted, all different.
    """
    one = np.float32(1)
    for entries in _SMALL:
        if values.size <= entries:
            return np.pad(values, (0, entries - values.size), mode="edge"), one
    if values.size > _ENTRIES:
        raise NoPackedFloats(f"it has {values.size} values beside its scales, more than {_ENTRIES}")
    integers = np.arange(_ENTRIES).astype(np.uint8).view(np.int8).astype(np.float32)
    known = [(integers, one), *((table, _step(values, table)) for table in _short_floats())]
    for table, step in known:
        if np.isin(values / step, table).all():
            return table, step
    return np.pad(values, (0, _ENTRIES - values.size), mode="edge"), one


def _step(values: np.ndarray, table: np.ndarray) -> np.float32:
    """Returns the power of two that brings the largest exponent of a table to that of values."""
    largest = np.max(np.abs(table), initial=0.0, where=np.isfinite(table))
    exponents = np.frexp(np.max(np.abs(values)))[1] - np.frexp(largest)[1]
    return np.ldexp(np.float32(1), exponents)


def _short_floats() -> list[np.ndarray]:
    """Returns the values of all codes of 8 bits, for exponents of 1 to 5 bits.

    The exponent is biased as in a float of 16 bits. With subnormals and, but for 5 bits, without:
    then exponents are one higher, and 0 is the only number below the smallest normal one.
    """
    return [
        _short_float(exponent_bits, lift)
        for exponent_bits in range(1, 6)
        for lift in ((0, 1) if exponent_bits < 5 else (0,))
    ]


def _short_float(exponent_bits: int, lift: int) -> np.ndarray:
    codes = np.arange(_ENTRIES, dtype=np.uint16)
    magnitude, sign = codes % 128, codes >> 7 << 15
    halves = sign + (magnitude << (3 + exponent_bits)) + (lift << 10) * (magnitude > 0)
    return halves.astype(np.uint16).view(np.float16).astype(np.float32)

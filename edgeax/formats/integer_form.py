"""IntegerForm: a tensor of any format as 8-bit integer codes, for operators that know no other."""

import dataclasses
import math
from typing import cast

import numpy as np

from edgeax.formats.base import EncodedTensor, NumberFormat, optional_scale
from edgeax.formats.codebook import Codebook
from edgeax.formats.grouped import GroupedInteger
from edgeax.formats.integer import Integer
from edgeax.formats.sign_sum import SignBases, bases_of
from edgeax.formats.sums import SumOfSigns
from edgeax.formats.vector_codebook import VectorCodebook
from edgeax.formats.vector_rows import VectorCodes

_TOP = 127  # largest magnitude of an int8 code on a symmetric grid
_EXACT = 1e-6  # of the largest value: what float32 scales lose anyway
_FEW = 256  # so many different values may be looked at one by one
_TABLE = 16  # a table of so many values can be packed


@dataclasses.dataclass(frozen=True, eq=False)
class IntegerForm(EncodedTensor):
    """Codes of `Integer(8, axis=-1)` that stand for a tensor of another format.

    Attributes:
        trained: The format that training used.
        snr_db: Ratio of the tensor's energy to that of the difference, infinite where the values
            are the same (up to the rounding of a float32 scale).
        bases: The signs that the tensor is a sum of, gains in steps of the codes; None if its
            format has none.
        vectors: Codes of which the channels share sub-vectors, in steps of those here; None if
            training shared none.
    """

    trained: NumberFormat | None = None
    snr_db: float = math.inf
    bases: SignBases | None = None
    vectors: VectorCodes | None = None

    def channels(self, part: slice) -> "IntegerForm":
        """Returns some of the output channels, codes and scales as they are."""
        form = cast(IntegerForm, super().channels(part))
        bases = None if self.bases is None else self.bases.channels(part)
        vectors = None if self.vectors is None else self.vectors.channels(part)
        return dataclasses.replace(form, bases=bases, vectors=vectors)

    def as_plain(self) -> "IntegerForm":
        """Returns the same without what only holds for a kernel of this shape."""
        return dataclasses.replace(self, bases=None, vectors=None)


def integer_form(encoded: EncodedTensor) -> EncodedTensor:
    """Returns a weight in symmetric integer codes of at most 8 bits with one scale per channel.

    The values are kept where integers can express them: binary, ternary, powers of two and other
    formats of few bits. Otherwise the integers nearest to them are taken; a table of 16 values or
    fewer stays one.

    Args:
        encoded: A weight in any format, canonical layout; returned as it is if it has that form.
    """
    if is_integer(encoded):
        return encoded
    values = encoded.decode()
    if not values.size:
        return encoded
    scale = np.broadcast_to(optional_scale(encoded.params, encoded.shape), encoded.shape[-1:])
    divisor = np.where(scale == 0, np.float32(1), scale).astype(np.float64)
    units = values.astype(np.float64) / divisor
    if isinstance(encoded.format, GroupedInteger) and encoded.format.whole:
        codes, step = np.rint(units), np.ones(divisor.shape)
    else:
        codes, step = _codes(units)
    params = {"scale": (divisor * step).astype(np.float32)}
    grid = Integer(8, axis=-1)
    form = IntegerForm(codes.astype(np.int8), grid, params, None, encoded.format)
    return dataclasses.replace(
        form,
        snr_db=snr_db(values, form.decode()),
        bases=_bases(encoded, params["scale"]),
        vectors=_vectors(encoded.format, values, divisor, params["scale"]),
    )


def _bases(encoded: EncodedTensor, scale: np.ndarray) -> SignBases | None:
    bases = bases_of(encoded) if isinstance(encoded.format, SumOfSigns) else None
    return None if bases is None else dataclasses.replace(bases, gains=bases.gains / scale)


def _vectors(
    format: NumberFormat, values: np.ndarray, divisor: np.ndarray, scale: np.ndarray
) -> VectorCodes | None:
    """Returns values in codes of one step.

    Args:
        format: That of training.
        values: Canonical layout.
        divisor: float64 `(channels,)`, by which channels differ whose codes are the same.
        scale: float32 `(channels,)`, in which `VectorCodes.steps` are.
    """
    if not isinstance(format, VectorCodebook):
        return None
    units = values.astype(np.float64) / divisor
    step = _table_step(units)
    step = _step(np.max(np.abs(units)), _TOP) if step is None else step
    codes = np.rint(units / step)
    stored = (codes * step * divisor).astype(np.float32)
    channels = range(values.shape[-1])
    least = min(snr_db(values[..., channel], stored[..., channel]) for channel in channels)
    steps = divisor * step / scale
    return VectorCodes(format, codes.astype(np.int8), steps, snr_db(values, stored), least)


def is_integer(encoded: EncodedTensor) -> bool:
    """Returns whether codes stand for 8-bit integers without a zero point, scaled per channel."""
    grid = encoded.format.value if isinstance(encoded.format, Codebook) else encoded.format
    return isinstance(grid, Integer) and grid.symmetric and grid.bits <= 8


def snr_db(values: np.ndarray, stored: np.ndarray) -> float:
    """Returns the signal-to-noise ratio of `stored`, infinite above 120 dB."""
    noise = np.sum(np.square(values.astype(np.float64) - stored))
    signal = np.sum(np.square(values.astype(np.float64)))
    if noise <= 1e-12 * signal:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal else -math.inf


def _codes(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns integer codes, as floats, and the step of each channel that give values in units."""
    step = _table_step(units)
    if step is not None:
        return np.rint(units / step), np.full(units.shape[-1:], step)
    largest = np.max(np.abs(units), axis=tuple(range(units.ndim - 1)))
    step = _step(largest, _tops_of_channels(units.reshape(-1, units.shape[-1]), largest))
    return np.rint(units / step), step


def _table_step(units: np.ndarray) -> np.ndarray | None:
    """Returns one step for all values if they are so few that they can be a table, or if that is
    exact.
    """
    points, counts = np.unique(units, return_counts=True)
    if points.size > _FEW:
        return None
    top, exact = _best_top(points, counts)
    if not exact and points.size > _TABLE:
        return None
    return _step(np.max(np.abs(points)), top)


def _step(largest: np.ndarray, top: np.ndarray | int) -> np.ndarray:
    return np.where(largest > 0, largest, 1.0) / top


def _best_top(points: np.ndarray, counts: np.ndarray) -> tuple[int, bool]:
    """Returns which integer the largest of some values should become, and whether that is exact."""
    largest = np.max(np.abs(points))
    if largest == 0:
        return 1, True
    tops = np.arange(1, _TOP + 1)
    scaled = points[:, None] / largest * tops
    missed = np.abs(scaled - np.rint(scaled)) / tops
    exact = np.max(missed, axis=0) <= _EXACT
    if exact.any():
        return int(tops[np.argmax(exact)]), True
    return int(tops[np.argmin(counts @ np.square(missed))]), False


def _tops_of_channels(rows: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Returns, for each channel, the smallest top that is exact for all its values; 127 if none."""
    tops = np.full(largest.shape, _TOP)
    channels = np.flatnonzero(largest > 0)
    parts = rows[:, channels] / largest[channels]
    for top in range(1, _TOP):
        if not channels.size:
            break
        few = parts[:32] * top
        likely = np.all(np.abs(few - np.rint(few)) <= _EXACT * top, axis=0)
        for place in np.flatnonzero(likely):
            column = parts[:, place] * top
            likely[place] = np.all(np.abs(column - np.rint(column)) <= _EXACT * top)
        tops[channels[likely]] = top
        channels, parts = channels[~likely], parts[:, ~likely]
    return tops

"""How numbers that are sums of signs lie in the files of their operators.

An activation is a sum of signs, each against thresholds of its own (a plane), and a weight one of
signs with gains for each output channel (a base). Bits lie as `binary_rows` says, base after base.
Of each plane and base the products are counted [CHS16], so a ternary activation, half the sum of
two signs, costs two counts [WSL18]. C++ twin: tflite_kernels/core/sign_sum.h.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from edgeax.formats import binary_rows
from edgeax.formats.base import EncodedTensor, optional_scale
from edgeax.formats.sums import SumOfSigns

MAX_SUM = 2**30 - 1
"""No sum of products with its gains is farther from 0: with the largest bias it fits int32."""

NEVER = -128
"""A threshold that no code is below."""

ALWAYS = 128
"""A threshold that every code is below."""


# The gains of a channel have so many units at least.
_LEAST_UNITS = 1024

# So many counts of bits are no slower than one int8 operator on the processors that were measured,
# and so many no slower than one of floats.
_MOST_COUNTS, _MOST_COUNTS_FOR_FLOAT = 2, 4


@dataclasses.dataclass(frozen=True, eq=False)
class SignBases:
    """A weight that is a sum of signs, `sum of gain * digit`.

    Attributes:
        digits: int8 `(bases, *shape)` of +1 and -1, output channels last.
        gains: float64 `(bases, channels)`.
    """

    digits: np.ndarray
    gains: np.ndarray

    def channels(self, part: slice) -> "SignBases":
        """Returns some of the output channels."""
        return SignBases(self.digits[..., part], self.gains[:, part])


def bases_of(encoded: EncodedTensor) -> SignBases | None:
    """Returns the signs that a weight is a sum of, or None: one that has two opposite values in
    each channel is of one sign.

    Args:
        encoded: A weight in any format, canonical layout.
    """
    if isinstance(encoded.format, SumOfSigns):
        return _bases_of_sum(encoded)
    return bases_of_values(encoded.decode())


def bases_of_values(values: np.ndarray) -> SignBases | None:
    """Returns the one base of values, output channels last; None if they have more."""
    magnitude = np.abs(values.astype(np.float64)).max(axis=tuple(range(values.ndim - 1)))
    if np.any(np.abs(values) != magnitude):
        return None
    digits = np.where(values < 0, -1, 1).astype(np.int8)
    return SignBases(digits[np.newaxis], magnitude[np.newaxis])


def _bases_of_sum(encoded: EncodedTensor) -> SignBases | None:
    if encoded.mask is not None or float(encoded.params.get("low", -1.0)) != -1.0:
        return None
    gain = np.asarray(encoded.params["gain"], np.float64)
    digits = [2 * (encoded.codes >> place & 1).astype(np.int8) - 1 for place in range(len(gain))]
    gain = gain.reshape(len(gain), -1) * optional_scale(encoded.params, encoded.shape)
    return SignBases(np.stack(digits), np.broadcast_to(gain, (len(gain), encoded.shape[-1])))


def pays(planes: int, bases: int, beside_float: bool) -> bool:
    """Returns whether to count bits takes no longer than what else would compute the same.

    Args:
        planes: Signs of an activation.
        bases: Signs of a weight.
        beside_float: Whether that is an operator of floats, else one of 8-bit integers.
    """
    return planes * bases <= (_MOST_COUNTS_FOR_FLOAT if beside_float else _MOST_COUNTS)


def pack_bases(bases: np.ndarray) -> np.ndarray:
    """Returns the rows of the weights.

    Args:
        bases: `(bases, rows, taps, channels)`; numbers that are negative count as -1, others as +1.
    Returns:
        uint8 `(bases * rows, taps * ceil(channels / 8))`.
    """
    return np.concatenate([binary_rows.pack_rows(base) for base in bases])


def thresholds_of(planes: Sequence[Sequence[int]]) -> np.ndarray:
    """Returns int32 `(planes, most thresholds)`, rows filled up with `NEVER`.

    Args:
        planes: The thresholds of each plane. A sign is -1 where an odd number of them is above a
            code, so a row sorted in pairs lists where a sign changes.
    """
    most = max(map(len, planes))
    rows = [[*plane, *[NEVER] * (most - len(plane))] for plane in planes]
    return np.clip(np.array(rows, np.int64), NEVER, ALWAYS).astype(np.int32)


def signs_of(codes: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Returns int64 `(planes, *codes.shape)`: the signs of int8 codes in each plane.

    Example: With the thresholds `[[0], [1]]` the codes -1, 0 and 1 have the signs `[-1, 1, 1]` and
    `[-1, -1, 1]`, whose sums are -2, 0 and 2: twice a ternary number.
    """
    above = np.asarray(codes, np.int64)[..., np.newaxis] < thresholds.reshape(
        len(thresholds), *[1] * np.ndim(codes), -1
    )
    return 1 - 2 * (above.sum(-1) % 2)


def fold(
    gains: np.ndarray, offset: np.ndarray, depth: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Writes `sum of gain * (sum of products) + offset` in integers and a scale.

    Args:
        gains: float64 `(parts, channels)` of either sign.
        offset: float64 `(channels,)`.
        depth: Products in a sum.
    Returns:
        int32 gains and biases and float32 scales, with `scale * (sum of gain * products + bias)`
        near the above: the largest possible sum takes about 30 bits. A channel whose sums move its
        offset by less than the rounding of that has gains of 0.
    Raises:
        ValueError: A channel's gains are too small beside its offset, but not that small; or a
            number is not finite.
    Example: `fold([[0.5], [0.5]], [1.0], depth=2**10)` is
        `([[2**18], [2**18]], [2**19], [2**-19])`.
    """
    gains, offset = np.asarray(gains, np.float64), np.asarray(offset, np.float64)
    largest = np.abs(gains).sum(axis=0)
    most = MAX_SUM // depth - len(gains)  # room for the rounding of gains
    with np.errstate(all="ignore"):
        unit = np.maximum(largest / most, np.abs(offset) / binary_rows.MAX_BIAS)
        scale = np.where(unit > 0, 2.0 ** np.ceil(np.log2(unit)), 0).astype(np.float32)
        divisor = np.where(scale > 0, scale, 1).astype(np.float64)
        is_constant = 2 * largest * depth <= divisor
        coarse = (largest < _LEAST_UNITS * divisor) & ~is_constant
    bad = ~np.isfinite(unit) | ~np.isfinite(scale) | (coarse & (scale > 0))
    bad |= (scale == 0) & (unit > 0)
    if bad.any():
        channel = int(np.argmax(bad))
        raise ValueError(
            "`gains` must not be tiny beside `offset`, and both finite. Received: "
            f"{gains[:, channel].tolist()} and {offset[channel]} in channel {channel}, depth "
            f"{depth}. Keep the built-in operator for this layer."
        )
    units = np.where(is_constant, 0, np.rint(gains / divisor))
    bias = np.rint(offset / divisor)
    return units.astype(np.int32), bias.astype(np.int32), scale

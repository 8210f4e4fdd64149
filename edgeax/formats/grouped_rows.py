"""Grouped rows: int8 weights as codes of few bits, each group of which has a codebook of its own.

C++ twin: tflite_kernels/core/grouped.h.
"""

import dataclasses

import numpy as np

from edgeax.formats import packing

_ENTRIES = (4, 16)  # of a codebook

_MOST_CODEBOOKS = 256

_WHOLE_ROW = 65536  # weights of the longest row


class NoGroups(ValueError):
    """Why weights have no such form."""


@dataclasses.dataclass(frozen=True, eq=False)
class GroupedRows:
    """Rows of weights: `weight = codebooks[numbers[row, k // group]][codes[row, k]]`.

    Attributes:
        codes: uint8 `(rows, depth)`.
        numbers: uint8 `(rows, groups)`.
        codebooks: int8 `(codebooks, entries)`: a power of two of them, of 4 or 16 entries.
        group: Weights in a group.
    """

    codes: np.ndarray
    numbers: np.ndarray
    codebooks: np.ndarray
    group: int

    @property
    def bits(self) -> int:
        """Width of a code in bits."""
        return self.codebooks.shape[1].bit_length() - 1

    def packed(self) -> np.ndarray:
        """Returns the rows as a file holds them, uint8: packed codes, and the numbers behind."""
        return np.concatenate([packing.pack(self.codes, self.bits), self.numbers], axis=1)

    def decode(self) -> np.ndarray:
        """Returns the weights, int8."""
        groups = np.arange(self.codes.shape[1]) // self.group
        return self.codebooks[self.numbers[:, groups], self.codes]


def grouped_rows(weights: np.ndarray, group: int) -> GroupedRows:
    """Returns weights as whole multiples of a step of their group, exactly.

    The step is the greatest common divisor of the group, so that its codes are no larger than those
    that it was trained with. A codebook is the codes in use times a step.

    Args:
        weights: int8 `(rows, depth)`.
        group: Weights in a group.
    Raises:
        NoGroups: They need more than 16 codes.
    """
    depth = weights.shape[1]
    parts = np.pad(np.abs(weights.astype(np.int32)), ((0, 0), (0, -depth % group)))
    steps = np.gcd.reduce(parts.reshape(len(weights), -1, group), axis=2)
    steps = np.where(steps == 0, 1, steps)
    units = weights // np.repeat(steps, group, axis=1)[:, :depth]
    used = np.unique(units)
    if used.size > _ENTRIES[-1]:
        raise NoGroups(f"its groups have {used.size} different codes, more than {_ENTRIES[-1]}")
    entries = _entries_for(used.size)
    different, numbers = np.unique(steps, return_inverse=True)
    # Those that no weight points to may be too large.
    codebooks = np.clip(different[:, np.newaxis] * used, -128, 127)
    count = 1 << (different.size - 1).bit_length()
    spare = ((0, count - different.size), (0, entries - used.size))
    return GroupedRows(
        np.searchsorted(used, units).astype(np.uint8),
        numbers.reshape(steps.shape).astype(np.uint8),
        np.pad(codebooks, spare).astype(np.int8),
        group,
    )


def row_codebooks(weights: np.ndarray) -> GroupedRows:
    """Returns weights with a codebook for each row, equal ones once; one for all if it suffices.

    Args:
        weights: int8 `(rows, depth)`.
    Raises:
        NoGroups: A row has more than 16 different weights, or there are more than 256 codebooks.
    """
    shared = np.unique(weights)
    used = [shared] * len(weights)
    if shared.size > _ENTRIES[-1]:
        used = [np.unique(row) for row in weights]
    most = max(values.size for values in used)
    if most > _ENTRIES[-1]:
        raise NoGroups(f"an output of it has {most} different weights, more than {_ENTRIES[-1]}")
    entries = _entries_for(most)
    filled = np.stack([np.pad(values, (0, entries - values.size)) for values in used])
    different, numbers = np.unique(filled, axis=0, return_inverse=True)
    if len(different) > _MOST_CODEBOOKS:
        raise NoGroups(
            f"its outputs have {len(different)} different codebooks, more than {_MOST_CODEBOOKS}"
        )
    count = 1 << (len(different) - 1).bit_length()
    codes = [np.searchsorted(values, row) for values, row in zip(used, weights, strict=True)]
    return GroupedRows(
        np.stack(codes).astype(np.uint8),
        numbers.reshape(-1, 1).astype(np.uint8),
        np.pad(different, ((0, count - len(different)), (0, 0))).astype(np.int8),
        _WHOLE_ROW,
    )


def _entries_for(count: int) -> int:
    """Returns the entries of the smallest codebook of so many values."""
    return next(entries for entries in _ENTRIES if count <= entries)

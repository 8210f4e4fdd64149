"""A memory of earlier samples in few bits, of which a model that learns on rehearses."""

import io
import math
import numbers
import os
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeax.formats.files import write_atomically
from edgeax.formats.packing import WIDTHS, pack, unpack
from edgeax.formats.reservoir import Reservoir

MOST_REHEARSED = 0.99
"""Largest share of earlier samples that a training mixes in: 99 for each new one."""


def checked_rehearsed(name: str, share: Any) -> float:
    """Returns a share of earlier samples, in [0, 0.99].

    Raises:
        ValueError: It lies outside.
    """
    if not isinstance(share, numbers.Real) or not 0.0 <= float(share) <= MOST_REHEARSED:
        raise ValueError(
            f"`{name}` must lie in [0, {MOST_REHEARSED}]. Received: {name}={share!r}. More than "
            "99 earlier samples for each new one would make it long, and teach nothing new."
        )
    return float(share)


class RehearsalBuffer:
    """Keeps samples of all classes that came so far, in a memory whose bytes are fixed.

    Each value of a sample is stored in `bits` bits, on evenly spaced levels from one end of `span`
    to the other: with 8, gray levels of images lose nothing. Which samples stay is decided by
    `edgeax.formats.reservoir.Reservoir`: classes share the memory evenly.

    Needs numpy alone, so a device can keep one as well.

    Args:
        capacity_bytes: What the buffer may hold in all: codes, labels, and what the reservoir
            counts. `bytes` tells what it does hold.
        shape: Of a sample, without the batch.
        classes: Labels lie in [0, classes).
        bits: Of each value: 1, 2, 4 or 8.
        span: The least and the largest value that is stored.
        seed: Of the choices, an integer, at least 0.

    Raises:
        ValueError: An argument is out of its range, or not even one sample fits.

    Example:
        buffer = RehearsalBuffer(200_000, (28, 28, 1), classes=10)
        buffer.add(images, labels)
        old_images, old_labels = buffer.samples()
    """

    def __init__(
        self,
        capacity_bytes: int,
        shape: Sequence[int],
        classes: int,
        bits: int = 8,
        span: tuple[float, float] = (0.0, 1.0),
        seed: int = 0,
    ) -> None:
        if bits not in WIDTHS:
            raise ValueError(f"`bits` must be one of {WIDTHS}. Received: bits={bits}.")
        low, high = (float(end) for end in span)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"`span` must be two finite numbers that rise. Received: {span}.")
        self.shape = tuple(int(size) for size in shape)
        values = math.prod(self.shape)
        if values < 1:
            raise ValueError(f"`shape` must hold at least one value. Received: {shape}.")
        row = math.ceil(values * bits / 8)
        one = Reservoir(1, classes, seed)
        fixed = one.nbytes - one.labels.nbytes
        slots = (int(capacity_bytes) - fixed) // (row + one.labels.nbytes)
        if slots < 1:
            raise ValueError(
                "`capacity_bytes` must hold at least one sample: "
                f"{fixed + row + one.labels.nbytes} bytes. Received: {capacity_bytes}. Give more, "
                "or store fewer bits."
            )
        self.bits, self.span = int(bits), (low, high)
        self.reservoir = Reservoir(slots, classes, seed)
        self._codes = np.zeros((slots, row), np.uint8)

    def __len__(self) -> int:
        """Returns how many samples the buffer holds."""
        return len(self.reservoir)

    @property
    def slots(self) -> int:
        """How many samples fit."""
        return len(self._codes)

    @property
    def bytes(self) -> int:
        """Bytes of all arrays, the same from the beginning on."""
        return self._codes.nbytes + self.reservoir.nbytes

    @property
    def has_whole_levels(self) -> bool:
        """Whether all values that it can store are whole numbers."""
        low, high = self.span
        return low.is_integer() and ((high - low) / ((1 << self.bits) - 1)).is_integer()

    @property
    def counts(self) -> np.ndarray:
        """Samples of each class that it holds, int64 `(classes,)`."""
        return self.reservoir.counts

    def add(self, x: Any, y: Any) -> int:
        """Offers samples to the buffer, one after the other; returns how many it took.

        Args:
            x: Values in `span`, `(count, *shape)`.
            y: Their classes, integers `(count,)` or `(count, 1)`.

        Raises:
            ValueError: Shapes do not fit, a value lies outside `span`, or there is no such class.
                The buffer is as before then.
        """
        x, y = np.asarray(x), np.asarray(y)
        if x.shape[1:] != self.shape or y.shape not in ((len(x),), (len(x), 1)):
            raise ValueError(
                f"`x` must have the shape (count, {', '.join(map(str, self.shape))}) and `y` "
                f"(count,) or (count, 1). Received: {x.shape} and {y.shape}."
            )
        classes = self.reservoir.seen.size
        if not np.issubdtype(y.dtype, np.integer) or np.any((y < 0) | (y >= classes)):
            raise ValueError(
                f"`y` must hold integers in [0, {classes}). Received: {y.dtype}, "
                f"{np.unique(y)[:20]}. Make classes of one-hot rows by argmax."
            )
        low, high = self.span
        if x.size and not (low <= np.min(x) and np.max(x) <= high):
            raise ValueError(
                f"`x` must lie in span={self.span}. Received: values in [{np.min(x)}, {np.max(x)}]."
                " Scale them, or give the buffer another span."
            )
        taken = 0
        for sample, label in zip(x, y.ravel(), strict=True):
            slot = self.reservoir.offer(int(label))
            if slot is not None:
                self._codes[slot] = self._coded(sample)
                taken += 1
        return taken

    def samples(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns all samples as float32 `(count, *shape)`, and their classes, int32 `(count,)`."""
        count, values = len(self), math.prod(self.shape)
        codes = unpack(self._codes[:count], self.bits, values, signed=False)
        low, high = self.span
        top = np.float32((1 << self.bits) - 1)
        x = codes.astype(np.float32) / top * np.float32(high - low) + np.float32(low)
        labels = self.reservoir.labels[:count].astype(np.int32)
        return x.reshape(count, *self.shape), labels

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the buffer into a file, whole or not at all; `load` goes on from there.

        Args:
            path: File, `.npz`.
        """
        file = io.BytesIO()
        reservoir = self.reservoir
        np.savez(
            file,
            codes=self._codes,
            labels=reservoir.labels,
            seen=reservoir.seen,
            full=reservoir.full,
            shape=np.array(self.shape, np.int64),
            bits=self.bits,
            span=np.array(self.span),
            seed=reservoir.seed,
        )
        write_atomically(path, file.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "RehearsalBuffer":
        """Returns the buffer that `save` wrote.

        Raises:
            ValueError: The file is none of `save`'s.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                held = {name: file[name] for name in file.files}
            one = Reservoir(1, held["seen"].size)
            fixed = one.nbytes - one.labels.nbytes
            buffer = cls(
                held["codes"].nbytes + held["labels"].nbytes + fixed,
                held["shape"].tolist(),
                held["seen"].size,
                int(held["bits"]),
                tuple(held["span"].tolist()),
                int(held["seed"]),
            )
            for target, name in (
                (buffer._codes, "codes"),
                (buffer.reservoir.labels, "labels"),
                (buffer.reservoir.seen, "seen"),
                (buffer.reservoir.full, "full"),
            ):
                target[:] = held[name]
        except (EOFError, LookupError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(
                "`path` must name a file that RehearsalBuffer.save wrote. "
                f"Received: {os.fspath(path)!r}, which is another ({error})."
            ) from error
        return buffer

    def _coded(self, sample: np.ndarray) -> np.ndarray:
        low, high = self.span
        shares = (np.asarray(sample, np.float64).ravel() - low) / (high - low)
        codes = np.rint(shares * ((1 << self.bits) - 1)).astype(np.uint8)
        return pack(codes, self.bits)

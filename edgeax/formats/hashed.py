"""HashBuckets: weights that share a few values by a hash of their places, so that nothing but these
values is stored (HashedNets).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeax.formats.base import NumberFormat, Params, check_whole, finite_float32, optional_scale
from edgeax.formats.methods import implements

MOST_SEED = 2**31 - 1
"""Largest seed: the hash of the signs has a seed `2**31` higher."""

# The primes of xxHash32, from the second to the fifth.
_PRIMES = tuple(np.uint32(p) for p in (2246822519, 3266489917, 668265263, 374761393))


def xxhash32(first: np.ndarray, second: np.ndarray, seed: int) -> np.ndarray:
    """Returns the xxHash32 of pairs of words, each pair taken as 8 bytes, least significant first.

    Args:
        first: uint32, any shape.
        second: uint32, broadcasts against `first`.
        seed: In 0..2**32-1.
    Returns:
        uint32, the shape of both, the same on every machine.
    """
    second_prime, third, fourth, fifth = _PRIMES
    start = np.uint32((seed + int(fifth) + 8) & 0xFFFFFFFF)  # 8: the length in bytes
    hashed = np.full(np.broadcast_shapes(np.shape(first), np.shape(second)), start)
    for word in (first, second):
        hashed = hashed + np.asarray(word, np.uint32) * third
        hashed = ((hashed << np.uint32(17)) | (hashed >> np.uint32(15))) * fourth
    hashed = (hashed ^ (hashed >> np.uint32(15))) * second_prime
    hashed = (hashed ^ (hashed >> np.uint32(13))) * third
    return hashed ^ (hashed >> np.uint32(16))


@implements(
    "CWT15",
    test="tests/formats/test_hashed.py::test_cwt15_a_bucket_is_the_least_squares_of_its_members",
)
@dataclass(frozen=True)
class HashBuckets(NumberFormat):
    """`W[i, j] = scale * sign(i, j) * bucket[place(i, j)]`: a hash of (i, j) says which value.

    j is the output channel, i the place in its filter, both counted from 0. `place` is
    `xxhash32(i, j, seed) % buckets`, `sign` the lowest bit of `xxhash32(i, j, seed + 2**31)`: 1 for
    a one, -1 for a zero. Shape, seed and values give the whole tensor back, so no code is stored,
    and a code has 0 bits. Codes are still there to compute with: `sign * (place + 1)`, int32.

    Source: [CWT15]; which hash, and of which bytes, is a choice of edgeax.

    Args:
        buckets: Number of values, 1 or more.
        seed: Of the hash, in 0..2**31-1.
    Raises:
        ValueError: An argument is out of its range.
    """

    buckets: int
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole(buckets=self.buckets, seed=self.seed)
        if not 1 <= self.buckets < 2**31:
            raise ValueError(
                f"`buckets` must be in 1..2**31-1. Received: {self.buckets}. "
                "A weight is the value of one of them."
            )
        if not 0 <= self.seed <= MOST_SEED:
            raise ValueError(
                f"`seed` must be in 0..2**31-1. Received: {self.seed}. Take a smaller number."
            )

    @property
    def bits(self) -> int:
        """Width of one stored code: 0, as its place says what it is."""
        return 0

    def codes_of(self, shape: Sequence[int]) -> np.ndarray:
        """Returns the codes of a tensor of this `shape`, int32, last axis the output channel."""
        channels = shape[-1] if shape else 1
        rows = np.arange(math.prod(shape) // max(channels, 1), dtype=np.uint32)[:, None]
        columns = np.arange(channels, dtype=np.uint32)
        places = xxhash32(rows, columns, self.seed) % np.uint32(self.buckets)
        signs = xxhash32(rows, columns, self.seed + MOST_SEED + 1) & np.uint32(1)
        codes = places.astype(np.int32) + 1
        return np.where(signs == 1, codes, -codes).reshape(tuple(shape))

    def fit(self, x: np.ndarray) -> Params:
        """Finds the values of least squared error: the mean of `sign * x` over a bucket's members.

        Args:
            x: Real values, all finite, any shape.
        Returns:
            `{"bucket": float32 (buckets,)}`, 0 for a bucket without members.
        Raises:
            ValueError: `x` is not finite.
        """
        x = finite_float32(x)
        codes = self.codes_of(x.shape).ravel()
        places = np.abs(codes) - 1
        sums = np.bincount(places, np.sign(codes) * x.ravel().astype(np.float64), self.buckets)
        members = np.bincount(places, minlength=self.buckets)
        return {"bucket": (sums / np.maximum(members, 1)).astype(np.float32)}

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the codes of the places of `x`, which follow from its shape alone.

        Raises:
            ValueError: `x` is not finite.
        """
        return self.codes_of(finite_float32(x).shape)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns float32 `scale * sign * bucket[place]`.

        Raises:
            ValueError: A code is 0 or beyond the last bucket, or params have the wrong shape.
        """
        codes = np.asarray(codes)
        bucket = finite_float32(params["bucket"], "params['bucket']")
        if bucket.shape != (self.buckets,):
            raise ValueError(
                f"`params['bucket']` must have shape ({self.buckets},). Received: shape "
                f"{bucket.shape}. Fit the same format."
            )
        places = np.abs(codes) - 1
        if codes.size and not 0 <= places.min() <= places.max() < self.buckets:
            raise ValueError(
                f"`codes` must have magnitudes in [1, {self.buckets}]. Received: "
                f"{places.min() + 1} to {places.max() + 1}. Encode with the same format."
            )
        signs = np.sign(codes).astype(np.float32)
        return optional_scale(params, codes.shape) * (signs * bucket[places])

    def per_channel(self) -> "HashBuckets":
        """Returns itself: a scale per channel comes on top of the values."""
        return self

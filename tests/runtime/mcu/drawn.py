"""Seeded tensors for files of one operator."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from tests.tflite_kernels.models import Tensor

TYPES = (np.int8, np.int16)
SCALE = 0.1


def codes(rng: Generator, shape: Sequence[int], dtype: type = np.int8) -> np.ndarray:
    """Draws codes, all alike."""
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max + 1, tuple(shape)).astype(dtype)


def every_code(dtype: type = np.int8) -> np.ndarray:
    """Returns all codes of a type, of 16 bits every seventh one, in a batch of one."""
    limits = np.iinfo(dtype)
    step = 1 if dtype == np.int8 else 7
    return np.arange(limits.min, limits.max + 1, step).astype(dtype)[None]


def tensor(
    name: str,
    shape: Sequence[int],
    dtype: type = np.int8,
    scale: float = SCALE,
    zero_point: int = 3,
    data: np.ndarray | None = None,
) -> Tensor:
    """Returns a quantized tensor; int16 has zero point 0."""
    zero = zero_point if dtype == np.int8 else 0
    return Tensor(name, tuple(shape), dtype, float(np.float32(scale)), zero, data)


def constant(name: str, values: object, dtype: type = np.int32) -> Tensor:
    """Returns a constant that is not quantized."""
    data = np.asarray(values, dtype)
    return Tensor(name, data.shape, dtype, data=data)


def scale(rng: Generator, dtype: type = np.int8) -> float:
    """Draws a scale between 1/3000 and 3, 128 times less for int16."""
    drawn = np.exp(rng.uniform(-8, 1)) / (1 if dtype == np.int8 else 128)
    return float(np.float32(drawn))


def zero_point(rng: Generator) -> int:
    """Draws a zero point, often an extreme one."""
    return int(rng.choice([-128, 127, 0, rng.integers(-128, 128)]))

"""Rows that are hard to code, for the tests of the coded formats here and in tflite_kernels."""

import numpy as np

from edgeax.formats.coded import CodedRows

INT32 = np.iinfo(np.int32)


def draw(seed: int) -> CodedRows:
    """Rows of a random shape, density, number of codes and size of biases; a few are uniform."""
    random = np.random.default_rng(seed)
    shape = tuple(random.choice([1, 2, 3, 7, 16, 33, 90], 2))
    distinct = random.choice([1, 2, 3, 15, 16, 17, 100, 256])
    choice = random.permutation(np.arange(-128, 128))[:distinct]
    density = random.choice([0.0, 0.02, 0.1, 0.4, 0.9, 1.0])
    if random.random() < 0.5:  # rows and columns of their own density
        odds = random.gamma(0.5, 2, shape[0])[:, None] * random.gamma(0.5, 2, shape[1])
        kept = random.random(shape) < density * odds
    else:
        kept = random.random(shape) < density
    codes = np.where(kept, random.choice(choice, shape), 0).astype(np.int8)
    bias = random.integers(-(1 << random.integers(32)), 1 << random.integers(32), shape[0])
    bias[random.random(shape[0]) < random.choice([0, 0.5, 1])] = 0
    bias[random.random(shape[0]) < 0.1] = random.choice([INT32.min, INT32.max, -1, 1])
    scale = random.choice([0.0, -0.5, 1e-30, 3e38], shape[0] if random.random() < 0.5 else 1)
    return CodedRows(codes, bias.astype(np.int32), scale.astype(np.float32))


def same(one: CodedRows, other: CodedRows) -> bool:
    """Whether all arrays are equal bit for bit."""
    return all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes()
        and getattr(one, name).shape == getattr(other, name).shape
        for name in ("codes", "bias", "scale")
    )

"""Inputs drawn for a program, and the outputs that an interpreter gives for them."""

import numpy as np

from edgeax.runtime.mcu import oracle
from edgeax.runtime.mcu.program import Program, Value

SEEDS = (1, 1 << 20, 1 << 30)
Vector = tuple[list[np.ndarray], list[np.ndarray]]


def drawn_vectors(data: bytes, program: Program, rounding: str) -> list[Vector]:
    """Returns inputs and outputs, as the tensors store them, each run from cleared state.

    Args:
        data: Bytes of the file.
        program: What was generated from it.
        rounding: "single" or "double".
    """
    inputs = [_drawn(data, program, seed) for seed in SEEDS]
    return [(drawn, oracle.outputs_of(data, drawn, rounding)) for drawn in inputs]


def _drawn(data: bytes, program: Program, seed: int) -> list[np.ndarray]:
    """Returns inputs from a stream `x = x * 1664525 + 1013904223`, whose top bits count."""
    state = seed
    drawn = []
    for number in program.inputs:
        value = program.values[number]
        count = int(np.prod(value.shape))
        words = np.empty(count, np.uint32)
        for i in range(count):
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            words[i] = state
        drawn.append(_as_type(words, value).reshape(value.shape))
    return drawn


def _as_type(words: np.ndarray, value: Value) -> np.ndarray:
    if value.dtype == "float32":
        return (words.astype(np.int64) / 2**30 - 2).astype(np.float32)
    if value.dtype == "bool":
        return words >> 31 == 1
    width = np.dtype(value.dtype).itemsize
    top = words >> (32 - 8 * width) if width < 4 else words >> 24
    return top.astype(f"uint{8 * width}").view(value.dtype)

"""Inputs drawn for a program, and the outputs that an interpreter gives for them."""

import math
from collections.abc import Sequence

import numpy as np

from edgeax.runtime.mcu import oracle
from edgeax.runtime.mcu.program import Program, Value

SEEDS = (1, 1 << 20, 1 << 30)
_BEYOND = 0.05
Vector = tuple[list[np.ndarray], list[np.ndarray]]


def drawn_vectors(data: bytes, program: Program, rounding: str) -> list[Vector]:
    """Returns inputs and outputs, as the tensors store them, each run from cleared state.

    Args:
        data: Bytes of the file.
        program: What was generated from it.
        rounding: "single" or "double".

    Raises:
        ValueError: An interpreter does not take the file.
    """
    inputs = [_drawn(program, seed) for seed in SEEDS]
    try:
        return [(drawn, oracle.outputs_of(data, drawn, rounding)) for drawn in inputs]
    except RuntimeError as error:
        raise ValueError(
            "the file must be one that an interpreter runs, for its outputs are the test of the "
            f"program. Received: {error}. Export the model again."
        ) from error


def _drawn(program: Program, seed: int) -> list[np.ndarray]:
    """Returns inputs from a stream `x = x * 1664525 + 1013904223`, whose top bits count."""
    state = seed
    drawn = []
    for number in program.inputs:
        value = program.values[number]
        words, state = _words(math.prod(value.shape), state)
        drawn.append(_as_type(words, value, _real_range(program, number)).reshape(value.shape))
    return drawn


def _as_type(words: np.ndarray, value: Value, real_range: tuple[float, float]) -> np.ndarray:
    if value.dtype == "float32":
        low, high = real_range
        return (low + (high - low) * (words / 2**32)).astype(np.float32)
    if value.dtype == "bool":
        return words >> 31 == 1
    width = np.dtype(value.dtype).itemsize
    top = words >> (32 - 8 * width) if width < 4 else words >> 24
    return top.astype(f"uint{8 * width}").view(value.dtype)


def drawn_inputs(values: Sequence[Value], seed: int) -> list[np.ndarray]:
    """Returns drawn codes for inputs of integers."""
    state, drawn = seed, []
    for value in values:
        words, state = _words(math.prod(value.shape), state)
        drawn.append(_as_type(words, value, (-1.0, 1.0)).reshape(value.shape))
    return drawn


def _words(count: int, state: int) -> tuple[np.ndarray, int]:
    """Returns so many numbers of the stream behind a state, and its last state."""
    words = np.empty(count, np.uint32)
    for i in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        words[i] = state
    return words, state


def _real_range(program: Program, number: int) -> tuple[float, float]:
    """Returns real numbers a little beyond what the codes that an input becomes can tell."""
    for step in program.steps:
        read = {program.storage(value) for value in step.values_read}
        codes = program.values[step.writes[0]]
        if program.storage(number) in read and codes.scale is not None and codes.dtype != "float32":
            limits = np.iinfo(codes.dtype)
            low, high = limits.min - codes.zero_point, limits.max - codes.zero_point
            margin = (high - low) * _BEYOND
            return codes.scale * (low - margin), codes.scale * (high + margin)
    return -1.0, 1.0

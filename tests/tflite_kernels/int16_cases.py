"""Seeded random calls of the operators that take int16 activations."""

import dataclasses

import numpy as np

from tests.tflite_kernels import random_cases
from tests.tflite_kernels.native import Case

OPERATORS = random_cases.OPERATORS[:5]
ENDS = np.iinfo(np.int16)


def draw(operator: str, seed: int) -> Case:
    """One case; the same for the same seed."""
    case = random_cases.draw(operator, seed)
    source = np.random.default_rng((16, random_cases.OPERATORS.index(operator), seed))
    extreme = np.abs(case.input).min() > 120
    shape = case.input.shape
    codes = source.choice(np.int16([ENDS.min, ENDS.max]), shape) if extreme else None
    if codes is None:
        codes = source.integers(ENDS.min, ENDS.max + 1, shape, dtype=np.int16)
    clamp = {"output_min": ENDS.min, "output_max": ENDS.max}
    if source.random() < 0.4:
        low, high = sorted(int(code) for code in source.integers(ENDS.min, ENDS.max + 1, 2))
        clamp = {"output_min": low, "output_max": high}
    return dataclasses.replace(
        case,
        options=case.options | clamp,
        input=codes,
        input_zero_point=0,
        output_zero_point=0,
    )


def kind_of_built_in(operator: str) -> str:
    """How TFLite's own operator rounds, and so the plugin."""
    return "single" if operator.endswith("FullyConnected") else "double"


def as_tflite_has_it(case: Case) -> Case:
    """A case without what the built-in operators lack: other clamps, scales of 0 and below, weights
    of -128.
    """
    if case.is_sparse:
        case.weights = np.maximum(case.weights, -127)
        random_cases.store(case)
    return dataclasses.replace(
        case,
        kind=kind_of_built_in(case.operator),
        options=case.options | {"output_min": ENDS.min, "output_max": ENDS.max},
        codebook=np.maximum(case.codebook, -127).astype(np.int8),
        scale=np.maximum(np.abs(case.scale), np.float32(1e-4)),
    )

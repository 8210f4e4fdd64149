"""numpy under the names of `keras.ops`: arithmetic that is written once runs on both.

A function that takes `ops` gets this module to compute on numpy arrays, or `keras.ops` to compute
on tensors inside a training step. It may use what stands here and nothing else.
"""

from typing import Any

import numpy as np
from numpy import (
    abs,
    any,
    broadcast_to,
    ceil,
    clip,
    concatenate,
    floor,
    logical_and,
    logical_or,
    max,
    maximum,
    mean,
    min,
    minimum,
    ones_like,
    reshape,
    round,
    searchsorted,
    shape,
    sign,
    sort,
    sqrt,
    stack,
    sum,
    take,
    where,
    zeros_like,
)

__all__ = [
    "abs",
    "any",
    "broadcast_to",
    "cast",
    "ceil",
    "clip",
    "concatenate",
    "floor",
    "logical_and",
    "logical_or",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "ones_like",
    "reshape",
    "round",
    "searchsorted",
    "shape",
    "sign",
    "sort",
    "sqrt",
    "stack",
    "sum",
    "take",
    "where",
    "zeros_like",
]


def cast(x: Any, dtype: str) -> np.ndarray:
    """Returns `x` in another dtype."""
    return np.asarray(x, dtype)

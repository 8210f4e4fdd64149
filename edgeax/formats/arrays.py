"""numpy under the names of `keras.ops`: arithmetic that is written once runs on both.

A function that takes `ops` gets this module to compute on numpy arrays, or `keras.ops` to compute
on tensors inside a training step. It may use what stands here and nothing else.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import (
    abs,
    any,
    bitwise_and,
    bitwise_or,
    broadcast_to,
    ceil,
    clip,
    concatenate,
    exp,
    floor,
    log2,
    logical_and,
    logical_or,
    max,
    maximum,
    mean,
    min,
    minimum,
    ones_like,
    reshape,
    right_shift,
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
    "bitwise_and",
    "bitwise_or",
    "broadcast_to",
    "cast",
    "ceil",
    "clip",
    "concatenate",
    "exp",
    "floor",
    "fori_loop",
    "log2",
    "logical_and",
    "logical_or",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "ones_like",
    "reshape",
    "right_shift",
    "round",
    "searchsorted",
    "shape",
    "sign",
    "sort",
    "sqrt",
    "stack",
    "sum",
    "take",
    "view",
    "where",
    "zeros_like",
]


def cast(x: Any, dtype: str) -> np.ndarray:
    """Returns `x` in another dtype."""
    return np.asarray(x, dtype)


def view(x: Any, dtype: str) -> np.ndarray:
    """Returns the bits of `x` as another dtype of the same width."""
    return np.asarray(x).view(dtype)


def fori_loop(lower: int, upper: int, body: Callable[[int, Any], Any], init: Any) -> Any:
    """Returns `init` after `value = body(step, value)` for every step in lower..upper - 1."""
    for step in range(lower, upper):
        init = body(step, init)
    return init

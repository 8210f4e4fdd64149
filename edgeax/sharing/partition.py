"""The optimal partition of sorted values, by the compiled library: core/partition.h."""

import ctypes
import functools
from typing import Any

import numpy as np

from edgeax.runtime.plugin import delegate_path

_SYMBOL = "edgeax_partition"
_NO_MEMORY = 5  # kEdgeaxNoMemory of adapters/c_api.h


def optimal_edges(values: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Returns where each of `count` intervals begins, and the end: int32 `(count + 1,)`, for which
    the sum of `weight * (value - mean of its interval)**2` is as small as can be.

    Args:
        values: float64, `(n,)`, ascending, magnitudes up to 1e60.
        weights: float64, `(n,)`, in [0, 1e60].
        count: At least 1, at most n.

    Raises:
        ValueError: An argument is out of its range.
        FileNotFoundError: The library is not there.
        ImportError: The library is older than this package.
        MemoryError: There is too little memory, 84 bytes for each value.
    """
    values = np.ascontiguousarray(values, np.float64)
    weights = np.ascontiguousarray(weights, np.float64)
    if not 1 <= count <= values.size or weights.shape != values.shape:
        raise ValueError(
            "`count` must lie between 1 and the number of values, each of which has a weight. "
            f"Received: count={count}, {values.size} values, {weights.size} weights."
        )
    edges = np.zeros(count + 1, np.int32)
    status = _function()(
        values.ctypes.data, weights.ctypes.data, values.size, count, edges.ctypes.data
    )
    if status == _NO_MEMORY:
        raise MemoryError(f"There is no memory for a partition of {values.size} values.")
    if status:
        raise ValueError(
            "`values` must ascend, up to 1e60 in magnitude, and `weights` lie in [0, 1e60]. "
            f"Received: values from {values[0]:g} to {values[-1]:g}, weights from "
            f"{weights.min():g} to {weights.max():g}. Scale them."
        )
    return edges


@functools.cache
def _function() -> Any:
    path = delegate_path()
    try:
        function = getattr(ctypes.CDLL(path), _SYMBOL)
    except (AttributeError, OSError) as error:
        raise ImportError(
            f"The plugin library of edgeax must have {_SYMBOL}. Received: {path}, which does not "
            f"load or is older than this package ({error}). Build it again: pip install -e . in a "
            "clone of the repository."
        ) from error
    function.restype = ctypes.c_int32
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    function.argtypes = [pointer, pointer, size, size, pointer]
    return function

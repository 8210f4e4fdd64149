"""What scales are made of: extremes and means of a tensor, and exact powers of two.

Written once for numpy and for tensors in the graph: `ops` is `formats.arrays` or `keras.ops`.
Sums and divisions by constants run in float64, so that both round to the same float32: sums come
in another order in the graph, and its compiler turns a division into a product.
"""

from typing import Any

import numpy as np

_SMALLEST_EXPONENT = -126


def largest_magnitude(x: Any, axis: int | None, ops: Any) -> Any:
    """Returns max|x|, float32 `()`, or `(channels,)` over all axes but the last if `axis` is -1."""
    return ops.max(ops.abs(x), axis=reduced_axes(x, axis))


def mean_magnitude(x: Any, axis: int | None, ops: Any) -> Any:
    """Returns E|x|, float32 `()`, or `(channels,)` over all axes but the last if `axis` is -1."""
    wide = ops.cast(ops.abs(x), "float64")
    return ops.cast(ops.mean(wide, axis=reduced_axes(x, axis)), "float32")


def reduced_axes(x: Any, axis: int | None) -> tuple[int, ...] | None:
    """Returns the axes over which a scale is shared: all (None), or all but the last (-1)."""
    return None if axis is None else tuple(range(len(x.shape) - 1))


def quotient(x: Any, divisor: float, ops: Any) -> Any:
    """Returns `x / divisor` for a constant, correctly rounded to float32."""
    return ops.cast(ops.cast(x, "float64") / divisor, "float32")


def nonzero(scale: Any, ops: Any) -> Any:
    """Returns `scale` with 1 where it is 0 or subnormal: all values are zero there."""
    return ops.where(scale < np.finfo(np.float32).tiny, ops.ones_like(scale), scale)


def floor_log2(x: Any, ops: Any) -> Any:
    """Returns the exact floor(log2(x)) of normal positive float32, int32; -127 below them."""
    return ops.right_shift(ops.view(x, "int32"), 23) - 127


def ceil_log2(x: Any, ops: Any) -> Any:
    """Returns the exact ceil(log2(x)) of normal positive float32, int32; -126 below them."""
    bits = ops.view(x, "int32") + np.int32(0x7FFFFF)  # any bit of the mantissa carries over
    return ops.maximum(ops.right_shift(bits, 23) - 127, _SMALLEST_EXPONENT)


def power_of_two(exponent: Any, ops: Any) -> Any:
    """Returns 2**exponent, float32, exact; exponents are clipped to [-126, 127]."""
    exponent = ops.clip(ops.cast(exponent, "int32"), _SMALLEST_EXPONENT, 127)
    return ops.view((exponent + 127) * np.int32(1 << 23), "float32")

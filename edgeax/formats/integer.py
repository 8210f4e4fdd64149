"""Integer formats of 2 to 16 bits: symmetric or affine, one scale per tensor or per channel."""

import dataclasses

import numpy as np

from edgeax.formats.base import (
    NumberFormat,
    Params,
    check_whole,
    finite_float32,
    optional_scale,
    signed_range,
)
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format


@implements(
    "JKC18",
    test="tests/formats/test_integer.py::test_jkc18_affine_equals_tensorflows_fake_quant",
)
@dataclasses.dataclass(frozen=True)
class Integer(NumberFormat):
    """Integer codes: `real = scale * (code - zero_point)`, float32 scale.

    Symmetric: `scale = max|x| / (2**(bits-1) - 1)`, zero point 0. Affine [JKC18]: the range of
    `x`, widened to contain 0, is spread over all codes; the zero point is nudged to a code so
    that 0.0 is exact, as TensorFlow's fake-quant operators do it.

    Args:
        bits: Width of a code, 2 to 16.
        symmetric: Whether the zero point is always 0.
        axis: None for one scale per tensor, -1 for one per output channel (the last axis).
        narrow: Symmetric only: leave out the lowest code, so that the range is balanced
            (8 bits: [-127, 127]). Affine formats use every code.
    Raises:
        ValueError: `bits` or `axis` is not supported.
    Example: `Integer(8).encode(x, Integer(8).fit(x))`.
    Source: [JKC18].
    """

    bits: int = 8
    symmetric: bool = True
    axis: int | None = None
    narrow: bool = True

    def __post_init__(self) -> None:
        check_whole(bits=self.bits)
        if not 2 <= self.bits <= 16:
            raise ValueError(
                f"`bits` must be in 2..16. Received: {self.bits}. Choose a width that fits int16."
            )
        if self.axis not in (None, -1):
            raise ValueError(
                f"`axis` must be None (per tensor) or -1 (per output channel). Received: "
                f"{self.axis}. Transpose the tensor so that the channel axis comes last."
            )

    @property
    def code_range(self) -> tuple[int, int]:
        """The lowest and the highest code."""
        low, high = signed_range(self.bits)
        return (-high, high) if self.symmetric and self.narrow else (low, high)

    def fit(self, x: np.ndarray) -> Params:
        """Fits scale and zero point to the extremes of `x`.

        A known range is fitted by passing its ends: `fit(np.stack([lowest, highest]))`.

        Args:
            x: Real values; per channel: shape `(..., channels)`. Empty or all-zero gives scale 1.
        Returns:
            `{"scale": float32}` of shape `()` or `(channels,)`; affine: also `"zero_point"`,
            int32 of the same shape, in `[-2**(bits-1), 2**(bits-1) - 1]`.
        Raises:
            ValueError: `x` is not finite, its range overflows float32, or it has no axis.
        """
        x = finite_float32(x)
        if self.axis is not None and x.ndim == 0:
            raise ValueError("`x` must have a channel axis. Received: a scalar. Use axis=None.")
        axes = None if self.axis is None else tuple(range(x.ndim - 1))
        low = x.min(axis=axes, initial=0)
        high = x.max(axis=axes, initial=0)
        if self.symmetric:
            return {"scale": _scale(np.maximum(-low, high), signed_range(self.bits)[1])}
        return self._fit_affine(low, high)

    def _fit_affine(self, low: np.ndarray, high: np.ndarray) -> Params:
        levels = (1 << self.bits) - 1
        with np.errstate(over="ignore"):
            scale = _scale(finite_float32(high - low, "max(x) - min(x)"), levels)
        # Half away from zero, computed in float64 where adding 0.5 is exact; the value is >= 0.
        nearest = np.floor((-low / scale).astype(np.float64) + 0.5)
        offset = np.clip(nearest, 0, levels).astype(np.int32)
        return {"scale": scale, "zero_point": offset + np.int32(signed_range(self.bits)[0])}

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns codes: `clip(rint(x / scale) + zero_point)`, halves to even, in float32.

        They are int8, or int16 where a code is wider than 8 bits.

        Args:
            x: Real values in the shape that was fitted.
            params: What `fit` returned.
        Raises:
            ValueError: `x` is not finite, or the scale has the wrong shape or is 0.
        """
        x = finite_float32(x)
        scale = self.checked_scale(params, x.shape, divides=True)
        low, high = self.code_range
        with np.errstate(over="ignore"):  # a far value times 1 / scale may be infinite: clipped
            steps = np.rint(x / scale)
        steps = np.clip(steps, -(2.0**17), 2.0**17).astype(np.int32)
        return np.clip(steps + _zero_point(params), low, high).astype(
            np.int8 if self.bits <= 8 else np.int16
        )

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns float32 `scale * (codes - zero_point)`, rounded once.

        Args:
            codes: Integer array, last axis = output channel.
            params: What `fit` returned; the scale may be negative or 0.
        Raises:
            ValueError: `codes` are no integers, or the scale has the wrong shape.
        """
        codes = np.asarray(codes)
        if not np.issubdtype(codes.dtype, np.integer):
            raise ValueError(
                f"`codes` must be integers. Received: {codes.dtype}. Call `encode` first."
            )
        scale = self.checked_scale(params, codes.shape)
        return scale * (codes.astype(np.int32) - _zero_point(params)).astype(np.float32)

    def per_channel(self) -> "Integer":
        """Returns the same format with axis=-1."""
        return dataclasses.replace(self, axis=-1)

    def checked_scale(
        self, params: Params, shape: tuple[int, ...], divides: bool = False
    ) -> np.ndarray:
        """Returns the scale for a tensor of `shape`, float32 of shape `()` or `(channels,)`.

        Raises:
            ValueError: it is not finite or not of the shape that `axis` asks for, or `divides`
                and it holds a 0.
        """
        scale = optional_scale(params, shape, divides)
        if (scale.ndim == 0) != (self.axis is None):
            raise ValueError(
                f"`params['scale']` must have shape {() if self.axis is None else shape[-1:]} "
                f"when axis={self.axis}. Received: shape {scale.shape}. Fit the same format."
            )
        return scale


name_format(
    r"int(\d+)",
    lambda bits, axis=None: Integer(bits, axis=axis),
    [f"int{bits}" for bits in (2, 3, 4, 5, 6, 7, 8, 16)],
)


def _scale(span: np.ndarray, steps: int) -> np.ndarray:
    """Returns span / steps in float32; 1 where that is 0 or subnormal (TensorFlow flushes it)."""
    scale = np.asarray(span, np.float32) / np.float32(steps)
    return np.where(scale < np.finfo(np.float32).tiny, np.float32(1), scale)


def _zero_point(params: Params) -> np.ndarray:
    return np.asarray(params.get("zero_point", 0), np.int32)

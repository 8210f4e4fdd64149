"""S2FP8: FP8 of values that were shifted and squeezed in the logarithm to fill its range."""

import dataclasses
import functools
from typing import Any

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.base import Params, finite_float32, optional_scale
from edgeax.formats.methods import implements
from edgeax.formats.minifloat import Minifloat
from edgeax.formats.names import name_format

_TINY = float(np.finfo(np.float32).tiny)
_TOP = 15.0  # log2 that the largest magnitude is mapped to
_LEAST_SPREAD = 2.0**-6  # below, in octaves, all magnitudes are one


@implements(
    "CBG20",
    test="tests/formats/test_s2fp8.py::test_cbg20_mean_logarithm_is_0_and_the_largest_15",
)
@dataclasses.dataclass(frozen=True)
class S2FP8(ArrayFormat):
    """`|real| = (2**-beta * fp8)**(1 / alpha)` with FP8 of 1-5-2 and the sign beside.

    `alpha = 15 / (m - mu)` and `beta = -alpha * mu` with mu and m the mean and the maximum of
    `log2|x|` over the values that are not 0 (below 2**-126 they count as 0). Where all magnitudes
    are nearly one (m - mu below 1/64) alpha is 1. Two values are taken for the ends of a fixed
    range, which say nothing on the distribution: alpha is 1 then, and the larger magnitude becomes
    2**15.

    Codes are those of `Minifloat(5, 2)`.

    Source: [CBG20].
    """

    measure = "values"

    @property
    def bits(self) -> int:
        """Width of a code in bits: 8."""
        return 8

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns alpha and beta, float32 `()`; see base."""
        magnitude = ops.cast(ops.abs(x), "float64")
        used = magnitude >= _TINY
        logs = ops.log2(ops.where(used, magnitude, ops.ones_like(magnitude)))
        count = ops.maximum(ops.sum(ops.cast(used, "float64")), 1.0)
        mean = ops.sum(logs) / count
        highest = ops.max(ops.where(used, logs, ops.zeros_like(logs) - 200.0))
        highest = ops.maximum(highest, mean)  # where nothing is used
        spread = highest - mean
        if tuple(x.shape) == (2,):
            alpha, beta = ops.ones_like(mean), _TOP - highest
        else:
            narrow = spread < _LEAST_SPREAD
            alpha = ops.where(narrow, 1.0, _TOP / ops.maximum(spread, _LEAST_SPREAD))
            beta = -alpha * mean
        return {"alpha": ops.cast(alpha, "float32"), "beta": ops.cast(beta, "float32")}

    @functools.cached_property
    def _fp8(self) -> tuple[np.ndarray, np.ndarray]:
        """log2 of the positive values of FP8, float64, and of where values begin to go to them."""
        levels = Minifloat(5, 2).levels
        positive = levels > 0
        boundaries = Minifloat(5, 2).boundaries[positive[1:]]
        return np.log2(levels[positive].astype(np.float64)), np.log2(boundaries.astype(np.float64))

    def _unsqueezed(self, logs: np.ndarray, params: dict[str, Any], ops: Any) -> Any:
        """Returns the magnitudes that FP8 numbers stand for, float32."""
        alpha, beta = ops.cast(params["alpha"], "float64"), ops.cast(params["beta"], "float64")
        powers = ops.clip((logs - beta) / alpha, -126.0, 127.999)
        # Not exp2, which Keras has for float32 only.
        return ops.cast(ops.exp(powers * np.log(2.0)), "float32")

    def _levels(self, params: dict[str, Any], ops: Any) -> Any:
        """Returns the magnitudes in the order of their codes, float32 `(124,)`."""
        positive = self._unsqueezed(self._fp8[0], params, ops)
        return ops.concatenate([np.zeros(1, np.float32), positive], axis=0)

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the values that `x` is stored as; with noise a random one of both neighbors."""
        scale = params.get("scale")
        x = x if scale is None else x / scale
        levels = self._levels(params, ops)
        values = ops.take(levels, self._places(x, params, levels, ops, noise))
        values = ops.where(x < 0, -values, values)
        return values if scale is None else scale * values

    def _places(
        self, x: Any, params: dict[str, Any], levels: Any, ops: Any, noise: Any = None
    ) -> Any:
        """Returns the index of the magnitude that each value goes to, int32."""
        flat = ops.reshape(ops.abs(x), (-1,))
        if noise is None:
            boundaries = self._unsqueezed(self._fp8[1], params, ops)
            found = ops.cast(ops.searchsorted(boundaries, flat, side="right"), "int32")
            return ops.reshape(found, ops.shape(x))
        below = ops.cast(ops.searchsorted(levels[1:-1], flat, side="right"), "int32")
        low, high = ops.take(levels, below), ops.take(levels, below + 1)
        up = ops.reshape(noise, (-1,)) < (flat - low) / (high - low)
        return ops.reshape(below + ops.cast(up, "int32"), ops.shape(x))

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the FP8 codes, uint8.

        Raises:
            ValueError: `x` is not finite, or the scale has the wrong shape or is 0.
        """
        x = finite_float32(x)
        with np.errstate(over="ignore"):
            x = x / optional_scale(params, x.shape, divides=True)
        places = np.asarray(self._places(x, params, self._levels(params, arrays), arrays))
        return (places + np.where(x < 0, 128, 0)).astype(np.uint8)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns float32 `scale * sign * (2**-beta * fp8)**(1 / alpha)`.

        Raises:
            ValueError: a code stands for no finite number, or the scale has the wrong shape.
        """
        codes = np.asarray(codes)
        levels = np.asarray(self._levels(params, arrays))
        if codes.size and np.max(codes & 127) >= levels.size:
            raise ValueError(
                f"`codes` must be those of finite FP8 numbers, up to {levels.size - 1} besides the "
                f"sign. Received: {np.max(codes & 127)}. Encode with the same format."
            )
        values = np.where(codes >= 128, -levels[codes & 127], levels[codes & 127])
        return optional_scale(params, codes.shape) * values

    def per_channel(self) -> "S2FP8":
        """Returns itself: any scale is taken."""
        return self


name_format(r"s2fp8", lambda axis=None: S2FP8(), ["s2fp8"])

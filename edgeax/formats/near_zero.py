"""Near-zero values as zeros: float32 numbers, those of small magnitude left out."""

import dataclasses
import math
from typing import Any

import numpy as np

from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.base import Params, finite_float32, optional_scale


@dataclasses.dataclass(frozen=True)
class NearZeroFloat(ArrayFormat):
    """float32 values, but 0 where `|x| < threshold`. Fitted params are empty.

    Args:
        threshold: Above 0 and finite.
    Raises:
        ValueError: `threshold` is out of its range.
    """

    threshold: float = 0.01

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold < math.inf:
            raise ValueError(
                f"`threshold` must be above 0 and finite. Received: threshold={self.threshold}."
            )

    @property
    def bits(self) -> int:
        """Width of one value in bits: 32."""
        return 32

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns no params."""
        del x, ops
        return {}

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the values, near-zero ones as 0; nothing is rounded otherwise."""
        del params, noise
        return ops.where(ops.abs(x) < np.float32(self.threshold), np.float32(0.0), x)

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the values themselves, divided by the scale where `params` hold one.

        Raises:
            ValueError: `x` is not finite, or the scale has the wrong shape or holds a 0.
        """
        x = finite_float32(x)
        kept = np.where(np.abs(x) < np.float32(self.threshold), np.float32(0.0), x)
        return kept / optional_scale(params, x.shape, divides=True)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns the codes, times the scale where `params` hold one.

        Raises:
            ValueError: the codes are not finite, or the scale has the wrong shape.
        """
        codes = finite_float32(codes, "codes")
        return codes * optional_scale(params, codes.shape)

    def per_channel(self) -> "NearZeroFloat":
        """Returns itself: any scale is taken."""
        return self

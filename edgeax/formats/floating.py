"""The float32 format: what a tensor is stored in when nothing quantizes it."""

import dataclasses

import numpy as np

from edgeax.formats.base import NumberFormat, Params, finite_float32, optional_scale


@dataclasses.dataclass(frozen=True)
class Float32(NumberFormat):
    """Values stored as they are: the codes are float32. Fitted params are empty."""

    @property
    def bits(self) -> int:
        """Width of one value in bits: 32."""
        return 32

    def fit(self, x: np.ndarray) -> Params:
        """Returns no params.

        Raises:
            ValueError: `x` is not finite.
        """
        finite_float32(x)
        return {}

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns `x` as float32, divided by the scale where `params` hold one.

        Raises:
            ValueError: `x` is not finite, or the scale has the wrong shape or holds a 0.
        """
        x = finite_float32(x)
        return x / optional_scale(params, x.shape, divides=True)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns the codes, times the scale where `params` hold one (`EncodedTensor.scaled`).

        Raises:
            ValueError: the codes are not finite, or the scale has the wrong shape.
        """
        codes = finite_float32(codes, "codes")
        return codes * optional_scale(params, codes.shape)

    def per_channel(self) -> "Float32":
        """Returns itself: any scale is taken."""
        return self

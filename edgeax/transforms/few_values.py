"""FewValues: base of the quantizers of a few fixed values that lie on no grid of integers."""

import abc
from typing import Any

import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, NumberFormat, Params
from edgeax.transforms.quantize import Quantizer


class FewValues(Quantizer):
    """Puts activations on a few values."""

    keeps_zero = False

    @abc.abstractmethod
    def levels(self) -> np.ndarray | None:
        """Returns values of an activation, float32, sorted, the lowest and the highest among them;
        None before any batch was seen.
        """

    @property
    def extremes(self) -> tuple[float, float] | None:
        """The activation's range `(low, high)`, containing 0, or None before any batch was seen."""
        levels = self.levels() if self.role == "activation" else None
        if levels is None:
            return None
        return min(0.0, float(levels[0])), max(0.0, float(levels[-1]))

    @abc.abstractmethod
    def activation_params(self) -> Params | None:
        """Returns the params of an activation's format, or None before any batch was seen."""


def stored(
    units: np.ndarray, format: NumberFormat, scale: Any, mask: np.ndarray | None
) -> EncodedTensor:
    """Returns a weight `scale * units`, in codes.

    Args:
        units: float32, -1, 1 or, where the format has it, 0.
        format: `Binary` or `Ternary`.
        scale: float32 `()` or `(channels,)`; it may be 0.
        mask: As `EncodedTensor` takes it.
    """
    scale = np.broadcast_to(np.asarray(scale, np.float32), units.shape[-1:])
    codes = format.encode(units, {"threshold": np.asarray(0.5, np.float32)})
    return EncodedTensor(codes, format, {"scale": scale}, mask)


def sign(x: tf.Tensor) -> tf.Tensor:
    """Returns -1 for what is negative, else 1: zero has the sign 1 in all binary networks."""
    return tf.where(x >= 0.0, 1.0, -1.0)

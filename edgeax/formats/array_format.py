"""ArrayFormat: a number format whose arithmetic is written once, for numpy and for the graph."""

import abc
from typing import Any, Literal, Self

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.base import NumberFormat, Params, finite_float32


class ArrayFormat(NumberFormat):
    """A format that can round inside a training step, and rounds there as `encode` does.

    `ops` is `formats.arrays` for numpy arrays or `keras.ops` for tensors; see there what may be
    used of it.

    Attributes:
        measure: In what the params of an activation are found: in the two ends of its `"range"`,
            in all its `"values"`, or in each `"batch"` anew.
    """

    measure: Literal["range", "values", "batch"] = "range"

    @abc.abstractmethod
    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns the params that suit `x`, float32 and finite, as arrays or tensors.

        A known range is fitted by passing its ends: `found(ops.stack([low, high]), ops)`.
        """

    @abc.abstractmethod
    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the real values that `x` is stored as: `decode(encode(x, params), params)`.

        Args:
            x: float32, any shape, finite.
            params: What `found` returned.
            ops: `formats.arrays` or `keras.ops`.
            noise: None rounds to nearest. Uniform random float32 in [0, 1) of the shape of `x`
                rounds stochastically: up with the probability that is the distance from below.
        """

    def for_activations(self) -> Self:
        """Returns the format that stands for this one at an activation, first axis the sample."""
        return self

    def fit(self, x: np.ndarray) -> Params:
        """Finds the params that suit `x` (real values, any shape, all finite).

        Raises:
            ValueError: `x` is not finite.
        """
        found = self.found(finite_float32(x), arrays)
        return {name: np.asarray(value) for name, value in found.items()}

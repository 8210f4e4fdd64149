"""Reading: what a layer makes of the units that one group of channels gives it, on plain arrays.

What a group loses can be made up for where it is read: the weights of what stays are changed so
that the layer gives what it gave before, as well as that goes on some samples.
"""

import dataclasses

import numpy as np

_RIDGE = 1e-7  # of the mean of the diagonal: decides where the samples do not


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """Inputs of a layer as a matrix, and the outputs that it should give.

    Attributes:
        inputs: float64 `(rows, size)`: what the kernel multiplies in the pruned model, a row for
            each place of each sample.
        targets: float64 `(rows, outputs)`: what the layer gives there in the original model, before
            its bias and activation.
        kernel: float64 `(size, outputs)`: as the pruned model has it now.
        units: int `(size,)`: which unit of the group each row of the kernel reads; -1: none.
    """

    inputs: np.ndarray
    targets: np.ndarray
    kernel: np.ndarray
    units: np.ndarray

    @property
    def size(self) -> int:
        """How many units the group has."""
        return int(self.units.max(initial=-1)) + 1

    @property
    def wanted(self) -> np.ndarray:
        """What the units of the group should add up to, float64 `(rows, outputs)`: the targets
        without what the layer makes of other inputs.
        """
        others = self.units < 0
        return self.targets - self.inputs[:, others] @ self.kernel[others]

    def error(self, kernel: np.ndarray) -> float:
        """Returns the mean over rows of `|targets - inputs @ kernel|**2`."""
        return float(np.sum((self.targets - self.inputs @ kernel) ** 2) / len(self.inputs))

    def without(self, kept: np.ndarray) -> np.ndarray:
        """Returns the kernel in which the units that are not kept have zeros.

        Args:
            kept: Units, int.
        """
        return np.where(self._stays(kept)[:, None] | (self.units < 0)[:, None], self.kernel, 0.0)

    def least_squares(self, kept: np.ndarray) -> np.ndarray:
        """Returns the kernel of the smallest `error` that reads the kept units alone, and what is
        not of the group as before.

        Where the samples leave it open, the weights stay near what they were.

        Args:
            kept: Units, int.
        """
        rows = self._stays(kept)
        given, kernel = self.inputs[:, rows], self.without(kept)
        gram = given.T @ given
        ridge = _RIDGE * np.trace(gram) / max(len(gram), 1) + np.finfo(np.float64).tiny
        residual = given.T @ (self.wanted - given @ kernel[rows])
        kernel[rows] += np.linalg.solve(gram + ridge * np.eye(len(gram)), residual)
        return kernel

    def scaled(self, scales: np.ndarray) -> np.ndarray:
        """Returns the kernel with the rows of each unit multiplied by one factor.

        Args:
            scales: `(units,)`.
        """
        factors = np.where(self.units < 0, 1.0, scales[self.units])
        return self.kernel * factors[:, None]

    def _stays(self, kept: np.ndarray) -> np.ndarray:
        return np.isin(self.units, np.asarray(kept))

"""Learned rounding (AdaRound): whether each weight is rounded up or down is trained."""

import numpy as np

from edgeax.formats import implements
from edgeax.post_training.case import Case, Correction
from edgeax.post_training.kernels import (
    descended,
    error,
    grid_kernels,
    mean_diagonal,
    objective,
    set_kernel,
)

_STRETCH_LOW, _STRETCH_HIGH = -0.1, 1.1
_BETAS = (20.0, 2.0)
_WARM_UP = 0.2
_STRENGTH = 0.1


@implements(
    "AdaRound",
    test="tests/post_training/test_learned_rounding.py::test_adaround_comes_near_the_best_of_all_roundings",
)
class LearnedRounding(Correction):
    """Rounds each weight up or down so that the outputs of its layer keep (AdaRound).

    A code is `floor(w / step) + h`, `h = clip(1.2 sigmoid(v) - 0.1, 0, 1)`. Adam trains v on the
    squared error of the layer's outputs plus `0.1 sum(1 - |2h - 1|**beta)`, which from the fifth
    part of the steps on draws h to 0 or 1 while beta falls from 20 to 2. Coordinate descent on the
    codes ends it; see `kernels.descended`. Never worse than rounding to nearest. As recalled from
    Nagel et al., "Up or Down? Adaptive Rounding", 2020.

    Args:
        steps: Steps of Adam for each layer, 1 or more.
        learning_rate: Above 0.

    Raises:
        ValueError: An argument is out of its range.
    """

    needs_samples = 1

    def __init__(self, steps: int = 500, learning_rate: float = 0.03) -> None:
        if steps < 1 or not learning_rate > 0.0:
            raise ValueError(
                "`steps` must be at least 1 and `learning_rate` above 0. "
                f"Received: steps={steps}, learning_rate={learning_rate}."
            )
        self.steps = steps
        self.learning_rate = learning_rate

    def correct(self, case: Case) -> None:
        """See `Correction.correct`."""
        for kernel in grid_kernels(case, "Learned rounding", "learned rounding"):
            gram, target = objective(case.moments(kernel.path), kernel.original)
            codes = self.codes(gram, target / kernel.step, kernel.top)
            matrix = kernel.step * codes
            if error(matrix, target, gram) < error(kernel.rounded, target, gram):
                set_kernel(case, kernel.path, matrix)

    def codes(self, gram: np.ndarray, target: np.ndarray, top: int) -> np.ndarray:
        """Returns the codes of a matrix.

        Args:
            gram: float64 `(groups, size, size)`: mean of `x x^T` over inputs x.
            target: float64 `(groups, size, outputs)` in units of the step.
            top: The largest code.
        """
        unit = np.maximum(mean_diagonal(gram), 1e-30)
        wide, wanted = gram / unit, target
        gram, target = wide.astype(np.float32), target.astype(np.float32)
        below = np.clip(np.floor(target), -top, top)
        part = np.clip(target - below, 0.01, 0.99)
        stretch = _STRETCH_HIGH - _STRETCH_LOW
        logits = -np.log(stretch / (part - _STRETCH_LOW) - 1.0)
        adam = Adam(self.learning_rate)
        for step in range(self.steps):
            sigmoid = 1.0 / (1.0 + np.exp(-logits))
            raised = stretch * sigmoid + _STRETCH_LOW
            up = np.clip(raised, 0.0, 1.0)
            inside = (raised > 0.0) & (raised < 1.0) & (np.abs(below + up) <= top)
            gradient = 2.0 * (gram @ (below + up - target)) + _drawing(up, step / self.steps)
            logits = adam.updated(logits, gradient * inside * stretch * sigmoid * (1.0 - sigmoid))
        raised = stretch / (1.0 + np.exp(-logits)) + _STRETCH_LOW
        codes = np.clip(below + (raised >= 0.5), -top, top).astype(np.float64)
        return descended(wide, wanted, np.ones((1, 1, 1)), top, codes)


class Adam:
    """Adam in numpy, with its usual decay rates.

    Args:
        learning_rate: Above 0.
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.first: np.ndarray | float = 0.0
        self.second: np.ndarray | float = 0.0
        self.count = 0

    def updated(self, values: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Returns values after a step along a gradient."""
        self.count += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient * gradient
        first = self.first / (1.0 - 0.9**self.count)
        second = self.second / (1.0 - 0.999**self.count)
        return values - self.learning_rate * first / (np.sqrt(second) + 1e-8)


def _drawing(up: np.ndarray, progress: float) -> np.ndarray | float:
    """Returns the gradient of the term that draws h to 0 or 1."""
    if progress < _WARM_UP:
        return 0.0
    start, end = _BETAS
    part = (progress - _WARM_UP) / (1.0 - _WARM_UP)
    beta = end + 0.5 * (start - end) * (1.0 + np.cos(np.pi * part))
    distance = 2.0 * up - 1.0
    return -_STRENGTH * 2.0 * beta * np.sign(distance) * np.abs(distance) ** (beta - 1.0)

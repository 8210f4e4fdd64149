"""Kernels on the grid by the alternating direction method of multipliers, layer by layer."""

import numpy as np

from edgeax.formats import implements
from edgeax.post_training.case import Case, Correction
from edgeax.post_training.kernels import (
    descended,
    error,
    grid_kernels,
    mean_diagonal,
    nearest,
    objective,
    set_kernel,
)

_PATIENCE = 3
_TEST = "tests/post_training/test_admm.py::"


@implements("LLZJ17", test=_TEST + "test_llzj17_the_projection_is_that_of_brute_force")
def project(values: np.ndarray, top: int, step: np.ndarray, rounds: int = 10) -> np.ndarray:
    """Returns the steps of the grid nearest to values: `min |V - step * Q|**2`.

    In turns `Q = clip(round(V / step))` and `step = V.Q / Q.Q`, from `step` on. Source: [LLZJ17].

    Args:
        values: float64 `(groups, size, outputs)`.
        top: The largest code of Q, 1 or more.
        step: float64 `(groups, 1, outputs)`, where each output has one, or `(1, 1, 1)`; above 0.
        rounds: Turns at most.

    Returns:
        float64 of the shape of `step`.
    """
    axes = tuple(axis for axis in range(values.ndim) if step.shape[axis] == 1)
    for _ in range(rounds):
        codes = np.clip(np.rint(values / step), -top, top)
        squares = np.sum(codes * codes, axis=axes, keepdims=True)
        products = np.sum(values * codes, axis=axes, keepdims=True)
        better = np.divide(products, squares, step.copy(), where=squares > 0)
        if np.array_equal(better, step):
            break
        step = better
    return step


@implements("CWP19", test=_TEST + "test_cwp19_the_outputs_err_less_than_by_nearest_rounding")
class ADMM(Correction):
    """Finds the codes and steps of each kernel that keep the outputs of its layer.

    `min tr((G - W)^T H (G - W))` over G on the grid, H the Gram matrix of the inputs, in turns:
    `W = (H + rho)^-1 (H W0 + rho (G - U))`, `G = project(W + U)`, `U += W - G`, rho the mean of the
    diagonal of H. It ends after `rounds`, or three turns without gain. Coordinate descent on the
    codes of the best G ends it; see `kernels.descended`. Source: [LLZJ17]; [CWP19], whose "bits"
    count levels.

    Args:
        rounds: Turns at most, 1 or more.

    Raises:
        ValueError: `rounds` is below 1.
    """

    needs_samples = 1

    def __init__(self, rounds: int = 100) -> None:
        if rounds < 1:
            raise ValueError(f"`rounds` must be at least 1. Received: rounds={rounds}.")
        self.rounds = rounds

    def correct(self, case: Case) -> None:
        """See `Correction.correct`."""
        for kernel in grid_kernels(case, "ADMM", "ADMM"):
            gram, target = objective(case.moments(kernel.path), kernel.original)
            step = kernel.step if kernel.per_channel else kernel.step[:1, :, :1]
            matrix, step = solve(gram, target, step, kernel.top, self.rounds)
            if error(matrix, target, gram) < error(kernel.rounded, target, gram):
                set_kernel(case, kernel.path, matrix, step)


def solve(
    gram: np.ndarray, target: np.ndarray, step: np.ndarray, top: int, rounds: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the matrix on the grid that keeps outputs, and the steps of its grid.

    Args:
        gram: float64 `(groups, size, size)`: mean of `x x^T` over inputs x.
        target: float64 `(groups, size, outputs)`: the matrix to stay near to.
        step: The first steps; see `project`.
        top: The largest code.
        rounds: Turns at most.
    """
    size = target.shape[1]
    rho = mean_diagonal(gram)
    inverse = np.linalg.inv(gram + rho * np.eye(size))
    on_grid, dual = nearest(target, step, top), np.zeros_like(target)
    best, best_step, least = on_grid, step, error(on_grid, target, gram)
    waited = 0
    for _ in range(rounds):
        matrix = inverse @ (gram @ target + rho * (on_grid - dual))
        step = project(matrix + dual, top, step)
        on_grid = nearest(matrix + dual, step, top)
        dual = dual + matrix - on_grid
        found = error(on_grid, target, gram)
        waited = 0 if found < least else waited + 1
        if found < least:
            best, best_step, least = on_grid, step, found
        if waited >= _PATIENCE:
            break
    return descended(gram, target, best_step, top, best), best_step

"""LASSO channel selection: of the channels that a layer reads, those that explain what it gives.

`|b|_1` in the loss brings factors of channels to exactly zero, more of them the more it counts.
"""

import math

import numpy as np

from edgeax.formats import implements
from edgeax.pruning.channel_case import ChannelSelection
from edgeax.pruning.reading import Reading

_TEST = "tests/pruning/test_lasso.py::"
_MOST_ROUNDS = 20
_MOST_SWEEPS = 200
_TOLERANCE = 1e-5  # of the largest factor
_HALVINGS = 40


def lasso(
    gram: np.ndarray, target: np.ndarray, penalty: float, start: np.ndarray | None = None
) -> np.ndarray:
    """Returns the b of the smallest `b^T A b / 2 - t^T b + penalty * |b|_1`.

    One factor after the other goes to its best value, until none moves: those that are not 0 and
    those that would leave it.

    Args:
        gram: A, float64 `(units, units)`, positive semidefinite.
        target: t, float64 `(units,)`.
        penalty: At least 0.
        start: Where it begins; None: at 0.

    Returns:
        float64 `(units,)`.
    """
    factors = np.zeros_like(target) if start is None else start.copy()
    diagonal = np.diag(gram)
    alive = diagonal > 1e-12 * diagonal.max(initial=0.0)
    for _ in range(_MOST_ROUNDS):
        slope = target - gram @ factors
        wanting = (factors == 0.0) & (np.abs(slope) > penalty * (1.0 + _TOLERANCE))
        units = np.flatnonzero(alive & ((factors != 0.0) | wanting))
        if len(units):
            part = _descended(gram[np.ix_(units, units)], slope[units], penalty, factors[units])
            moved = np.abs(part - factors[units]).max()
            factors[units] = part
        if not wanting[units].any() or moved <= _TOLERANCE * np.abs(factors).max():
            break
    return factors


def _descended(
    gram: np.ndarray, slope: np.ndarray, penalty: float, factors: np.ndarray
) -> np.ndarray:
    """Returns factors after coordinate descent.

    Args:
        gram: Of these factors.
        slope: `t - A b` where they stand.
        penalty: See `lasso`.
        factors: Where they begin.
    """
    factors, slope = factors.copy(), slope.copy()
    diagonal = np.diag(gram).copy()
    for _ in range(_MOST_SWEEPS):
        moved = 0.0
        for unit, curvature in enumerate(diagonal.tolist()):
            now = float(factors[unit])
            free = float(slope[unit]) + curvature * now
            best = math.copysign(max(abs(free) - penalty, 0.0), free) / curvature
            if best != now:
                slope -= (best - now) * gram[unit]
                factors[unit] = best
                moved = max(moved, abs(best - now))
        if moved <= _TOLERANCE * np.abs(factors).max():
            break
    return factors


def lasso_problem(reading: Reading) -> tuple[np.ndarray, np.ndarray]:
    """Returns A and t for which `lasso` has the smallest `|Y - sum b_i X_i W_i|**2 / 2N`, up to a
    constant, where each `|W_i|` is 1.

    X_i are the inputs that unit i gives, W_i the rows of the kernel that read it, scaled to the
    norm 1 so that no unit comes by its output more cheaply than another; Y is `reading.wanted`.

    Returns:
        float64 `(units, units)` and `(units,)`.
    """
    ours = reading.units >= 0
    units, kernel, inputs = reading.units[ours], reading.kernel[ours], reading.inputs[:, ours]
    members = np.eye(reading.size)[units]
    norms = np.sqrt(members.T @ np.sum(kernel**2, axis=1))
    unit_kernel = kernel / np.where(norms > 0.0, norms, 1.0)[units][:, None]
    products = (inputs.T @ inputs) * (unit_kernel @ unit_kernel.T)
    along = np.sum((inputs.T @ reading.wanted) * unit_kernel, axis=1)
    rows = len(inputs)
    return members.T @ products @ members / rows, members.T @ along / rows


@implements("HZS17", test=_TEST + "test_hzs17_the_error_is_no_larger_than_that_of_magnitudes")
class Lasso(ChannelSelection):
    """Keeps the channels that a LASSO regression of the reader's outputs leaves.

    `min over b of |Y - sum b_i X_i W_i|**2 / 2N + penalty * |b|_1`, `|W_i| = 1`. The penalty is
    found by halving: the smallest for which no more factors than wanted are left. If they are
    fewer, those that were largest at the last smaller penalty come with them. Then the reader gets
    the weights of the least squares; see `Reading.least_squares`. Source: [HZS17].
    """

    reconstruct = "least_squares"

    def chosen(self, reading: Reading, count: int, generator: np.random.Generator) -> np.ndarray:
        """See `ChannelSelection.chosen`."""
        del generator
        gram, target = lasso_problem(reading)
        low, high = 0.0, float(np.abs(target).max(initial=0.0))
        few = np.zeros_like(target)
        many = lasso(gram, target, 0.0)
        if np.count_nonzero(many) <= count:
            few = many
        for _ in range(_HALVINGS):
            if np.count_nonzero(few) == count or np.count_nonzero(many) <= count:
                break
            middle = (low + high) / 2.0
            found = lasso(gram, target, middle, many)
            if np.count_nonzero(found) > count:
                low, many = middle, found
            else:
                high, few = middle, found
        # Those that are left, then those that left last, then in their order.
        order = np.lexsort((-np.abs(many), few == 0.0))
        return np.sort(order[:count])

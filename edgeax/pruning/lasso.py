"""LASSO channel selection: of the channels that a layer reads, those that explain what it gives.

`|b|_1` in the loss brings factors of channels to exactly zero, more of them the more it counts.
"""

import numpy as np

from edgeax.formats import implements
from edgeax.pruning.channel_case import ChannelSelection
from edgeax.pruning.reading import Reading

_TEST = "tests/pruning/test_lasso.py::"
_MOST_STEPS = 10  # for each unit
_RIDGE = 1e-10  # of the mean of the diagonal: units may repeat each other
_TOLERANCE = 1e-9  # of the largest slope
_HALVINGS = 40


def lasso(
    gram: np.ndarray, target: np.ndarray, penalty: float, start: np.ndarray | None = None
) -> np.ndarray:
    """Returns the b of the smallest `b^T A b / 2 - t^T b + penalty * |b|_1`.

    With the signs of all factors known, those that are not 0 solve a linear system. It is taken a
    step towards that solution, until a factor comes to 0 and stays there, or, where none does, the
    one joins that lowers the loss most.

    Args:
        gram: A, float64 `(units, units)`, positive semidefinite.
        target: t, float64 `(units,)`.
        penalty: At least 0.
        start: Where it begins; None: at 0.

    Returns:
        float64 `(units,)`.
    """
    factors = np.zeros_like(target) if start is None else start.copy()
    signs = np.sign(factors)
    diagonal = np.diag(gram)
    free = diagonal > 1e-12 * diagonal.max(initial=0.0)
    ridge = _RIDGE * diagonal.mean() + np.finfo(np.float64).tiny
    slack = _TOLERANCE * np.abs(target).max(initial=0.0)
    for _ in range(_MOST_STEPS * len(target)):
        units = np.flatnonzero(signs)
        system = gram[np.ix_(units, units)] + ridge * np.eye(len(units))
        now = factors[units]
        best = np.linalg.solve(system, target[units] - penalty * signs[units])
        crossing = best * signs[units] <= 0.0
        if crossing.any():
            way = np.where(crossing, np.abs(now) / np.maximum(np.abs(now - best), 1e-300), np.inf)
            first = int(way.argmin())
            factors[units] = now + way[first] * (best - now)
            factors[units[first]] = signs[units[first]] = 0.0
            free[units[first]] &= way[first] > 0.0  # one that went as soon as it had come
            continue
        factors[units] = best
        slope = np.abs(target - gram @ factors)
        slope[(signs != 0.0) | ~free] = 0.0
        unit = int(slope.argmax())
        if slope[unit] <= penalty + slack:
            break
        signs[unit] = np.sign(target[unit] - gram[unit] @ factors)
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
        high = float(np.abs(target).max(initial=0.0))
        low, few = high, np.zeros_like(target)
        many = few
        for _ in range(_HALVINGS):  # down until too many are left
            low /= 2.0
            many = lasso(gram, target, low, many)
            if np.count_nonzero(many) > count:
                break
            high, few = low, many
        for _ in range(_HALVINGS):
            if np.count_nonzero(few) == count or np.count_nonzero(many) <= count:
                break
            middle = (low + high) / 2.0
            found = lasso(gram, target, middle, few)
            if np.count_nonzero(found) > count:
                low, many = middle, found
            else:
                high, few = middle, found
        # Those that are left, then those that left last, then in their order.
        order = np.lexsort((-np.abs(many), few == 0.0))
        return np.sort(order[:count])

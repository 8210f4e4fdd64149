"""Ranges of least error, found by a line search in the format itself."""

from collections.abc import Callable

import numpy as np

from edgeax.formats import NumberFormat, implements
from edgeax.post_training.calibration import (
    Calibration,
    Ends,
    MinMax,
    clipped_to,
    is_symmetric,
    squared_error,
)
from edgeax.post_training.seen import Seen

_FLOOR = 1e-6  # of the mean importance
_LEAST = 0.02  # the narrowest range that is tried, of the widest
_TEST = "tests/post_training/test_search.py::"


@implements("CKYK19", test=_TEST + "test_ckyk19_the_scale_is_that_of_brute_force")
class MeanSquaredError(Calibration):
    """Takes the range of least squared error (OMSE): weights kernel by kernel, activations whole.

    Both ends shrink together first; of an activation with both signs, then each alone.
    Source: [CKYK19].

    Args:
        steps: How many ranges are tried in a line, 2 or more.

    Raises:
        ValueError: `steps` is out of its range.
    """

    def __init__(self, steps: int = 100) -> None:
        if steps < 2:
            raise ValueError(f"`steps` must be at least 2. Received: steps={steps}.")
        self.steps = steps

    def ends(self, seen: Seen, format: NumberFormat) -> Ends:
        """See `Calibration.ends`."""
        weights = self.weights(seen)
        low, high = MinMax().ends(seen, format)
        factors = np.linspace(_LEAST, 1.0, self.steps)
        if is_symmetric(format):
            limit = np.maximum(-low, high)
            best = _best(
                factors, lambda f: squared_error(seen, -f * limit, f * limit, format, weights)
            )
            return clipped_to(seen, -best * limit, best * limit)
        best = _best(factors, lambda f: squared_error(seen, f * low, f * high, format, weights))
        low, high = best * low, best * high
        if np.any(low < 0.0) and np.any(high > 0.0):
            wide_low, wide_high = MinMax().ends(seen, format)
            best = _best(
                factors, lambda f: squared_error(seen, f * wide_low, high, format, weights)
            )
            low = best * wide_low
            best = _best(
                factors, lambda f: squared_error(seen, low, f * wide_high, format, weights)
            )
            high = best * wide_high
        return clipped_to(seen, low, high)

    def weights(self, seen: Seen) -> np.ndarray:
        """Returns how much the squared error of each value counts."""
        return seen.counts


class HessianWeighted(MeanSquaredError):
    """Takes the range of least squared error, each error times what it does to the outputs.

    That is the diagonal of the Gauss-Newton matrix of the outputs, from gradients of their sums
    with random signs: what the Hessian of a squared loss at its minimum is.

    Args:
        steps: How many ranges are tried in a line, 2 or more.
    """

    needs_importance = True

    def weights(self, seen: Seen) -> np.ndarray:
        """See `MeanSquaredError.weights`."""
        if seen.importance is None or not np.any(seen.importance):
            return seen.counts
        # A little for values that no gradient reached: their range must not be free.
        floor = _FLOOR * seen.mean(seen.importance)
        return seen.counts * (seen.importance + floor)


def _best(factors: np.ndarray, error: Callable[[float], np.ndarray]) -> np.ndarray:
    """Returns the factor of least error for each channel; of equal ones the largest."""
    errors = np.stack([error(factor) for factor in factors[::-1]])
    return factors[::-1][np.argmin(errors, axis=0)]

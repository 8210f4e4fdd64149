"""Ranges of the best signal-to-noise ratio for normal values."""

import numpy as np

from edgeax.formats import NumberFormat, implements
from edgeax.formats.fixed_point import gaussian_step
from edgeax.post_training.calibration import (
    Calibration,
    Ends,
    MinMax,
    bits_of,
    clipped_to,
    is_symmetric,
)
from edgeax.post_training.seen import Seen

_MOST_BITS = 8


@implements(
    "LTA16", test="tests/post_training/test_sqnr.py::test_lta16_the_step_is_that_of_the_table"
)
class SignalToNoise(Calibration):
    """Takes the step `gaussian_step(bits) * sigma`: the best for normal values.

    The range is as many such steps wide as the format has. Behind a ReLU sigma is that of the
    positive values with their mirror images, of which the code holds one half, so it has a bit
    more. Above 8 bits, and of formats whose values are not evenly spaced, everything is taken.
    Source: [LTA16].
    """

    def ends(self, seen: Seen, format: NumberFormat) -> Ends:
        """See `Calibration.ends`."""
        bits = bits_of(format)
        if bits > _MOST_BITS:
            return MinMax().ends(seen, format)
        if not is_symmetric(format) and np.all(seen.low >= 0.0):
            positive = seen.values > 0.0
            share = np.maximum(seen.mean(positive), 1e-12)
            sigma = np.sqrt(seen.mean(seen.values**2) / share)
            limit = sigma * gaussian_step(int(bits) + 1) * (2.0**bits - 1.0)
            return clipped_to(seen, -limit, limit)
        mean = seen.mean(seen.values)
        sigma = np.sqrt(seen.mean((seen.values - mean) ** 2))
        step = sigma * gaussian_step(int(bits))
        if is_symmetric(format):
            limit = step * (2.0 ** (bits - 1) - 1.0)
            return clipped_to(seen, -limit, limit)
        limit = step * (2.0**bits - 1.0) / 2.0
        return clipped_to(seen, mean - limit, mean + limit)

"""ThiNet: of the channels that a layer reads, those go whose sum is missed least."""

import numpy as np

from edgeax.formats import implements
from edgeax.pruning.channel_case import ChannelSelection
from edgeax.pruning.reading import Reading

_TEST = "tests/pruning/test_thinet.py::"


def contributions(
    reading: Reading, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what each unit adds to one output channel, drawn anew for each row.

    Args:
        reading: What the layer reads.
        generator: Draws the output channels.

    Returns:
        x, float64 `(rows, units)`, and y, float64 `(rows,)`: what they should add up to, the output
        without the bias. With the original model's inputs and kernel they do: `x.sum(1) == y`.
    """
    rows = np.arange(len(reading.inputs))
    drawn = generator.integers(reading.targets.shape[1], size=len(rows))
    ours = reading.units >= 0
    terms = reading.inputs[:, ours] * reading.kernel[ours][:, drawn].T
    return terms @ np.eye(reading.size)[reading.units[ours]], reading.wanted[rows, drawn]


def discarded(x: np.ndarray, count: int) -> np.ndarray:
    """Returns the units to discard, in the order in which they go.

    Each is the one with which the sum over rows of `(sum of x over the discarded units)**2` grows
    least.

    Args:
        x: float64 `(rows, units)`.
        count: How many go.
    """
    gram = x.T @ x
    cost, free = np.diag(gram).copy(), np.ones(len(gram), bool)
    gone = []
    for _ in range(count):
        unit = int(np.argmin(np.where(free, cost, np.inf)))
        gone.append(unit)
        free[unit] = False
        cost += 2.0 * gram[unit]
    return np.array(gone, int)


def least_squares_scales(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the factors w of the smallest `|y - x w|**2`, `(x^T x)^-1 x^T y`.

    Args:
        x: float64 `(rows, units)`: of the kept units.
        y: float64 `(rows,)`.
    """
    return np.linalg.lstsq(x, y, rcond=None)[0]


def rescaled(reading: Reading, kept: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Returns the kernel in which the rows of each kept unit are multiplied by its factor of
    `least_squares_scales`, and those of the others by 0.

    Args:
        reading: What the layer reads.
        kept: Units, int.
        generator: Draws the output channels.
    """
    x, y = contributions(reading, generator)
    scales = np.zeros(reading.size)
    scales[kept] = least_squares_scales(x[:, kept], y)
    return reading.scaled(scales)


@implements("LWL17", test=_TEST + "test_lwl17_greedy_is_no_worse_than_random_on_average")
class ThiNet(ChannelSelection):
    """Discards, one after the other, the channels whose sum is missed least in the reader's output.

    Of each sample at some random places, one random output channel is looked at; see
    `contributions` and `discarded`. Then the weights that read a kept channel are multiplied by one
    factor each, those of the least squares; see `rescaled`. Source: [LWL17].
    """

    reconstruct = "scale"

    def chosen(self, reading: Reading, count: int, generator: np.random.Generator) -> np.ndarray:
        """See `ChannelSelection.chosen`."""
        x, _ = contributions(reading, generator)
        gone = discarded(x, reading.size - count)
        return np.setdiff1d(np.arange(reading.size), gone)

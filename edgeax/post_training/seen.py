"""Seen: what was seen of a tensor, as values that each count for so much."""

import dataclasses

import numpy as np

BINS = 8192
"""Bins of the histogram that activations are kept in."""


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """The values of a tensor, those that share a range in one column.

    Attributes:
        values: float64 `(count, channels)`: the values, or the middles of a histogram's bins.
        counts: float64 of the same shape, or one that broadcasts to it: how much each counts.
        low: float64 `(channels,)`: the smallest value.
        high: float64 `(channels,)`: the largest value.
        batches: float64 `(batches, 2)`: the smallest and largest value of each batch; empty for
            weights.
        importance: float64 of the shape of `values`: how much an error of each matters; None where
            it was not asked for.
    """

    values: np.ndarray
    counts: np.ndarray
    low: np.ndarray
    high: np.ndarray
    batches: np.ndarray
    importance: np.ndarray | None = None

    @classmethod
    def of_weight(
        cls, value: np.ndarray, per_channel: bool, importance: np.ndarray | None = None
    ) -> "Seen":
        """Returns what is to be seen of a weight.

        Args:
            value: float32, canonical layout.
            per_channel: Whether each output channel has a range of its own.
            importance: As the attribute, in the shape of `value`; None: not asked for.
        """

        def columns(array: np.ndarray) -> np.ndarray:
            width = value.shape[-1] if per_channel else 1
            return np.asarray(array, np.float64).reshape(-1, width)

        values = columns(value)
        return cls(
            values,
            np.ones((1, 1)),
            values.min(0, initial=0.0),
            values.max(0, initial=0.0),
            np.empty((0, 2)),
            None if importance is None else columns(importance),
        )

    @property
    def size(self) -> np.ndarray:
        """How much the values of each channel count together, `(channels,)`."""
        return np.broadcast_to(self.counts, self.values.shape).sum(0)

    def mean(self, of: np.ndarray) -> np.ndarray:
        """Returns the mean of something in the shape of the values, `(channels,)`; 0 of none."""
        total = np.sum(self.counts * of, axis=0)
        return np.divide(total, self.size, out=np.zeros_like(total), where=self.size > 0)


class Histogram:
    """Counts the values of an activation batch by batch; its ends are known beforehand.

    Args:
        batches: float64 `(batches, 2)`: the smallest and largest value of each batch.
    """

    def __init__(self, batches: np.ndarray) -> None:
        self.batches = batches
        low, high = min(batches[:, 0].min(), 0.0), max(batches[:, 1].max(), 0.0)
        self.ends = (low, high if high > low else low + 1.0)
        self.counts = np.zeros(BINS)
        self.weighted: np.ndarray | None = None
        # Zeros, which most values behind a ReLU are, are exact in every range: counted apart.
        self.zeros = 0.0

    def add(self, tensor: np.ndarray, importance: np.ndarray | None = None) -> None:
        """Counts the values of a batch.

        Args:
            tensor: Any shape.
            importance: How much an error of each value matters, same shape; or None.
        """
        flat = np.asarray(tensor, np.float32).reshape(-1)
        found, _ = np.histogram(flat, BINS, self.ends)
        zeros = np.count_nonzero(flat == 0.0)
        self.zeros += zeros
        place = int(np.histogram(np.zeros(1), BINS, self.ends)[0].argmax())
        found[place] -= zeros
        self.counts += found
        if importance is not None:
            summed, _ = np.histogram(flat, BINS, self.ends, weights=importance.reshape(-1))
            self.weighted = summed + (0.0 if self.weighted is None else self.weighted)

    def seen(self) -> Seen:
        """Returns what was counted, one column, zero itself first."""
        edges = np.linspace(*self.ends, BINS + 1)
        values = np.concatenate([[0.0], (edges[1:] + edges[:-1]) / 2])[:, None]
        counts = np.concatenate([[self.zeros], self.counts])[:, None]
        importance = None
        if self.weighted is not None:
            of_bins = np.concatenate([[0.0], self.weighted])[:, None]
            importance = np.divide(of_bins, counts, out=np.zeros_like(counts), where=counts > 0)
        low, high = self.batches[:, 0].min(), self.batches[:, 1].max()
        return Seen(values, counts, np.array([low]), np.array([high]), self.batches, importance)

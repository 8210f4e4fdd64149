"""OutlierCodebook: few values in float32 at their places, all others as indices into a small table
(GOBO).
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgeax.formats.base import NumberFormat, Params, finite_float32, optional_scale
from edgeax.formats.methods import implements
from edgeax.formats.sums import check_bits

MOST_ITERATIONS = 200
"""After so many rounds the table is taken as it is; the error of real weights rises far earlier."""


def half_width(deviation: float, log_density: float) -> float:
    """Returns how far from the mean the density of a normal distribution falls to a limit.

    Args:
        deviation: Its standard deviation, at least 0; of 0 nothing lies away from the mean.
        log_density: Natural logarithm of the limit.
    Returns:
        `deviation * sqrt(2 * (-log_density - ln(deviation) - ln(2 pi) / 2))`, minus
        infinity where the density lies below the limit even at the mean.
    """
    if deviation == 0.0:
        return 0.0
    squared = -2.0 * (log_density + math.log(deviation)) - math.log(2.0 * math.pi)
    return deviation * math.sqrt(squared) if squared >= 0.0 else -math.inf


@implements(
    "ZEAM20",
    test="tests/formats/test_outlier_codebook.py::test_zeam20_error_is_at_most_that_of_k_means",
)
@dataclass(frozen=True)
class OutlierCodebook(NumberFormat):
    """`real = scale * codebook[code]`, or a float32 of its own for an outlier.

    With mean and deviation of the tensor, a value is an outlier where the logarithm of the normal
    density is below a limit. That is a density per unit of the weights: at the limit of -4,
    weights of deviation 0.1 have 0.1 % outliers if they are normal, those of 0.03 have 0.03 %,
    those of 1 have 1.3 %, and from 22 on all are.

    The table starts with the means of `2**bits` bins that hold equally many of the other values.
    Then values go to their nearest entry, entries to the mean of their values, until the sum of
    absolute errors no longer falls; the table before that is taken. k-means would go on lowering
    the squared error, and for three bits ends with a larger sum. With more bits and few weights the
    sum may rise a little on its way down, where this stops too.

    A code from `2**bits` on is `2**bits` plus the number of an outlier among `params["outliers"]`.
    What is stored is dense indices, and 32 bits and a place for each outlier: `size_bits` counts
    that.

    Source: [ZEAM20]; its limit of -4 as recalled.

    Args:
        bits: Width of an index, 1 to 8.
        log_density: Natural logarithm of the density below which a value is an outlier, finite.
    Raises:
        ValueError: An argument is out of its range.
    """

    encode_only: ClassVar[tuple[str, ...]] = ("low", "high")

    bits: int = 3
    log_density: float = -4.0

    def __post_init__(self) -> None:
        check_bits("bits", self.bits, 1, 8)
        if not math.isfinite(self.log_density):
            raise ValueError(
                f"`log_density` must be finite. Received: {self.log_density}. Use -4, or less for "
                "fewer outliers."
            )

    @property
    def entries(self) -> int:
        """Number of table entries: `2**bits`."""
        return 1 << self.bits

    def fit(self, x: np.ndarray) -> Params:
        """Finds the outliers and the table of the others.

        Args:
            x: Real values, all finite, at least one.
        Returns:
            `{"codebook": float32 (2**bits,), "low": float32 (), "high": float32 (), "outliers":
            float32 (count,)}`: the table sorted, the ends between which no value is an outlier,
            and the values of the outliers, sorted, each once.
        Raises:
            ValueError: `x` is not finite, or empty.
        """
        x = finite_float32(x)
        if not x.size:
            raise ValueError(
                f"`x` must hold a value. Received: an empty tensor of shape {x.shape}. "
                "Leave it as it is."
            )
        wide = x.astype(np.float64)
        mean, half = np.mean(wide), half_width(float(np.std(wide)), self.log_density)
        ends = {"low": mean - half, "high": mean + half}
        params: Params = {name: np.asarray(end, np.float32) for name, end in ends.items()}
        inliers = np.sort(x[~self.is_outlier(x, params)])
        params["codebook"] = _table(inliers, self.entries)
        return {**params, "outliers": self.outliers_of(x, params)}

    def is_outlier(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns which values are outliers, bool in the shape of `x`."""
        return (x < params["low"]) | (x > params["high"])

    def outliers_of(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the outliers of `x`, float32, sorted, each value once."""
        return np.unique(np.asarray(x, np.float32)[self.is_outlier(x, params)])

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns int32 codes: of an outlier, that of the nearest one of `params["outliers"]`; of
        other values, the index of the nearest entry. In a tie the lower one.

        Raises:
            ValueError: `x` is not finite, or a param has the wrong shape or is a scale of 0.
        """
        x = finite_float32(x)
        x = x / optional_scale(params, x.shape, divides=True)
        codes = _nearest(x, self._codebook(params))
        outliers = np.asarray(params["outliers"], np.float32)
        if not outliers.size:
            return codes
        is_outlier = self.is_outlier(x, params)
        return np.where(is_outlier, self.entries + _nearest(x, outliers), codes)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns the float32 values of the codes.

        Raises:
            ValueError: A code stands for nothing, or a param has the wrong shape.
        """
        codes = np.asarray(codes)
        table = np.concatenate([self._codebook(params), np.float32(params["outliers"])])
        if codes.size and not 0 <= codes.min() <= codes.max() < table.size:
            raise ValueError(
                f"`codes` must lie in [0, {table.size - 1}]. Received: min={codes.min()}, "
                f"max={codes.max()}. Encode with the same format and params."
            )
        return optional_scale(params, codes.shape) * table[codes]

    def size_bits(self, codes: np.ndarray, params: Params) -> int:
        """Returns the bits of the dense indices, the outliers with their places, and the table."""
        outliers = int(np.sum(np.asarray(codes) >= self.entries))
        place_bits = max(codes.size - 1, 0).bit_length()
        others = {name: param for name, param in params.items() if name != "outliers"}
        return super().size_bits(codes, others) + outliers * (32 + place_bits)

    def per_channel(self) -> "OutlierCodebook":
        """Returns itself: a scale per channel comes on top of the table."""
        return self

    def _codebook(self, params: Params) -> np.ndarray:
        table = np.asarray(params["codebook"], np.float32)
        if table.shape != (self.entries,):
            raise ValueError(
                f"`params['codebook']` must have shape ({self.entries},). Received: shape "
                f"{table.shape}. Fit the same format."
            )
        return table


def _nearest(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Returns the index of the nearest of sorted entries, int32; halfway, of the lower one."""
    midpoints = (table[:-1] + table[1:]) / np.float32(2)
    return np.searchsorted(midpoints, x, side="left").astype(np.int32)


def _table(ordered: np.ndarray, count: int) -> np.ndarray:
    """Returns the entries at which the sum of absolute errors stops falling, float32, sorted.

    Args:
        ordered: float32 `(n,)`, sorted, outliers left out.
        count: Number of entries. With fewer values the rest are 0.
    """
    bins = np.arange(ordered.size) * count // max(ordered.size, 1)
    table = np.sort(_means(ordered, bins, np.zeros(count, np.float32)))
    error = _absolute_error(ordered, table)
    for _ in range(MOST_ITERATIONS):
        moved = _means(ordered, _nearest(ordered, table), table)
        new_error = _absolute_error(ordered, moved)
        if new_error >= error:
            break
        table, error = moved, new_error
    return table


def _means(values: np.ndarray, codes: np.ndarray, former: np.ndarray) -> np.ndarray:
    """Returns the mean of the values of each code, float32; where there is none, what was."""
    members = np.bincount(codes, minlength=former.size)
    sums = np.bincount(codes, values.astype(np.float64), former.size)
    return np.where(members > 0, sums / np.maximum(members, 1), former).astype(np.float32)


def _absolute_error(values: np.ndarray, table: np.ndarray) -> float:
    away = values.astype(np.float64) - table[_nearest(values, table)]
    return float(np.sum(np.abs(away)))

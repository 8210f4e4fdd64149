"""Ternary formats: -1, 0 and 1 with a threshold and one or two gains; residuals in groups."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.base import Params, check_whole, finite_float32, optional_scale
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format
from edgeax.formats.scales import largest_magnitude, mean_magnitude, nonzero, reduced_axes
from edgeax.formats.sums import TINY, check_axis, check_bits, dithered

_TEST = "tests/formats/test_ternary.py::"
# What a threshold is a fraction of: of E|x|, for "ttq" of max|x|; "l2" is half of its own step.
_FACTORS = {"twn": 0.7, "ttq": 0.05, "tbn": 0.4, "l2": None}
_JUST_BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0))


@implements("LZL16", test=_TEST + "test_lzl16_threshold_and_gain_are_those_worked_out_by_hand")
@implements("ZHMD16", test=_TEST + "test_zhmd16_each_side_has_its_own_gain")
@implements("WSL18", test=_TEST + "test_wsl18_activations_are_signs_beyond_a_part_of_the_mean")
@dataclasses.dataclass(frozen=True)
class Ternary(ArrayFormat):
    """-1, 0 or 1 times a gain: 0 where |x| is at most a threshold.

    `real = scale * positive` where `x / scale > threshold`, `-scale * negative` where
    `x / scale < -threshold`, else 0; a param that a kind does not have is 1. Codes are two's
    complement. With noise, a value goes to one of the two nearest levels instead, right on average
    (the threshold plays no part).

    - `"twn"` [LZL16]: threshold 0.7 E|x|, scale the mean of the larger |x|.
    - `"ttq"` [ZHMD16]: threshold 0.05 max|x|, `positive` and `negative` the means beyond it on the
      two sides (training learns them).
    - `"tbn"` [WSL18]: threshold 0.4 E|x| (0.5 in the authors' code), values -1, 0 and 1: for
      activations.
    - `"l2"` [HS14]: the scale of least squared error, see `l2_step`; threshold half of it.

    Args:
        threshold: Kind of threshold, one of these.
        factor: Other than the 0.7, 0.05 or 0.4 above; None for these.
        axis: None for one threshold and gain per tensor, -1 for one per output channel.
    Raises:
        ValueError: An argument is out of its range.
    Source: [LZL16], [ZHMD16], [WSL18], [HS14].
    """

    encode_only: ClassVar[tuple[str, ...]] = ("threshold",)
    channel_axes: ClassVar[Mapping[str, int]] = dict.fromkeys(
        ("scale", "threshold", "positive", "negative"), 1
    )

    measure = "values"

    threshold: Literal["twn", "ttq", "tbn", "l2"] = "twn"
    factor: float | None = None
    axis: int | None = None

    def __post_init__(self) -> None:
        if self.threshold not in _FACTORS:
            raise ValueError(
                f"`threshold` must be one of {sorted(_FACTORS)}. Received: {self.threshold!r}. "
                "Choose one of them."
            )
        if self.factor is not None and (self.threshold == "l2" or not 0 < self.factor < math.inf):
            raise ValueError(
                "`factor` must be above 0, and None for 'l2', which has none. Received: "
                f"threshold={self.threshold!r}, factor={self.factor}. Leave it out."
            )
        check_axis(self.axis)

    @property
    def bits(self) -> int:
        """Width of a code: 2."""
        return 2

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns `threshold`, with `scale` or `positive` and `negative`: see the class.

        All float32, `()` or `(channels,)`.
        """
        if self.threshold == "l2":
            step = nonzero(l2_step(x, 3, self.axis, ops), ops)
            return {"scale": step, "threshold": ops.zeros_like(step) + _JUST_BELOW_HALF}
        measure = largest_magnitude if self.threshold == "ttq" else mean_magnitude
        threshold = _part(measure(x, self.axis, ops), self.factor or _FACTORS[self.threshold], ops)
        threshold = ops.maximum(threshold, TINY)  # subnormal numbers count as zeros
        if self.threshold == "tbn":
            return {"threshold": threshold}
        if self.threshold == "ttq":
            return {
                "threshold": threshold,
                "positive": self._mean(x, x > threshold, ops),
                "negative": self._mean(-x, x < -threshold, ops),
            }
        scale = nonzero(self._mean(ops.abs(x), ops.abs(x) > threshold, ops), ops)
        return {"scale": scale, "threshold": threshold / scale}

    def _mean(self, x: Any, chosen: Any, ops: Any) -> Any:
        """Returns the mean of the chosen values, 0 where there are none."""
        axes = reduced_axes(x, self.axis)
        count = ops.sum(ops.cast(chosen, "float64"), axis=axes)
        total = ops.sum(ops.cast(ops.where(chosen, x, ops.zeros_like(x)), "float64"), axis=axes)
        return ops.cast(total / ops.maximum(count, 1.0), "float32")

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the level of each value; with noise a random one of the nearest two."""
        scale = params.get("scale")
        x = x if scale is None else x / scale
        positive, negative = _gains(params)
        if noise is None:
            upper = ops.where(x > params["threshold"], positive, np.float32(0))
            values = ops.where(x < -params["threshold"], -negative, upper)
        else:
            values = dithered(x, [-negative, np.float32(0), positive], noise, ops)
        return values if scale is None else scale * values

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the codes -1, 0 and 1, int8.

        Raises:
            ValueError: `x` is not finite, or a scale has the wrong shape or is 0.
        """
        x = finite_float32(x)
        x = x / optional_scale(params, x.shape, divides=True)
        beyond = np.asarray(params["threshold"], np.float32)
        return (x > beyond).astype(np.int8) - (x < -beyond).astype(np.int8)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns the float32 values of the codes.

        Raises:
            ValueError: A code is none of -1, 0 and 1, or a scale has the wrong shape.
        """
        codes = np.asarray(codes)
        if codes.size and not -1 <= codes.min() <= codes.max() <= 1:
            raise ValueError(
                f"`codes` must lie in [-1, 1]. Received: min={codes.min()}, max={codes.max()}. "
                "Encode with the same format."
            )
        positive, negative = _gains(params)
        values = np.where(codes > 0, positive, np.where(codes < 0, -negative, np.float32(0)))
        return optional_scale(params, codes.shape) * values

    def per_channel(self) -> "Ternary":
        """Returns the same format with axis=-1."""
        return dataclasses.replace(self, axis=-1)


name_format(r"ternary", lambda axis=None: Ternary(axis=axis), ["ternary"])


@implements("HS14", test=_TEST + "test_hs14_the_squared_error_falls_to_a_fixed_point")
def l2_step(
    x: Any, levels: int, axis: int | None = None, ops: Any = arrays, iterations: int = 30
) -> Any:
    """Returns the step of a symmetric uniform grid with the least squared error.

    From `6 E|x| / (levels + 1)` on, in turn: `q = min(floor(|x| / step + 1/2), (levels - 1) / 2)`
    and `step = sum|x| q / sum q**2`. Neither raises the error. HS14 goes on to the fixed point,
    this a fixed number of times, so that it runs in a graph. As recalled.

    Args:
        x: float32, any shape.
        levels: Odd number of levels, 3 or more: 3 is ternary.
        axis: None for one step, -1 for one per output channel.
        ops: `formats.arrays` or `keras.ops`.
        iterations: How often.
    Returns:
        float32 `()` or `(channels,)`; 0 where all values are 0.
    Raises:
        ValueError: `levels` is even or below 3.
    Source: [HS14].
    """
    if levels < 3 or levels % 2 == 0:
        raise ValueError(f"`levels` must be odd, 3 or more. Received: {levels}. Try 3.")
    axes = reduced_axes(x, axis)
    top = (levels - 1) // 2
    size = ops.cast(ops.abs(x), "float64")
    step = ops.mean(size, axis=axes) * (6 / (levels + 1))

    def fitted(_: Any, step: Any) -> Any:
        safe = ops.where(step > 0, step, ops.ones_like(step))
        codes = ops.minimum(ops.floor(size / safe + 0.5), float(top))
        squares = ops.sum(codes * codes, axis=axes)
        return ops.sum(size * codes, axis=axes) / ops.maximum(squares, 1.0)

    step = ops.fori_loop(0, iterations, fitted, step)
    return ops.cast(step, "float32")


@implements("KBM17", test=_TEST + "test_kbm17_a_group_is_ternary_by_itself")
@dataclasses.dataclass(frozen=True)
class ResidualTernary(ArrayFormat):
    """Ternary weights in small groups, and ternary residuals on top: `sum_t gain[t] * digit_t`.

    A group is `group` consecutive values of one output channel (the last axis). Every term
    ternarizes what the former ones left, as `Ternary("twn")`, with a gain and threshold for each
    group. With noise, a value goes to one of the two nearest sums. As recalled.

    Only for weights: groups belong to places in the tensor.

    Args:
        terms: Ternary terms, 1 to 4: 1 is fine-grained ternary without residuals.
        group: Values that share a gain, 1 or more.
    Raises:
        ValueError: An argument is out of its range.
    Source: [KBM17].
    """

    encode_only: ClassVar[tuple[str, ...]] = ("threshold",)
    channel_axes: ClassVar[Mapping[str, int]] = {"scale": 1, "gain": 3, "threshold": 3}

    terms: int = 2
    group: int = 64

    def __post_init__(self) -> None:
        check_whole(group=self.group)
        check_bits("terms", self.terms, 1, 4)
        if self.group < 1:
            raise ValueError(f"`group` must be 1 or more. Received: {self.group}. Try 64.")

    @property
    def bits(self) -> int:
        """Width of a code: 2 for each term."""
        return 2 * self.terms

    @classmethod
    def within(cls, x: np.ndarray, tolerance: float, group: int = 64) -> Self:
        """Returns the format with the fewest terms whose error is small enough.

        Args:
            x: Weight, canonical layout.
            tolerance: Largest squared error, relative to the sum of squares of `x`.
            group: Values that share a gain.
        Raises:
            ValueError: 4 terms are not enough, or `x` is not finite or has less than two axes.
        """
        x = finite_float32(x)
        power = float(np.sum(np.square(x, dtype=np.float64)))
        error = math.inf
        for terms in range(1, 5):
            format = cls(terms, group)
            away = x - format.rounded(x, format.fit(x), arrays)
            error = float(np.sum(np.square(away, dtype=np.float64)))
            if error <= tolerance * power:
                return format
        raise ValueError(
            f"`tolerance` must be at least {error / power:.2g} here, what 4 terms reach. Received: "
            f"{tolerance}. Use smaller groups."
        )

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns `gain` and `threshold`, float32 `(terms, groups, channels)` each.

        Raises:
            ValueError: `x` has less than two axes.
        """
        rest, counts = self._grouped(x, ops), self._counts(x)
        gains, thresholds = [], []
        for _ in range(self.terms):
            size = ops.cast(ops.abs(rest), "float64")
            threshold = ops.cast(ops.sum(size, axis=1) * (_FACTORS["twn"] / counts), "float32")
            larger = ops.abs(rest) > threshold[:, None]
            count = ops.sum(ops.cast(larger, "float64"), axis=1)
            total = ops.sum(ops.where(larger, size, ops.zeros_like(size)), axis=1)
            gain = ops.cast(total / ops.maximum(count, 1.0), "float32")
            # TensorFlow takes subnormal numbers for zeros.
            gain = ops.where(gain < TINY, ops.zeros_like(gain), gain)
            rest = rest - gain[:, None] * _trit(rest, threshold[:, None], ops)
            gains.append(gain)
            thresholds.append(threshold)
        return {"gain": ops.stack(gains), "threshold": ops.stack(thresholds)}

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the sum for each value; with noise a random one of the nearest two."""
        scale = params.get("scale")
        grouped = self._grouped(x if scale is None else x / scale, ops)
        if noise is None:
            values = _sum(params["gain"], self._trits(grouped, params, ops))
        else:
            codes = np.array(np.meshgrid(*[[-1, 0, 1]] * self.terms)).reshape(self.terms, -1)
            levels = [_sum(params["gain"], list(trits)) for trits in codes.T.astype(np.float32)]
            values = dithered(grouped, levels, self._grouped(noise, ops), ops)
        values = self._ungrouped(values, x, ops)
        return values if scale is None else scale * values

    def _trits(self, grouped: Any, params: dict[str, Any], ops: Any) -> list[Any]:
        """Returns -1, 0 or 1 for every term, float32, in groups."""
        found = []
        for term in range(self.terms):
            found.append(_trit(grouped, params["threshold"][term][:, None], ops))
            grouped = grouped - params["gain"][term][:, None] * found[-1]
        return found

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the codes, uint8: for each term, from the lowest bits on, two bits of -1 + 1, 0 +
        1 or 1 + 1.

        Raises:
            ValueError: `x` is not finite or has less than two axes, or a scale has the wrong shape
                or is 0.
        """
        x = finite_float32(x)
        scale = optional_scale(params, x.shape, divides=True)
        trits = self._trits(self._grouped(x / scale, arrays), params, arrays)
        fields = [(trit + 1).astype(np.uint8) << (2 * term) for term, trit in enumerate(trits)]
        return self._ungrouped(np.bitwise_or.reduce(fields), x, arrays)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns the float32 values of the codes, terms added in their order.

        Raises:
            ValueError: A code has a field of 3, or gains or scale have the wrong shape.
        """
        codes = np.asarray(codes)
        fields = [codes >> (2 * term) & 3 for term in range(self.terms)]
        if np.any(np.asarray(fields) == 3) or np.any(codes >> self.bits):
            raise ValueError(
                f"`codes` must hold {self.terms} fields of 0, 1 or 2. Received: one that does not. "
                "Encode with the same format."
            )
        trits = [self._grouped(field.astype(np.float32) - 1, arrays) for field in fields]
        groups, channels = trits[0].shape[0], trits[0].shape[2]
        gain = finite_float32(params["gain"], "params['gain']")
        if gain.shape != (self.terms, groups, channels):
            raise ValueError(
                f"`params['gain']` must have shape {(self.terms, groups, channels)} for codes of "
                f"shape {codes.shape}. Received: {gain.shape}. Fit the same format."
            )
        values = self._ungrouped(_sum(gain, trits), codes, arrays)
        return optional_scale(params, codes.shape) * values

    def per_channel(self) -> "ResidualTernary":
        """Returns itself: a scale per channel comes on top of the gains."""
        return self

    def _grouped(self, x: Any, ops: Any) -> Any:
        """Returns `x` as (groups, group, channels), filled up with zeros."""
        rows, channels = _rows(x)
        short = -rows % self.group
        flat = ops.reshape(x, (rows, channels))
        if short:
            flat = ops.concatenate([flat, np.zeros((short, channels), np.float32)])
        return ops.reshape(flat, (-1, self.group, channels))

    def _ungrouped(self, grouped: Any, x: Any, ops: Any) -> Any:
        """Returns what `_grouped` made, in the shape of `x`."""
        rows, channels = _rows(x)
        return ops.reshape(ops.reshape(grouped, (-1, channels))[:rows], tuple(x.shape))

    def _counts(self, x: Any) -> np.ndarray:
        """Returns how many values each group holds, float64 (groups, 1)."""
        rows, _ = _rows(x)
        starts = np.arange(0, rows, self.group)
        return np.minimum(rows - starts, self.group)[:, None].astype(np.float64)


def _rows(x: Any) -> tuple[int, int]:
    """Returns how many values an output channel has, and how many channels there are."""
    if len(x.shape) < 2:
        raise ValueError(
            "`x` must be a weight of two or more axes: groups belong to places in it. Received: "
            f"shape {tuple(x.shape)}. Use Ternary('tbn') for activations."
        )
    return math.prod(x.shape[:-1]), x.shape[-1]


def _part(measure: Any, factor: float | None, ops: Any) -> Any:
    """Returns `factor * measure`, rounded once."""
    return ops.cast(ops.cast(measure, "float64") * factor, "float32")


def _gains(params: dict[str, Any]) -> tuple[Any, Any]:
    """Returns what 1 and -1 stand for, without sign."""
    return params.get("positive", np.float32(1)), params.get("negative", np.float32(1))


def _trit(x: Any, threshold: Any, ops: Any) -> Any:
    """Returns -1, 0 or 1 as float32: 0 where |x| is at most the threshold."""
    upper = ops.where(x > threshold, np.float32(1), np.float32(0))
    return ops.where(x < -threshold, np.float32(-1), upper)


def _sum(gain: Any, trits: list[Any]) -> Any:
    """Returns sum_t gain[t] * trits[t] in groups, added in the order of t."""
    values = gain[0][:, None] * trits[0]
    for term in range(1, len(trits)):
        # Subtracted: TensorFlow's graph optimizer changes the order of additions.
        values = values - (-gain[term][:, None]) * trits[term]
    return values

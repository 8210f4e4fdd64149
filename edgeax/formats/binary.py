"""Binary formats: a sign, with no gain, one gain, or a sum of several signs with theirs."""

import dataclasses
import functools
from typing import Any, Literal

import numpy as np

from edgeax.formats.levels import LevelFormat
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format
from edgeax.formats.scales import mean_magnitude, reduced_axes
from edgeax.formats.sums import TINY, SumOfSigns, check_axis, check_bits, least_squares, signs

_TEST = "tests/formats/test_binary.py::"


@implements("CBD15", test=_TEST + "test_cbd15_stochastic_signs_have_the_hard_sigmoid_for_odds")
@implements("CHS16", test=_TEST + "test_chs16_products_of_signs_are_counts_of_differing_bits")
@implements("HCS16", test=_TEST + "test_hcs16_the_sign_of_zero_is_plus_one")
@implements("RORF16", test=_TEST + "test_rorf16_the_gain_of_a_filter_is_its_mean_magnitude")
@implements("ZWN16", test=_TEST + "test_zwn16_one_gain_serves_the_whole_layer")
@dataclasses.dataclass(frozen=True)
class Binary(LevelFormat):
    """The sign of a value, with sign(0) = +1: `real = scale * (2 * code - 1)`.

    Without a gain the values are -1 and +1 [CBD15, CHS16, HCS16]. With one it is E|x|, the gain of
    least squared error: one per tensor [ZWN16's 1-bit weights] or per output channel [RORF16's
    binary-weight network]. With noise, +1 comes with the probability clip((x / gain + 1) / 2, 0, 1)
    [CBD15].

    Args:
        gain: `"none"` or `"mean"`.
        axis: With a gain: None for one per tensor, -1 for one per output channel (the last axis).
    Raises:
        ValueError: An argument is none of these.
    Source: [CBD15], [CHS16], [HCS16], [RORF16], [ZWN16].
    """

    measure = "values"

    gain: Literal["none", "mean"] = "mean"
    axis: int | None = None

    def __post_init__(self) -> None:
        if self.gain not in ("none", "mean"):
            raise ValueError(
                f"`gain` must be 'none' or 'mean'. Received: {self.gain!r}. Choose one of them."
            )
        check_axis(self.axis)

    @functools.cached_property
    def boundaries(self) -> np.ndarray:
        """The smallest value that is +1, float32 `(1,)`: subnormal numbers count as zeros."""
        return np.array([-TINY], np.float32)

    @property
    def bits(self) -> int:
        """Width of a code: 1."""
        return 1

    @property
    def table(self) -> np.ndarray:
        """The values -1 and 1 of the codes 0 and 1."""
        return np.array([-1, 1], np.float32)

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns `{"scale": float32 () or (channels,)}` with a gain, else nothing."""
        if self.gain == "none":
            return {}
        # A channel of zeros gets the smallest gain that is no zero: as good as 0, and divides.
        return {"scale": ops.maximum(mean_magnitude(x, self.axis, ops), TINY)}

    def per_channel(self) -> "Binary":
        """Returns the same format with axis=-1."""
        return dataclasses.replace(self, axis=-1)


name_format(r"binary", lambda axis=None: Binary(axis=axis), ["binary"])


@implements("THW17", test=_TEST + "test_thw17_the_residual_shrinks_with_every_base")
@dataclasses.dataclass(frozen=True)
class ResidualBinary(SumOfSigns):
    """Signs of what the former signs left over: `real = sum_i gain_i * sign(r_i)`.

    `r_1 = x`, `r_(i+1) = r_i - gain_i * sign(r_i)`, `gain_i = E|r_i|`. Meant for activations, where
    two bases do [THW17], as recalled. From the fourth base on, another code may stand for a nearer
    sum. With noise, a value goes to one of the two nearest sums.

    Args:
        bases: Number of signs, 1 to 6.
        axis: None for gains per tensor, -1 for gains per output channel (the last axis).
    Raises:
        ValueError: An argument is out of its range.
    Source: [THW17].
    """

    bases: int = 2
    axis: int | None = None

    def __post_init__(self) -> None:
        check_bits("bases", self.bases, 1, 6)
        check_axis(self.axis)

    @property
    def bits(self) -> int:
        """Width of a code: one bit per base."""
        return self.bases

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns `{"gain": float32 (bases,) or (bases, channels)}`."""
        gains = []
        for _ in range(self.bases):
            gains.append(mean_magnitude(x, self.axis, ops))
            x = x - gains[-1] * signs(x, ops)
        return {"gain": ops.stack(gains)}

    def digits(self, x: Any, params: dict[str, Any], ops: Any) -> list[Any]:
        """Returns the signs of the residuals."""
        found = []
        for base in range(self.bases):
            found.append(signs(x, ops))
            x = x - params["gain"][base] * found[-1]
        return found


@implements("LZP17", test=_TEST + "test_lzp17_signs_and_gains_are_numpys_least_squares")
@dataclasses.dataclass(frozen=True)
class ShiftedBinary(SumOfSigns):
    """Signs against thresholds spread over a deviation on both sides: `sum_i gain_i * B_i`.

    `B_i = sign(x - E x + u_i * std x)` with `u_i` evenly spaced over [-1, 1], 0 for a single base.
    The gains are those of least squared error, found by solving the normal equations [LZP17]. A sum
    need not be the nearest to the values that it stands for. With noise, a value goes to one of the
    two nearest sums.

    Args:
        bases: Number of signs, 1 to 6.
        axis: None for one set of gains and thresholds per tensor, -1 for one per output channel.
    Raises:
        ValueError: An argument is out of its range.
    Source: [LZP17].
    """

    bases: int = 3
    axis: int | None = None

    def __post_init__(self) -> None:
        check_bits("bases", self.bases, 1, 6)
        check_axis(self.axis)

    @property
    def bits(self) -> int:
        """Width of a code: one bit per base."""
        return self.bases

    @property
    def shifts(self) -> list[float]:
        """The `u_i`."""
        return [0.0] if self.bases == 1 else np.linspace(-1, 1, self.bases).tolist()

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns `gain` and `threshold`, float32 `(bases,)` or `(bases, channels)` each."""
        axes = reduced_axes(x, self.axis)
        wide = ops.cast(x, "float64")
        center = ops.mean(wide, axis=axes)
        away = wide - center
        deviation = ops.sqrt(ops.mean(away * away, axis=axes))
        thresholds = [ops.cast(center - u * deviation, "float32") for u in self.shifts]
        params = {"threshold": ops.stack(thresholds)}
        zeros = [ops.zeros_like(threshold) for threshold in thresholds]
        gains = least_squares(self.digits(x, params, ops), x, zeros, self.axis, ops)
        return {"gain": ops.stack(gains), **params}

    def digits(self, x: Any, params: dict[str, Any], ops: Any) -> list[Any]:
        """Returns the signs against the thresholds."""
        one = np.float32(1)
        return [ops.where(x >= params["threshold"][base], one, -one) for base in range(self.bases)]

"""Block floating point: integers that share the exponent of their block; five rules for it.

The rules look alike and are not: papers disagree on rounding the exponent up or down, on the blocks
and on the lowest code. Each class keeps to its paper.
"""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.base import Params, check_whole, finite_float32, optional_scale, signed_range
from edgeax.formats.methods import implements
from edgeax.formats.names import name_format
from edgeax.formats.rounding import rounded_steps
from edgeax.formats.scales import ceil_log2, floor_log2, largest_magnitude, power_of_two

# Lower, half a step would be subnormal in float32, which training takes for 0.
_LOWEST_EXPONENT = -125


class SharedExponent(ArrayFormat):
    """`real = 2**exponent * code`, one exponent for a block of values; params keep it as int8.

    Values are rounded to nearest, halves to even, and saturate; with noise stochastically, as
    rounding down after it was added, which all of the papers do.
    """

    channel_axes: ClassVar[Mapping[str, int]] = {"scale": 1, "exponent": 1}

    @property
    @abc.abstractmethod
    def code_range(self) -> tuple[int, int]:
        """The lowest and the highest code."""

    @abc.abstractmethod
    def step_exponent(self, x: Any, ops: Any) -> Any:
        """Returns log2 of the step of each block of `x`, int32, broadcastable or see `spread`."""

    def spread(self, exponent: Any, x: Any, ops: Any) -> Any:
        """Returns the exponents of the blocks in a shape that broadcasts to `x`."""
        return exponent

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns the exponents, int8; see base."""
        exponent = ops.clip(self.step_exponent(x, ops), _LOWEST_EXPONENT, 127)
        return {"exponent": ops.cast(exponent, "int8")}

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the values that `x` is stored as; see base."""
        scale = params.get("scale")
        step = self._step(params, x, ops)
        steps = self._codes(x if scale is None else x / scale, step, ops, noise)
        return steps * step if scale is None else scale * (steps * step)

    def _step(self, params: dict[str, Any], x: Any, ops: Any) -> Any:
        return power_of_two(self.spread(params["exponent"], x, ops), ops)

    def _codes(self, x: Any, step: Any, ops: Any, noise: Any = None) -> Any:
        steps = rounded_steps(x / step, noise, ops)
        low, high = self.code_range
        return ops.clip(steps, float(low), float(high))

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the codes: int8, or int16 for more than 8 bits.

        Raises:
            ValueError: `x` is not finite, or params do not suit its shape.
        """
        x = finite_float32(x)
        scale = optional_scale(params, x.shape, divides=True)
        with np.errstate(over="ignore"):
            codes = self._codes(x / scale, self._step(params, x, arrays), arrays)
        return np.asarray(codes).astype(np.int8 if self.bits <= 8 else np.int16)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns float32 `scale * 2**exponent * codes`, exact where there is no scale.

        Raises:
            ValueError: params do not suit the shape of `codes`.
        """
        codes = np.asarray(codes)
        values = codes.astype(np.float32) * self._step(params, codes, arrays)
        return np.asarray(optional_scale(params, codes.shape) * values, np.float32)

    def per_channel(self) -> "SharedExponent":
        """Returns itself: any scale is taken."""
        return self


def _block_largest(x: Any, axis: int | None, ops: Any) -> Any:
    """Returns max|x| of all (None, or a vector), each channel (-1) or each sample (0)."""
    if len(x.shape) < 2:
        return largest_magnitude(x, None, ops)
    if axis == 0:
        return ops.max(ops.abs(x), axis=tuple(range(1, len(x.shape))), keepdims=True)
    return largest_magnitude(x, axis, ops)


def _check_width(name: str, width: int, low: int = 2, high: int = 16) -> None:
    check_whole(**{name: width})
    if not low <= width <= high:
        raise ValueError(
            f"`{name}` must be in {low}..{high}. Received: {width}. Choose a width that fits int16."
        )


def _check_axis(axis: int | None) -> None:
    if axis not in (None, -1, 0):
        raise ValueError(
            "`axis` must be None (one block), -1 (a block per output channel) or 0 (per sample). "
            f"Received: {axis}. Transpose the tensor."
        )


@implements(
    "SLW17",
    test="tests/formats/test_block_float.py::test_slw17_noise_is_as_the_paper_predicts",
)
@implements(
    "LLS19",
    test="tests/formats/test_block_float.py::test_lls19_16_by_8_bit_dot_by_shifts_is_exact",
)
@dataclasses.dataclass(frozen=True)
class BlockFloat(SharedExponent):
    """Block floating point: the block's exponent is that of its largest magnitude.

    `step = 2**(floor(log2(max|x|)) - L)` with `L = width - 2` bits behind the leading one, so that
    the error of a value has the variance `4**-L / 12 * 4**exponent`; codes are symmetric. A block
    is a row of the weights (an output channel) or a whole input [SLW17]; [LLS19] uses 8 bits for
    weights and 16 for activations. As recalled.

    Args:
        width: Bits of a code with its sign, 2 to 16.
        axis: Of the blocks: None for the whole tensor, -1 for one per output channel, 0 for one per
            sample. A vector is one block.
    Raises:
        ValueError: An argument is out of its range.
    Source: [SLW17], [LLS19].
    """

    width: int = 8
    axis: int | None = None

    def __post_init__(self) -> None:
        _check_width("width", self.width)
        _check_axis(self.axis)

    @property
    def bits(self) -> int:
        """Width of a code in bits."""
        return self.width

    @property
    def code_range(self) -> tuple[int, int]:
        """The lowest and the highest code, symmetric."""
        high = signed_range(self.width)[1]
        return -high, high

    @property
    def measure(self) -> Literal["range", "values", "batch"]:  # type: ignore[override]
        """Samples with a block each find its exponent in every batch."""
        return "batch" if self.axis == 0 else "range"

    def step_exponent(self, x: Any, ops: Any) -> Any:
        """Returns `floor(log2(max|x|)) - (width - 2)`; see base."""
        return floor_log2(_block_largest(x, self.axis, ops), ops) - (self.width - 2)


@implements(
    "DTJF18",
    test="tests/formats/test_block_float.py::test_dtjf18_tiles_of_24_by_24_have_their_own_exponent",
)
@dataclasses.dataclass(frozen=True)
class HybridBlockFloat(SharedExponent):
    """HBFP: the exponent is rounded up, so that the mantissa has no leading one.

    `step = 2**(ceil(log2(max|x|)) - mantissa_bits)`; values are clipped to
    `2**ceil(log2(max|x|)) - step`. The sign is stored besides the mantissa.

    Args:
        mantissa_bits: 1 to 15, the paper's 8 to 12.
        blocks: "tile" for weights: 24 x 24 values of the matrix `(inputs, channels)`; "sample" for
            activations. A vector is one block.
        tile: Edge of a tile.
    Raises:
        ValueError: An argument is out of its range.
    Source: [DTJF18].
    """

    channel_axes: ClassVar[Mapping[str, int]] = {"scale": 1, "exponent": 2}

    mantissa_bits: int = 8
    blocks: Literal["tile", "sample"] = "tile"
    tile: int = 24

    def __post_init__(self) -> None:
        check_whole(tile=self.tile)
        _check_width("mantissa_bits", self.mantissa_bits, 1, 15)
        if self.blocks not in ("tile", "sample"):
            raise ValueError(
                f"`blocks` must be 'tile' or 'sample'. Received: {self.blocks!r}. Use 'tile' for "
                "weights."
            )
        if self.tile < 1:
            raise ValueError(f"`tile` must be at least 1. Received: {self.tile}. Use 24.")

    @property
    def bits(self) -> int:
        """Width of a code in bits: mantissa and sign."""
        return self.mantissa_bits + 1

    @property
    def code_range(self) -> tuple[int, int]:
        """The lowest and the highest code, symmetric."""
        high = (1 << self.mantissa_bits) - 1
        return -high, high

    @property
    def measure(self) -> Literal["range", "values", "batch"]:  # type: ignore[override]
        """Samples find their exponent in every batch."""
        return "batch" if self.blocks == "sample" else "range"

    def for_activations(self) -> "HybridBlockFloat":
        """Returns the same format with a block per sample."""
        return dataclasses.replace(self, blocks="sample")

    def step_exponent(self, x: Any, ops: Any) -> Any:
        """Returns `ceil(log2(max|x|)) - mantissa_bits`; of tiles shape `(row tiles, channels)`."""
        if self.blocks == "tile" and len(x.shape) > 1:
            largest = self._largest_of_tiles(x, ops)
        else:
            largest = _block_largest(x, 0, ops)
        return ceil_log2(largest, ops) - self.mantissa_bits

    def _largest_of_tiles(self, x: Any, ops: Any) -> Any:
        columns = x.shape[-1]
        matrix = ops.reshape(ops.abs(x), (-1, columns))
        rows = matrix.shape[0]
        below, beside = -rows % self.tile, -columns % self.tile
        matrix = ops.concatenate([matrix, np.zeros((below, columns), np.float32)], axis=0)
        matrix = ops.concatenate([matrix, np.zeros((rows + below, beside), np.float32)], axis=1)
        edges = ((rows + below) // self.tile, self.tile, (columns + beside) // self.tile, self.tile)
        largest = ops.max(ops.reshape(matrix, edges), axis=(1, 3))
        return ops.take(largest, np.arange(columns) // self.tile, axis=1)

    def spread(self, exponent: Any, x: Any, ops: Any) -> Any:
        """Returns the exponent of each value; see base.

        Raises:
            ValueError: the exponents are those of another shape.
        """
        if self.blocks == "sample" or not len(exponent.shape):
            return exponent
        rows = int(np.prod(x.shape[:-1]))
        expected = -(-rows // self.tile), x.shape[-1]
        if tuple(exponent.shape) != expected:
            raise ValueError(
                f"`params['exponent']` must have shape {expected} for a tensor of shape "
                f"{tuple(x.shape)}. Received: {tuple(exponent.shape)}. Fit the format to it."
            )
        return ops.reshape(ops.take(exponent, np.arange(rows) // self.tile, axis=0), x.shape)

    def size_bits(self, codes: np.ndarray, params: Params) -> int:
        """Returns the bits of the codes and of the params, each tile's exponent once."""
        exponent = params["exponent"]
        if self.blocks == "tile" and exponent.ndim == 2:
            params = {**params, "exponent": exponent[:, :: self.tile]}
        return super().size_bits(codes, params)


@implements(
    "YZK19",
    test="tests/formats/test_block_float.py::test_yzk19_rounds_down_after_adding_noise",
)
@dataclasses.dataclass(frozen=True)
class SmallBlockFloat(SharedExponent):
    """SWALP's small-block floating point: the format only, not the averaging.

    `step = 2**(floor(log2(max|x|)) - (width - 2))` with two's-complement codes. A block is what the
    paper's first dimension is: an output channel of weights, a sample of activations; a vector is
    one block.

    Args:
        width: Bits of a code with its sign, 2 to 16.
        axis: Of the blocks: -1 per output channel, 0 per sample, None for the whole tensor.
    Raises:
        ValueError: An argument is out of its range.
    Source: [YZK19].
    """

    width: int = 8
    axis: int | None = -1

    def __post_init__(self) -> None:
        _check_width("width", self.width)
        _check_axis(self.axis)

    @property
    def bits(self) -> int:
        """Width of a code in bits."""
        return self.width

    @property
    def code_range(self) -> tuple[int, int]:
        """The lowest and the highest code."""
        return signed_range(self.width)

    @property
    def measure(self) -> Literal["range", "values", "batch"]:  # type: ignore[override]
        """Samples with a block each find its exponent in every batch."""
        return "batch" if self.axis == 0 else "range"

    def for_activations(self) -> "SmallBlockFloat":
        """Returns the same format with a block per sample, unless there is one for all."""
        return self if self.axis is None else dataclasses.replace(self, axis=0)

    def step_exponent(self, x: Any, ops: Any) -> Any:
        """Returns `floor(log2(max|x|)) - (width - 2)`; see base."""
        return floor_log2(_block_largest(x, self.axis, ops), ops) - (self.width - 2)


@implements(
    "RVVB20",
    test="tests/formats/test_block_float.py::test_rvvb20_scale_factor_is_the_papers_formula",
)
@dataclasses.dataclass(frozen=True)
class MuppetFloat(SharedExponent):
    """MuPPET's block fixed point: the largest power of two by which no code leaves its range.

    `1 / step = 2**floor(log2(min((2**(q-1) - 0.5) / max(x), (2**(q-1) + 0.5) / |min(x)|)))`, half
    a code of head-room at both ends, one step per tensor: the format only, not the policy that
    widens it.

    Args:
        width: q, bits of a code with its sign, 2 to 16; the paper's are 8, 12, 14 and 16.
    Raises:
        ValueError: `width` is out of range.
    Source: [RVVB20].
    """

    width: int = 8

    def __post_init__(self) -> None:
        _check_width("width", self.width)

    @property
    def bits(self) -> int:
        """Width of a code in bits."""
        return self.width

    @property
    def code_range(self) -> tuple[int, int]:
        """The lowest and the highest code."""
        return signed_range(self.width)

    def step_exponent(self, x: Any, ops: Any) -> Any:
        """Returns log2 of the step, from comparisons instead of a rounded logarithm; see base."""
        low, high = signed_range(self.width)
        above = _least_exponent(ops.maximum(ops.max(x), 0.0), high + 0.5, ops)
        below = _least_exponent(ops.maximum(ops.max(-x), 0.0), 0.5 - low, ops)
        return ops.maximum(above, below)


def _least_exponent(magnitude: Any, bound: float, ops: Any) -> Any:
    """Returns the least e with `magnitude <= bound * 2**e`, int32; very low where it is 0."""
    exponent = floor_log2(magnitude, ops)
    leading, places = bound, 0
    while leading >= 2:
        leading, places = leading / 2, places + 1
    exceeds = magnitude > power_of_two(exponent, ops) * leading
    return exponent - places + ops.cast(exceeds, "int32")


class _Int16Mantissa(SharedExponent):
    """int16 codes under the next power of two above max|x|."""

    @property
    def bits(self) -> int:
        """Width of a code in bits: 16."""
        return 16

    @property
    def code_range(self) -> tuple[int, int]:
        """The lowest and the highest code."""
        return signed_range(16)


@implements(
    "KWW17",
    test="tests/formats/test_block_float.py::test_kww17_flex16_5_holds_what_its_5_bits_reach",
)
@dataclasses.dataclass(frozen=True)
class Flex16(_Int16Mantissa):
    """Flexpoint's flex16+5: 16-bit mantissas and a 5-bit exponent per tensor.

    `step = 2**(ceil(log2(max|x|)) - 15)`, the exponent within [-16, 15]: larger values saturate. As
    recalled, and the format only: Flexpoint predicts the exponent from former steps (Autoflex),
    this measures it.

    Source: [KWW17].
    """

    def step_exponent(self, x: Any, ops: Any) -> Any:
        """Returns `clip(ceil(log2(max|x|)), -16, 15) - 15`; see base."""
        return ops.clip(ceil_log2(largest_magnitude(x, None, ops), ops), -16, 15) - 15


@implements(
    "DMM18",
    test="tests/formats/test_block_float.py::test_dmm18_integer_dot_is_the_dot_of_what_is_stored",
)
@dataclasses.dataclass(frozen=True)
class DynamicFixedPoint16(_Int16Mantissa):
    """DFP16: 16-bit mantissas and an 8-bit exponent per tensor, `ceil(log2(max|x|)) - 15`.

    As recalled, and the format only.

    Source: [DMM18].
    """

    def step_exponent(self, x: Any, ops: Any) -> Any:
        """Returns `ceil(log2(max|x|)) - 15`; see base."""
        return ceil_log2(largest_magnitude(x, None, ops), ops) - 15


name_format(r"bfp(\d+)", lambda width, axis=None: BlockFloat(width, axis), ["bfp4", "bfp8"])
name_format(r"hbfp(\d+)", lambda bits, axis=None: HybridBlockFloat(bits), ["hbfp8", "hbfp12"])
name_format(r"swalp(\d+)", lambda width, axis=None: SmallBlockFloat(width), ["swalp8"])
name_format(r"muppet(\d+)", lambda width, axis=None: MuppetFloat(width), ["muppet8", "muppet12"])
name_format(r"flex16_5", lambda axis=None: Flex16(), ["flex16_5"])
name_format(r"dfp16", lambda axis=None: DynamicFixedPoint16(), ["dfp16"])

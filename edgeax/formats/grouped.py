"""Integers of few bits by groups: inputs beside each other share a step, in each output channel."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from edgeax.formats import arrays
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.base import Params, check_whole, finite_float32, optional_scale, signed_range
from edgeax.formats.names import name_format
from edgeax.formats.rounding import rounded_steps
from edgeax.formats.scales import nonzero, quotient

_TOP = 127  # largest magnitude of an int8 code on a symmetric grid


@dataclasses.dataclass(frozen=True)
class GroupedInteger(ArrayFormat):
    """Symmetric integers, `real = scale * step * code` with a step for each group of inputs.

    The inputs of a channel are all axes of a weight but the last, in one row; `group` of them
    beside each other make a group, what is left at the end a shorter one. A vector is one group.
    The step is `max|x| / (2**(bits-1) - 1)` of the group, float32.

    With `whole`, a step is a whole number of the channel's: `scale = max|x| / (most * top)` of the
    channel, where `top = 2**(bits-1) - 1` and `most = floor(127 / top)`, and the step is the one of
    1 to `most` that is nearest to the group's own. So all values are int8 codes of the channel, and
    integer operators compute just what training did.

    Args:
        bits: Width of a code, 2 to 8; 2 to 4 with `whole`.
        group: Inputs in a group, 2 or more. Operators with packed codes take multiples of 8 beside
            float activations; with `whole`, powers of two from 16 on beside integer ones.
        whole: Whether steps are whole numbers of the channel's.
    Raises:
        ValueError: An argument is out of its range.
    Example: `GroupedInteger(4, 32)` is `"int4_g32"`, `GroupedInteger(4, 32, whole=True)` is
        `"int4_g32_int8"`.
    """

    channel_axes: ClassVar[Mapping[str, int]] = {"scale": 1, "step": 2}

    bits: int = 4
    group: int = 32
    whole: bool = False

    def __post_init__(self) -> None:
        check_whole(bits=self.bits, group=self.group)
        highest = 4 if self.whole else 8
        if not 2 <= self.bits <= highest:
            instead = (
                "'binary' for codes of one bit"
                if self.bits < 2
                else "Integer(bits, axis=-1) for wider codes: groups gain little there"
            )
            raise ValueError(
                f"`bits` must be in 2..{highest} when whole={self.whole}. Received: {self.bits}. "
                f"Use {instead}."
            )
        if self.group < 2:
            raise ValueError(
                f"`group` must be at least 2. Received: {self.group}. Use 32, 64 or 128."
            )

    @property
    def code_range(self) -> tuple[int, int]:
        """The lowest and the highest code, symmetric."""
        high = signed_range(self.bits)[1]
        return -high, high

    @property
    def most(self) -> int:
        """The largest step where steps are whole numbers."""
        return _TOP // self.code_range[1]

    def found(self, x: Any, ops: Any) -> dict[str, Any]:
        """Returns `step`, `(groups, channels)`, and, of whole steps, `scale`, `(channels,)`; of a
        vector `(1, 1)` and `()`.

        Raises:
            ValueError: `x` is empty.
        """
        if 0 in x.shape:
            raise ValueError(
                f"`x` must not be empty. Received: shape {tuple(x.shape)}. Leave this tensor as it "
                "is."
            )
        top = self.code_range[1]
        largest = self._largest(x, ops)
        if not self.whole:
            return {"step": nonzero(quotient(largest, top, ops), ops)}
        channels = ops.max(largest, axis=0 if len(x.shape) > 1 else None)
        scale = nonzero(quotient(channels, self.most * top, ops), ops)
        wide = ops.cast(largest, "float64") / (ops.cast(scale, "float64") * float(top))
        step = ops.cast(ops.clip(ops.round(wide), 1.0, float(self.most)), "float32")
        return {"scale": scale, "step": step}

    def _largest(self, x: Any, ops: Any) -> Any:
        """Returns max|x| of each group, float32 `(groups, channels)`."""
        columns = x.shape[-1] if len(x.shape) > 1 else 1
        matrix = ops.reshape(ops.abs(x), (-1, columns))
        rows = matrix.shape[0]
        group = min(self.group, rows) if len(x.shape) > 1 else rows
        below = np.zeros((-rows % group, columns), np.float32)
        matrix = ops.concatenate([matrix, below], axis=0)
        return ops.max(ops.reshape(matrix, (-1, group, columns)), axis=1)

    def rounded(self, x: Any, params: dict[str, Any], ops: Any, noise: Any = None) -> Any:
        """Returns the values that `x` is stored as; see base."""
        step = self.spread(params["step"], x.shape, ops)
        scale = params.get("scale")
        step = step if scale is None else scale * step
        return step * self._codes(x, step, ops, noise)

    def _codes(self, x: Any, step: Any, ops: Any, noise: Any = None) -> Any:
        low, high = self.code_range
        return ops.clip(rounded_steps(x / step, noise, ops), float(low), float(high))

    def spread(self, step: Any, shape: tuple[int, ...], ops: Any) -> Any:
        """Returns the step of each value, in a shape that broadcasts to `shape`.

        Raises:
            ValueError: The steps are those of another shape.
        """
        rows = int(np.prod(shape[:-1])) if len(shape) > 1 else 1
        columns = shape[-1] if len(shape) > 1 else 1
        expected = -(-rows // self.group), columns
        if tuple(step.shape) != expected:
            raise ValueError(
                f"`params['step']` must have shape {expected} for a tensor of shape {tuple(shape)}."
                f" Received: {tuple(step.shape)}. Fit the format to it."
            )
        if expected[0] == 1:
            return ops.reshape(step, (-1,))
        return ops.reshape(ops.take(step, np.arange(rows) // self.group, axis=0), shape)

    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns int8 codes: `clip(rint(x / (scale * step)))`, halves to even.

        Raises:
            ValueError: `x` is not finite, or params do not suit its shape.
        """
        x = finite_float32(x)
        step = self.spread(np.asarray(params["step"], np.float32), x.shape, arrays)
        scale = optional_scale(params, x.shape, divides=True)
        with np.errstate(over="ignore"):  # clipped
            return np.asarray(self._codes(x, scale * step, arrays), np.int8)

    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns float32 `(scale * step) * codes`.

        Raises:
            ValueError: Params do not suit the shape of `codes`.
        """
        codes = np.asarray(codes)
        step = self.spread(np.asarray(params["step"], np.float32), codes.shape, arrays)
        return (optional_scale(params, codes.shape) * step) * codes.astype(np.float32)

    def size_bits(self, codes: np.ndarray, params: Params) -> int:
        """Returns the bits of the codes and of the params, whole steps in 8 bits each."""
        less = 24 * np.size(params["step"]) if self.whole else 0
        return super().size_bits(codes, params) - less

    def for_activations(self) -> "GroupedInteger":
        """Raises ValueError: the device has one scale for an activation."""
        raise ValueError(
            f"`format` of an activation must have one scale for all channels. Received: {self}. "
            f"Use 'int{self.bits}'."
        )

    def per_channel(self) -> "GroupedInteger":
        """Returns itself: any scale is taken."""
        return self


name_format(
    r"int(\d+)_g(\d+)",
    lambda bits, group, axis=None: GroupedInteger(bits, group),
    ["int4_g32", "int4_g128", "int2_g32"],
)
name_format(
    r"int(\d+)_g(\d+)_int8",
    lambda bits, group, axis=None: GroupedInteger(bits, group, whole=True),
    ["int4_g32_int8", "int2_g32_int8"],
)

"""Quantize: integer grids for weights and activations, trained straight through the rounding."""

import difflib
import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edgeax.formats import EncodedTensor, Integer
from edgeax.formats.methods import implements
from edgeax.transforms.base import Role, Transform, now
from edgeax.transforms.cluster import Cluster
from edgeax.transforms.grids import on_affine_grid, on_symmetric_grid
from edgeax.transforms.ranges import Range, check_kind

FORMATS = {f"int{bits}": bits for bits in range(2, 9)}

# Narrowest range of an activation: below it a tensor is all zeros for any user.
_SMALLEST_SPAN = 1e-6


def bits_of(name: str) -> int:
    """Returns the width of the integer format `name`, `"int2"` to `"int8"`.

    Raises:
        ValueError: There is no such format.
    """
    if name in FORMATS:
        return FORMATS[name]
    near = difflib.get_close_matches(str(name), FORMATS, n=3, cutoff=0.3) or list(FORMATS)
    raise ValueError(
        "`format` must name a number format. "
        f"Received: format={name!r}. Did you mean one of {near}?"
    )


@implements(
    "JKC18", test="tests/transforms/test_quantize.py::test_jkc18_zero_is_exact_at_any_range"
)
@keras.saving.register_keras_serializable("edgeax")
class Quantize(Transform):
    """Rounds a tensor to an integer grid and lets the gradient pass straight through.

    A weight gets a symmetric grid, `scale * code` with `code` in `[-(2**(b-1)-1), 2**(b-1)-1]` and
    `scale = max|w| / (2**(b-1)-1)` of its current values. An activation gets an affine grid,
    `scale * (code - zero_point)`, over a range that is followed during training, widened to contain
    zero, and zero is exactly representable. Values outside an activation's range are clipped and
    get no gradient.

    After `Cluster` in a chain, the grid belongs to the centroids; nothing is rounded before these
    are found.

    Source: [JKC18].

    Args:
        format: `"int2"` to `"int8"`.
        axis: For weights: -1 for one scale per output channel, None for one scale per tensor.
        range: For activations: `"moving_average"`, `"min_max"`, or a fixed `(low, high)`.
        momentum: Weight of the former moving average, in [0, 1).
        begin_step: For activations: training step from which values are rounded; the range is
            followed before [JKC18 starts late].
        nonnegative: For activations: whether no value lies below 0, as behind a ReLU. Following the
            range is cheaper then. `edgeax.compress` sets it where it holds.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        format: str = "int8",
        axis: int | None = None,
        range: str | Sequence[float] = "moving_average",
        momentum: float = 0.99,
        begin_step: int = 0,
        nonnegative: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        bits = bits_of(format)
        if axis not in (None, -1):
            raise ValueError(
                "`axis` must be -1 (one scale per output channel) or None (one per tensor). "
                f"Received: axis={axis}."
            )
        if begin_step < 0:
            raise ValueError(f"`begin_step` must be at least 0. Received: begin_step={begin_step}.")
        self.format = format
        self.axis = axis
        self.momentum = float(momentum)
        self.begin_step = int(begin_step)
        self.nonnegative = bool(nonnegative)
        self.grid = Integer(bits, symmetric=True, axis=axis)
        if isinstance(range, str):
            check_kind(range, momentum)
        self.fixed_range = None if isinstance(range, str) else _checked_range(range)
        self.range_kind = range if isinstance(range, str) else None
        self.range: Range | None = None
        self.clustered = False

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Creates the range of an activation."""
        if role == "activation" and self.range_kind is not None:
            self.range = Range(self.range_kind, self.momentum, self.nonnegative)
            self.range.bind(role, shape)
        super().bind(role, shape)

    def follow(self, before: Transform) -> None:
        """Gives its grid to a clustering before it.

        Raises:
            ValueError: Another Quantize comes before.
        """
        if isinstance(before, Quantize):
            raise ValueError(
                "`Quantize` must stand only once in a chain: the second grid would undo the first. "
                f"Received: Quantize({before.format!r}) before Quantize({self.format!r})."
            )
        if isinstance(before, Cluster):
            before.snap_to(self.grid)
            self.clustered = True

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` on the grid; see `Transform.call`."""
        if self.role == "activation":
            return self._activation(tensor, step, training=renew is not None)
        return tensor if self.clustered else on_symmetric_grid(tensor, self.grid)

    def _activation(self, tensor: tf.Tensor, step: tf.Tensor, training: bool) -> tf.Tensor:
        if self.range is not None and training:
            self.range.observe(tensor)
        if self.begin_step == 0 and (self.range is None or training):
            return self._rounded(tensor)
        ready = step >= self.begin_step
        if self.range is not None:
            ready = tf.logical_and(ready, self.range.seen.value > 0)
        return tf.cond(ready, lambda: self._rounded(tensor), lambda: tf.identity(tensor))

    def _rounded(self, tensor: tf.Tensor) -> tf.Tensor:
        return on_affine_grid(tensor, *self._extremes(), self.grid.bits)

    def _extremes(self) -> tuple[tf.Tensor, tf.Tensor]:
        if self.range is None:
            low, high = self.fixed_range or (0.0, 0.0)
            return tf.constant(low), tf.constant(high)
        low = tf.minimum(self.range.low.value, 0.0)
        high = tf.maximum(self.range.high.value, low + _SMALLEST_SPAN)
        return low, tf.maximum(high, 0.0)

    @property
    def extremes(self) -> tuple[float, float] | None:
        """The activation's range `(low, high)`, containing 0, or None before any batch was seen."""
        if self.fixed_range is None and (self.range is None or not now(self.range.seen)):
            return None
        low, high = self._extremes()
        return float(low), float(high)

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in integer codes, or unchanged after `Cluster`."""
        if self.clustered:
            return tensor
        value = tensor.decode()
        params = self.grid.fit(value)
        return EncodedTensor(self.grid.encode(value, params), self.grid, params, tensor.mask)

    def at_once(self) -> "Quantize":
        """Returns it with `begin_step=0`."""
        return type(self).from_config({**self.get_config(), "begin_step": 0})

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "format": self.format,
            "axis": self.axis,
            "range": self.range_kind or list(self.fixed_range or ()),
            "momentum": self.momentum,
            "begin_step": self.begin_step,
            "nonnegative": self.nonnegative,
        }


def _checked_range(bounds: Sequence[float]) -> tuple[float, float]:
    ends = tuple(float(bound) for bound in bounds)
    if len(ends) != 2 or not -math.inf < ends[0] <= 0.0 <= ends[1] < math.inf or ends[0] == ends[1]:
        raise ValueError(
            "`range` must be (low, high), finite, with low <= 0 <= high and low < high. "
            f"Received: range={ends}."
        )
    return ends

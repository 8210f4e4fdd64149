"""Quantize: any number format for weights and activations, trained through the rounding."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import EncodedTensor, Integer, NumberFormat, Params
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.methods import implements
from edgeax.formats.names import deserialized, format_of, serialized
from edgeax.formats.vector_codebook import VectorCodebook
from edgeax.transforms.base import Role, Transform, now
from edgeax.transforms.bit_choices import BitChoices
from edgeax.transforms.checks import checked_choice
from edgeax.transforms.cluster import Cluster
from edgeax.transforms.formatted import encoded_in, in_format, in_format_of_range, noise_like
from edgeax.transforms.gradient_transform import GradientTransform
from edgeax.transforms.gradients import estimator, straight_through
from edgeax.transforms.grids import (
    EightBitGrid,
    on_affine_grid,
    on_symmetric_grid,
    on_symmetric_range,
)
from edgeax.transforms.mask import Mask
from edgeax.transforms.ranges import KINDS, FollowedParams, Range, check_kind
from edgeax.transforms.schedules import BitSchedule
from edgeax.transforms.stages import BitStages

ROUNDINGS = ("nearest", "stochastic")

Widths = BitSchedule | BitStages | BitChoices

# Narrowest range of an activation: below it a tensor is all zeros for any user.
_SMALLEST_SPAN = 1e-6


class Quantizer(Transform):
    """Base of the transforms that put a tensor into a number format, and that end a chain.

    Attributes:
        number_format: The format that values are in after training; of an activation, an affine
            `Integer` where it is clipped to `extremes` and rounded to even steps and no more, else
            an `ArrayFormat` that does to values what this does, by `activation_params`.
        keeps_zero: Whether zeros stay zeros, so that it may follow `Prune`.
        takes_clusters: Whether it may follow `Cluster`.
        moves_weights: Whether training moves weights by their gradients; where not, it moves
            numbers of the quantizer's own.
    """

    number_format: NumberFormat
    keeps_zero = True
    takes_clusters = False
    moves_weights = True

    def follow(self, before: Transform) -> None:
        """Learns what comes before it.

        Raises:
            ValueError: It would undo what that did.
        """
        if isinstance(before, Quantizer):
            raise ValueError(
                f"`{type(self).__name__}` must be the only quantizer in a chain: a second format "
                f"would undo the first. Received: {type(before).__name__} before it."
            )
        if isinstance(before, GradientTransform):
            raise ValueError(
                f"`{type(before).__name__}` must come last in a chain. "
                f"Received: {type(self).__name__} behind it."
            )
        if isinstance(before, Cluster) and not self.takes_clusters:
            raise ValueError(
                f"`{type(self).__name__}` must not follow Cluster, whose values it would move. "
                "Received: a Cluster before it. Use Quantize('int8') there, or Cluster alone."
            )
        if isinstance(before, Mask) and not self.keeps_zero:
            raise ValueError(
                f"`{type(self).__name__}` must not follow Prune: it has no zero for what was "
                f"pruned. Received: {type(before).__name__} before it. Use a format with a zero, "
                "such as 'ternary' or 'int4'."
            )

    @property
    def extremes(self) -> tuple[float, float] | None:
        """The activation's range `(low, high)`, containing 0, or None before any batch was seen."""
        return None

    @property
    def grid(self) -> EightBitGrid | None:
        """The grid of an activation in the graph; None where it has no affine one of up to 8 bits,
        the same in every step.
        """
        return None

    def activation_params(self) -> Params | None:
        """Returns the params of an activation's format, or None before any batch was seen."""
        ends = self.extremes
        return None if ends is None else self.number_format.fit(np.asarray(ends, np.float32))


@implements(
    "JKC18", test="tests/transforms/test_quantize.py::test_jkc18_zero_is_exact_at_any_range"
)
@keras.saving.register_keras_serializable("edgeax")
class Quantize(Quantizer):
    """Rounds a tensor to a number format and lets the gradient pass through.

    A weight in an integer format gets a symmetric grid, `scale * code` with `code` in
    `[-(2**(b-1)-1), 2**(b-1)-1]` and `scale = max|w| / (2**(b-1)-1)` of its current values. An
    activation gets an affine grid, `scale * (code - zero_point)`, over a range that is followed
    during training, widened to contain zero, and zero is exactly representable. Values outside an
    activation's range are clipped and get no gradient.

    Any other format of `edgeax.formats` finds its params in the current weight; for an activation
    in its range, in all values of each batch by moving average (formats with means or quantiles),
    or in each batch anew (block floating point with a block per sample).

    After `Cluster` in a chain, the grid belongs to the centroids; nothing is rounded before these
    are found.

    Source: [JKC18].

    Args:
        format: Name of a number format, `"int2"` to `"int8"`, `"int16"`, `"int4_g32"`,
            `"fp8_e4m3"`, `"ternary"`, ..., or a format object of `edgeax.formats`.
        axis: For weights: -1 for one scale per output channel, None for one scale per tensor. A
            format object brings its own.
        range: For activations: `"moving_average"`, `"min_max"`, `"mean_magnitude"` or a fixed
            `(low, high)`. `"calibrated"`, for weights too: the range that `calibrate` is given, as
            `edgeax.quantize` does, which training leaves as it is; without one an activation stays
            unrounded, and a weight is rounded in the range that it has.
        momentum: Weight of the former moving average, in [0, 1).
        begin_step: For activations: training step from which values are rounded; the range is
            followed before [JKC18 starts late].
        nonnegative: For activations: whether no value lies below 0, as behind a ReLU. Following the
            range is cheaper then. `edgeax.compress` sets it where it holds.
        gradient: Name of a gradient estimator. By default the gradient of a weight passes straight
            through, that of an activation only within the range.
        rounding: `"nearest"`, or `"stochastic"` while training.
        seed: Of the stochastic rounding.
        bits: For integer formats: widths that end with the format's, a `BitSchedule` by steps or
            `BitStages` by stages. Of an activation up to 8 bits.

    Raises:
        ValueError: An argument is out of its range.
    """

    takes_clusters = True

    def __init__(
        self,
        format: str | NumberFormat = "int8",
        axis: int | None = None,
        range: str | Sequence[float] = "moving_average",
        momentum: float = 0.99,
        begin_step: int = 0,
        nonnegative: bool = False,
        gradient: str | None = None,
        rounding: str = "nearest",
        seed: int = 0,
        bits: BitSchedule | BitStages | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
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
        self.gradient = gradient
        self.rounding = checked_choice("rounding", rounding, ROUNDINGS)
        self.seed = int(seed)
        self._estimate = None if gradient is None else estimator(gradient)
        self.number_format = trainable_format(format, axis)
        self.bits = checked_widths(bits, self.number_format, (BitSchedule, BitStages))
        if isinstance(range, str):
            check_kind(range, momentum)
        self.fixed_range = None if isinstance(range, str) else _checked_range(range)
        self.range_kind = range if isinstance(range, str) else None
        self.range: Range | None = None
        self.followed: FollowedParams | None = None
        self.limit: keras.Variable | None = None
        self.clustered = False

    def bind(self, role: Role, shape: Sequence[int | None]) -> None:
        """Creates the range of an activation.

        Raises:
            ValueError: Widths that change end with more than 8 bits for an activation.
        """
        if role == "activation":
            if self.bits is not None and self.bits.last_bits > 8:
                raise ValueError(
                    "`bits` of an activation must end with 8 bits at most, for its codes are "
                    f"affine. Received: {self.bits.last_bits}. Use RoundTo for wider ones."
                )
            if isinstance(self.number_format, Integer):
                # A grid over a range: the zero point is where the range says.
                symmetric = self.number_format.bits > 8
                self.number_format = Integer(self.number_format.bits, symmetric=symmetric)
            if isinstance(self.number_format, ArrayFormat):
                self.number_format = self.number_format.for_activations()
            if self.range_kind is not None:
                self.range = Range(self.range_kind, self.momentum, self.nonnegative)
                self.range.bind(role, shape)
                if getattr(self.number_format, "measure", "range") == "values":
                    self.followed = FollowedParams(
                        cast(ArrayFormat, self.number_format), self.momentum
                    )
                    self.followed.bind(role, shape)
        elif self.range_kind == "calibrated":
            per_channel = getattr(self.number_format, "axis", None) == -1
            channels = [int(size or 0) for size in shape[-1:]] if per_channel else ()
            self.limit = self.state("limit", channels)
        if isinstance(self.bits, BitStages):
            self.bits.bind(role, ())
        super().bind(role, shape)

    def calibrate(self, low: Any, high: Any) -> None:
        """Sets the range, which training leaves as it is where it is `"calibrated"`.

        Args:
            low: Lowest value, at most 0. A weight is clipped alike on both sides of 0.
            high: Highest value, at least 0; of a weight `(channels,)` where each has a scale, and 0
                where it keeps the range that it has.

        Raises:
            ValueError: There is no range to set.
        """
        if self.role == "weight" and self.limit is not None:
            self.limit.assign(np.maximum(np.abs(low), np.abs(high)))
        elif self.role == "activation" and self.range is not None:
            self.range.set(float(low), float(high))
        else:
            raise ValueError(
                "`range` must be 'calibrated' for calibrate() to set it. "
                f"Received: range={self.range_kind or self.fixed_range!r}."
            )

    def follow(self, before: Transform) -> None:
        """Gives its grid to a clustering before it.

        Raises:
            ValueError: Another quantizer comes before, or a clustering whose values have no grid.
        """
        self.keeps_zero = self._holds_zero()
        super().follow(before)
        if isinstance(before, Cluster) and self.bits is not None:
            raise ValueError(
                "`bits` must be None after Cluster: its values lie on one grid for good. "
                f"Received: bits={self.bits!r}."
            )
        if isinstance(before, Cluster):
            if not isinstance(self.number_format, Integer):
                raise ValueError(
                    "`format` must be an integer format after Cluster: its values lie on a grid. "
                    f"Received: format={self.format!r}. Use 'int8', or Cluster alone."
                )
            before.snap_to(self.number_format)
            self.clustered = True

    def call(self, tensor: tf.Tensor, step: tf.Tensor, renew: tf.Tensor | None = None) -> tf.Tensor:
        """Returns `tensor` in the format; see `Transform.call`."""
        training = renew is not None
        stochastic = training and self.rounding == "stochastic"
        noise = noise_like(tensor, self.seed, step) if stochastic else None
        if self.role == "activation":
            return self._activation(tensor, step, training, noise)
        if self.clustered:
            return tensor
        if isinstance(self.number_format, ArrayFormat):
            estimate = self._estimate or straight_through
            return in_format(self._limited(tensor), self.number_format, estimate, noise)
        top = None if self.bits is None else self.bits.count(step) / 2.0 - 1.0
        limit = None if self.limit is None else self.limit.value
        rounded = on_symmetric_grid(tensor, self._grid, noise, top, limit)
        return rounded if self._estimate is None else self._estimate(tensor, rounded)

    def _limited(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns a weight clipped to its range; the gradient passes straight through."""
        if self.limit is None:
            return tensor
        limit = tf.where(self.limit.value > 0.0, self.limit.value, np.inf)
        fixed = tf.stop_gradient(tensor)
        return straight_through(tensor, tf.clip_by_value(fixed, -limit, limit))

    def _holds_zero(self) -> bool:
        """Returns whether zeros stay zero in the format."""
        if not isinstance(self.number_format, ArrayFormat):
            return True
        sample = np.array([-1.0, 0.0, 1.0], np.float32)
        params = self.number_format.fit(sample)
        return not self.number_format.decode(self.number_format.encode(sample, params), params)[1]

    @property
    def _grid(self) -> Integer:
        """The integer format; only asked for where there is one."""
        return cast(Integer, self.number_format)

    def _activation(
        self, tensor: tf.Tensor, step: tf.Tensor, training: bool, noise: tf.Tensor | None
    ) -> tf.Tensor:
        follows = training and self.range_kind != "calibrated"
        if self.range is not None and follows:
            self.range.observe(tensor)
            if self.followed is not None:
                self.followed.observe(tensor)
        if self.begin_step == 0 and (self.range is None or follows):
            return self._rounded(tensor, step, noise)
        ready = step >= self.begin_step
        if self.range is not None:
            ready = tf.logical_and(ready, self.range.seen.value > 0)
        return tf.cond(
            ready, lambda: self._rounded(tensor, step, noise), lambda: tf.identity(tensor)
        )

    def _rounded(self, tensor: tf.Tensor, step: tf.Tensor, noise: tf.Tensor | None) -> tf.Tensor:
        ends = self._extremes()
        top = None if self.bits is None else self.bits.count(step) - 1.0
        if isinstance(self.number_format, ArrayFormat):
            if self.number_format.measure == "batch":
                return in_format(
                    tensor, self.number_format, self._estimate or straight_through, noise
                )
            params = None if self.followed is None else self.followed.params
            return in_format_of_range(
                tensor, self.number_format, ends, self._estimate, noise, params
            )
        rounded = (
            on_symmetric_range(tensor, *ends, self._grid, noise)
            if self._grid.symmetric
            else on_affine_grid(tensor, *ends, self._grid.bits, noise, top)
        )
        return rounded if self._estimate is None else self._estimate(tensor, rounded)

    def _extremes(self) -> tuple[tf.Tensor, tf.Tensor]:
        if self.range is None:
            low, high = self.fixed_range or (0.0, 0.0)
            return tf.constant(low), tf.constant(high)
        low = tf.minimum(self.range.low.value, 0.0)
        high = tf.maximum(self.range.high.value, low + _SMALLEST_SPAN)
        return low, tf.maximum(high, 0.0)

    @property
    def grid(self) -> EightBitGrid | None:
        """See `Quantizer.grid`."""
        format = self.number_format
        if not isinstance(format, Integer) or format.symmetric or self.bits or self.begin_step:
            return None
        ready = tf.constant(True) if self.range is None else self.range.seen.value > 0
        return EightBitGrid(*self._extremes(), format.bits, ready)

    @property
    def extremes(self) -> tuple[float, float] | None:
        """The activation's range `(low, high)`, containing 0, or None before any batch was seen."""
        if self.fixed_range is None and (self.range is None or not now(self.range.seen)):
            return None
        low, high = self._extremes()
        return float(low), float(high)

    def activation_params(self) -> Params | None:
        """Returns the params of an activation's format, or None before any batch was seen; empty
        where every batch finds its own.
        """
        if self.followed is None or self.extremes is None:
            is_live = getattr(self.number_format, "measure", "range") == "batch"
            return {} if is_live else super().activation_params()
        return {name: now(variable) for name, variable in self.followed.variables_of.items()}

    def freeze(self, tensor: EncodedTensor) -> EncodedTensor:
        """Returns the weight in codes, or unchanged after `Cluster`; sub-vectors that are shared
        stay so, in a table of rounded values.
        """
        if self.clustered:
            return tensor
        value, format = tensor.decode(), self._stored_format()
        if isinstance(format, ArrayFormat):
            limited = np.asarray(self._limited(tf.constant(value)))
            return encoded_in(format, limited, tensor.mask)
        params = format.fit(value if self.limit is None else self._ends_of_weight(value))
        if isinstance(tensor.format, VectorCodebook) and _has_one_step(format):
            table = format.encode(tensor.params["codebook"], params)
            rounded = {**tensor.params, "codebook": format.decode(table, params)}
            return dataclasses.replace(tensor, params=rounded)
        return EncodedTensor(format.encode(value, params), format, params, tensor.mask)

    def _stored_format(self) -> NumberFormat:
        """Returns the format of a frozen weight: in an early stage a narrower one."""
        if not isinstance(self.bits, BitStages):
            return self.number_format
        return dataclasses.replace(self._grid, bits=self.bits.current_bits(0))

    def _ends_of_weight(self, value: np.ndarray) -> np.ndarray:
        """Returns the two ends of the range that a weight is rounded in, last axis the channel."""
        limit = now(cast(keras.Variable, self.limit))
        axes = None if limit.ndim == 0 else tuple(range(value.ndim - 1))
        limit = np.where(limit > 0.0, limit, np.max(np.abs(value), axis=axes, initial=0.0))
        return np.stack([-limit, limit])

    @property
    def settled_step(self) -> int:
        """See `Transform.settled_step`: the last width must be in force."""
        return 0 if self.bits is None else self.bits.settled_step

    def at_once(self) -> "Quantize":
        """Returns it with `begin_step=0` and its last width from step 0 on."""
        return type(self).from_config({**self.get_config(), "begin_step": 0, "bits": None})

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        format = self.format
        return {
            "format": format if isinstance(format, str) else serialized(format),
            "axis": self.axis,
            "range": self.range_kind or list(self.fixed_range or ()),
            "momentum": self.momentum,
            "begin_step": self.begin_step,
            "nonnegative": self.nonnegative,
            "gradient": self.gradient,
            "rounding": self.rounding,
            "seed": self.seed,
            "bits": self.bits and keras.saving.serialize_keras_object(self.bits),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Quantize":
        """Returns what `get_config` described."""
        format = config["format"]
        if isinstance(format, dict):
            format = deserialized(format)
        bits = config.get("bits")
        if isinstance(bits, dict):
            bits = keras.saving.deserialize_keras_object(bits)
        return cls(**{**config, "format": format, "bits": bits})


def checked_widths(bits: Any, format: NumberFormat, kinds: tuple[type, ...]) -> Any:
    """Returns widths that change, if they suit a format.

    Args:
        bits: The widths, or None.
        format: What they must end with.
        kinds: Those of `Widths` that do.

    Raises:
        ValueError: They are none, the format has no widths, or they end with another one.
    """
    if bits is None:
        return None
    if not isinstance(bits, kinds):
        raise ValueError(
            f"`bits` must be a {' or '.join(kind.__name__ for kind in kinds)} or None: the format "
            f"itself says how many bits it has. Received: bits={bits!r}."
        )
    last = bits.last_bits  # type: ignore[attr-defined]
    if not isinstance(format, Integer) or format.bits != last:
        raise ValueError(
            f"`bits` must end with the width of an integer format, such as 'int{last}'. "
            f"Received: a schedule that ends with {last} bits for {format}."
        )
    return bits


def _has_one_step(format: NumberFormat) -> bool:
    """Returns whether values are a single step times 8-bit integers without a zero point."""
    if not isinstance(format, Integer):
        return False
    return format.symmetric and format.bits <= 8 and format.axis is None


def _checked_range(bounds: Any) -> tuple[float, float]:
    if not isinstance(bounds, (list, tuple)):
        raise ValueError(
            f"`range` must be one of {KINDS}, or (low, high). Received: range={bounds!r}."
        )
    ends = tuple(float(bound) for bound in bounds)
    if len(ends) != 2 or not -math.inf < ends[0] <= 0.0 <= ends[1] < math.inf or ends[0] == ends[1]:
        raise ValueError(
            "`range` must be (low, high), finite, with low <= 0 <= high and low < high. "
            f"Received: range={ends}."
        )
    return ends


def trainable_format(format: Any, axis: int | None = None) -> NumberFormat:
    """Returns a format or that of a name, if its arithmetic runs in the graph.

    Raises:
        ValueError: It is no format, or one that only stores what something else has found.
    """
    try:
        found = format_of(format, axis) if isinstance(format, str) else format
    except ValueError as error:
        raise ValueError(
            f"{error} A quantizer that is no number format, such as 'ste_sign' or 'dorefa4', is "
            "given by its name alone, without Quantize."
        ) from error
    if isinstance(found, ArrayFormat):
        return found
    if isinstance(found, Integer) and found.symmetric and found.narrow:
        return found
    raise ValueError(
        "`format` must be the name of a number format or one of edgeax.formats that rounds by "
        f"itself; integers symmetric and narrow. Received: format={format!r}. "
        "A Codebook is made by Cluster."
    )

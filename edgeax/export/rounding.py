"""Rounding: the layers that put the activations of a frozen model onto the values of training."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Integer, NumberFormat, Params
from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.binary import Binary
from edgeax.formats.levels import LevelFormat
from edgeax.formats.minifloat import Minifloat
from edgeax.formats.scales import floor_log2, power_of_two
from edgeax.model.wrapper import Compressed

Extremes = tuple[float, float]

# Names of the layers that round to a format begin so.
IN_FORMAT = "in_format"

NARROW_BITS = 8
WIDE_BITS = 16

# Training and calibration give no range a smaller end, not even where all values are 0.
_SMALLEST_END = 1e-6

SIGN_TOP = 127
"""The 8-bit code of a sign that is positive; its negative is that of one that is not."""

_WIDE_TOP = 2.0 ** (WIDE_BITS - 1) - 1

# Behind softmax, sigmoid and tanh, TFLite's 16-bit codes are multiples of 2**-15.
_WIDE_UNIT = (-_WIDE_TOP / 2**15, _WIDE_TOP / 2**15)


@dataclasses.dataclass(frozen=True)
class Grid:
    """Evenly spaced values that an integer tensor of the file can hold.

    Attributes:
        extremes: What the lowest and highest of 256 codes stand for; of a 16-bit tensor, the ends
            of a symmetric range.
        top: The highest value if it is not the highest code's: fewer bits than 8 use fewer codes.
        bits: Of the tensor, 8 or 16.
        trained: Whether training rounds to it.
        is_prescribed: Whether an operator takes no other.
    """

    extremes: Extremes
    top: float | None = None
    bits: int = NARROW_BITS
    trained: bool = False
    is_prescribed: bool = False

    @property
    def step(self) -> float:
        """Distance of neighboring values."""
        low, high = self.extremes
        return high / _WIDE_TOP if self.bits == WIDE_BITS else (high - low) / 255.0

    def filled(self, step: float) -> "Grid":
        """Returns the grid, or one with steps of `step` in the same places where it is of 8 bits
        and was made for nothing but zeros: XNNPACK takes no sum that is 256 output steps or more.
        """
        low, high = self.extremes
        highest = high if self.top is None else self.top
        is_open = self.bits == NARROW_BITS and not self.is_prescribed
        if not is_open or highest > 1.01 * _SMALLEST_END or low < -2.01 * highest:
            return self
        factor = step / self.step
        top = None if self.top is None else factor * self.top
        return dataclasses.replace(self, extremes=(factor * low, factor * high), top=top)

    @classmethod
    def wide(cls, low: float, high: float) -> "Grid":
        """Returns a 16-bit grid that holds a range; its zero point is 0, as TFLite demands."""
        largest = max(-low, high)
        return cls((-largest, largest), bits=WIDE_BITS)

    @classmethod
    def prescribed(cls, extremes: Extremes, wide: bool) -> "Grid":
        """Returns the grid that TFLite prescribes behind an activation of range `extremes`."""
        grid = cls(extremes, is_prescribed=True)
        return grid.widened() if wide else grid

    def widened(self) -> "Grid":
        """Returns the 16-bit grid that stands for an 8-bit one."""
        wide = Grid.wide(*(_WIDE_UNIT if self.is_prescribed else self.extremes))
        return dataclasses.replace(wide, is_prescribed=self.is_prescribed)

    @classmethod
    def of(cls, format: Integer, low: float, high: float) -> "Grid":
        """Returns the grid of an integer format over a range, as training rounds to it."""
        if format.bits > NARROW_BITS:
            if format.bits != WIDE_BITS:
                raise ValueError(
                    "`model` must round activations to at most 8 bits or to 'int16', for which "
                    f"there are operators. Received: {format.bits} bits."
                )
            return cls.wide(low, high)
        if format.bits == NARROW_BITS and not format.symmetric:
            return cls((low, high), trained=True)
        params = format.fit(np.asarray([low, high], np.float32))
        step = float(params["scale"])
        lowest, highest = (code - int(params.get("zero_point", 0)) for code in format.code_range)
        return cls((step * lowest, step * (lowest + 255)), step * highest, trained=True)

    def layer(self, name: str | None) -> "FixedRange":
        """Returns the layer that rounds to it."""
        return FixedRange(*self.extremes, top=self.top, bits=self.bits, name=name)


@dataclasses.dataclass(frozen=True)
class Formatted:
    """Values of a format that the file has no integer tensor for.

    Attributes:
        format: The format.
        params: Its params.
    """

    format: ArrayFormat
    params: Params

    def layer(self, name: str | None) -> "InFormat":
        """Returns the layer that rounds to it."""
        return InFormat(self.format, self.params, name=name)


@dataclasses.dataclass(frozen=True)
class Signs:
    """Two values, `magnitude` and its negative, which an 8-bit tensor holds as 127 and -127: so
    fine a step is one for the bias beside them too.
    """

    magnitude: float

    @property
    def grid(self) -> Grid:
        """The grid of that tensor."""
        top = SIGN_TOP
        return Grid((-self.magnitude * (top + 1) / top, self.magnitude))


def as_signs(rounding: Grid | Formatted | None) -> Signs | None:
    """Returns the signs that activations of a format are, or None."""
    if not isinstance(rounding, Formatted) or not isinstance(rounding.format, Binary):
        return None
    magnitude = np.asarray(rounding.params.get("scale", 1.0), np.float32)
    positive = magnitude.size == 1 and bool(magnitude > 0)
    return Signs(float(magnitude.item())) if positive else None


def trained_rounding(operation: Any, slot: str, place: int = 0) -> Grid | Formatted | None:
    """Returns how training rounds a tensor of a layer, or None.

    Args:
        operation: The layer or operation.
        slot: `"input"`, `"before_activation"` or `"output"`.
        place: Which one of several inputs.

    Raises:
        ValueError: There is no operator for a tensor of that width.
    """
    quantizer = operation.quantizer(slot, place) if isinstance(operation, Compressed) else None
    if quantizer is None:
        return None
    format: NumberFormat = quantizer.number_format
    if isinstance(format, Integer):
        return Grid.of(format, *quantizer.extremes) if quantizer.extremes is not None else None
    params = quantizer.activation_params()
    if params is None or not isinstance(format, ArrayFormat):
        return None
    return Formatted(format, params)


def wanted_format(operation: Any, slot: str, place: int = 0) -> NumberFormat | None:
    """Returns the format that a tensor of a layer shall have, also where no batch was seen yet."""
    quantizer = operation.quantizer(slot, place) if isinstance(operation, Compressed) else None
    return None if quantizer is None else quantizer.number_format


def trained_format(operation: Any, slot: str, place: int = 0) -> Formatted | None:
    """Returns how training rounds a tensor of a layer to a format without integers, or None."""
    if not isinstance(wanted_format(operation, slot, place), ArrayFormat):
        return None
    rounding = trained_rounding(operation, slot, place)
    return rounding if isinstance(rounding, Formatted) else None


def rounding_in(format: NumberFormat | None, low: float, high: float) -> Grid | Formatted:
    """Returns how a tensor of a measured range is rounded: in a format, or to 8 bits."""
    if isinstance(format, Integer):
        return dataclasses.replace(Grid.of(format, low, high), trained=False)
    if isinstance(format, ArrayFormat):
        is_live = format.measure == "batch"
        return Formatted(format, {} if is_live else format.fit(np.asarray([low, high], np.float32)))
    return Grid((low, high))


@keras.saving.register_keras_serializable("edgeax")
class FixedRange(keras.layers.Layer):
    """Rounds to a grid that never changes; the converter reads it off.

    Args:
        low: What the lowest code stands for.
        high: What the highest code stands for.
        top: Greater values become this one; None: only `high` limits them.
        bits: 8, or 16 for a symmetric grid.
    """

    def __init__(
        self,
        low: float,
        high: float,
        top: float | None = None,
        bits: int = NARROW_BITS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.low, self.high = float(low), float(high)
        self.top = None if top is None else float(top)
        self.bits = int(bits)
        self.supports_masking = True

    def call(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns `tensor` rounded."""
        if self.top is None:
            return self._rounded(tensor)
        # The operator before computes in the grid as well: the limit is an operator of its own.
        return self._rounded(tf.minimum(self._rounded(tensor), self.top))

    def _rounded(self, tensor: tf.Tensor) -> tf.Tensor:
        return tf.quantization.fake_quant_with_min_max_args(
            tensor, self.low, self.high, self.bits, narrow_range=self.bits == WIDE_BITS
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape; spares Keras a trace of the call."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = {"low": self.low, "high": self.high, "top": self.top, "bits": self.bits}
        return {**super().get_config(), **config}


class InFormat(keras.layers.Layer):
    """Rounds to the values of a number format with fixed params, in float32 built-in operators."""

    def __init__(self, format: ArrayFormat, params: Params, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.format, self.params = format, params
        self.supports_masking = True

    def call(self, tensor: tf.Tensor) -> tf.Tensor:
        """Returns `tensor` rounded."""
        params = self.params
        if self.format.measure == "batch":
            params = self.format.found(tensor, _BuiltIn())
        if isinstance(self.format, Minifloat) and self.format.bits > NARROW_BITS:
            return _by_exponents(tensor, self.format, params)  # a table would be large
        if isinstance(self.format, LevelFormat):
            # By the table in any case: some formats round by the bits of a float.
            return LevelFormat.rounded(self.format, tensor, params, _BuiltIn())
        return self.format.rounded(tensor, params, _BuiltIn())

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape


def _by_exponents(tensor: tf.Tensor, format: Minifloat, params: Params) -> tf.Tensor:
    """Returns a tensor rounded to a minifloat by the step that the exponent of each value has.

    Steps below 2**-126 count as that one.
    """
    scale = params.get("scale", np.float32(1.0))
    x = tensor / scale
    exponent = tf.maximum(floor_log2(tf.abs(x), keras.ops), 1 - format.exponent_bias)
    step = power_of_two(exponent - format.mantissa_bits, keras.ops)
    largest = np.float32(format.largest)
    return scale * tf.clip_by_value(tf.round(x / step) * step, -largest, largest)


class _BuiltIn:
    """`keras.ops` in operators that TFLite has: it has none that searches."""

    def __getattr__(self, name: str) -> Any:
        return getattr(keras.ops, name)

    @staticmethod
    def take(values: Any, places: Any, axis: int = 0) -> tf.Tensor:
        """Returns `values[places]` along an axis; places count from the front."""
        return tf.gather(values, places, axis=axis)

    @staticmethod
    def searchsorted(boundaries: Any, values: tf.Tensor, side: str = "left") -> tf.Tensor:
        """Returns how many of the sorted boundaries lie below each value, by bisection."""
        reaches = tf.greater_equal if side == "right" else tf.greater
        count = int(boundaries.shape[0])
        width = count.bit_length()
        padded = tf.concat([boundaries, tf.fill([(1 << width) - count], np.float32(np.inf))], 0)
        places = tf.zeros_like(values, tf.int32)
        for bit in reversed(range(width)):
            trial = tf.gather(padded, places + ((1 << bit) - 1))
            places += tf.cast(reaches(values, trial), tf.int32) * (1 << bit)
        return places

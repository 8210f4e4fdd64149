"""What the operators that sum products of weights have in common: checks, bias, factors."""

import dataclasses

import numpy as np

from edgeax.formats import rounding
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, tiles
from edgeax.runtime.mcu.program import Array, Struct


@dataclasses.dataclass(frozen=True)
class Products:
    """The numbers of a layer.

    Attributes:
        weights: int8, shape of the file.
        bias: int32 or, beside int16 codes, int64, one per output channel; zeros where it is absent.
        factors: From sums to output codes.
        input_zero_point: The code of 0.0 of the input.
        output_zero_point: The code of 0.0 of the output.
        output_limits: Least and largest of the output's codes.
    """

    weights: np.ndarray
    bias: np.ndarray
    factors: tiles.ScaledFactors
    input_zero_point: int
    output_zero_point: int
    output_limits: tuple[int, int]

    @property
    def rows(self) -> np.ndarray:
        """The weights as (output channels, weights of a channel)."""
        return self.weights.reshape(len(self.weights), -1)

    @property
    def folded_bias(self) -> np.ndarray:
        """The bias less what the zero point of the input adds to a sum, as int32 wraps."""
        sums = self.rows.astype(np.int64).sum(axis=1)
        return (self.bias.astype(np.int64) - self.input_zero_point * sums).astype(np.int32)

    def is_quick(self, node: Node) -> bool:
        """Returns whether its sums are scaled without saturation, see TilePlan::is_quick."""
        return tiles.is_quick(self.folded_bias, self.rows, self.factors, node.rounding)

    def output_codes(self, sums: np.ndarray, rounding_kind: str) -> np.ndarray:
        """Returns the output codes of sums, int64 of int32 range, the last axis being channels."""
        limits = np.iinfo(np.int32)
        fitting = np.clip(sums, limits.min, limits.max).astype(np.int32)
        factors = self.factors
        scaled = rounding.requantize(fitting, factors.multiplier, factors.shift, rounding_kind)
        return np.clip(scaled.astype(np.int64) + self.output_zero_point, *self.output_limits)

    def tile_plan(self, node: Node, room: tiles.Room, quick: bool, carried: bool = False) -> Struct:
        """Returns what C++ calls TilePlan."""
        return Struct(
            "TilePlan",
            {
                "block": tiles.layout_for(node.target).block,
                "room_bytes": room.size_bytes,
                "is_carried": int(carried),
                "is_expanded": int(room.is_expanded),
                "piece_bytes": room.piece_bytes,
                "factor_step": 0 if self.factors.is_one else 1,
                "is_quick": int(quick),
                "output_zero_point": self.output_zero_point,
                "clamp": codes.clamp(self.output_limits),
            },
        )


def read_products(node: Node, positions: tuple[int, int, int], axis: int = 0) -> Products:
    """Returns the numbers of a layer, all checked.

    Args:
        node: The operator.
        positions: Of its input, its weights and its bias among the operator's inputs.
        axis: Axis of the weights that the output channels are.
    """
    at_input, at_weights, at_bias = positions
    x, output = node.input(at_input), node.output()
    codes.require_dtype(node, x, ("int8", "int16"), "its input")
    codes.require_dtype(node, output, (x.dtype,), "its output")
    weights = _weights(node, at_weights)
    channels = weights.shape[axis]
    return Products(
        weights=weights,
        bias=_bias(node, at_bias, channels, "int64" if x.dtype == "int16" else "int32"),
        factors=tiles.factors_of(_ratios(node, at_input, at_weights, axis, channels)),
        input_zero_point=codes.zero_point_of(node, x, "its input"),
        output_zero_point=codes.zero_point_of(node, output, "its output"),
        output_limits=codes.limits_of(node),
    )


def without_constant_channels(found: Products, rounding_kind: str) -> Products:
    """Returns a layer of int8 codes in which channels that always give one code give it simply.

    Channels that training has left dead have tiny scales and huge biases, which would bar the whole
    layer from being quick. They get weights of 0, and a bias and a factor that give their code.

    Args:
        found: The layer.
        rounding_kind: "single" or "double".
    """
    products = 128 * np.abs(found.rows.astype(np.int64)).sum(axis=1)
    bias = found.folded_bias.astype(np.int64)
    low, high = (found.output_codes(bias + part, rounding_kind) for part in (-products, products))
    ends = np.iinfo(np.int32)
    wraps = (bias - products < ends.min) | (bias + products > ends.max)
    constant = (low == high) & ~wraps
    shape = (-1, *[1] * (found.weights.ndim - 1))
    multiplier = np.where(constant, 2**30, found.factors.multiplier)  # with the shift: 1 / 8
    shift = np.where(constant, -2, found.factors.shift)
    return dataclasses.replace(
        found,
        weights=np.where(constant.reshape(shape), 0, found.weights).astype(np.int8),
        bias=np.where(constant, (low - found.output_zero_point) * 8, found.bias).astype(np.int32),
        factors=tiles.ScaledFactors(multiplier.astype(np.int32), shift.astype(np.int8)),
    )


def with_smaller_factors(found: Products, rounding_kind: str) -> Products:
    """Returns a layer of small weights as the same layer of larger ones.

    Weights of few bits have factors that may be too large to be quick. Sums and factors that are a
    power of two larger and smaller give the same codes where they are rounded once.

    Args:
        found: The layer.
        rounding_kind: "single" or "double".
    """
    power = int(found.factors.shift.max()) + 2
    bias = found.bias.astype(np.int64) << max(power, 0)
    weights = found.weights.astype(np.int64) << max(power, 0)
    fits = np.abs(weights).max() <= 127 and np.abs(bias).max() < 2**31
    if rounding_kind != "single" or power <= 0 or not fits:
        return found
    return dataclasses.replace(
        found,
        weights=weights.astype(np.int8),
        bias=bias.astype(np.int32),
        factors=tiles.ScaledFactors(
            found.factors.multiplier, (found.factors.shift - power).astype(np.int8)
        ),
    )


def bias_array(bias: np.ndarray, groups: int = 1) -> Array:
    """Returns the bias as kernels read it."""
    return Array("bias", tiles.per_tile(bias, groups), alignment=bias.itemsize)


def _weights(node: Node, position: int) -> np.ndarray:
    tensor = node.input(position)
    codes.require_symmetric_weights(node, tensor)
    return node.constant(position)


def _bias(node: Node, position: int, channels: int, dtype: str) -> np.ndarray:
    if not node.has_input(position):
        return np.zeros(channels, dtype)
    codes.require_dtype(node, node.input(position), (dtype,), "its bias")
    bias = node.constant(position)
    node.require(bias.size == channels, f"its bias must have {channels} numbers", bias.size)
    return bias.reshape(-1).astype(dtype)


def _ratios(node: Node, at_input: int, at_weights: int, axis: int, channels: int) -> np.ndarray:
    """Returns the real factors, in the floating point in which TFLite computes them."""
    weights = node.input(at_weights)
    scales = weights.scale
    is_right = scales is not None and (
        scales.size == 1 or (scales.size == channels and weights.quantized_axis == axis)
    )
    if scales is None or not is_right or not np.all(np.isfinite(scales) & (scales >= 0)):
        received = None if scales is None else scales.shape
        node.fail(f"its weights must have one scale, or {channels} along axis {axis}", received)
    input_scale = np.float32(codes.scale_of(node, node.input(at_input), "its input"))
    output_scale = codes.scale_of(node, node.output(), "its output")
    if node.operator.name == "FULLY_CONNECTED" and scales.size == 1:
        products = (input_scale * scales).astype(np.float64)
    else:
        products = np.float64(input_scale) * scales.astype(np.float64)
    return np.broadcast_to(products / output_scale, (channels,))

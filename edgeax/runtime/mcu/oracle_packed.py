"""What our operators with int8 codes compute, in either rounding: in numpy, slow and plain.

The plugin rounds once only, so that for double rounding there is no interpreter to ask.
"""

import numpy as np

from edgeax.formats import rounding as rounding_kinds
from edgeax.formats.flatbuffer import Operator, Subgraph, Tensor
from edgeax.formats.operators import PADDING_VALID
from edgeax.runtime.mcu.packed_weights import Weights, weights_of


def packed(
    graph: Subgraph, operator: Operator, source: np.ndarray, rounding: str = "double"
) -> np.ndarray:
    """Returns the output of an operator of `packed_weights.NAMES`.

    Args:
        graph: Its graph.
        operator: The operator.
        source: Codes of its input.
        rounding: "single" or "double".
    """
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    weights = weights_of(operator, graph.tensors)
    centered, input_scale = source.astype(np.int64) - _zero(x), float(_scale(x))
    if weights.points is not None:
        centered, input_scale = weights.points.astype(np.int64)[source.astype(np.int64) + 128], 1.0
    if operator.name.endswith("FullyConnected"):
        sums = centered.reshape(-1, centered.shape[-1]) @ weights.codes.astype(np.int64).T
    else:
        sums = _convolved(centered, weights, operator.name.endswith("DepthwiseConv2D"))
    sums = sums + weights.bias
    factors = [
        rounding_kinds.quantize_multiplier(input_scale * float(scale) / float(_scale(y)))
        for scale in weights.scale
    ]
    multipliers, shifts = np.array(factors).T
    if y.dtype == "int16":
        scaled = _of_wide_sums(sums, multipliers, shifts)
    else:  # sums of int32, which wrap around
        scaled = rounding_kinds.requantize(sums.astype(np.int32), multipliers, shifts, rounding)
    limits = weights.options["output_min"], weights.options["output_max"]
    return np.clip(scaled.astype(np.int64) + _zero(y), *limits).astype(y.dtype).reshape(y.shape)


def _of_wide_sums(sums: np.ndarray, multipliers: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Returns sums of 64 bits scaled by multipliers that are rounded to 15 bits before."""
    reduced = np.minimum((np.abs(multipliers.astype(np.int64)) + (1 << 15)) >> 16, 0x7FFF)
    right = 15 - shifts.astype(np.int64)
    return (sums * reduced * np.sign(multipliers) + (np.int64(1) << (right - 1))) >> right


def _convolved(x: np.ndarray, weights: Weights, is_depthwise: bool) -> np.ndarray:
    """Returns sums `(batch, height, width, channels)`."""
    options = weights.options
    (out_height, top, bottom), (out_width, left, right) = (
        _extent(options, axis, size)
        for axis, size in zip(("height", "width"), x.shape[1:3], strict=True)
    )
    image = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    taps = [
        image[
            :,
            row * options["dilation_height"] :: options["stride_height"],
            column * options["dilation_width"] :: options["stride_width"],
        ][:, :out_height, :out_width]
        for row in range(options["kernel_height"])
        for column in range(options["kernel_width"])
    ]
    codes = weights.codes.astype(np.int64)
    if is_depthwise:
        repeated = (np.repeat(tap, options["depth_multiplier"], axis=-1) for tap in taps)
        return sum(tap * row for tap, row in zip(repeated, codes, strict=True))
    groups = options["groups"]
    depth, outputs = x.shape[-1] // groups, len(codes) // groups
    rows = codes.reshape(groups, outputs, len(taps), depth)
    return np.concatenate(
        [
            sum(
                tap[..., g * depth : (g + 1) * depth] @ rows[g, :, t].T
                for t, tap in enumerate(taps)
            )
            for g in range(groups)
        ],
        axis=-1,
    )


def _extent(options: dict[str, int], axis: str, size: int) -> tuple[int, int, int]:
    """Returns output size, and padding before and behind, along an axis."""
    stride = options[f"stride_{axis}"]
    reach = (options[f"kernel_{axis}"] - 1) * options[f"dilation_{axis}"] + 1
    if options["padding"] == PADDING_VALID:
        return (size - reach) // stride + 1, 0, 0
    count = -(-size // stride)
    total = max((count - 1) * stride + reach - size, 0)
    return count, total // 2, total - total // 2


def _scale(tensor: Tensor) -> np.float32:
    return np.float32(1) if tensor.scale is None else tensor.scale[0]


def _zero(tensor: Tensor) -> int:
    return 0 if tensor.zero_point is None else int(tensor.zero_point[0])

"""Binary operators and those on sums of signs: products of bits."""

import dataclasses

import numpy as np

from edgeax.formats import binary_rows, sign_sum
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, conv2d, packed_rows, tiles
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct

_WORD = 4
_CODES = np.arange(-128, 128)


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """The numbers of a product of signs.

    Attributes:
        shape: Its shapes; channels are numbers.
        pad_value: What positions outside the image count as.
        signs: uint8, a bit per plane for each code from -128 on; None: the input is bits.
        planes: Signs that an activation is a sum of.
        weights: uint8 `(bases, channels, taps, bytes of a tap)`.
        bias: int32.
        gains: int32 `(bases * planes, channels)`; None: all are 4096.
        factors: From sums to output codes.
        limits: Least and largest of the output's codes.
    """

    shape: conv2d.Shape
    pad_value: int
    signs: np.ndarray | None
    planes: int
    weights: np.ndarray
    bias: np.ndarray
    gains: np.ndarray | None
    factors: tiles.ScaledFactors
    limits: tuple[int, int]


def sign_sums(node: Node) -> Lowered:
    """Returns the step of a product of signs."""
    return [_step(node, layer_of(node))]


def layer_of(node: Node) -> Layer:
    """Returns the numbers of a product of signs, a matrix product as one of a row of pixels."""
    options, name = packed_rows.options_of(node), node.operator.name
    is_binary = name.startswith("EdgeaxBinary")
    if name.endswith("FullyConnected"):
        rows, depth = packed_rows.rows_and_depth(node)
        inputs = options["input_channels"] if is_binary else depth
        outputs = _outputs(node) if is_binary else node.output().shape[-1]
        shape = conv2d.Shape(1, 1, rows, inputs, 1, rows, outputs, 1, 1)
    else:
        packed_rows.axes_of(node, options)
        inputs = options["input_channels"] if is_binary else node.input(0).shape[3]
        outputs = _outputs(node) if is_binary else node.output().shape[3]
        shape = packed_rows.image_shape(node, options, inputs, outputs)
    read = _binary if is_binary else _sign_sums
    return read(node, options, shape, options.get("pad_value", 0))


def binary_max_pool2d(node: Node) -> Lowered:
    """Returns the step of a pool of bits."""
    options = packed_rows.options_of(node)
    x, output = node.input(0), node.output()
    for tensor, what in ((x, "its input"), (output, "its output")):
        codes.require_dtype(node, tensor, ("uint8",), what)
    height, width = packed_rows.axes_of(node, options)
    channels = options["input_channels"]
    pixel_bytes = -(-channels // 8)
    node.require(
        x.shape[3] == output.shape[3] == pixel_bytes,
        f"its pixels must have {pixel_bytes} bytes",
        f"{x.shape} and {output.shape}",
    )
    arguments = {
        "batch": x.shape[0],
        "height": height.size,
        "width": width.size,
        "pixel_bytes": pixel_bytes,
        "last_bits": (1 << ((channels - 1) % 8 + 1)) - 1,
        "output_height": height.output,
        "output_width": width.output,
        "kernel_height": height.kernel,
        "kernel_width": width.kernel,
        "stride_height": height.stride,
        "stride_width": width.stride,
        "pad_top": height.pad,
        "pad_left": width.pad,
    }
    return [
        Step(
            label=node.label,
            kernel="BitPool2D",
            header="bit_pool2d.h",
            arguments=Struct("BitPool2DArgs", dict(arguments)),
            reads=(node.inputs[0],),
            writes=(node.outputs[0],),
            extent=height.window,
        )
    ]


def _binary(node: Node, options: dict[str, int], shape: conv2d.Shape, pad_value: int) -> Layer:
    x, output = node.input(0), node.output()
    ends = ((x, "input", shape.input_channels), (output, "output", shape.output_channels))
    for tensor, side, count in ends:
        is_packed = options[f"{side}_packed"]
        codes.require_dtype(node, tensor, ("uint8" if is_packed else "int8",), f"its {side}")
        size = -(-count // 8) if is_packed else count
        node.require(
            tensor.shape[-1] == size, f"pixels of its {side} must have {size} bytes", tensor.shape
        )
    bias, scale = _bias_and_scale(node, shape.output_channels)
    if options["output_packed"]:
        factors = tiles.factors_of(scale.astype(np.float64))
    else:
        output_scale = codes.scale_of(node, output, "its output")
        factors = tiles.factors_of(scale.astype(np.float64) / 2**12 / output_scale)
    signs = None
    if not options["input_packed"]:
        zero_point = codes.zero_point_of(node, x, "its input")
        signs = (zero_point > _CODES).astype(np.uint8)
    return Layer(
        shape=shape,
        pad_value=pad_value,
        signs=signs,
        planes=1,
        weights=_weights(node, shape, 1),
        bias=bias,
        gains=None,
        factors=factors,
        limits=_limits(options),
    )


def _sign_sums(node: Node, options: dict[str, int], shape: conv2d.Shape, pad_value: int) -> Layer:
    for tensor, what in ((node.input(0), "its input"), (node.output(), "its output")):
        codes.require_dtype(node, tensor, ("int8",), what)
    planes, bases, channels = options["planes"], options["bases"], shape.output_channels
    gains = packed_rows.constant(node, 4, "int32", (planes * bases, channels), "its gains")
    depth = shape.kernel_height * shape.kernel_width * shape.input_channels // shape.groups
    most = int(np.abs(gains.astype(np.int64)).sum(axis=0).max()) * depth
    node.require(most <= sign_sum.MAX_SUM, f"its sums must not exceed {sign_sum.MAX_SUM}", most)
    thresholds = packed_rows.constant(node, 5, "int32", None, "its thresholds")
    node.require(
        thresholds.ndim == 2 and len(thresholds) == planes,
        f"its thresholds must have the shape ({planes}, thresholds)",
        thresholds.shape,
    )
    above = (_CODES[:, np.newaxis, np.newaxis] < thresholds).sum(axis=2) % 2
    bias, scale = _bias_and_scale(node, channels)
    output_scale = codes.scale_of(node, node.output(), "its output")
    return Layer(
        shape=shape,
        pad_value=pad_value,
        signs=(above << np.arange(planes)).sum(axis=1).astype(np.uint8),
        planes=planes,
        weights=_weights(node, shape, bases),
        bias=bias,
        gains=gains,
        factors=tiles.factors_of(scale.astype(np.float64) / output_scale),
        limits=_limits(options),
    )


def _step(node: Node, layer: Layer) -> Step:
    shape, output = layer.shape, node.output()
    bases, channels, taps, tap_bytes = layer.weights.shape
    words = -(-taps * tap_bytes // _WORD)
    rows = layer.weights.swapaxes(0, 1).reshape(channels, bases, -1)
    filled = np.pad(rows, ((0, 0), (0, 0), (0, words * _WORD - taps * tap_bytes)))
    reach = (shape.kernel_height - 1) * shape.dilation_height + 1
    row_bytes = layer.planes * shape.input_width * shape.groups * tap_bytes
    is_packed = output.dtype == "uint8"
    zero_point = 0 if is_packed else codes.zero_point_of(node, output, "its output")
    gains = None if layer.gains is None else Array("gains", layer.gains.T.reshape(-1))
    arguments = {
        "shape": shape.struct(),
        "pad_value": layer.pad_value,
        "planes": layer.planes,
        "bases": bases,
        "tap_bytes": tap_bytes,
        "patch_words": words,
        "output_zero_point": zero_point,
        "clamp": codes.clamp(layer.limits),
        "factor_step": 0 if layer.factors.is_one else 1,
        "factors": layer.factors.struct(),
        "signs": None if layer.signs is None else Array("signs", layer.signs),
        "bias": Array("bias", layer.bias),
        "gains": gains,
        "weights": Array("weights", np.ascontiguousarray(filled).reshape(-1).view("<i4")),
    }
    scratch = (layer.planes + 1) * words * _WORD + reach * row_bytes
    return Step(
        label=node.label,
        kernel="SignSums",
        header="sign_sums.h",
        arguments=Struct("SignSumsArgs", dict(arguments)),
        reads=(node.inputs[0],),
        writes=(node.outputs[0],),
        extent=shape.window,
        rounds=True,
        scratch_bytes=-(-scratch // 8) * 8,
        macs=shape.macs // 8,
    )


def _weights(node: Node, shape: conv2d.Shape, bases: int) -> np.ndarray:
    """Returns the bits of all taps, spare ones 0."""
    depth = shape.input_channels // shape.groups
    taps, tap_bytes = shape.kernel_height * shape.kernel_width, -(-depth // 8)
    rows = bases * shape.output_channels
    weights = packed_rows.constant(node, 1, "uint8", (rows, taps * tap_bytes), "its weights")
    spare = np.full(tap_bytes, 0xFF, np.uint8)
    spare[-1] = (1 << ((depth - 1) % 8 + 1)) - 1
    return weights.reshape(bases, shape.output_channels, taps, tap_bytes) & spare


def _bias_and_scale(node: Node, channels: int) -> tuple[np.ndarray, np.ndarray]:
    bias = packed_rows.constant(node, 2, "int32", (channels,), "its bias")
    scale = packed_rows.constant(node, 3, "float32", (channels,), "its scales")
    most = int(np.abs(bias.astype(np.int64)).max())
    node.require(
        most <= binary_rows.MAX_BIAS, f"its bias must not exceed {binary_rows.MAX_BIAS}", most
    )
    node.require(bool(np.all(np.isfinite(scale))), "its scales must be finite", scale)
    return bias, scale


def _outputs(node: Node) -> int:
    """Returns the output channels of a binary operator."""
    shape = node.input(2).shape
    node.require(len(shape) == 1 and shape[0] > 0, "its bias must be a vector", shape)
    return shape[0]


def _limits(options: dict[str, int]) -> tuple[int, int]:
    return options["output_min"], options["output_max"]


HANDLERS = {
    "EdgeaxBinaryConv2D": sign_sums,
    "EdgeaxBinaryFullyConnected": sign_sums,
    "EdgeaxBinaryMaxPool2D": binary_max_pool2d,
    "EdgeaxSignSumConv2D": sign_sums,
    "EdgeaxSignSumFullyConnected": sign_sums,
}

"""What binary operators and those on sums of signs compute, in either rounding: in numpy, slow.

The plugin rounds once only, so that for double rounding there is no interpreter to ask.
"""

import numpy as np

from edgeax.formats import binary_rows
from edgeax.formats import rounding as rounding_kinds
from edgeax.formats.flatbuffer import Operator, Subgraph
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import packed_rows, sign_sums
from edgeax.runtime.mcu.operators.conv2d import Shape
from edgeax.runtime.mcu.operators.windows import Axis
from edgeax.runtime.mcu.targets import TARGETS

_UNIT = 1 << binary_rows.FRACTION_BITS
NAMES = (*sign_sums.HANDLERS,)
"""The operators."""


def signs(
    graph: Subgraph, operator: Operator, source: np.ndarray, rounding: str = "double"
) -> np.ndarray:
    """Returns the output of an operator of `NAMES`.

    Args:
        graph: Its graph.
        operator: The operator.
        source: What its input stores.
        rounding: "single" or "double".
    """
    node = Node(0, operator, graph.tensors, TARGETS["host"], rounding)
    if operator.name == "EdgeaxBinaryMaxPool2D":
        return _pooled(node, source)
    layer = sign_sums.layer_of(node)
    total = _total(layer, source)
    output, factors = node.output(), layer.factors
    if output.dtype == "uint8":
        negative = total * np.sign(factors.multiplier) < 0
        return np.packbits(negative, axis=-1, bitorder="little").reshape(output.shape)
    scaled = rounding_kinds.requantize(
        total.astype(np.int32), factors.multiplier, factors.shift, rounding
    )
    zero_point = 0 if output.zero_point is None else int(output.zero_point[0])
    found = np.clip(scaled.astype(np.int64) + zero_point, *layer.limits)
    return found.astype(np.int8).reshape(output.shape)


def _total(layer: sign_sums.Layer, source: np.ndarray) -> np.ndarray:
    """Returns the sums with their gains and biases."""
    shape = layer.shape
    depth = shape.input_channels // shape.groups
    kernel = (shape.kernel_height, shape.kernel_width)
    total = layer.bias.astype(np.int64)
    gains = iter(layer.gains) if layer.gains is not None else iter([np.int64(_UNIT)])
    for base in layer.weights:
        bits = np.unpackbits(base, axis=-1, count=depth, bitorder="little")
        weights = 1 - 2 * bits.reshape(shape.output_channels, *kernel, depth).astype(np.int64)
        for plane in range(layer.planes):
            x = _plane(layer, source, plane)
            total = total + next(gains) * _products(x, weights, shape, layer.pad_value)
    return total


def _products(x: np.ndarray, weights: np.ndarray, shape: Shape, outside: int) -> np.ndarray:
    """Returns the sums of a convolution, int64 (batch, rows, columns, output channels)."""
    height = Axis(*_axis(shape, "height"))
    width = Axis(*_axis(shape, "width"))
    image = x.reshape(shape.batches, height.size, width.size, shape.input_channels)
    depth, channels = weights.shape[3], len(weights) // shape.groups
    parts = []
    for group in range(shape.groups):
        of_group = image[..., group * depth : (group + 1) * depth]
        rows = weights[group * channels : (group + 1) * channels].astype(np.int64)
        parts.append(
            sum(
                _seen(of_group, height, width, i, j, outside) @ rows[:, i, j].T
                for i in range(height.kernel)
                for j in range(width.kernel)
            )
        )
    return np.concatenate(parts, axis=-1)


def _axis(shape: Shape, name: str) -> tuple[int, int, int, int, int, int]:
    sizes = (f"input_{name}", f"output_{name}", f"kernel_{name}", f"stride_{name}")
    pad = shape.pad_top if name == "height" else shape.pad_left
    return (*(getattr(shape, size) for size in sizes), getattr(shape, f"dilation_{name}"), pad)


def _seen(x: np.ndarray, height: Axis, width: Axis, i: int, j: int, outside: int) -> np.ndarray:
    """Returns what a tap of all windows reads."""
    taken = x
    for axis, tap, place in ((height, i, 1), (width, j, 2)):
        at = np.arange(axis.output) * axis.stride - axis.pad + tap * axis.dilation
        inside = (at >= 0) & (at < axis.size)
        mask = inside.reshape([-1 if n == place else 1 for n in range(4)])
        taken = np.where(mask, taken.take(at.clip(0, axis.size - 1), place), outside)
    return taken


def _plane(layer: sign_sums.Layer, source: np.ndarray, plane: int) -> np.ndarray:
    """Returns +1 and -1."""
    if layer.signs is None:
        count = layer.shape.input_channels
        bits = np.unpackbits(source, axis=-1, count=count, bitorder="little")
        return 1 - 2 * bits.astype(np.int64)
    negative = layer.signs[source.astype(np.int64) + 128] >> plane & 1
    return 1 - 2 * negative.astype(np.int64)


def _pooled(node: Node, source: np.ndarray) -> np.ndarray:
    options = packed_rows.options_of(node)
    height, width = packed_rows.axes_of(node, options)
    taps = np.ndindex(height.kernel, width.kernel)
    found = np.full((*node.output().shape[:3], source.shape[3]), 0xFF, np.uint8)
    for i, j in taps:
        found &= _seen(source, height, width, i, j, 0xFF).astype(np.uint8)
    bits = np.unpackbits(found, axis=-1, count=options["input_channels"], bitorder="little")
    return np.packbits(bits, axis=-1, bitorder="little")

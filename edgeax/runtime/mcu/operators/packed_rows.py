"""Layers of edgeax's own operators whose weights are packed, read from a file and checked."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from edgeax.formats import coded, grouped_rows, packing, sparse, vector_rows
from edgeax.formats.flatbuffer import Tensor
from edgeax.formats.operators import OPERATORS, PADDING_SAME
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, tiles
from edgeax.runtime.mcu.operators.conv2d import Shape
from edgeax.runtime.mcu.operators.products import Products
from edgeax.runtime.mcu.operators.windows import Axis, axis, require_output
from edgeax.runtime.mcu.packed_weights import LOOKUP_GROUP_BITS

Stored = grouped_rows.GroupedRows | vector_rows.VectorRows
_CODEBOOKS = (16, 4, 2)
_REDUCED = 0x7FFF


@dataclasses.dataclass(frozen=True, eq=False)
class PackedRows:
    """Weights of a layer.

    Attributes:
        rows: int8, shape (rows, weights of a row), as the operator has them.
        stored: How the file has them, where kernels read it likewise; else None.
    """

    rows: np.ndarray
    stored: Stored | None = None


def options_of(node: Node) -> dict[str, int]:
    """Returns the options of one of edgeax's operators; fails where they are no good."""
    try:
        return OPERATORS[node.operator.name].unpack_options(node.operator.custom_options)
    except ValueError as error:
        raise _at(node, error) from error


def read_layer(
    node: Node, options: dict[str, int], rows: int, depth: int
) -> tuple[Products, PackedRows]:
    """Returns the numbers of a layer, its weights in the shape (rows, depth), all checked.

    Args:
        node: The operator.
        options: See `options_of`.
        rows: Rows of its weights.
        depth: Weights of a row.
    """
    x, output = node.input(0), node.output()
    wide = OPERATORS[node.operator.name].takes_int16
    codes.require_dtype(node, x, ("int8", "int16") if wide else ("int8",), "its input")
    codes.require_dtype(node, output, (x.dtype,), "its output")
    if node.operator.name.startswith("EdgeaxCoded"):
        found, bias, scale = _coded(node, rows, depth)
    else:
        found = _read_rows(node, options, rows, depth)
        channels = depth if node.operator.name == "EdgeaxDepthwiseConv2D" else rows
        bias = constant(node, 2, "int32", (channels,), "its bias")
        scale = constant(node, 3, "float32", (channels,), "its scales")
    node.require(bool(np.all(np.isfinite(scale))), "its scales must be finite", scale)
    products = Products(
        weights=found.rows,
        bias=bias,
        factors=factors_of(node, scale),
        input_zero_point=codes.zero_point_of(node, x, "its input"),
        output_zero_point=codes.zero_point_of(node, output, "its output"),
        output_limits=limits_of(node, options),
    )
    return products, found


def factors_of(node: Node, scale: np.ndarray) -> tiles.ScaledFactors:
    """Returns the factors from sums to output codes.

    Args:
        node: The operator.
        scale: float32, one of each channel.
    """
    x, output = node.input(0), node.output()
    input_scale = codes.scale_of(node, x, "its input")
    output_scale = codes.scale_of(node, output, "its output")
    factors = tiles.factors_of(input_scale * scale.astype(np.float64) / output_scale)
    if x.dtype == "int8" or node.operator.name.endswith("FullyConnected"):
        return factors
    # Beside int16 codes, convolutions have multipliers of 15 bits, whatever the rounding.
    magnitude = np.minimum((np.abs(factors.multiplier.astype(np.int64)) + 2**15) >> 16, _REDUCED)
    multiplier = np.sign(factors.multiplier) * (magnitude << 16)
    return tiles.ScaledFactors(multiplier.astype(np.int32), factors.shift)


def limits_of(node: Node, options: dict[str, int]) -> tuple[int, int]:
    """Returns the limits of the output's codes."""
    low, high = options["output_min"], options["output_max"]
    ends = np.iinfo(node.output().dtype)
    node.require(
        ends.min <= low and high <= ends.max,
        "its output limits must be codes of its output",
        f"{low} and {high}",
    )
    return low, high


def rows_and_depth(node: Node) -> tuple[int, int]:
    """Returns how many rows the input of a matrix product has, and how many numbers each."""
    shape, output = node.input(0).shape, node.output().shape
    node.require(len(shape) > 0 and len(output) > 0, "its input must have axes", shape)
    rows = math.prod(shape[:-1])
    node.require(math.prod(output[:-1]) == rows, f"its output must have {rows} rows", f"{output}")
    return rows, shape[-1]


def image_shape(node: Node, options: dict[str, int], inputs: int, outputs: int) -> Shape:
    """Returns the shapes of a convolution.

    Args:
        node: The operator.
        options: See `options_of`.
        inputs: Channels of its input.
        outputs: Channels of its output.
    """
    groups = options.get("groups", 1)
    node.require(
        inputs % groups == 0 and outputs % groups == 0,
        "its channels must split into groups",
        f"{inputs} and {outputs} channels, {groups} groups",
    )
    height, width = axes_of(node, options)
    batches = node.input(0).shape[0]
    return Shape.of_windows(batches, height, width, inputs, outputs, groups)


def axes_of(node: Node, options: dict[str, int]) -> tuple[Axis, Axis]:
    """Returns how windows lie on the height and the width of the input; checks the output."""
    x, output = node.input(0).shape, node.output().shape
    node.require(len(x) == len(output) == 4, "its input and output must have 4 axes", (x, output))
    height, width = (
        _axis(options, name, size) for name, size in zip(("height", "width"), x[1:3], strict=True)
    )
    require_output(node, height, width)
    return height, width


def constant(
    node: Node, position: int, dtype: str, shape: tuple[int, ...] | None, what: str
) -> np.ndarray:
    """Returns a constant input, told as `what`; fails unless it has a type and a shape.

    Args:
        node: The operator.
        position: Of the input.
        dtype: Its type.
        shape: Its shape; None: any.
        what: What it is.
    """
    tensor: Tensor = node.input(position)
    codes.require_dtype(node, tensor, (dtype,), what)
    node.require(
        shape is None or tensor.shape == shape, f"{what} must have the shape {shape}", tensor.shape
    )
    if 0 in tensor.shape:  # a layer of zeros alone; such a tensor has no content
        return np.zeros(tensor.shape, dtype)
    return node.constant(position)


def _axis(options: dict[str, int], name: str, size: int) -> Axis:
    kernel, stride = options[f"kernel_{name}"], options[f"stride_{name}"]
    dilation = options.get(f"dilation_{name}", 1)
    padding = "SAME" if options["padding"] == PADDING_SAME else "VALID"
    return axis(size, kernel, stride, dilation, padding)


def _read_rows(node: Node, options: dict[str, int], rows: int, depth: int) -> PackedRows:
    name = node.operator.name.removeprefix("Edgeax")
    for family, read in _READERS.items():
        if name.startswith(family):
            return read(node, options, rows, depth)
    return _codebook(node, options, rows, depth)


def _codebook(node: Node, _: dict[str, int], rows: int, depth: int) -> PackedRows:
    codebook = constant(node, 4, "int8", None, "its codebook")
    node.require(
        codebook.shape in [(size,) for size in _CODEBOOKS],
        "its codebook must have 16, 4 or 2 values",
        codebook.shape,
    )
    bits = codebook.size.bit_length() - 1
    weights = constant(node, 1, "uint8", (rows, -(-depth * bits // 8)), "its weights")
    return PackedRows(codebook[packing.unpack(weights, bits, depth, signed=False)])


def _sparse(node: Node, options: dict[str, int], rows: int, depth: int) -> PackedRows:
    values = constant(node, 1, "int8", None, "its weights").reshape(-1)
    indices = constant(node, 4, "uint8", None, "its indices").reshape(-1)
    block = options["block"]
    node.require(block in sparse.BLOCKS, f"its block must be one of {sparse.BLOCKS}", block)
    try:
        stored = sparse.SparseRows(depth, block, options["places"], values, indices)
        return PackedRows(sparse.decode(stored, rows))
    except ValueError as error:
        raise _at(node, error) from error


def _vector(node: Node, _: dict[str, int], rows: int, depth: int) -> PackedRows:
    codebook = constant(node, 4, "int8", None, "its codebook")
    node.require(
        codebook.ndim == 3
        and 2 <= codebook.shape[2] <= vector_rows.MOST_ENTRIES
        and depth % (codebook.shape[0] * codebook.shape[1]) == 0,
        f"its codebook must have the shape (tables, length, entries), and suit rows of {depth}",
        codebook.shape,
    )
    weights = constant(node, 1, "uint8", None, "its weights").reshape(-1)
    stored = vector_rows.VectorRows(weights, codebook)
    places = depth // codebook.shape[1]
    blocks = [
        min(vector_rows.INDEX_BLOCK, rows - first)
        for first in range(0, rows, vector_rows.INDEX_BLOCK)
    ]
    size = places * sum(-(-width * stored.bits // 8) for width in blocks)
    node.require(weights.size == size, f"its weights must have {size} bytes", weights.size)
    try:
        return PackedRows(vector_rows.decode(stored, rows), stored)
    except IndexError:
        return node.fail(f"its weights must be below {codebook.shape[2]}", "larger ones")


def _grouped(node: Node, options: dict[str, int], rows: int, depth: int) -> PackedRows:
    codebooks = constant(node, 4, "int8", None, "its codebooks")
    count = codebooks.shape[0] if codebooks.ndim == 2 else 0
    node.require(
        count in [1 << power for power in range(9)] and codebooks.shape[1] in (4, 16),
        "its codebooks must be a power of two up to 256, of 4 or 16 values",
        codebooks.shape,
    )
    bits = codebooks.shape[1].bit_length() - 1
    group = 1 << options.get("group_bits", LOOKUP_GROUP_BITS)
    size = -(-depth * bits // 8)
    weights = constant(node, 1, "uint8", (rows, size + -(-depth // group)), "its weights")
    stored = grouped_rows.GroupedRows(
        codes=packing.unpack(np.ascontiguousarray(weights[:, :size]), bits, depth, signed=False),
        numbers=weights[:, size:] & np.uint8(count - 1),
        codebooks=codebooks,
        group=group,
    )
    return PackedRows(stored.decode(), stored)


def _coded(node: Node, rows: int, depth: int) -> tuple[PackedRows, np.ndarray, np.ndarray]:
    data = constant(node, 1, "uint8", None, "its rows")
    try:
        found = coded.decode(data.tobytes())
    except ValueError as error:
        raise _at(node, error) from error
    node.require(
        found.codes.shape == (rows, depth),
        f"its rows must be {rows} of {depth} weights",
        found.codes.shape,
    )
    return PackedRows(found.codes), found.bias, np.broadcast_to(found.scale, (rows,))


def _at(node: Node, error: ValueError) -> ValueError:
    return ValueError(f"operator {node.label}: {error}")


_Reader = Callable[[Node, dict[str, int], int, int], PackedRows]
_READERS: dict[str, _Reader] = {
    "Sparse": _sparse,
    "Vector": _vector,
    "Grouped": _grouped,
    "Lookup": _grouped,
}

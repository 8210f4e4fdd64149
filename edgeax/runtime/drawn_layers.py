"""Random layers of low-bit and sparse weights, for measuring the operators that compute them."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgeax.formats import binary_rows, packing, sparse, vector_rows
from edgeax.formats.layer_shape import CONV, DEPTHWISE, FULLY_CONNECTED, LayerShape

_ENDS = {CONV: "Conv2D", DEPTHWISE: "DepthwiseConv2D", FULLY_CONNECTED: "FullyConnected"}


@dataclasses.dataclass(frozen=True)
class Layer:
    """One drawn layer.

    Attributes:
        weights: The weights as int8 codes, `(outputs, depth)`.
        operator: How the name of the operator that computes it begins; "Conv2D", "DepthwiseConv2D"
            or "FullyConnected" follows.
        constants: Its inputs but input, bias and scale, by name.
        options: Its options beyond those of any layer.
    """

    weights: np.ndarray
    operator: str
    constants: Mapping[str, np.ndarray]
    options: Mapping[str, int] = dataclasses.field(default_factory=dict)


Draw = Callable[[LayerShape, np.random.Generator], Layer]


def codebook(bits: int) -> Draw:
    """Returns what draws codes into a table of `2**bits` int8 values."""

    def draw(shape: LayerShape, source: np.random.Generator) -> Layer:
        values = np.sort(source.choice(np.arange(-127, 128), 1 << bits, replace=False))
        return _of_codes(values, bits, shape, source)

    return draw


def integers(bits: int, low: int, high: int) -> Draw:
    """Returns what draws whole numbers from `low` to `high`, stored as codes of so many bits."""

    def draw(shape: LayerShape, source: np.random.Generator) -> Layer:
        return _of_codes(np.arange(low, high + 1), bits, shape, source)

    return draw


def _of_codes(
    values: np.ndarray, bits: int, shape: LayerShape, source: np.random.Generator
) -> Layer:
    codes = source.integers(0, len(values), (shape.outputs, shape.depth), dtype=np.uint8)
    table = np.pad(values.astype(np.int8), (0, (1 << bits) - len(values)))
    rows = codes.T if shape.layer == DEPTHWISE else codes  # there a row is a tap
    constants = {"weights": packing.pack(np.ascontiguousarray(rows), bits), "codebook": table}
    return Layer(table[codes], "Edgeax", constants)


def blocks(block: int, kept: int, of: int, channels: int = 1) -> Draw:
    """Returns what draws rows in which so many of so many neighboring blocks are left.

    Args:
        block: Weights in a block, beside each other in one output channel.
        kept: Blocks that are left, at random places.
        of: Of how many.
        channels: Neighboring output channels whose blocks are left at the same places.
    """

    def draw(shape: LayerShape, source: np.random.Generator) -> Layer:
        groups = -(-shape.depth // (block * of))
        patterns = -(-shape.outputs // channels)
        order = source.random((patterns, groups, of)).argsort(axis=2)
        left = np.repeat((order < kept).reshape(patterns, -1), block, axis=1)
        left = np.repeat(left, channels, axis=0)[: shape.outputs]
        weights = source.integers(1, 128, (shape.outputs, shape.depth))
        weights = weights * source.choice([-1, 1], weights.shape) * left[:, : shape.depth]
        rows = sparse.encode(weights.astype(np.int8), block, sparse.BITMASK)
        constants = {"weights": rows.values, "indices": rows.indices}
        options = {"block": block, "places": sparse.BITMASK}
        return Layer(weights.astype(np.int8), "EdgeaxSparse", constants, options)

    return draw


def sub_vectors(entries: int, length: int) -> Draw:
    """Returns what draws rows of sub-vectors that are codewords of one table.

    Args:
        entries: Codewords, 1 to `vector_rows.MOST_ENTRIES`.
        length: Weights of a codeword; it divides the depth of the layer.
    """

    def draw(shape: LayerShape, source: np.random.Generator) -> Layer:
        codewords = source.integers(-127, 128, (entries, length)).astype(np.int8)
        indices = source.integers(0, entries, (shape.outputs, shape.depth // length))
        weights = codewords[indices].reshape(shape.outputs, shape.depth)
        stored = vector_rows.encode(weights, length, tables=1)
        constants = {"weights": stored.weights, "codebook": stored.codebook}
        return Layer(weights, "EdgeaxVector", constants)

    return draw


def signs(shape: LayerShape, source: np.random.Generator) -> Layer:
    """Draws weights of +1 and -1 for signs of inputs; outside of the image counts as 0."""
    weights = source.choice(np.array([-1, 1], np.int8), (shape.outputs, shape.depth))
    taps = weights.reshape(shape.outputs, -1, shape.inputs)
    options = {"input_packed": 0, "output_packed": 0, "input_channels": shape.inputs}
    options |= {"pad_value": 0} if shape.layer == CONV else {}
    return Layer(weights, "EdgeaxBinary", {"weights": binary_rows.pack_rows(taps)}, options)


def as_options(layer: Layer, shape: LayerShape) -> dict[str, Any]:
    """Returns what `operator_files.custom_file` needs to know of a layer."""
    return {
        "operator": layer.operator + _ENDS[shape.layer],
        "constants": layer.constants,
        "options": layer.options,
    }

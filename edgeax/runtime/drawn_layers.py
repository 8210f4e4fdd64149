"""Random layers of low-bit and sparse weights, for measuring the operators that compute them."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgeax.formats import binary_rows, packing, sign_sum, sparse, vector_rows
from edgeax.formats.grouped_rows import GroupedRows, grouped_rows
from edgeax.formats.layer_shape import CONV, DEPTHWISE, FULLY_CONNECTED, LayerShape
from edgeax.runtime.operator_files import INPUT_SCALE

ONE = round(1 / INPUT_SCALE)
"""The code of the input 1.0."""

POINTS = np.rint(np.arange(-128, 128) * INPUT_SCALE).clip(-2, 2).astype(np.int8)
"""The whole number from -2 to 2 nearest to what each int8 code of an input stands for."""

_ENDS = {CONV: "Conv2D", DEPTHWISE: "DepthwiseConv2D", FULLY_CONNECTED: "FullyConnected"}
_MOST_TABLES = 256


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
        return _of_codes(_distinct(bits, source), bits, shape, source)

    return draw


def _distinct(bits: int, source: np.random.Generator) -> np.ndarray:
    values = np.arange(-127, 128, dtype=np.int8)
    return np.sort(source.choice(values, 1 << bits, replace=False))


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


def groups(bits: int, group: int) -> Draw:
    """Returns what draws codes of so many bits, in groups whose steps are whole numbers.

    Args:
        bits: Of a code, 2 or 4.
        group: Weights in a group, a power of two.
    """

    def draw(shape: LayerShape, source: np.random.Generator) -> Layer:
        half = 1 << (bits - 1)
        codes = source.integers(-half, half, (shape.outputs, shape.depth))
        steps = source.integers(1, 16, (shape.outputs, -(-shape.depth // group)))
        weights = codes * np.repeat(steps, group, axis=1)[:, : shape.depth]
        rows = grouped_rows(weights.astype(np.int8), group)
        constants = {"weights": rows.packed(), "codebook": rows.codebooks}
        options = {"group_bits": group.bit_length() - 1}
        return Layer(weights.astype(np.int8), "EdgeaxGrouped", constants, options)

    return draw


def lookups(bits: int) -> Draw:
    """Returns what draws codes into a table of `2**bits` values of each output, for inputs that are
    put on whole numbers.
    """

    def draw(shape: LayerShape, source: np.random.Generator) -> Layer:
        tables = 1 << (min(shape.outputs, _MOST_TABLES) - 1).bit_length()
        values = np.stack([_distinct(bits, source) for _ in range(tables)])
        codes = source.integers(0, 1 << bits, (shape.outputs, shape.depth), dtype=np.uint8)
        numbers = (np.arange(shape.outputs) % tables).astype(np.uint8)[:, np.newaxis]
        rows = GroupedRows(codes, numbers, values, group=1 << 16)
        constants = {"weights": rows.packed(), "codebook": rows.codebooks, "points": POINTS}
        return Layer(rows.decode(), "EdgeaxLookup", constants)

    return draw


def sign_sums(planes: int, bases: int) -> Draw:
    """Returns what draws weights that are sums of signs, for inputs that are such sums.

    Args:
        planes: Equal signs of an input, whose sums reach from -1.0 to 1.0; see `sums_of`.
        bases: Signs of a weight, each twice as large as the one before.
    """

    def draw(shape: LayerShape, source: np.random.Generator) -> Layer:
        digits = source.choice(np.array([-1, 1], np.int8), (bases, shape.outputs, shape.depth))
        gains = 1 << np.arange(bases)
        weights = planes * np.tensordot(gains, digits, axes=1)
        parts = np.repeat(gains, planes).astype(np.int32)
        taps = digits.reshape(bases, shape.outputs, -1, shape.inputs)
        constants = {
            "weights": sign_sum.pack_bases(taps),
            "gains": np.tile(parts[:, np.newaxis], shape.outputs),
            "thresholds": sign_sum.thresholds_of([[end] for end in middles_of(sums_of(planes))]),
        }
        options = {"planes": planes, "bases": bases}
        options |= {"pad_value": 0} if shape.layer == CONV else {}
        return Layer(weights.astype(np.int8), "EdgeaxSignSum", constants, options)

    return draw


def sums_of(planes: int) -> list[int]:
    """Returns the codes of the sums of so many equal signs, from that of -1.0 to that of 1.0."""
    return [int(code) for code in np.linspace(-ONE, ONE, planes + 1)]


def middles_of(levels: Sequence[int]) -> list[int]:
    """Returns the codes halfway between two of some that ascend."""
    return [(low + high) // 2 for low, high in itertools.pairwise(levels)]


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

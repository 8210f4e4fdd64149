"""Kinds of low-bit and sparse layers that are timed alone, and the speeds that an issue wants."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.operator_files import INPUT_SCALE, Shape, conv, fully_connected
from edgeax.formats import packing, sparse

CONVOLUTIONS = (
    conv(56, 64, 64, 3),
    conv(28, 128, 128, 3),
    conv(14, 256, 256, 3),
    conv(7, 512, 512, 3),
    conv(56, 64, 256, 1),
    conv(14, 512, 512, 1),
)
LARGE_PRODUCT = fully_connected(4096, 4096)
PRODUCTS = (
    fully_connected(256, 256),
    fully_connected(784, 300),
    fully_connected(1024, 1024),
    LARGE_PRODUCT,
)


@dataclasses.dataclass(frozen=True)
class Layer:
    """One drawn layer.

    Attributes:
        weights: The weights as int8 codes, `(outputs, depth)`.
        operator: The operator that computes it, without "Conv2D" or "FullyConnected".
        constants: Its inputs but input, bias and scale, by name.
        options: Its options beyond those of any layer.
    """

    weights: np.ndarray
    operator: str
    constants: Mapping[str, np.ndarray]
    options: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A speed that an issue wants of a kind.

    Attributes:
        speed: How many times as fast as the baseline.
        shapes: Where.
        baseline: "int8" or "int4", the type of the built-in operator's weights.
        cold: Whether the weights lie in no cache.
    """

    speed: float
    shapes: Sequence[Shape]
    baseline: str = "int8"
    cold: bool = False


@dataclasses.dataclass(frozen=True)
class Kind:
    """A way to store weights.

    Attributes:
        name: As in a report.
        draw: Returns a random layer of this kind.
        shapes: What is measured.
        wanted: The targets.
        inputs: The codes that inputs are drawn from.
    """

    name: str
    draw: Callable[[Shape, np.random.Generator], Layer]
    shapes: Sequence[Shape]
    wanted: Sequence[Wanted]
    inputs: Sequence[int] = range(-128, 128)


def codebook(bits: int) -> Callable[[Shape, np.random.Generator], Layer]:
    """Returns what draws codes into a table of `2**bits` int8 values."""

    def draw(shape: Shape, source: np.random.Generator) -> Layer:
        values = np.sort(source.choice(np.arange(-127, 128), 1 << bits, replace=False))
        return _of_codes(values, bits, shape, source)

    return draw


def integers(bits: int, low: int, high: int) -> Callable[[Shape, np.random.Generator], Layer]:
    """Returns what draws whole numbers from `low` to `high`, stored as codes of so many bits."""

    def draw(shape: Shape, source: np.random.Generator) -> Layer:
        return _of_codes(np.arange(low, high + 1), bits, shape, source)

    return draw


def _of_codes(values: np.ndarray, bits: int, shape: Shape, source: np.random.Generator) -> Layer:
    codes = source.integers(0, len(values), (shape.outputs, shape.depth), dtype=np.uint8)
    table = np.pad(values.astype(np.int8), (0, (1 << bits) - len(values)))
    constants = {"weights": packing.pack(codes, bits), "codebook": table}
    return Layer(table[codes], "Edgeax", constants)


def blocks(block: int, kept: int, of: int) -> Callable[[Shape, np.random.Generator], Layer]:
    """Returns what draws rows in which so many of so many neighboring blocks are left.

    Args:
        block: Weights in a block, beside each other in one output channel.
        kept: Blocks that are left, at random places.
        of: Of how many.
    """

    def draw(shape: Shape, source: np.random.Generator) -> Layer:
        groups = -(-shape.depth // (block * of))
        order = source.random((shape.outputs, groups, of)).argsort(axis=2)
        left = np.repeat((order < kept).reshape(shape.outputs, -1), block, axis=1)
        weights = source.integers(1, 128, (shape.outputs, shape.depth))
        weights = weights * source.choice([-1, 1], weights.shape) * left[:, : shape.depth]
        rows = sparse.encode(weights.astype(np.int8), block, sparse.BITMASK)
        constants = {"weights": rows.values, "indices": rows.indices}
        options = {"block": block, "places": sparse.BITMASK}
        return Layer(weights.astype(np.int8), "EdgeaxSparse", constants, options)

    return draw


def binary(shape: Shape, source: np.random.Generator) -> Layer:
    """Draws weights of +1 and -1 for signs of inputs; outside of the image counts as 0."""
    signs = source.choice(np.array([-1, 1], np.int8), (shape.outputs, shape.depth))
    taps = signs.reshape(shape.outputs, -1, shape.input[-1])
    bits = np.packbits(taps < 0, axis=-1, bitorder="little").reshape(shape.outputs, -1)
    options = {"input_packed": 0, "output_packed": 0, "input_channels": shape.input[-1]}
    if shape.kernel:
        options["pad_value"] = 0
    return Layer(signs, "EdgeaxBinary", {"weights": bits}, options)


_ONE = round(1 / INPUT_SCALE)  # the code of the input 1.0

COLD = (LARGE_PRODUCT,)
"""Shapes that are measured with weights from memory too."""

KINDS = (
    Kind(
        "codebook-16",
        codebook(4),
        (*CONVOLUTIONS, *PRODUCTS),
        (
            Wanted(0.90, CONVOLUTIONS),
            Wanted(1.9, COLD, cold=True),
            Wanted(1.1, COLD, "int4", cold=True),
        ),
    ),
    Kind("int4", integers(4, -8, 7), CONVOLUTIONS, (Wanted(0.90, CONVOLUTIONS),)),
    Kind("int2", integers(2, -2, 1), CONVOLUTIONS, (Wanted(0.90, CONVOLUTIONS),)),
    Kind(
        "ternary",
        integers(2, -1, 1),
        (*CONVOLUTIONS, *PRODUCTS),
        (Wanted(0.90, CONVOLUTIONS), Wanted(3.3, COLD, cold=True)),
    ),
    Kind("sparse 75 % 1x4", blocks(4, 4, 16), CONVOLUTIONS, (Wanted(1.6, CONVOLUTIONS),)),
    Kind(
        "balanced 4 of 16 blocks 1x4",
        blocks(4, 4, 16),
        PRODUCTS,
        (Wanted(3.0, COLD, cold=True),),
    ),
    Kind(
        "binary",
        binary,
        (*CONVOLUTIONS, *PRODUCTS),
        (
            Wanted(3.8, CONVOLUTIONS[:1]),
            Wanted(4.5, CONVOLUTIONS[1:4]),
            Wanted(7.0, COLD, cold=True),
        ),
        inputs=(-_ONE, _ONE),
    ),
)


def as_options(layer: Layer, shape: Shape) -> dict[str, Any]:
    """Returns what `operator_files.custom_file` needs to know of a layer."""
    end = "Conv2D" if shape.kernel else "FullyConnected"
    return {
        "operator": layer.operator + end,
        "constants": dict(layer.constants),
        "options": dict(layer.options),
    }

"""FULLY_CONNECTED."""

import dataclasses
import math

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import conv2d, products, tiles
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct

_FEW_ROWS = 3  # more are a convolution, which reads the weights once


def fully_connected(node: Node) -> Lowered:
    """Returns the step of a FULLY_CONNECTED."""
    node.require(
        node.options.get("weights_format", 0) == 0,
        "its weights must be in the default format",
        node.options.get("weights_format"),
    )
    found = products.read_products(node, (0, 1, 2))
    found = products.without_constant_channels(found, node.rounding)
    node.require(found.weights.ndim == 2, "its weights must have 2 axes", f"{found.weights.shape}")
    outputs, depth = found.weights.shape
    rows = _rows(node, outputs, depth)
    if rows > _FEW_ROWS or depth % tiles.layout_for(node.target).multiple:
        shape = conv2d.Shape(1, 1, rows, depth, 1, rows, outputs, 1, 1)
        image = dataclasses.replace(found, weights=found.weights.reshape(outputs, 1, 1, depth))
        return [conv2d.convolution(node, image, shape)]
    return [_few_rows(node, found, rows)]


def _few_rows(node: Node, found: products.Products, rows: int) -> Step:
    outputs, depth = found.weights.shape
    weights = found.weights.reshape(1, outputs, 1, depth)
    arguments = Struct(
        "FullyConnectedArgs",
        {
            "rows": rows,
            "depth": depth,
            "outputs": outputs,
            "tile": found.tile_plan(node, tiles.Room(0, is_expanded=False)),
            "factors": found.factors.struct(),
            "bias": products.bias_array(found.folded_bias),
            "weights": Array("weights", tiles.tiled(weights, tiles.layout_for(node.target))),
        },
    )
    return Step(
        label=node.label,
        kernel="FullyConnected",
        header="fully_connected.h",
        arguments=arguments,
        reads=(node.inputs[0],),
        writes=(node.outputs[0],),
        rounds=True,
        macs=rows * outputs * depth,
    )


def _rows(node: Node, outputs: int, depth: int) -> int:
    """Returns how many rows of `depth` codes the input has."""
    shape, output = node.input(0).shape, node.output().shape
    count = math.prod(shape)
    rows = count // depth
    node.require(
        rows * depth == count and math.prod(output) == rows * outputs,
        f"its input must be rows of {depth} codes, its output as many rows of {outputs}",
        f"{shape} and {output}",
    )
    return rows


HANDLERS = {"FULLY_CONNECTED": fully_connected}

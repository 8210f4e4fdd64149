"""FULLY_CONNECTED."""

import dataclasses
import math

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import conv2d, products, tiles
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct

FEW_ROWS = 3
"""More are a convolution, which reads the weights once."""


def fully_connected(node: Node) -> Lowered:
    """Returns the step of a FULLY_CONNECTED."""
    image, shape = read_layer(node)
    if image.bias.dtype == np.int64:
        return [conv2d.convolution_int16(node, image, shape)]
    image = products.without_constant_channels(image, node.rounding)
    rows, depth = shape.input_width, shape.input_channels
    if rows > FEW_ROWS or depth % tiles.layout_for(node.target).multiple:
        return [conv2d.convolution(node, image, shape)]
    return [_few_rows(node, dataclasses.replace(image, weights=image.rows), rows)]


def read_layer(node: Node) -> tuple[products.Products, conv2d.Shape]:
    """Returns a FULLY_CONNECTED, all checked, as a convolution of a row of pixels."""
    node.require(
        node.options.get("weights_format", 0) == 0,
        "its weights must be in the default format",
        node.options.get("weights_format"),
    )
    found = products.read_products(node, (0, 1, 2))
    node.require(found.weights.ndim == 2, "its weights must have 2 axes", f"{found.weights.shape}")
    outputs, depth = found.weights.shape
    rows = _rows(node, outputs, depth)
    shape = conv2d.Shape(1, 1, rows, depth, 1, rows, outputs, 1, 1)
    return dataclasses.replace(found, weights=found.weights.reshape(outputs, 1, 1, depth)), shape


def _few_rows(node: Node, found: products.Products, rows: int) -> Step:
    outputs, depth = found.weights.shape
    layout = tiles.layout_for(node.target)
    quick, bias = found.is_quick(node), found.folded_bias
    carried = layout.expands and quick and tiles.can_carry(bias, found.weights)
    if carried:
        constants = [tiles.carried(found.weights)]
    else:
        constants = [tiles.tiled(found.weights.reshape(1, outputs, 1, depth), layout)]
    arguments = Struct(
        "FullyConnectedArgs",
        {
            "rows": rows,
            "depth": depth,
            "outputs": outputs,
            "tile": found.tile_plan(node, tiles.Room(0, is_expanded=False), quick, carried),
            "factors": found.factors.struct(),
            "bias": Array("bias", tiles.carried_bias(bias))
            if carried
            else products.bias_array(bias),
            "weights": tiles.weights_array(constants, layout, [depth]),
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

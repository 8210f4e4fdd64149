"""Convolutions and matrix products of edgeax's own operators, whose weights are packed."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from edgeax.formats.grouped_rows import GroupedRows
from edgeax.formats.vector_rows import VectorRows
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import (
    conv2d,
    packed_rows,
    packings,
    products,
    sparse_tiles,
    ternary_tiles,
    tiles,
)
from edgeax.runtime.mcu.operators.packed_form import Form, packed_layer, tiles_of
from edgeax.runtime.mcu.operators.packed_int16 import packed_int16
from edgeax.runtime.mcu.operators.packed_rows import PackedRows
from edgeax.runtime.mcu.operators.products import Products
from edgeax.runtime.mcu.program import Lowered, Step

_DIRECT = 0.72  # bytes count less where no tiles are decoded


def packed(node: Node) -> Lowered:
    """Returns the step of a convolution or a matrix product."""
    return [_step(node, *layer_of(node))]


def layer_of(node: Node) -> tuple[Products, PackedRows, conv2d.Shape]:
    """Returns the numbers of a convolution, or of a matrix product as one of a row of pixels.

    Weights have the shape (output channels, height, width, input channels of a group).
    """
    options = packed_rows.options_of(node)
    if node.operator.name.endswith("FullyConnected"):
        rows, depth = packed_rows.rows_and_depth(node)
        outputs = node.output().shape[-1]
        shape = conv2d.Shape(1, 1, rows, depth, 1, rows, outputs, 1, 1)
    else:
        x, output = node.input(0).shape, node.output().shape
        node.require(
            len(x) == len(output) == 4, "its input and output must have 4 axes", (x, output)
        )
        shape = packed_rows.image_shape(node, options, x[3], output[3])
    kernel = (shape.kernel_height, shape.kernel_width)
    depth = kernel[0] * kernel[1] * (shape.input_channels // shape.groups)
    found, rows_found = packed_rows.read_layer(node, options, shape.output_channels, depth)
    image = found.weights.reshape(shape.output_channels, *kernel, -1)
    return dataclasses.replace(found, weights=image), rows_found, shape


def _step(node: Node, found: Products, rows: PackedRows, shape: conv2d.Shape) -> Step:
    if node.input(0).dtype == "int16":
        return packed_int16(node, found, shape)
    forms = [_packed(node, found, rows, shape)]
    if rows.stored is None:
        simpler = products.without_constant_channels(found, node.rounding)
        simpler = products.with_smaller_factors(simpler, node.rounding)
        forms.insert(0, _packed(node, simpler, rows, shape))
        forms += sparse_tiles.form_of(node, simpler, shape)
        forms += ternary_tiles.form_of(node, simpler, shape)
    smallest = min(form.packing.size_bytes for form in forms)
    if smallest >= found.weights.size:
        return conv2d.convolution(node, found, shape)
    form = min(forms, key=lambda form: form.packing.size_bytes * (_DIRECT if form.is_direct else 1))
    return Step(
        label=node.label,
        kernel=form.packing.kernel,
        header=form.packing.header,
        arguments=form.arguments,
        reads=(node.inputs[0],),
        writes=(node.outputs[0],),
        extent=shape.window,
        rounds=True,
        scratch_bytes=form.scratch_bytes,
        macs=shape.macs,
    )


def _packed(node: Node, found: Products, rows: PackedRows, shape: conv2d.Shape) -> Form:
    """Returns the smallest form of the weights that decodes whole tiles."""
    quick = found.is_quick(node)
    plan = conv2d.plan_for(node, shape, found, decodes=True)
    content = tiles_of(found, shape, plan.patch, tiles.layout_for(node.target))
    packing = min(_ways(content, rows, shape.groups), key=lambda way: way.size_bytes)
    return Form(packing, packed_layer(node, found, shape, plan, quick), plan.scratch_bytes)


def _ways(content: np.ndarray, rows: PackedRows, groups: int) -> Iterator[packings.Packing]:
    if isinstance(rows.stored, VectorRows):
        yield packings.in_vectors(rows.stored, rows.rows, groups)
    if isinstance(rows.stored, GroupedRows):
        yield packings.in_groups(rows.stored, groups)
    yield from packings.packings_of(content)


_FAMILIES = ("", "Sparse", "Vector", "Grouped", "Coded")
HANDLERS = {
    **{f"Edgeax{family}Conv2D": packed for family in _FAMILIES},
    **{f"Edgeax{family}FullyConnected": packed for family in _FAMILIES},
}

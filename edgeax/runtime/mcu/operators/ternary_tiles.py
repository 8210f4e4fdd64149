"""Convolutions with weights of -1, 0 and 1 in flash: tflite_kernels/micro/ternary_conv2d.h."""

import dataclasses

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import conv2d, packings, tiles
from edgeax.runtime.mcu.operators.packed_form import Form, packed_layer, tiles_of
from edgeax.runtime.mcu.operators.products import Products
from edgeax.runtime.mcu.program import Array

_LAYOUT = tiles.Layout(block=1, multiple=16, spare_bytes=0, expands=False)


def form_of(node: Node, found: Products, shape: conv2d.Shape) -> list[Form]:
    """Returns the form of digits; none where other weights occur or it would not be quick."""
    quick = found.is_quick(node)
    if not (node.target.has_helium and quick) or np.abs(found.weights.astype(int)).max() > 1:
        return []
    patch = conv2d.patch_of(node.target, shape)
    plan = conv2d.cut(node, shape, patch, [tiles.Room(0, is_expanded=False)], True)
    packing = packings.in_digits(tiles_of(found, shape, patch, _LAYOUT))
    layer = packed_layer(node, found, shape, plan, quick)
    bias = tiles.per_tile(found.folded_bias, shape.groups)
    fields = {**layer.fields, "bias": Array("bias", _sums(bias), alignment=4)}
    layer = dataclasses.replace(layer, fields=fields)
    return [Form(packing, layer, plan.scratch_bytes, is_direct=True)]


def _sums(bias: np.ndarray) -> np.ndarray:
    """Returns biases, filled up to tiles, as sums with digits and their quarters, int32."""
    sums = bias.reshape(-1, tiles.CHANNELS).astype(np.int64)
    for channel in range(tiles.CHANNELS - 2, -1, -1):
        sums[:, channel] += 4 * sums[:, channel + 1]
    return sums.reshape(-1).astype(np.int32)

"""Convolutions whose kernel skips blocks of zeros: tflite_kernels/micro/sparse_conv2d.h."""

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import conv2d, packings, tiles
from edgeax.runtime.mcu.operators.packed_form import Form, packed_layer, tiles_of
from edgeax.runtime.mcu.operators.products import Products

_WORD = 4
_LAYOUT = tiles.Layout(block=4, multiple=_WORD, spare_bytes=0, expands=False)
_AT_ONCE = 4  # blocks that Helium multiplies at once
_MOST_LEFT = 0.8
_MOST_PLACE = 32767


def form_of(node: Node, found: Products, shape: conv2d.Shape) -> list[Form]:
    """Returns the form without the blocks of zeros; none where it would not be quick."""
    patch = conv2d.patch_in_words(shape, _WORD)
    if node.target.has_helium and shape.input_channels % _WORD:
        whole = shape.kernel_height * shape.kernel_width * shape.input_channels // shape.groups
        patch = conv2d.Patch(1, -(-whole // _WORD) * _WORD, is_direct=0)
    content = tiles_of(found, shape, patch, _LAYOUT)
    blocks = content.reshape(-1, packings.BLOCK)
    is_dense = np.any(blocks, axis=1).mean() > _MOST_LEFT
    row_step = shape.dilation_height * shape.input_width * shape.input_channels
    is_far = (patch.runs - 1) * row_step + patch.run_bytes > _MOST_PLACE
    if is_dense or is_far:
        return []
    quick = found.is_quick(node)
    packing, most = packings.in_blocks(content, _AT_ONCE if node.target.has_helium else 1)
    list_bytes = -(-(2 * most + 2) // _WORD) * _WORD
    room = 4 + (2 if patch.runs > 1 else 1) * list_bytes
    if node.target.has_dsp and not node.target.has_helium and quick:
        room += 2 * packings.BLOCK * most
    plan = conv2d.cut(node, shape, patch, [tiles.Room(-(-room // 8) * 8, is_expanded=False)], True)
    layer = packed_layer(node, found, shape, plan, quick)
    return [Form(packing, layer, plan.scratch_bytes, is_direct=True)]

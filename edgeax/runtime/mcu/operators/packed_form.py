"""What convolutions with packed weights have in common, whatever packs them."""

import dataclasses

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import conv2d, products, tiles
from edgeax.runtime.mcu.operators.packings import Packing
from edgeax.runtime.mcu.operators.products import Products
from edgeax.runtime.mcu.program import Struct


@dataclasses.dataclass(frozen=True, eq=False)
class Form:
    """A layer with packed weights.

    Attributes:
        packing: Its weights.
        layer: What C++ calls PackedLayer.
        scratch_bytes: Its scratch.
        is_direct: Whether the kernel multiplies what lies in flash, and decodes no tiles.
    """

    packing: Packing
    layer: Struct
    scratch_bytes: int
    is_direct: bool = False

    @property
    def arguments(self) -> Struct:
        """Arguments of the kernel."""
        return Struct(f"{self.packing.kernel}Args", {"layer": self.layer, **self.packing.fields})


def packed_layer(
    node: Node, found: Products, shape: conv2d.Shape, plan: conv2d.Plan, quick: bool
) -> Struct:
    """Returns what C++ calls PackedLayer."""
    return Struct(
        "PackedLayer",
        {
            "shape": shape.struct(),
            "plan": plan.struct(),
            "tile": found.tile_plan(node, plan.room, quick),
            "input_zero_point": found.input_zero_point,
            "factors": found.factors.struct(shape.groups),
            "bias": products.bias_array(found.folded_bias, shape.groups),
        },
    )


def tiles_of(
    found: Products, shape: conv2d.Shape, patch: conv2d.Patch, layout: tiles.Layout
) -> np.ndarray:
    """Returns the weights as int8 `(tiles, weights of a tile)`, in the order of tile.h."""
    channels = len(found.weights) // shape.groups
    weights = found.weights.reshape(shape.groups, channels, patch.runs, -1)
    count = shape.groups * -(-channels // tiles.CHANNELS)
    return tiles.tiled(weights, layout).reshape(count, -1)

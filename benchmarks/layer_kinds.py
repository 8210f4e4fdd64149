"""Kinds of low-bit and sparse layers that are timed alone, and the speeds that an issue wants."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edgeax.formats.layer_shape import LayerShape, conv, fully_connected
from edgeax.runtime.drawn_layers import (
    ONE,
    Draw,
    blocks,
    codebook,
    groups,
    integers,
    sign_sums,
    signs,
    sub_vectors,
    sums_of,
)

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
class Wanted:
    """A speed that an issue wants of a kind.

    Attributes:
        speed: How many times as fast as the baseline.
        shapes: Where.
        baseline: "int8" or "int4", the type of the built-in operator's weights.
        cold: Whether the weights lie in no cache.
    """

    speed: float
    shapes: Sequence[LayerShape]
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
    draw: Draw
    shapes: Sequence[LayerShape]
    wanted: Sequence[Wanted]
    inputs: Sequence[int] = range(-128, 128)


COLD = (LARGE_PRODUCT,)
"""Shapes that are measured with weights from memory too."""

HEAVY = (CONVOLUTIONS[3], LARGE_PRODUCT)
"""Shapes whose weights take more memory than all else of them."""

TWO_THREADS = 1.8
"""How many times as fast an issue wants convolutions on two threads as on one."""

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
    Kind("sparse 75 % 4x4", blocks(4, 4, 16, 4), CONVOLUTIONS, (Wanted(2.5, CONVOLUTIONS),)),
    Kind("sparse 75 % 16x4", blocks(4, 4, 16, 16), CONVOLUTIONS, ()),
    Kind(
        "balanced 4 of 16 blocks 1x4",
        blocks(4, 4, 16),
        PRODUCTS,
        (Wanted(3.0, COLD, cold=True),),
    ),
    Kind(
        "binary",
        signs,
        (*CONVOLUTIONS, *PRODUCTS),
        (
            Wanted(3.8, CONVOLUTIONS[:1]),
            Wanted(4.5, CONVOLUTIONS[1:4]),
            Wanted(7.0, COLD, cold=True),
        ),
        inputs=(-ONE, ONE),
    ),
    Kind("16 codewords of 8", sub_vectors(16, 8), (*CONVOLUTIONS[:3], *PRODUCTS), ()),
    Kind(
        "sums of 2 signs",
        sign_sums(2, 1),
        (*CONVOLUTIONS[:3], *PRODUCTS),
        (),
        inputs=tuple(sums_of(2)),
    ),
    Kind("int4_g32_int8", groups(4, 32), (*CONVOLUTIONS[:3], *PRODUCTS), ()),
)

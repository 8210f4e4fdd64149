"""How each operator becomes steps: one module per family, one entry of its table per operator."""

from collections.abc import Callable, Mapping

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import (
    activation,
    arithmetic,
    batch_matmul,
    conv2d,
    depthwise_conv2d,
    extremes,
    float_product,
    fully_connected,
    join,
    looked_up,
    lstm,
    packed_conv2d,
    packed_depthwise_conv2d,
    pad,
    pool2d,
    prelu,
    quantize,
    reduce,
    repeat,
    reshape,
    resize,
    sign_sums,
    slices,
    softmax,
    transpose_conv,
    variables,
)
from edgeax.runtime.mcu.program import Lowered

Handler = Callable[[Node], Lowered]

_FAMILIES = (
    activation,
    arithmetic,
    batch_matmul,
    conv2d,
    depthwise_conv2d,
    extremes,
    float_product,
    fully_connected,
    join,
    looked_up,
    lstm,
    packed_conv2d,
    packed_depthwise_conv2d,
    pad,
    pool2d,
    prelu,
    quantize,
    reduce,
    repeat,
    reshape,
    resize,
    sign_sums,
    slices,
    softmax,
    transpose_conv,
    variables,
)

HANDLERS: Mapping[str, Handler] = {
    name: handler for family in _FAMILIES for name, handler in family.HANDLERS.items()
}

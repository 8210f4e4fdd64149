"""How each operator becomes steps: one module per family, one entry of its table per operator."""

from collections.abc import Callable, Mapping

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import (
    arithmetic,
    conv2d,
    depthwise_conv2d,
    fully_connected,
    pool2d,
    reduce,
    reshape,
    softmax,
)
from edgeax.runtime.mcu.program import Lowered

Handler = Callable[[Node], Lowered]

_FAMILIES = (
    arithmetic,
    conv2d,
    depthwise_conv2d,
    fully_connected,
    pool2d,
    reduce,
    reshape,
    softmax,
)

HANDLERS: Mapping[str, Handler] = {
    name: handler for family in _FAMILIES for name, handler in family.HANDLERS.items()
}

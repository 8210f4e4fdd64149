"""How each operator becomes steps: one module per family, one entry of its table per operator."""

from collections.abc import Callable, Mapping

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import (
    activation,
    conv2d,
    extremes,
    fully_connected,
    join,
    pad,
    prelu,
    quantize,
    reshape,
    resize,
    slices,
)
from edgeax.runtime.mcu.program import Lowered

Handler = Callable[[Node], Lowered]

_FAMILIES = (
    activation,
    conv2d,
    extremes,
    fully_connected,
    join,
    pad,
    prelu,
    quantize,
    reshape,
    resize,
    slices,
)

HANDLERS: Mapping[str, Handler] = {
    name: handler for family in _FAMILIES for name, handler in family.HANDLERS.items()
}

"""How each operator becomes steps: one module per family, one entry of its table per operator."""

from collections.abc import Callable, Mapping

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import conv2d, fully_connected, reshape
from edgeax.runtime.mcu.program import Lowered

Handler = Callable[[Node], Lowered]

_FAMILIES = (conv2d, fully_connected, reshape)

HANDLERS: Mapping[str, Handler] = {
    name: handler for family in _FAMILIES for name, handler in family.HANDLERS.items()
}

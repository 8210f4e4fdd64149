"""How operators learn, and pass gradients back: one entry of the table per operator."""

from collections.abc import Callable, Mapping

from edgeax.runtime.mcu.backward import conv2d, depthwise_conv2d, passing, pool2d
from edgeax.runtime.mcu.backward.tape import Backward, Tape
from edgeax.runtime.mcu.node import Node

RULES: Mapping[str, Callable[[Tape, Node], Backward]] = {
    **conv2d.RULES,
    **depthwise_conv2d.RULES,
    **passing.RULES,
    **pool2d.RULES,
}

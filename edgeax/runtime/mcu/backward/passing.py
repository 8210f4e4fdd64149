"""Operators through which gradients pass as they are: ADD, activations that cut off, reshapes."""

from edgeax.runtime.mcu.backward.tape import Backward, Tape
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes


def add(tape: Tape, node: Node) -> Backward:
    """Records an ADD of tensors of one shape."""
    shapes = node.input(0).shape, node.input(1).shape
    node.require(
        shapes[0] == shapes[1],
        "a sum behind trained layers must be of tensors of one shape",
        shapes,
    )
    return _passing(tape, node, (0, 1))


def activation(tape: Tape, node: Node) -> Backward:
    """Records a RELU, RELU6 or RELU_N1_TO_1 that no other operator does."""
    tape.run_stock(node)
    masked = tape.mask(node, codes.limits_of(node, node.operator.name))

    def backward(gradient: int) -> None:
        tape.give(node, 0, masked(gradient))

    return backward


def same(tape: Tape, node: Node) -> Backward:
    """Records an operator that changes the shape, or the scale of the codes."""
    return _passing(tape, node, (0,))


def _passing(tape: Tape, node: Node, positions: tuple[int, ...]) -> Backward:
    tape.run_stock(node)
    is_plain = node.operator.options.get("fused_activation_function", "NONE") == "NONE"
    masked = None if is_plain else tape.mask(node, codes.limits_of(node))

    def backward(gradient: int) -> None:
        if masked is not None:
            gradient = masked(gradient)
        for position in positions:
            if tape.wants(node.inputs[position]):
                tape.give(node, position, gradient)

    return backward


RULES = {
    "ADD": add,
    **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1"), activation),
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE"), same),
}

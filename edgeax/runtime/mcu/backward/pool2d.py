"""AVERAGE_POOL_2D, MAX_POOL_2D, and MEAN of an image: where their gradients go."""

import math
from collections.abc import Callable

from edgeax.runtime.mcu.backward.tape import Backward, Tape
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, conv2d, windows
from edgeax.runtime.mcu.program import Step, Struct

_HEADER = "pool_gradients.h"
_MOST_TAPS = 256  # that a byte tells apart


def average_pool(tape: Tape, node: Node) -> Backward:
    """Records an AVERAGE_POOL_2D."""
    return _average(tape, node, _shape(node))


def mean(tape: Tape, node: Node) -> Backward:
    """Records a MEAN over the height and the width of an image."""
    shape = node.input(0).shape
    axes = sorted(int(axis) % len(shape) for axis in node.constant(1).reshape(-1))
    node.require(
        len(shape) == 4 and axes == [1, 2],
        "a mean behind trained layers must be that of an image's height and width",
        f"axes {axes} of {shape}",
    )
    height, width = (windows.axis(size, size, size, 1, "VALID") for size in shape[1:3])
    return _average(
        tape, node, conv2d.Shape.of_windows(shape[0], height, width, shape[3], shape[3])
    )


def max_pool(tape: Tape, node: Node) -> Backward:
    """Records a MAX_POOL_2D."""
    shape = _shape(node)
    taps = shape.kernel_height * shape.kernel_width
    node.require(
        taps <= _MOST_TAPS, f"a pool behind trained layers must have {_MOST_TAPS} taps", taps
    )
    arguments = _arguments(shape, 0)
    places = tape.word(f"taps of {node.output().name}", "uint8", math.prod(node.output().shape))
    reads = (node.inputs[0],)
    tape.keep(Step(node.label, "MaxPoolTaps", _HEADER, arguments, reads, (places,)))
    masked = _run(tape, node)

    def backward(gradient: int) -> None:
        gradient = masked(gradient)
        if tape.wants(node.inputs[0]):
            tape.give_sums(node, "MaxPoolGradient", _HEADER, arguments, (gradient, places))

    return backward


def _average(tape: Tape, node: Node, shape: conv2d.Shape) -> Backward:
    masked = _run(tape, node)
    overlaps = math.ceil(shape.kernel_height / shape.stride_height) * math.ceil(
        shape.kernel_width / shape.stride_width
    )
    arguments = _arguments(shape, max(15 - (overlaps - 1).bit_length(), 0))

    def backward(gradient: int) -> None:
        gradient = masked(gradient)
        if tape.wants(node.inputs[0]):
            tape.give_sums(node, "AveragePoolGradient", _HEADER, arguments, (gradient,))

    return backward


def _run(tape: Tape, node: Node) -> Callable[[int], int]:
    tape.run_stock(node)
    if node.options.get("fused_activation_function", "NONE") == "NONE":
        return lambda gradient: gradient
    return tape.mask(node, codes.limits_of(node))


def _shape(node: Node) -> conv2d.Shape:
    x, options = node.input(0).shape, node.options
    taps = options["filter_height"], options["filter_width"]
    height, width = windows.axes_of(node, taps, has_dilation=False)
    return conv2d.Shape.of_windows(x[0], height, width, x[3], x[3])


def _arguments(shape: conv2d.Shape, bits: int) -> Struct:
    return Struct("PoolGradientArgs", {"shape": shape.struct(), "bits": bits})


RULES = {"AVERAGE_POOL_2D": average_pool, "MAX_POOL_2D": max_pool, "MEAN": mean}

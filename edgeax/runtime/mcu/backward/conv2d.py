"""CONV_2D and FULLY_CONNECTED, a convolution of one pixel, when they learn."""

from edgeax.runtime.mcu.backward import weighted
from edgeax.runtime.mcu.backward.tape import Backward, Tape
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, conv2d, fully_connected, products
from edgeax.runtime.mcu.program import Struct

_KERNELS = weighted.Kernels(
    forward="TrainedConv2D",
    gradient="Conv2DGradient",
    forward_args="TrainedConv2DArgs",
    gradient_args="Conv2DGradientArgs",
    update="UpdateConv2D",
    header="trained_conv2d.h",
)


def convolution(tape: Tape, node: Node) -> Backward:
    """Records a CONV_2D."""
    codes.require_dtype(node, node.input(0), ("int8",), "the input of a trained layer")
    found = products.read_products(node, (0, 1, 2))
    return _layer(tape, node, found, conv2d.shape_of(node, found.weights.shape))


def dense(tape: Tape, node: Node) -> Backward:
    """Records a FULLY_CONNECTED."""
    codes.require_dtype(node, node.input(0), ("int8",), "the input of a trained layer")
    found, shape = fully_connected.read_layer(node)
    node.require(
        shape.output_width == 1, "a trained layer must have a batch of 1", node.output().shape
    )
    return _layer(tape, node, found, shape)


def _layer(tape: Tape, node: Node, found: products.Products, shape: conv2d.Shape) -> Backward:
    node.require(shape.groups == 1, "a trained convolution must have one group", shape.groups)
    taps = shape.kernel_height * shape.kernel_width
    layer = weighted.Layer(
        shape=shape,
        weights=found.weights,
        bias=found.bias,
        factors=found.factors,
        limits=found.output_limits,
        depth=taps * shape.input_channels,
        terms=taps * shape.output_channels,
    )

    def updating(columns: int) -> weighted.Moving:
        kept = weighted.keep_input(tape, node, columns)
        arguments = Struct(
            "Conv2DUpdateArgs",
            {
                "shape": shape.struct(),
                "columns": columns,
                "input_zero_point": found.input_zero_point,
                "shift": weighted.pixel_shift(shape),
                "rule": tape.rule.struct(),
                "least_sum": tape.least_error(node),
            },
        )
        return weighted.Moving(arguments, kept, 4 * columns)

    return weighted.record(tape, node, layer, _KERNELS, updating)


RULES = {"CONV_2D": convolution, "FULLY_CONNECTED": dense}

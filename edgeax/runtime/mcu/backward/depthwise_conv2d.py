"""DEPTHWISE_CONV_2D when it learns."""

from edgeax.runtime.mcu.backward import weighted
from edgeax.runtime.mcu.backward.tape import Backward, Tape
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, conv2d, depthwise_conv2d
from edgeax.runtime.mcu.program import Struct

_KERNELS = weighted.Kernels(
    forward="TrainedDepthwise",
    gradient="DepthwiseGradient",
    forward_args="TrainedDepthwiseArgs",
    gradient_args="DepthwiseGradientArgs",
    update="UpdateDepthwise",
    header="trained_depthwise.h",
)


def depthwise(tape: Tape, node: Node) -> Backward:
    """Records a DEPTHWISE_CONV_2D."""
    codes.require_dtype(node, node.input(0), ("int8",), "the input of a trained layer")
    found = depthwise_conv2d.read_layer(node, folds=False)
    inputs, outputs = node.input(0).shape[3], found.weights.shape[3]
    shape = conv2d.Shape.of_windows(
        node.input(0).shape[0], found.height, found.width, inputs, outputs, groups=inputs
    )
    taps = found.height.kernel * found.width.kernel
    layer = weighted.Layer(
        shape=shape,
        weights=found.weights[0],
        bias=found.bias,
        factors=found.factors,
        limits=found.limits,
        depth=taps,
        terms=taps * found.multiplier,
    )

    def updating(columns: int) -> weighted.Moving:
        channels = -(-columns // found.multiplier)
        kept = weighted.keep_input(tape, node, channels)
        arguments = Struct(
            "DepthwiseUpdateArgs",
            {
                "shape": shape.struct(),
                "columns": columns,
                "kept": channels,
                "input_zero_point": codes.zero_point_of(node, node.input(0), "its input"),
                "shift": weighted.pixel_shift(shape),
                "rule": tape.rule.struct(),
            },
        )
        return weighted.Moving(arguments, kept)

    return weighted.record(tape, node, layer, _KERNELS, updating)


RULES = {"DEPTHWISE_CONV_2D": depthwise}

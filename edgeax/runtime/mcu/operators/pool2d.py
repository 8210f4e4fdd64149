"""AVERAGE_POOL_2D and MAX_POOL_2D."""

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, windows
from edgeax.runtime.mcu.program import Lowered, Step, Struct

_SCALE_TOLERANCE = 1e-6  # as TFLite compares the scales of input and output


def average_pool2d(node: Node) -> Lowered:
    """Returns the step of an AVERAGE_POOL_2D."""
    return _pool(node, "AveragePool2D")


def max_pool2d(node: Node) -> Lowered:
    """Returns the step of a MAX_POOL_2D."""
    return _pool(node, "MaxPool2D")


def _pool(node: Node, kernel: str) -> Lowered:
    x, output = node.input(0), node.output()
    codes.require_dtype(node, x, ("int8", "int16"), "its input")
    codes.require_dtype(node, output, (x.dtype,), "its output")
    options = node.options
    taps = options["filter_height"], options["filter_width"]
    height, width = windows.axes_of(node, taps, has_dilation=False)
    node.require(
        x.shape[3] == output.shape[3],
        "its input and output must have as many channels",
        f"{x.shape[3]} and {output.shape[3]}",
    )
    _check_scales(node)
    most = 2**31 // (1 << (8 if x.dtype == "int8" else 16))
    node.require(taps[0] * taps[1] < most, f"its window must be below {most} pixels", taps)
    arguments = Struct(
        "Pool2DArgs",
        {
            "batch": x.shape[0],
            "height": height.size,
            "width": width.size,
            "channels": x.shape[3],
            "output_height": height.output,
            "output_width": width.output,
            "kernel_height": height.kernel,
            "kernel_width": width.kernel,
            "stride_height": height.stride,
            "stride_width": width.stride,
            "pad_top": height.pad,
            "pad_left": width.pad,
            "clamp": codes.clamp_of(node),
        },
    )
    return [
        Step(
            label=node.label,
            kernel=kernel,
            header="pool2d.h",
            arguments=arguments,
            reads=(node.inputs[0],),
            writes=(node.outputs[0],),
            extent=height.window,
            in_place=((0, 0),) if height.pad == width.pad == 0 else (),
        )
    ]


def _check_scales(node: Node) -> None:
    tensors = {"its input": node.input(0), "its output": node.output()}
    scales = [codes.scale_of(node, tensor, what) for what, tensor in tensors.items()]
    zero_points = [codes.zero_point_of(node, tensor, what) for what, tensor in tensors.items()]
    node.require(
        abs(scales[0] - scales[1]) <= _SCALE_TOLERANCE and zero_points[0] == zero_points[1],
        "its input and output must have the same scale and zero point",
        f"{scales} and {zero_points}",
    )


HANDLERS = {"AVERAGE_POOL_2D": average_pool2d, "MAX_POOL_2D": max_pool2d}

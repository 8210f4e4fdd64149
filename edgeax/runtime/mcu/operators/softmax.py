"""SOFTMAX."""

import math

import numpy as np

from edgeax.formats.rounding import quantize_multiplier
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes
from edgeax.runtime.mcu.operators.softmax_int16 import softmax_int16
from edgeax.runtime.mcu.program import Lowered, Step, Struct

_FRACTION_BITS = 26  # of a scaled difference: 5 whole bits
_MOST_DEPTH = 4095  # sums of exponentials have 12 whole bits
_TOLERANCE = 1e-3  # of the scale of 16-bit probabilities


def softmax(node: Node) -> Lowered:
    """Returns the step of a SOFTMAX."""
    x, output = node.input(0), node.output()
    if x.dtype == "int16":
        return softmax_int16(node)
    codes.require_dtype(node, x, ("int8", "int16"), "its input")
    codes.require_dtype(node, output, ("int8", "int16"), "its output")
    node.require(
        x.shape == output.shape and len(x.shape) > 0 and 0 < x.shape[-1] <= _MOST_DEPTH,
        f"its input and output must have one shape, its last axis 1 to {_MOST_DEPTH}",
        f"{x.shape} and {output.shape}",
    )
    _check_output(node)
    factor = _scaling(node)
    arguments = Struct(
        "SoftmaxArgs",
        {
            "rows": math.prod(x.shape[:-1]),
            "depth": x.shape[-1],
            "factor": codes.requantization(*factor),
            "least_difference": -(31 * 2**_FRACTION_BITS >> factor[1]),
        },
    )
    return [
        Step(
            label=node.label,
            kernel="Softmax",
            header="softmax.h",
            arguments=arguments,
            reads=(node.inputs[0],),
            writes=(node.outputs[0],),
            in_place=((0, 0),) if output.dtype == "int8" else (),
        )
    ]


def _scaling(node: Node) -> tuple[int, int]:
    """Returns the factor from differences of codes to numbers of 26 bits behind the point."""
    beta = float(np.float32(node.options["beta"]))
    scale = beta * codes.scale_of(node, node.input(0), "its input") * 2**_FRACTION_BITS
    node.require(scale > 1, "beta times its input's scale must be above 2**-26", scale)
    return quantize_multiplier(min(scale, 2.0**31 - 1))


def _check_output(node: Node) -> None:
    output = node.output()
    wanted = (-128, 1 / 256) if output.dtype == "int8" else (-32768, 1 / 65536)
    zero_point = 0 if output.zero_point is None else int(output.zero_point[0])
    scale = codes.scale_of(node, output, "its output")
    node.require(
        zero_point == wanted[0] and abs(scale / wanted[1] - 1) <= _TOLERANCE,
        f"its output must have zero point {wanted[0]} and scale {wanted[1]}",
        f"{zero_point} and {scale}",
    )


HANDLERS = {"SOFTMAX": softmax}

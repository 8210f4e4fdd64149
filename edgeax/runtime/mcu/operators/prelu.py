"""PRELU."""

import math

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, operands
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct, Window


def prelu(node: Node) -> Lowered:
    """PRELU: input 1 are the slopes, a constant."""
    operands.check_counts(node, 2)
    image, slopes, output = node.input(0), node.input(1), node.output()
    operands.check_types(node, operands.CODES, image, output)
    operands.check_types(node, ("int8",), slopes)
    operands.check_shape(node, output, image.shape)
    (into, into_zero), (out, out_zero) = (codes.meaning_of(node, t) for t in (image, output))
    slope, slope_zero = codes.meaning_of(node, slopes)
    values = repeated(node, node.constant(1), image.shape)
    ratio = float(into) / float(out)
    rows = image.shape[1] if len(image.shape) == 4 else 1
    source = operands.read(node, 0)
    step = Step(
        node.label,
        "PRelu",
        "rescale.h",
        Struct(
            "PReluArgs",
            {
                "input_zero_point": into_zero,
                "output_zero_point": out_zero,
                "slope_zero_point": slope_zero,
                "positive": codes.factor(ratio),
                "negative": codes.factor(float(into) * float(slope) / float(out)),
                "row": math.prod(image.shape) // rows,
                "period": values.size,
                "slopes": Array("slopes", values),
            },
        ),
        (source,),
        node.outputs,
        Window(rows, rows),
        in_place=() if isinstance(source, Array) else ((0, 0),),
    )
    return [step]


def repeated(node: Node, slopes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the slopes that are repeated over an image: those of its last dimensions."""
    sizes = slopes.shape
    while sizes and sizes[0] == 1:
        sizes = sizes[1:]
    wanted = shape[len(shape) - len(sizes) :]
    node.require(
        len(sizes) <= len(shape) and all(a in (1, b) for a, b in zip(sizes, wanted, strict=True)),
        f"its slopes must fit the input, shape {shape}",
        slopes.shape,
    )
    return np.broadcast_to(slopes.reshape(sizes), wanted).reshape(-1).astype(np.int8)


HANDLERS = {"PRELU": prelu}

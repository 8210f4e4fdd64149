"""EdgeaxFloatFullyConnected: packed weights times floats, which nothing else computes in."""

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, packed_rows
from edgeax.runtime.mcu.oracle_float import FLOAT_LIMITS, NAME
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct

_ENTRIES = (256, 16, 4, 2)  # of a codebook
_WHOLE_BYTES = 8  # of which the weights of a group are a multiple
_MOST_DEPTH = 65536  # kMaxRowDepth of tflite_kernels/core/types.h


def float_product(node: Node) -> Lowered:
    """Returns the step of an EdgeaxFloatFullyConnected."""
    options = packed_rows.options_of(node)
    codes.require_dtype(node, node.input(0), ("float32",), "its input")
    codes.require_dtype(node, node.output(), ("float32",), "its output")
    rows, depth = packed_rows.rows_and_depth(node)
    outputs, group = node.output().shape[-1], options["group"] or depth
    node.require(
        depth <= _MOST_DEPTH and options["group"] % _WHOLE_BYTES == 0,
        f"its rows must have {_MOST_DEPTH} weights at most, in groups of a multiple of 8",
        f"{depth}, in groups of {group}",
    )
    codebook = packed_rows.constant(node, 4, "float32", None, "its codebook")
    node.require(
        codebook.shape in [(entries,) for entries in _ENTRIES],
        f"its codebook must have one of {_ENTRIES} values",
        codebook.shape,
    )
    bits = codebook.size.bit_length() - 1
    weights = packed_rows.constant(
        node, 1, "uint8", (outputs, -(-depth * bits // 8)), "its weights"
    )
    scale = packed_rows.constant(node, 3, "float32", (outputs, -(-depth // group)), "its scales")
    low, high = FLOAT_LIMITS[options["activation"]]
    arguments: dict[str, int | float | str | Struct | Array | None] = {
        "rows": rows,
        "depth": depth,
        "outputs": outputs,
        "bits": bits,
        "group": group,
        "low": low,
        "high": high,
        "bias": Array("bias", packed_rows.constant(node, 2, "float32", (outputs,), "its bias")),
        "scale": Array("scale", np.ravel(scale)),
        "codebook": Array("codebook", codebook),
        "weights": Array("weights", np.ravel(weights)),
    }
    return [
        Step(
            label=node.label,
            kernel="FloatProduct",
            header="float_product.h",
            arguments=Struct("FloatProductArgs", arguments),
            reads=(node.inputs[0],),
            writes=(node.outputs[0],),
            macs=rows * outputs * depth,
        )
    ]


HANDLERS = {NAME: float_product}

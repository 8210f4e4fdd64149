"""QUANTIZE and DEQUANTIZE: between codes, and between codes and real numbers."""

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import operands
from edgeax.runtime.mcu.operators.activation import codes_of, quantized_again, rescale_step
from edgeax.runtime.mcu.program import Alias, Lowered, Struct
from edgeax.runtime.mcu.tables import Codes


def quantize(node: Node) -> Lowered:
    """QUANTIZE."""
    operands.check_counts(node, 1)
    operands.check_types(node, operands.CODES, node.output())
    operands.check_types(node, ("float32", *operands.CODES), node.input(0))
    out = codes_of(node, node.output())
    if node.input(0).dtype == "float32":
        scale = out.scale if node.rounding == "double" else np.float32(1) / out.scale
        arguments = Struct("QuantizeArgs", _fields(scale, out))
        return [operands.element_wise(node, "Quantize", "quantize.h", arguments, rounds=True)]
    into = codes_of(node, node.input(0))
    same = into == out and node.input(0).dtype == node.output().dtype
    if same and not node.input(0).is_constant:
        operands.check_shape(node, node.output(), node.input(0).shape)
        return [Alias(node.label, node.inputs[0], node.outputs[0])]
    if node.input(0).dtype == node.output().dtype == "int8":
        return [quantized_again(node, into, out)]
    ratio = float(into.scale) / float(out.scale)
    return [rescale_step(node, into, out, ratio, ratio)]


def dequantize(node: Node) -> Lowered:
    """DEQUANTIZE."""
    operands.check_counts(node, 1)
    operands.check_types(node, operands.CODES, node.input(0))
    node.require(
        node.output().dtype == "float32", "its output must be float32", node.output().dtype
    )
    into = codes_of(node, node.input(0))
    arguments = Struct("DequantizeArgs", _fields(into.scale, into))
    return [operands.element_wise(node, "Dequantize", "quantize.h", arguments)]


def _fields(scale: np.float32, codes: Codes) -> dict[str, int | float]:
    return {"scale": float(scale), "zero_point": codes.zero_point}


HANDLERS = {"DEQUANTIZE": dequantize, "QUANTIZE": quantize}

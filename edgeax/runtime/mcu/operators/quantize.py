"""QUANTIZE and DEQUANTIZE: between codes, and between codes and real numbers."""

import numpy as np

from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import operands
from edgeax.runtime.mcu.operators.activation import codes, quantized_again, rescale_step
from edgeax.runtime.mcu.program import Alias, Lowered, Struct


def quantize(node: Node) -> Lowered:
    """QUANTIZE."""
    operands.check_counts(node, 1)
    operands.check_types(node, operands.CODES, node.output())
    operands.check_types(node, ("float32", *operands.CODES), node.input(0))
    out = codes(node, node.output())
    if node.input(0).dtype == "float32":
        scale = out.scale if node.rounding == "double" else np.float32(1) / out.scale
        fields = {"scale": float(scale), "zero_point": out.zero_point}
        arguments = Struct("QuantizeArgs", fields)
        return [operands.element_wise(node, "Quantize", "quantize.h", arguments, rounds=True)]
    into = codes(node, node.input(0))
    if into == out and node.input(0).dtype == node.output().dtype:
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
    into = codes(node, node.input(0))
    fields = {"scale": float(into.scale), "zero_point": into.zero_point}
    arguments = Struct("DequantizeArgs", fields)
    return [operands.element_wise(node, "Dequantize", "quantize.h", arguments)]


HANDLERS = {"DEQUANTIZE": dequantize, "QUANTIZE": quantize}

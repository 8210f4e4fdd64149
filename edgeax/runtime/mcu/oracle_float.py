"""What EdgeaxFloatFullyConnected computes, bit for bit: in numpy, slow and plain."""

import math

import numpy as np

from edgeax.formats import packing
from edgeax.formats.flatbuffer import Operator, Subgraph
from edgeax.formats.operators import OPERATORS

NAME = "EdgeaxFloatFullyConnected"

_LANES = 16  # kFloatLanes of tflite_kernels/core/float_fully_connected.h
FLOAT_LIMITS = ((-math.inf, math.inf), (0.0, math.inf), (0.0, 6.0), (-1.0, 1.0))
"""What the fused activations of an EdgeaxFloatFullyConnected leave, by their number."""


def float_product(graph: Subgraph, operator: Operator, source: np.ndarray) -> np.ndarray:
    """Returns the output of an EdgeaxFloatFullyConnected, float32."""
    weights, bias, scale, codebook = (
        np.asarray(graph.tensors[index].data) for index in operator.inputs[1:]
    )
    options = OPERATORS[NAME].unpack_options(operator.custom_options)
    depth, bits = source.shape[-1], codebook.size.bit_length() - 1
    values = codebook[packing.unpack(weights, bits, depth, signed=False)]
    x = source.reshape(-1, depth)
    totals = np.zeros((_LANES, len(x), len(values)), np.float32)
    group = options["group"] or depth
    for number, begin in enumerate(range(0, depth, group)):
        sums = np.zeros_like(totals)
        for k in range(begin, min(begin + group, depth)):
            lane = (k - begin) * bits // 8 % _LANES
            sums[lane] = multiply_add(x[:, k, np.newaxis], values[:, k], sums[lane])
        totals = multiply_add(scale.reshape(len(values), -1)[:, number], sums, totals)
    while len(totals) > 1:
        totals = totals[: len(totals) // 2] + totals[len(totals) // 2 :]
    low, high = FLOAT_LIMITS[options["activation"]]
    made = np.clip(bias + totals[0], np.float32(low), np.float32(high))
    return made.reshape(graph.tensors[operator.outputs[0]].shape)


def multiply_add(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Returns float32 `a * b + c` rounded once; see tflite_kernels/core/multiply_add.h."""
    product, addend = np.float64(a) * np.float64(b), np.float64(c)  # the product is exact
    total = product + addend
    moved = total - product
    lost = (product - (total - moved)) + (addend - moved)
    is_even = (total.view(np.int64) & 1) == 0
    nudged = np.nextafter(total, np.copysign(np.inf, lost))
    return np.where((lost != 0) & is_even, nudged, total).astype(np.float32)

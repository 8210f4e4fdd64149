"""EdgeaxDepthwiseConv2D: depthwise convolutions whose weights are packed."""

import dataclasses

import numpy as np

from edgeax.formats import packing
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import depthwise_conv2d, packed_rows
from edgeax.runtime.mcu.operators.packings import bits_for
from edgeax.runtime.mcu.program import Array, Lowered, Struct

_WHOLE = 8  # bytes that scratch is a multiple of


def packed_depthwise_conv2d(node: Node) -> Lowered:
    """Returns the step of a depthwise convolution, its weights in codes where those are smaller."""
    layer = layer_of(node)
    step = depthwise_conv2d.depthwise(node, layer)
    weights = layer.weights.reshape(-1, layer.weights.shape[3])
    codebook, indices = np.unique(weights, return_inverse=True)
    bits = bits_for(codebook.size)
    if bits is None:
        return [step]
    indices = indices.reshape(weights.shape).astype(np.uint8)
    width = depthwise_conv2d.BLOCK * layer.multiplier
    blocks = [
        packing.pack(indices[:, first : first + width].reshape(-1), bits)
        for first in range(0, indices.shape[1], width)
    ]
    codes = np.concatenate(blocks)
    codebook = np.pad(codebook, (0, (1 << bits) - codebook.size))
    if codes.size + codebook.size >= weights.size:
        return [step]
    arguments = Struct(
        "PackedDepthwiseConv2DArgs",
        {
            "layer": Struct("DepthwiseConv2DArgs", {**step.arguments.fields, "weights": None}),
            "bits": bits,
            "codebook": Array("codebook", codebook),
            "codes": Array("codes", codes),
        },
    )
    decoded = blocks[0].size * (8 // bits)
    packed = dataclasses.replace(
        step,
        kernel="PackedDepthwiseConv2D",
        header="packed_depthwise_conv2d.h",
        arguments=arguments,
        scratch_bytes=step.scratch_bytes + -(-decoded // _WHOLE) * _WHOLE,
    )
    return [packed]


def layer_of(node: Node) -> depthwise_conv2d.Layer:
    """Returns the numbers of a depthwise convolution."""
    options = packed_rows.options_of(node)
    height, width = packed_rows.axes_of(node, options)
    multiplier = options["depth_multiplier"]
    channels = node.input(0).shape[3] * multiplier
    node.require(
        node.output().shape[3] == channels,
        f"its output must have {channels} channels",
        node.output().shape,
    )
    taps = height.kernel * width.kernel
    found, _ = packed_rows.read_layer(node, options, taps, channels)
    sums = found.weights.astype(np.int64).sum(axis=0)
    return depthwise_conv2d.Layer(
        height=height,
        width=width,
        multiplier=multiplier,
        weights=found.weights.reshape(1, height.kernel, width.kernel, channels),
        bias=(found.bias - found.input_zero_point * sums).astype(np.int32),
        factors=found.factors,
        limits=found.output_limits,
    )


HANDLERS = {"EdgeaxDepthwiseConv2D": packed_depthwise_conv2d}

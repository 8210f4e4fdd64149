"""Lower dense: a kernel as the built-in operators hold it, one byte for each code."""

import numpy as np

from edgeax.export.carriers import FILTER_OPERATORS, Carrier, Codes, to_file_layout
from edgeax.export.constants import Constants, bytes_in_file
from edgeax.export.widen import VERSIONS
from edgeax.formats.flatbuffer import Subgraph

HOW = "int8"
BITS = 8


def dense_bytes(carrier: Carrier, codes: Codes) -> int:
    """Returns what a kernel and its bias take in the file, about."""
    # For each channel a scale and a zero point of the kernel; a value and these two of the bias.
    kernel = codes.codes.size + 12 * codes.scale.size
    bias_bytes = 20 if carrier.is_wide else 16
    bias = [] if carrier.bias is None else [bias_bytes * codes.scale.size]
    return bytes_in_file([kernel, *bias])


def kernel_name(path: str) -> str:
    """Returns the name of the tensor that holds the kernel of a layer."""
    return f"{path}/kernel"


def write_dense(
    graph: Subgraph, constants: Constants, carrier: Carrier, codes: Codes, path: str
) -> None:
    """Gives a built-in operator the exact codes and scales: positive scales, as TFLite wants."""
    operator = carrier.operator
    scale = np.abs(codes.scale)
    dense = np.where(codes.scale < 0.0, -codes.codes, codes.codes)
    shape = graph.tensors[operator.inputs[1]].shape
    kernel = to_file_layout(operator.name, dense, shape)
    axis = len(shape) - 1 if operator.name == "DEPTHWISE_CONV_2D" else 0
    inputs = [*operator.inputs]
    inputs[1] = constants.add(kernel_name(path), kernel, scale, axis)
    if carrier.bias is not None:
        _, place = FILTER_OPERATORS[operator.name]
        step = carrier.input_scale * scale
        inputs[place] = constants.add(f"{path}/bias", carrier.bias_codes(scale), step)
    operator.inputs = inputs
    if carrier.is_wide:
        operator.retarget(VERSIONS[operator.name], {})

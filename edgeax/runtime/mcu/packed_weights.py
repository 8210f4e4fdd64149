"""The weights of our operators as plain int8 codes."""

import dataclasses

import numpy as np

from edgeax.formats import coded, packing, sparse, vector_rows
from edgeax.formats.flatbuffer import Operator, Tensor
from edgeax.formats.operators import OPERATORS

PREFIX = "Edgeax"
FORMS = ("", "Sparse", "Vector", "Grouped", "Coded", "Lookup")
KINDS = ("Conv2D", "DepthwiseConv2D", "FullyConnected")

LOOKUP_GROUP_BITS = 16
"""Rows of look-ups are one group, see tflite_kernels/core/lookup.h."""

NAMES = tuple(f"{PREFIX}{form}{kind}" for form in FORMS for kind in KINDS)
"""Operators whose weights are int8 codes in one form or another; some of them do not exist."""


@dataclasses.dataclass(frozen=True, eq=False)
class Weights:
    """Weights, with what scales and shifts their sums.

    Attributes:
        codes: int8 `(rows, depth)`: a row is an output channel, in the order height, width, input
            channel; of a depthwise convolution a position of the window.
        bias: int32, one for each output channel.
        scale: float32, one for each output channel.
        options: The options of the operator.
        points: int8, what the input codes from -128 on stand for; None: for themselves, less the
            zero point.
    """

    codes: np.ndarray
    bias: np.ndarray
    scale: np.ndarray
    options: dict[str, int]
    points: np.ndarray | None = None


def weights_of(operator: Operator, tensors: list[Tensor]) -> Weights:
    """Returns the weights of an operator.

    Args:
        operator: One of `NAMES`.
        tensors: All tensors of its graph.

    Raises:
        ValueError: It is damaged.
    """
    entry = OPERATORS[operator.name]
    options = entry.unpack_options(operator.custom_options)
    inputs = [tensors[index] for index in operator.inputs]
    constants = dict(zip(entry.inputs, (tensor.data for tensor in inputs), strict=False))
    if "coded" in constants:
        rows = coded.decode(np.asarray(constants["coded"]).tobytes())
        scale = np.broadcast_to(rows.scale, rows.bias.shape)
        return Weights(rows.codes, rows.bias, scale, options)
    found = {name: np.asarray(array) for name, array in constants.items() if array is not None}
    found.setdefault("weights", np.zeros(0, np.int8))  # none is left of a layer of zeros
    codes = _codes(operator.name, found, options, _depth(operator.name, inputs[0].shape, options))
    return Weights(codes, found["bias"], found["scale"], options, found.get("points"))


def _depth(name: str, input_shape: tuple[int, ...], options: dict[str, int]) -> int:
    """Returns the codes in a row."""
    channels = input_shape[-1]
    if name.endswith("FullyConnected"):
        return channels
    if name.endswith("DepthwiseConv2D"):
        return channels * options["depth_multiplier"]
    return options["kernel_height"] * options["kernel_width"] * channels // options["groups"]


def _codes(
    name: str, found: dict[str, np.ndarray], options: dict[str, int], depth: int
) -> np.ndarray:
    weights, channels = found["weights"], found["bias"].size
    if name.startswith(f"{PREFIX}Sparse"):
        places = options["block"], options["places"]
        rows = sparse.SparseRows(depth, *places, weights, found["indices"])
        return sparse.decode(rows, channels)
    codebook = found["codebook"]
    if name.startswith(f"{PREFIX}Vector"):
        return vector_rows.decode(vector_rows.VectorRows(weights, codebook), channels)
    bits = codebook.shape[-1].bit_length() - 1
    packed = -(-depth * bits // 8)
    indices = packing.unpack(weights[:, :packed], bits, depth, signed=False)
    if name.startswith((f"{PREFIX}Grouped", f"{PREFIX}Lookup")):
        groups = np.arange(depth) >> options.get("group_bits", LOOKUP_GROUP_BITS)
        return codebook[weights[:, packed:][:, groups], indices]
    return codebook[indices]

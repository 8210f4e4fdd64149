"""Lower: the converter's operators get the exact codes of training, packed where that is smaller.

An operator is recognized by its weights: whatever the converter made of a layer's name, the kernel
it holds is the kernel that was baked, up to half a step.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from edgeax.export.freeze import FrozenWeight
from edgeax.formats import Codebook, EncodedTensor, Integer, packing
from edgeax.formats.flatbuffer import Model, Operator, Subgraph
from edgeax.formats.operators import OPERATORS, PADDING_SAME, PADDING_VALID

_ENTRIES = 16
_INDEX_BITS = 4

# What a tensor costs in the file beyond its data: its table, name, shape and alignment. Only used to
# decide whether packing a small kernel pays.
_TENSOR_OVERHEAD_BYTES = 96

_CARRIERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


@dataclasses.dataclass(frozen=True)
class Stored:
    """How a layer's kernel stands in the file.

    Attributes:
        path: Path of the layer.
        how: `"packed"` in codes of a custom operator, `"int8"`, or `"as converted"`.
        bits: Bits of one stored code.
        why: Why it is not packed, `""` if it is.
    """

    path: str
    how: str
    bits: int
    why: str


@dataclasses.dataclass(frozen=True)
class _Codes:
    """A kernel in integer codes: `value = scale * code`, output channels last.

    Attributes:
        codes: int8, canonical layout.
        scale: float32 `(channels,)`; negative where a folded gain is.
        table: int8 `(16,)` that holds every code, or None if there are too many.
    """

    codes: np.ndarray
    scale: np.ndarray
    table: np.ndarray | None


def lower(model: Model, weights: Sequence[FrozenWeight], pack: bool) -> tuple[Stored, ...]:
    """Writes the trained codes into `model`, in place.

    Args:
        model: As the converter made it.
        weights: The kernels that have a number format.
        pack: Whether custom operators may be used.

    Returns:
        One entry per kernel, in the order of `weights`.
    """
    graph = model.subgraphs[0]
    found = [_carriers(graph, weight) for weight in weights]
    stored = [
        _lower_weight(model, weight, carriers, pack)
        for weight, carriers in zip(weights, found, strict=True)
    ]
    model.prune()
    return tuple(stored)


@dataclasses.dataclass(frozen=True)
class _Carrier:
    """An operator that holds a kernel, and the scales that the converter gave the kernel."""

    operator: Operator
    scale: np.ndarray


def _lower_weight(
    model: Model, weight: FrozenWeight, carriers: list[_Carrier], pack: bool
) -> Stored:
    graph = model.subgraphs[0]
    codes = integer_codes(weight.encoded)
    if codes is None:
        return Stored(weight.path, "as converted", 32, "its values are not on an integer grid")
    if not carriers:
        return Stored(weight.path, "as converted", 32, "no operator in the file holds its kernel")
    why = _why_not_packed(graph, carriers, codes, pack)
    for carrier in carriers:
        if why:
            _write_dense(graph, carrier, codes, weight.path)
        else:
            _write_packed(model, carrier, codes, weight.path)
    if why:
        return Stored(weight.path, "int8", 8, why)
    return Stored(weight.path, "packed", _INDEX_BITS, "")


def integer_codes(encoded: EncodedTensor) -> _Codes | None:
    """Returns the integer codes of a kernel, or None if its format has none."""
    channels = encoded.shape[-1]
    scale = np.broadcast_to(np.asarray(encoded.params.get("scale", 1.0), np.float32), (channels,))
    if isinstance(encoded.format, Codebook) and encoded.format.value is not None:
        book = encoded.params["codebook"].astype(np.int8)
        codes = book[encoded.codes]
    elif isinstance(encoded.format, Integer) and encoded.format.symmetric:
        codes = encoded.codes.astype(np.int8)
    else:
        return None
    if encoded.mask is not None:
        codes = codes * encoded.mask
    used = np.unique(codes)
    table = np.pad(used, (0, _ENTRIES - used.size)) if used.size <= _ENTRIES else None
    return _Codes(codes.astype(np.int8), scale, table)


def _carriers(graph: Subgraph, weight: FrozenWeight) -> list[_Carrier]:
    values = weight.encoded.decode()
    return [
        _Carrier(operator, graph.tensors[operator.inputs[1]].scale.copy())
        for operator in graph.operators
        if _holds(graph, operator, values)
    ]


def _holds(graph: Subgraph, operator: Operator, values: np.ndarray) -> bool:
    if operator.name not in _CARRIERS:
        return False
    kernel = graph.tensors[operator.inputs[1]]
    if kernel.dtype != "int8" or kernel.scale is None or not kernel.is_constant:
        return False
    if math.prod(kernel.shape) != values.size:
        return False
    scale = kernel.scale
    if scale.size not in (1, values.shape[-1]):
        return False
    converted = from_file_layout(operator.name, kernel.data, values.shape) * scale
    return bool(np.all(np.abs(converted - values) <= 0.501 * scale + 1e-12))


def to_file_layout(operator: str, codes: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Returns a kernel in canonical layout as the operator wants it: output channels first, or last
    for a depthwise convolution.
    """
    ordered = codes if operator == "DEPTHWISE_CONV_2D" else np.moveaxis(codes, -1, 0)
    return np.ascontiguousarray(ordered.reshape(tuple(shape)))


def from_file_layout(operator: str, kernel: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Undoes `to_file_layout`: `shape` is canonical."""
    if operator == "DEPTHWISE_CONV_2D":
        return kernel.reshape(tuple(shape))
    return np.moveaxis(kernel.reshape(shape[-1], *shape[:-1]), 0, -1)


def _why_not_packed(
    graph: Subgraph, carriers: Sequence[_Carrier], codes: _Codes, pack: bool
) -> str:
    if not pack:
        return "built-in operators only were asked for"
    if codes.table is None:
        return f"it has more than {_ENTRIES} different codes"
    for operator in (carrier.operator for carrier in carriers):
        if operator.name not in _PACKERS:
            return f"{operator.name} has no packed kernel"
        ends = (graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]])
        if any(end.dtype != "int8" or end.scale is None for end in ends):
            return "its activations are not int8"
    if not _packing_pays(codes):
        return "it is so small that packing gains nothing"
    return ""


def _packing_pays(codes: _Codes) -> bool:
    count, channels = codes.codes.size, codes.scale.size
    # Dense: a code each; per channel a scale and a zero point, for the kernel and for the bias.
    dense = count + 24 * channels
    packed = -(-count * _INDEX_BITS // 8) + 4 * channels + _ENTRIES + 2 * _TENSOR_OVERHEAD_BYTES
    return packed < dense


def _write_dense(graph: Subgraph, carrier: _Carrier, codes: _Codes, path: str) -> None:
    """Gives a built-in operator the exact codes and scales: positive scales, as TFLite wants."""
    operator = carrier.operator
    kernel = graph.tensors[operator.inputs[1]]
    sign = np.where(codes.scale < 0.0, -1, 1).astype(np.int8)
    scale = np.where(codes.scale == 0.0, np.float32(1.0), np.abs(codes.scale))
    dense = codes.codes * np.where(codes.scale == 0.0, 0, sign)
    axis = 3 if operator.name == "DEPTHWISE_CONV_2D" else 0
    kernel.data = to_file_layout(operator.name, dense.astype(np.int8), kernel.shape)
    kernel.scale = scale
    kernel.quantized_axis = axis
    bias = _bias(graph, carrier, scale)
    if bias is not None:
        index = graph.add_tensor(f"{path}/bias", bias, scale=_input_scale(graph, operator) * scale)
        operator.inputs = (*operator.inputs[:2], index, *operator.inputs[3:])


def _write_packed(model: Model, carrier: _Carrier, codes: _Codes, path: str) -> None:
    """Replaces a built-in operator by the custom one that computes from 4-bit indices."""
    graph, operator = model.subgraphs[0], carrier.operator
    custom, options, rows = _PACKERS[operator.name](graph, operator, codes)
    bias = _bias(graph, carrier, codes.scale)
    if bias is None:
        bias = np.zeros(codes.scale.size, np.int32)
    table = codes.table if codes.table is not None else np.zeros(_ENTRIES, np.int8)
    order = np.argsort(table, kind="stable")
    indices = order[np.searchsorted(table, rows, sorter=order)].astype(np.uint8)
    inputs = (
        operator.inputs[0],
        graph.add_tensor(f"{path}/weights", packing.pack(indices, bits=_INDEX_BITS)),
        graph.add_tensor(f"{path}/bias", bias),
        graph.add_tensor(f"{path}/scale", codes.scale.astype(np.float32)),
        graph.add_tensor(f"{path}/codebook", table.astype(np.int8)),
    )
    position = graph.operators.index(operator)
    packed_options = OPERATORS[custom].pack_options(**options)
    model.replace_with_custom(graph, position, custom, inputs, packed_options)


def _bias(graph: Subgraph, carrier: _Carrier, scale: np.ndarray) -> np.ndarray | None:
    """Returns the bias in steps of input scale times `scale` instead of the converter's."""
    operator = carrier.operator
    index = operator.inputs[2] if len(operator.inputs) > 2 else -1
    if index < 0:
        return None
    step = np.float64(_input_scale(graph, operator))
    real = graph.tensors[index].data.astype(np.float64) * step * carrier.scale.astype(np.float64)
    new_step = step * scale.astype(np.float64)
    steps = np.divide(real, new_step, out=np.zeros_like(real), where=new_step != 0.0)
    limits = np.iinfo(np.int32)
    return np.clip(np.rint(steps), limits.min, limits.max).astype(np.int32)


def _input_scale(graph: Subgraph, operator: Operator) -> np.float32:
    return np.float32(graph.tensors[operator.inputs[0]].scale[0])


def clamp(graph: Subgraph, operator: Operator) -> dict[str, int]:
    """Returns the output codes between which the fused activation of an operator stays."""
    output = graph.tensors[operator.outputs[0]]
    zero, scale = int(output.zero_point[0]), float(output.scale[0])
    bounds = {
        "NONE": (-math.inf, math.inf),
        "RELU": (0.0, math.inf),
        "RELU6": (0.0, 6.0),
        "RELU_N1_TO_1": (-1.0, 1.0),
    }[operator.options["fused_activation_function"]]

    def code(bound: float) -> int:
        if math.isinf(bound):
            return -128 if bound < 0 else 127
        return int(np.clip(zero + np.rint(bound / scale), -128, 127))

    return {"output_min": code(bounds[0]), "output_max": code(bounds[1])}


Packed = tuple[str, dict[str, int], np.ndarray]


def _window(operator: Operator, height: int, width: int) -> dict[str, int]:
    options = operator.options
    return {
        "kernel_height": height,
        "kernel_width": width,
        "stride_height": options["stride_h"],
        "stride_width": options["stride_w"],
        "dilation_height": options["dilation_h_factor"],
        "dilation_width": options["dilation_w_factor"],
        "padding": PADDING_SAME if options["padding"] == "SAME" else PADDING_VALID,
    }


def _packed_conv(graph: Subgraph, operator: Operator, codes: _Codes) -> Packed:
    """Rows of one output channel each: height, width, input channel."""
    channels, height, width, depth = graph.tensors[operator.inputs[1]].shape
    groups = graph.tensors[operator.inputs[0]].shape[3] // depth
    options = {**_window(operator, height, width), "groups": groups, **clamp(graph, operator)}
    rows = np.moveaxis(codes.codes, -1, 0).reshape(channels, -1)
    return "EdgeaxConv2D", options, rows


def _packed_depthwise(graph: Subgraph, operator: Operator, codes: _Codes) -> Packed:
    """Rows of one tap each: output channel."""
    _, height, width, channels = graph.tensors[operator.inputs[1]].shape
    options = {
        **_window(operator, height, width),
        "depth_multiplier": operator.options["depth_multiplier"],
        **clamp(graph, operator),
    }
    return "EdgeaxDepthwiseConv2D", options, codes.codes.reshape(-1, channels)


def _packed_fully_connected(graph: Subgraph, operator: Operator, codes: _Codes) -> Packed:
    """Rows of one output each: input."""
    channels = codes.scale.size
    options = {
        "keep_num_dims": int(operator.options["keep_num_dims"]),
        **clamp(graph, operator),
    }
    rows = np.moveaxis(codes.codes, -1, 0).reshape(channels, -1)
    return "EdgeaxFullyConnected", options, rows


_PACKERS: dict[str, Callable[[Subgraph, Operator, _Codes], Packed]] = {
    "CONV_2D": _packed_conv,
    "DEPTHWISE_CONV_2D": _packed_depthwise,
    "FULLY_CONNECTED": _packed_fully_connected,
}

"""Lower: the converter's operators get the exact codes of training, packed where that is smaller.

An operator is recognized by its weights: whatever the converter made of a layer's name, the kernel
it holds is the kernel that was baked, up to half a step.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from edgeax.export.freeze import FrozenWeight
from edgeax.export.widen import VERSIONS
from edgeax.formats import Codebook, EncodedTensor, Float32, packing
from edgeax.formats.flatbuffer import Model, Operator, Subgraph, Tensor
from edgeax.formats.integer_form import IntegerForm
from edgeax.formats.names import described
from edgeax.formats.operators import OPERATORS, PADDING_SAME, PADDING_VALID

_ENTRIES = 16
_INDEX_BITS = 4

# The longest row of products that our operators add up in int32.
_MOST_DEPTH = 65536

# Biases up to here leave room for the products in an int32 sum.
_MOST_BIAS = 2**30

_ACTIVATIONS = ("int8", "int16")

# Steps by which the converter's codes may differ from a kernel: half a step where it got just these
# values, another half where it got those that the kernel's integers stand for.
_MOST_AWAY = 0.501
_MOST_AWAY_ROUNDED = 1.01

_STEP = "it computes from a state of 16 bits"

# What a tensor costs in the file beyond its data: its table, name, shape and alignment, on average.
# Only used to decide whether packing a small kernel pays.
_TENSOR_OVERHEAD_BYTES = 64

FLOAT32 = "float32"


@dataclasses.dataclass(frozen=True)
class Stored:
    """How a layer's kernel stands in the file.

    Attributes:
        path: Path of the layer.
        how: `"packed"` in codes of a custom operator, `"int8"`, or `"as converted"`.
        bits: Bits of one stored code; None as the converter chose.
        why: Why it is not packed, `""` if it is.
        format: The number format that training used, where the file has integers instead of it;
            `FLOAT32` where training had none.
        snr_db: What that cost: the ratio of the kernel's energy to that of the difference; None
            where nothing was lost.
    """

    path: str
    how: str
    bits: int | None
    why: str
    format: str = ""
    snr_db: float | None = None


@dataclasses.dataclass(frozen=True)
class _Codes:
    """A kernel in integer codes: `value = scale * code`, output channels last.

    Attributes:
        codes: int8, canonical layout.
        scale: float32 `(channels,)`; negative where a folded gain is.
    """

    codes: np.ndarray
    scale: np.ndarray

    @property
    def table(self) -> np.ndarray | None:
        """int8 `(16,)`, sorted, that holds every code first; None if there are too many."""
        used = np.unique(self.codes)
        return np.pad(used, (0, _ENTRIES - used.size)) if used.size <= _ENTRIES else None


@dataclasses.dataclass(frozen=True)
class _Carrier:
    """An operator that holds a kernel, as the converter made it.

    Attributes:
        operator: The operator.
        input_scale: Scale of its input.
        scale: float32 `(channels,)`, the converter's scales of the kernel.
        bias: float64 `(channels,)` in real values, or None.
        is_wide: Whether its activations have 16 bits.
    """

    operator: Operator
    input_scale: float
    scale: np.ndarray
    bias: np.ndarray | None
    is_wide: bool = False

    def bias_codes(self, scale: np.ndarray) -> np.ndarray:
        """Returns the bias in steps of input scale times `scale`, zeros where there is none.

        They are int32, into which `_settled` has seen to it that they fit, or int64 beside 16-bit
        activations.
        """
        bias = np.zeros(scale.size) if self.bias is None else self.bias
        codes = np.rint(bias / (self.input_scale * scale.astype(np.float64)))
        return codes.astype(np.int64 if self.is_wide else np.int32)


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
    constants = _Constants(graph)
    stored = [
        _lower_weight(model, constants, weight, carriers, pack)
        for weight, carriers in zip(weights, _carriers(graph, weights), strict=True)
    ]
    model.prune()
    return tuple(stored)


class _Constants:
    """Adds constants to a graph, equal ones once: a layer may be called several times."""

    def __init__(self, graph: Subgraph) -> None:
        self._graph = graph
        self._places: dict[tuple[object, ...], int] = {}

    def add(
        self, name: str, data: np.ndarray, scale: np.ndarray | None = None, axis: int = 0
    ) -> int:
        """Returns the index of a constant tensor."""
        scales = b"" if scale is None else np.float32(scale).tobytes()
        key = (name, data.dtype, data.shape, data.tobytes(), scales)
        if key not in self._places:
            self._places[key] = self._graph.add_tensor(name, data, scale=scale)
            if scale is not None:
                self._graph.tensors[self._places[key]].quantized_axis = axis
        return self._places[key]


def _lower_weight(
    model: Model,
    constants: _Constants,
    weight: FrozenWeight,
    carriers: list[_Carrier],
    pack: bool,
) -> Stored:
    graph = model.subgraphs[0]
    if not carriers:
        return _stored(weight, "as converted", None, "no integer operator holds its kernel")
    trained = integer_codes(weight.encoded)
    settled = [_settled(trained, carrier) for carrier in carriers]
    reasons = [
        _STEP if weight.is_step else _why_not_packed(graph, carrier, codes, pack)
        for carrier, codes in zip(carriers, settled, strict=True)
    ]
    why = next(filter(None, reasons), "")
    for carrier, codes in zip(carriers, settled, strict=True):
        if why:
            _write_dense(graph, constants, carrier, codes, weight.path)
        else:
            _write_packed(model, constants, carrier, codes, weight.path)
    how, bits = ("int8", 8) if why else ("packed", _INDEX_BITS)
    return _stored(weight, how, bits, why)


def _stored(weight: FrozenWeight, how: str, bits: int | None, why: str) -> Stored:
    encoded = weight.encoded
    if not isinstance(encoded, IntegerForm):
        return Stored(weight.path, how, bits, why)
    # Nothing is lost where the values of training stand in the file as they are.
    lost = bits is not None and not math.isinf(encoded.snr_db)
    cost = encoded.snr_db if lost else None
    trained = encoded.trained
    name = FLOAT32 if isinstance(trained, Float32) else described(trained)
    return Stored(weight.path, how, bits, why, name, cost)


def integer_codes(encoded: EncodedTensor) -> _Codes:
    """Returns the integer codes of a kernel on a symmetric grid, or of its codebook's entries."""
    scale = np.broadcast_to(encoded.params["scale"].astype(np.float32), encoded.shape[-1:])
    codes = encoded.codes
    if isinstance(encoded.format, Codebook):
        codes = encoded.params["codebook"][codes]
    if encoded.mask is not None:
        codes = codes * encoded.mask
    return _Codes(codes.astype(np.int8), scale)


def _carriers(graph: Subgraph, weights: Sequence[FrozenWeight]) -> list[list[_Carrier]]:
    """Returns the operators that hold each kernel; of equal kernels, each gets its own."""
    free = [operator for operator in graph.operators if operator.name in _FILTER_OPERATORS]
    found = []
    for weight in weights:
        values = weight.encoded.decode()
        away = _MOST_AWAY if _is_exact(weight.encoded) else _MOST_AWAY_ROUNDED
        holders = [operator for operator in free if _holds(graph, operator, values, away)]
        holders = holders[: weight.uses]
        free = [operator for operator in free if operator not in holders]
        found.append([_carrier(graph, operator, weight) for operator in holders])
    return found


def _is_exact(encoded: EncodedTensor) -> bool:
    if not isinstance(encoded, IntegerForm) or isinstance(encoded.trained, Float32):
        return True  # what was rounded after training is rounded in the model that was converted
    return math.isinf(encoded.snr_db)


def _holds(graph: Subgraph, operator: Operator, values: np.ndarray, away: float) -> bool:
    """Returns whether an operator holds a kernel, each value at most `away` steps off."""
    source, _ = _FILTER_OPERATORS[operator.name]
    kernel = graph.tensors[operator.inputs[1]]
    scale, codes = kernel.scale, kernel.data
    if kernel.dtype != "int8" or graph.tensors[operator.inputs[source]].dtype not in _ACTIVATIONS:
        return False
    if scale is None or codes is None:
        return False
    if codes.size != values.size or scale.size not in (1, values.shape[-1]):
        return False
    converted = from_file_layout(operator.name, codes, values.shape) * scale
    return bool(np.all(np.abs(converted - values) <= away * scale + 1e-12))


def _carrier(graph: Subgraph, operator: Operator, weight: FrozenWeight) -> _Carrier:
    channels = weight.encoded.shape[-1:]
    scale = np.broadcast_to(_scale(graph.tensors[operator.inputs[1]]), channels)
    source, place = _FILTER_OPERATORS[operator.name]
    input_scale = float(_scale(graph.tensors[operator.inputs[source]])[0])
    is_wide = graph.tensors[operator.inputs[source]].dtype == "int16"
    index = operator.inputs[place] if len(operator.inputs) > place else -1
    stored = graph.tensors[index].data if index >= 0 else None
    if stored is None:
        return _Carrier(operator, input_scale, scale, None, is_wide)
    step = input_scale * scale.astype(np.float64)
    # Where all biases are equal, the converter rounds them by the first channel's step.
    equal = stored.size > 1 and bool(np.all(stored == stored.flat[0]))
    bias = stored * (step[0] if equal else step)
    trained = getattr(weight.layer, "bias", None)
    if trained is not None and math.prod(trained.shape) == bias.size:
        # The converter has rounded it: take what was trained where both are the same.
        exact = np.asarray(trained, np.float64).ravel()
        same = np.abs(exact - bias) <= 0.501 * step + 1e-6 * np.abs(exact)
        bias = np.where(same, exact, bias)
    return _Carrier(operator, input_scale, scale, bias, is_wide)


def _scale(tensor: Tensor) -> np.ndarray:
    """Returns the scales of a tensor that must be quantized, being beside an int8 kernel."""
    scale = tensor.scale
    if scale is None:
        raise ValueError(
            f"`model` must have a scale at {tensor.name!r}, beside an int8 kernel. Received: none. "
            "Report this model: the converter made an operator that edgeax does not know."
        )
    return scale


def _settled(codes: _Codes, carrier: _Carrier) -> _Codes:
    """Returns codes whose scales can carry the bias in int32.

    A channel whose gain went to zero in training is nothing but its bias: it keeps the scale that
    the converter chose for that.
    """
    bias = 0.0 if carrier.bias is None else np.abs(carrier.bias)
    most = _MOST_BIAS * carrier.input_scale * np.abs(codes.scale.astype(np.float64))
    constant = (codes.scale == 0.0) | ((bias > most) & (not carrier.is_wide))
    return _Codes(
        np.where(constant, np.int8(0), codes.codes), np.where(constant, carrier.scale, codes.scale)
    )


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


def _why_not_packed(graph: Subgraph, carrier: _Carrier, codes: _Codes, pack: bool) -> str:
    """Returns why a kernel stays in a built-in operator, `""` if it need not."""
    operator = carrier.operator
    if carrier.is_wide:
        return "it computes from 16-bit activations"
    if not pack:
        return "built-in operators only were asked for"
    if codes.table is None:
        return f"it has more than {_ENTRIES} different codes"
    if operator.name not in _PACKERS:
        return f"{operator.name} has no packed kernel"
    depth = codes.codes.size // codes.scale.size
    if depth > _MOST_DEPTH:
        return f"it adds up {depth} products, more than {_MOST_DEPTH}"
    if not _packing_pays(codes, carrier.bias is not None):
        return "it is so small that packing gains nothing"
    try:
        _PACKERS[operator.name](graph, operator, codes)
    except ValueError as error:
        return str(error)
    return ""


def _packing_pays(codes: _Codes, has_bias: bool) -> bool:
    count, channels = codes.codes.size, codes.scale.size
    # Built in: a byte for each code; for each channel a scale and a zero point of the kernel, and a
    # value, a scale and a zero point of the bias. A packed operator always has a bias.
    dense = count + 12 * channels + (16 * channels if has_bias else 0)
    packed = -(-count * _INDEX_BITS // 8) + 8 * channels + _ENTRIES
    more_tensors = 2 if has_bias else 3
    return packed + more_tensors * _TENSOR_OVERHEAD_BYTES < dense


def _write_dense(
    graph: Subgraph, constants: _Constants, carrier: _Carrier, codes: _Codes, path: str
) -> None:
    """Gives a built-in operator the exact codes and scales: positive scales, as TFLite wants."""
    operator = carrier.operator
    scale = np.abs(codes.scale)
    dense = np.where(codes.scale < 0.0, -codes.codes, codes.codes)
    shape = graph.tensors[operator.inputs[1]].shape
    kernel = to_file_layout(operator.name, dense, shape)
    axis = len(shape) - 1 if operator.name == "DEPTHWISE_CONV_2D" else 0
    inputs = [*operator.inputs]
    inputs[1] = constants.add(f"{path}/kernel", kernel, scale, axis)
    if carrier.bias is not None:
        _, place = _FILTER_OPERATORS[operator.name]
        step = carrier.input_scale * scale
        inputs[place] = constants.add(f"{path}/bias", carrier.bias_codes(scale), step)
    operator.inputs = inputs
    if carrier.is_wide:
        operator.retarget(VERSIONS[operator.name], {})


def _write_packed(
    model: Model, constants: _Constants, carrier: _Carrier, codes: _Codes, path: str
) -> None:
    """Replaces a built-in operator by the custom one that computes from 4-bit indices."""
    graph, operator = model.subgraphs[0], carrier.operator
    custom, options, rows = _PACKERS[operator.name](graph, operator, codes)
    used = np.unique(codes.codes)
    indices = np.searchsorted(used, rows).astype(np.uint8)
    table = np.pad(used, (0, _ENTRIES - used.size))
    inputs = (
        operator.inputs[0],
        constants.add(f"{path}/weights", packing.pack(indices, bits=_INDEX_BITS)),
        constants.add(f"{path}/bias", carrier.bias_codes(codes.scale)),
        constants.add(f"{path}/scale", codes.scale.astype(np.float32)),
        constants.add(f"{path}/codebook", table),
    )
    position = graph.operators.index(operator)
    model.replace_with_custom(graph, position, custom, inputs, options)


def clamp(graph: Subgraph, operator: Operator) -> dict[str, int]:
    """Returns the output codes between which the fused activation of an operator stays."""
    output = graph.tensors[operator.outputs[0]]
    zero = 0 if output.zero_point is None else int(output.zero_point[0])
    low, high = {
        "NONE": (-math.inf, math.inf),
        "RELU": (0.0, math.inf),
        "RELU6": (0.0, 6.0),
        "RELU_N1_TO_1": (-1.0, 1.0),
    }[operator.options["fused_activation_function"]]

    def code(bound: float) -> int:
        steps = np.float32(bound) / _scale(output)[0]
        away = np.copysign(np.floor(np.abs(steps) + 0.5), steps)  # As TFLite rounds.
        return int(np.clip(zero + away, -128, 127))

    return {"output_min": code(low), "output_max": code(high)}


# Name of the custom operator, its options, and the codes in rows as it stores them.
Packed = tuple[str, bytes, np.ndarray]


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
    return _packed("EdgeaxConv2D", options, rows)


def _packed_depthwise(graph: Subgraph, operator: Operator, codes: _Codes) -> Packed:
    """Rows of one tap each: output channel."""
    _, height, width, channels = graph.tensors[operator.inputs[1]].shape
    options = {
        **_window(operator, height, width),
        "depth_multiplier": operator.options["depth_multiplier"],
        **clamp(graph, operator),
    }
    return _packed("EdgeaxDepthwiseConv2D", options, codes.codes.reshape(-1, channels))


def _packed_fully_connected(graph: Subgraph, operator: Operator, codes: _Codes) -> Packed:
    """Rows of one output each: input."""
    options = {
        "keep_num_dims": int(operator.options["keep_num_dims"]),
        **clamp(graph, operator),
    }
    rows = np.moveaxis(codes.codes, -1, 0).reshape(codes.scale.size, -1)
    return _packed("EdgeaxFullyConnected", options, rows)


def _packed(name: str, options: dict[str, int], rows: np.ndarray) -> Packed:
    return name, OPERATORS[name].pack_options(**options), rows


_PACKERS: dict[str, Callable[[Subgraph, Operator, _Codes], Packed]] = {
    "CONV_2D": _packed_conv,
    "DEPTHWISE_CONV_2D": _packed_depthwise,
    "FULLY_CONNECTED": _packed_fully_connected,
}

# Operators with a kernel at input 1, and where their activations and their bias stand.
_FILTER_OPERATORS = {
    "CONV_2D": (0, 2),
    "DEPTHWISE_CONV_2D": (0, 2),
    "FULLY_CONNECTED": (0, 2),
    "TRANSPOSE_CONV": (2, 3),
}

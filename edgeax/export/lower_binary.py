"""Lower binary: a kernel of two opposite values beside signs, in the operators that count bits.

The sums of products are exact. What a batch normalization makes of them is folded into a scale and
a bias for each channel, and where only the sign of that is read, into a threshold [GMC18].
"""

import dataclasses

import numpy as np

from edgeax.export.carriers import Carrier, Codes
from edgeax.export.lower_custom import CustomForm, Unfit, options_for
from edgeax.export.rounding import SIGN_TOP
from edgeax.export.signs import signs_of
from edgeax.formats import binary_rows, implements
from edgeax.formats.flatbuffer import Operator, Subgraph
from edgeax.formats.operators import PADDING_SAME
from edgeax.formats.same_padding import same_padding

HOW = "binary"

_TEST = "tests/export/test_lower_binary.py::"

_CUSTOM = {
    "CONV_2D": "EdgeaxBinaryConv2D",
    "FULLY_CONNECTED": "EdgeaxBinaryFullyConnected",
}

_PADS = ("PAD", "PADV2")


@dataclasses.dataclass(frozen=True)
class _Source:
    """What a binary operator reads.

    Attributes:
        tensor: 8-bit integers whose signs are meant.
        channels: Numbers in its last dimension.
        changes: Options that differ from those of the built-in operator.
    """

    tensor: int
    channels: int
    changes: dict[str, int]


@implements("GMC18", test=_TEST + "test_gmc18_a_threshold_is_the_sign_of_the_batch_normalization")
def binary(graph: Subgraph, carrier: Carrier, codes: Codes) -> CustomForm:
    """Returns a kernel of bits for inputs of bits.

    Raises:
        Unfit: Its inputs are no signs, its codes have more than two values, or an option or a bias
            is beyond the operator's.
    """
    source = _source(graph, carrier.operator)
    custom = _CUSTOM.get(carrier.operator.name)
    magnitude = np.abs(codes.codes).max(axis=tuple(range(codes.codes.ndim - 1)))
    if source is None or custom is None or np.any(np.abs(codes.codes) != magnitude):
        raise Unfit("")
    unit = carrier.input_scale * SIGN_TOP * magnitude
    gain = np.where(magnitude, codes.scale.astype(np.float64) * unit, 0.0)
    offset = np.zeros(gain.size) if carrier.bias is None else carrier.bias
    try:
        scale, bias = binary_rows.fold(gain, offset)
        _, threshold = binary_rows.fold(gain, offset + carrier.shift)
    except ValueError as error:
        raise Unfit("its gains are too small beside its biases") from error
    options = {
        "input_packed": 0,
        "output_packed": 0,
        "input_channels": source.channels,
        **source.changes,
    }
    if custom == "EdgeaxBinaryConv2D":
        options = {"pad_value": 0, **options}
    return CustomForm(
        how=HOW,
        bits=1,
        operator=custom,
        options=options_for(graph, carrier, custom, **options),
        constants={
            "weights": binary_rows.pack_rows(taps_of(codes.codes)),
            "bias": bias,
            "scale": scale,
        },
        source=source.tensor,
        has_rival=False,
        threshold=threshold if _passes_signs(carrier.operator) else None,
    )


def _passes_signs(operator: Operator) -> bool:
    """Returns whether the activation of an operator leaves signs as they are."""
    return operator.options["fused_activation_function"] in ("NONE", "RELU_N1_TO_1")


def taps_of(codes: np.ndarray) -> np.ndarray:
    """Returns codes, output channels last, as `(rows, taps, channels)`."""
    rows = np.moveaxis(codes, -1, 0)
    return rows.reshape(len(rows), -1, rows.shape[-1])


def _source(graph: Subgraph, operator: Operator) -> _Source | None:
    """Returns what a built-in operator reads, padding left to ours; None if that is no signs."""
    tensor, changes = before_padding(graph, operator)
    found = signs_read(graph, tensor)
    return None if found is None else _Source(found, graph.tensors[found].shape[-1], changes)


def before_padding(graph: Subgraph, operator: Operator) -> tuple[int, dict[str, int]]:
    """Returns what a built-in operator reads, and the options by which ours pads it itself."""
    tensor = operator.inputs[0]
    producer = graph.producer(tensor)
    if producer is not None and graph.operators[producer].name in _PADS:
        pad = graph.operators[producer]
        value = _pad_value(graph, pad)
        if value is not None and _pads_as_same(graph, pad, operator):
            return pad.inputs[0], {"padding": PADDING_SAME, "pad_value": value}
    return tensor, {}


def signs_read(graph: Subgraph, tensor: int) -> int | None:
    """Returns a tensor of 8 bits whose signs are those that an 8-bit tensor holds, None if it holds
    none.
    """
    found = signs_of(graph, tensor)
    return tensor if found is None and _holds_signs(graph, tensor) else found


def _holds_signs(graph: Subgraph, tensor: int) -> bool:
    """Returns whether the codes of a tensor are signs in another shape, or with ones around."""
    producer = graph.producer(tensor)
    if producer is None:
        return False
    operator = graph.operators[producer]
    pads = operator.name in _PADS and _pad_value(graph, operator) == 1
    if not pads and operator.name != "RESHAPE":
        return False
    given = operator.inputs[0]
    return signs_of(graph, given) is not None or _holds_signs(graph, given)


def _pad_value(graph: Subgraph, pad: Operator) -> int | None:
    """Returns what a padding operator puts around, 0 or 1; None for something else."""
    if len(pad.inputs) < 3:
        return 0
    value = graph.tensors[pad.inputs[2]].data
    codes = {0: 0, SIGN_TOP: 1}
    return None if value is None else codes.get(int(value.flat[0]))


def _pads_as_same(graph: Subgraph, pad: Operator, operator: Operator) -> bool:
    """Returns whether a padding operator and a convolution are one with SAME padding."""
    amounts = graph.tensors[pad.inputs[1]].data
    options = operator.options
    if operator.name != "CONV_2D" or options["padding"] != "VALID" or amounts is None:
        return False
    sizes = graph.tensors[pad.inputs[0]].shape[1:3]
    kernel = graph.tensors[operator.inputs[1]].shape[1:3]
    strides = options["stride_h"], options["stride_w"]
    dilations = options["dilation_h_factor"], options["dilation_w_factor"]
    wanted = [(0, 0), *map(same_padding, sizes, kernel, strides, dilations), (0, 0)]
    return bool(np.array_equal(amounts, wanted))

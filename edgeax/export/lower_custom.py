"""Lower custom: what all forms of a kernel in operators of edgeax have in common.

A form is a function `(graph, carrier, codes) -> CustomForm` that raises `Unfit` where it is none;
`lower.FORMS` lists them.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np

from edgeax.export.carriers import Carrier, Codes, scale_of
from edgeax.export.constants import Constants, bytes_in_file, zero_point_of
from edgeax.formats.flatbuffer import Model, Operator, Subgraph
from edgeax.formats.operators import OPERATORS, PADDING_SAME, PADDING_VALID

TOO_SMALL = "it is so small that packing gains nothing"

# The longest row of products that our operators add up in int32.
MOST_DEPTH = 65536


class Unfit(ValueError):
    """Why a kernel cannot have a form; an empty text where that goes without saying."""


@dataclasses.dataclass(frozen=True, eq=False)
class CustomForm:
    """A kernel as an operator of edgeax holds it.

    Attributes:
        how: Name of the form; see `Stored`.
        bits: Bits of one stored code.
        operator: Name of the operator.
        options: Its options as bytes.
        constants: Its inputs by name, but for its activations.
        details: What else there is to know; see `Stored`.
        loss: Why it is not taken where the built-in operator's bytes are too few; `{part}` stands
            for its own as a part of these.
        least_gain: Which part of the bytes must go before it is taken instead of another form.
        source: The tensor that it reads, None for that of the built-in operator.
        threshold: Biases in place of `bias` where it writes nothing but signs, as bits; None: it
            cannot.
        has_rival: Whether tables of speeds tell of it beside built-in operators that compute the
            same.
        snr_db: Ratio of the energy of what was trained to that of the difference, None where that
            is the one of the kernel's integers.
    """

    how: str
    bits: int
    operator: str
    options: bytes
    constants: Mapping[str, np.ndarray]
    details: Mapping[str, int | float | str] = dataclasses.field(default_factory=dict)
    loss: str = TOO_SMALL
    least_gain: float = 0.0
    source: int | None = None
    threshold: np.ndarray | None = None
    has_rival: bool = True
    snr_db: float | None = None

    @property
    def size_bytes(self) -> int:
        """What its constants take in the file, about."""
        return bytes_in_file(array.nbytes for array in self.constants.values())


Form = Callable[[Subgraph, Carrier, Codes], CustomForm]


def why_built_in(carrier: Carrier, codes: Codes, pack: bool) -> str:
    """Returns why no form is to be tried, `""` if all are.

    Args:
        carrier: A built-in operator.
        codes: Its kernel.
        pack: Whether custom operators may be used.
    """
    name = carrier.operator.name
    if not pack:
        return "built-in operators only were asked for"
    if name not in _OPTIONS:
        return f"{name} has no packed kernel"
    if codes.depth > MOST_DEPTH:
        return f"it adds up {codes.depth} products, more than {MOST_DEPTH}"
    return ""


def rows_of(carrier: Carrier, codes: Codes) -> np.ndarray:
    """Returns codes in the rows that operators of edgeax store: of one output channel each; for a
    depthwise convolution of one tap each.
    """
    if carrier.operator.name == "DEPTHWISE_CONV_2D":
        return codes.codes.reshape(-1, codes.scale.size)
    return np.moveaxis(codes.codes, -1, 0).reshape(codes.scale.size, -1)


def channel_constants(carrier: Carrier, codes: Codes) -> dict[str, np.ndarray]:
    """Returns the bias and the scale of each output channel, as inputs by name.

    Raises:
        Unfit: A bias beside 16-bit activations is beyond the 32 bits that operators of edgeax have.
    """
    bias = carrier.bias_codes(codes.scale)
    if np.any(bias != bias.astype(np.int32)):
        raise Unfit("a bias of it takes more than 32 bits")
    return {"bias": bias.astype(np.int32), "scale": codes.scale.astype(np.float32)}


def options_for(graph: Subgraph, carrier: Carrier, custom: str, **more: int) -> bytes:
    """Returns the options of the operator `custom` that does what the carrier's does.

    Args:
        graph: The graph of the carrier.
        carrier: A built-in operator.
        custom: Name of ours.
        **more: The options that the built-in one lacks, or in which ours differs.

    Raises:
        Unfit: Ours cannot do that.
    """
    if carrier.is_wide and not OPERATORS[custom].takes_int16:
        raise Unfit(f"it computes from 16-bit activations, and {custom} from 8-bit ones")
    operator = carrier.operator
    options = _OPTIONS[operator.name](graph, operator) | more
    try:
        return OPERATORS[custom].pack_options(**options, **clamp(graph, operator))
    except ValueError as error:
        raise Unfit(str(error)) from error


def write_custom(
    model: Model, constants: Constants, carrier: Carrier, form: CustomForm, path: str
) -> None:
    """Replaces a built-in operator by the custom one."""
    graph = model.subgraphs[0]
    _, *names = OPERATORS[form.operator].inputs
    inputs = [carrier.operator.inputs[0] if form.source is None else form.source]
    inputs += [constants.add(f"{path}/{name}", form.constants[name]) for name in names]
    position = graph.operators.index(carrier.operator)
    model.replace_with_custom(graph, position, form.operator, inputs, form.options)


def clamp(graph: Subgraph, operator: Operator) -> dict[str, int]:
    """Returns the output codes between which the fused activation of an operator stays."""
    output = graph.tensors[operator.outputs[0]]
    zero = zero_point_of(output)
    ends = np.iinfo(output.dtype)
    low, high = {
        "NONE": (-math.inf, math.inf),
        "RELU": (0.0, math.inf),
        "RELU6": (0.0, 6.0),
        "RELU_N1_TO_1": (-1.0, 1.0),
    }[operator.options["fused_activation_function"]]

    def code(bound: float) -> int:
        steps = np.float32(bound) / scale_of(output)[0]
        away = np.copysign(np.floor(np.abs(steps) + 0.5), steps)  # As TFLite rounds.
        return int(np.clip(zero + away, ends.min, ends.max))

    return {"output_min": code(low), "output_max": code(high)}


def padding_of(operator: Operator) -> int:
    """Returns option `padding` of our operators for that of a built-in one."""
    return PADDING_SAME if operator.options["padding"] == "SAME" else PADDING_VALID


def _window(graph: Subgraph, operator: Operator) -> dict[str, int]:
    _, height, width, _ = graph.tensors[operator.inputs[1]].shape
    options = operator.options
    return {
        "kernel_height": height,
        "kernel_width": width,
        "stride_height": options["stride_h"],
        "stride_width": options["stride_w"],
        "dilation_height": options["dilation_h_factor"],
        "dilation_width": options["dilation_w_factor"],
        "padding": padding_of(operator),
    }


def _conv(graph: Subgraph, operator: Operator) -> dict[str, int]:
    depth = graph.tensors[operator.inputs[1]].shape[3]
    groups = graph.tensors[operator.inputs[0]].shape[3] // depth
    return {**_window(graph, operator), "groups": groups}


def _depthwise(graph: Subgraph, operator: Operator) -> dict[str, int]:
    multiplier = operator.options["depth_multiplier"]
    return {**_window(graph, operator), "depth_multiplier": multiplier}


def _fully_connected(graph: Subgraph, operator: Operator) -> dict[str, int]:
    return {"keep_num_dims": int(operator.options["keep_num_dims"])}


# What all custom operators that do the same as a built-in one have for options, but for the clamp.
_OPTIONS: dict[str, Callable[[Subgraph, Operator], dict[str, int]]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
}

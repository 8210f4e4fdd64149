"""Activations, element by element."""

from collections.abc import Callable

import numpy as np

from edgeax.formats import flatbuffer
from edgeax.runtime.mcu import tables
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes, operands
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct
from edgeax.runtime.mcu.tables import Codes

_LEAST_RATIO, _LARGEST_RATIO = np.float32(2**-8), np.float32(2**7)  # that XNNPACK takes
_LEAST_SLOPE = np.float32(-127.99609375)


def table_step(node: Node, table: np.ndarray) -> Step:
    """Returns the step that reads a table of input 0's codes."""
    array = Array("table", tables.bytewise(table))
    return operands.element_wise(node, "Lookup", "lookup.h", Struct("LookupArgs", {"table": array}))


def logistic(node: Node) -> Lowered:
    """LOGISTIC."""
    into, out = codes_around(node)
    if node.output().dtype == "int16":
        return [_curve(node, "Logistic", into, out, (0,))]
    _check_scale(node, out, 2.0**-8, -128)
    if node.rounding == "single":
        return [table_step(node, tables.of_reals(tables.logistic, into, out))]
    return [table_step(node, tables.micro_logistic(into))]


def tanh(node: Node) -> Lowered:
    """TANH."""
    into, out = codes_around(node)
    if node.output().dtype == "int16":
        return [_curve(node, "Tanh", into, out, (0, 1))]
    _check_scale(node, out, 2.0**-7, 0)
    if node.rounding == "single":
        return [table_step(node, tables.of_reals(tables.tanh, into, out))]
    return [table_step(node, tables.micro_tanh(into))]


def hard_swish(node: Node) -> Lowered:
    """HARD_SWISH."""
    into, out = codes_around(node, ("int8",))
    node.require(
        bool(into.scale < 128 * out.scale),
        f"its input scale must be less than 128 times that of the output, {float(out.scale)}",
        float(into.scale),
    )
    return [table_step(node, tables.hard_swish(into, out))]


def leaky_relu(node: Node) -> Lowered:
    """LEAKY_RELU."""
    into, out = codes_around(node)
    alpha = np.float32(node.options.get("alpha", 0.0))
    ratio = into.scale / out.scale
    slope = into.scale * alpha / out.scale
    if node.output().dtype == "int16":
        node.require(bool(alpha >= 0), "its alpha must not be negative for int16", float(alpha))
        return [rescale_step(node, into, out, float(ratio), float(slope))]
    exact = ratio * alpha
    taken = _LEAST_RATIO <= ratio <= _LARGEST_RATIO and abs(exact) >= _LEAST_RATIO
    if node.rounding == "single" and taken and _LEAST_SLOPE <= exact <= _LARGEST_RATIO:
        return [table_step(node, tables.rescaled_by_256ths(into, out, ratio, exact))]
    return [table_step(node, tables.rescaled(into, out, float(ratio), float(slope)))]


def quantized_again(node: Node, into: Codes, out: Codes) -> Step:
    """Returns the step from 8-bit codes to others."""
    ratio = into.scale / out.scale
    if node.rounding == "single" and _LEAST_RATIO <= ratio <= _LARGEST_RATIO:
        return table_step(node, tables.rescaled_by_256ths(into, out, ratio, ratio))
    return table_step(node, tables.rescaled(into, out, float(into.scale) / float(out.scale)))


def rescale_step(
    node: Node,
    into: Codes,
    out: Codes,
    positive: float,
    negative: float,
    limits: tuple[int, int] | None = None,
) -> Step:
    """Returns the step that is linear in two pieces, for codes of which one has 16 bits."""
    whole = np.iinfo(node.output().dtype)
    return operands.element_wise(
        node,
        "Rescale",
        "rescale.h",
        Struct(
            "RescaleArgs",
            {
                "input_zero_point": into.zero_point,
                "output_zero_point": out.zero_point,
                "positive": codes.factor(positive),
                "negative": codes.factor(negative),
                "clamp": codes.clamp(limits or (int(whole.min), int(whole.max))),
            },
        ),
    )


def codes_around(node: Node, types: tuple[str, ...] = operands.CODES) -> tuple[Codes, Codes]:
    """Returns what the codes of the only input and output, of one type, mean."""
    operands.check_counts(node, 1)
    operands.check_types(node, types, node.input(0), node.output())
    return codes_of(node, node.input(0)), codes_of(node, node.output())


def codes_of(node: Node, tensor: flatbuffer.Tensor) -> Codes:
    """Returns what the codes of a tensor mean."""
    return Codes(*codes.meaning_of(node, tensor))


def _relu(low: float, high: float | None) -> Callable[[Node], Lowered]:
    def handler(node: Node) -> Lowered:
        into, out = codes_around(node)
        whole = np.iinfo(node.output().dtype)
        least = max(int(whole.min), out.zero_point + _rounded(low / out.scale))
        most = int(whole.max)
        if high is not None:
            most = min(most, out.zero_point + _rounded(high / out.scale))
        if into == out:
            limits = codes.clamp((least, most))
            return [operands.element_wise(node, "Clip", "rescale.h", limits)]
        ratio = float(into.scale / out.scale)
        if node.output().dtype == "int16":
            return [rescale_step(node, into, out, ratio, ratio, (least, most))]
        return [table_step(node, tables.rescaled(into, out, ratio, limits=(least, most)))]

    return handler


def _rounded(steps: np.float32) -> int:
    return int(np.sign(steps) * np.floor(np.abs(np.float32(steps)) + np.float32(0.5)))


def _check_scale(node: Node, out: Codes, scale: float, zero_point: int) -> None:
    node.require(
        out == Codes(np.float32(scale), zero_point),
        f"its output must have scale {scale} and zero point {zero_point}",
        f"{float(out.scale)} and {out.zero_point}",
        "Quantize the model again with a converter that gives it these.",
    )


def _curve(node: Node, kernel: str, into: Codes, out: Codes, shifts: tuple[int, ...]) -> Step:
    """Returns the step of a 16-bit function that is read from a table of the sigmoid.

    Args:
        node: The operator.
        kernel: Name of the kernel.
        into: What input codes mean.
        out: What output codes mean.
        shifts: Binary logarithms of input scales in units of 2**-12 that need no multiplication.
    """
    _check_scale(node, out, 2.0**-15, 0)
    exponent = np.log2(into.scale * np.float32(4096))
    is_power = bool(exponent == np.round(exponent)) and int(exponent) in shifts
    node.require(
        not (is_power and node.rounding == "single"),
        "its input scale must not be 2**-12, of a TANH not 2**-11 either, with single rounding, "
        "which LiteRT then computes in another way",
        float(into.scale),
        'Generate it with rounding="double".',
    )
    multiplier, shift = (3 << int(exponent), 0) if is_power else _int15_factor(into.scale)
    return operands.element_wise(
        node, kernel, "lookup.h", Struct("CurveArgs", {"multiplier": multiplier, "shift": shift})
    )


def _int15_factor(scale: np.float32) -> tuple[int, int]:
    """Returns multiplier and right shift to units of 1 / (3 * 4096)."""
    multiplier, shift = float(scale) * 4096 * 3, 0
    while multiplier <= 32767 / 2 and shift <= 30:
        multiplier, shift = multiplier * 2, shift + 1
    return int(multiplier), shift


HANDLERS = {
    "HARD_SWISH": hard_swish,
    "LEAKY_RELU": leaky_relu,
    "LOGISTIC": logistic,
    "RELU": _relu(0.0, None),
    "RELU6": _relu(0.0, 6.0),
    "RELU_0_TO_1": _relu(0.0, 1.0),
    "RELU_N1_TO_1": _relu(-1.0, 1.0),
    "TANH": tanh,
}

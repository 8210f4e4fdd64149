"""SOFTMAX of int16 codes."""

import math
from collections.abc import Callable

import numpy as np

from edgeax.formats.rounding import quantize_multiplier
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct

_RANGE = np.float32(65535)  # steps of a table's input and output
_EXP_RANGE = 10  # exp of less counts as exp of that
_SEGMENTS = 512
_MOST_DEPTH = 65535  # sums fit int32
_OUTPUT_SCALE = 1 / 32768
_TOLERANCE = 1e-3


def softmax_int16(node: Node) -> Lowered:
    """Returns the step of a SOFTMAX of int16 codes."""
    x, output = node.input(0), node.output()
    codes.require_dtype(node, x, ("int16",), "its input")
    codes.require_dtype(node, output, ("int16",), "its output")
    node.require(
        x.shape == output.shape and len(x.shape) > 0 and 0 < x.shape[-1] <= _MOST_DEPTH,
        f"its input and output must have one shape, its last axis 1 to {_MOST_DEPTH}",
        f"{x.shape} and {output.shape}",
    )
    codes.zero_point_of(node, x, "its input")
    codes.zero_point_of(node, output, "its output")
    output_scale = codes.scale_of(node, output, "its output")
    node.require(
        abs(output_scale / _OUTPUT_SCALE - 1) <= _TOLERANCE,
        f"its output must have scale {_OUTPUT_SCALE}",
        output_scale,
    )
    scale = codes.scale_of(node, x, "its input")
    beta = float(np.float32(node.options["beta"]))
    node.require(beta > 0, "beta must be above 0", beta)
    multiplier, shift = quantize_multiplier(scale * beta / (_EXP_RANGE / float(_RANGE)))
    arguments = Struct(
        "SoftmaxInt16Args",
        {
            "rows": math.prod(x.shape[:-1]),
            "depth": x.shape[-1],
            "factor": codes.requantization(multiplier, shift),
            "exp": Array("exp", exp_table()),
            "reciprocal": Array("reciprocal", reciprocal_table()),
        },
    )
    return [
        Step(
            label=node.label,
            kernel="SoftmaxInt16",
            header="softmax_int16.h",
            arguments=arguments,
            reads=(node.inputs[0],),
            writes=(node.outputs[0],),
            in_place=((0, 0),),
        )
    ]


def exp_table() -> np.ndarray:
    """Returns exp from -10 to 0 as int16 fractions."""
    return _table(np.float32(_EXP_RANGE) / _RANGE, 32767, np.exp)


def reciprocal_table() -> np.ndarray:
    """Returns `1 / (1 + x)` for x from 0 to 1 as int16 fractions."""
    return _table(np.float32(1) / _RANGE, -32768, lambda x: 1 / (1 + x))


def _table(
    scale: np.float32, zero_point: int, function: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Returns 513 entries, moved so that lines between them are right in their middles.

    All is computed in float32, as TFLite does.

    Args:
        scale: Step of the 16-bit codes of the input, of which the table has every 128th.
        zero_point: Their code of 0.
        function: From input to output.
    """
    low, high = scale * np.float32(-32768 - zero_point), scale * np.float32(32767 - zero_point)
    step = (high - low) / np.float32(_SEGMENTS)
    steps = np.float32(2) / _RANGE
    inverse = np.float32(65536) / (steps * np.float32(32767) - steps * np.float32(-32768))
    places = np.arange(_SEGMENTS + 1).astype(np.float32)

    def values(inputs: np.ndarray) -> np.ndarray:
        return function(inputs.astype(np.float64)).astype(np.float32) * inverse

    entries = values(low + places * step)
    middles = values(low + places[:-1] * step + step / np.float32(2))
    lines = _rounded((entries[1:] + _rounded(entries[:-1])) / np.float32(2))
    bias = _rounded((lines - _rounded(middles)) / np.float32(2))
    moved = _rounded(entries[:-1]) - bias
    last = _rounded(values(np.array([high])))
    return np.clip(np.concatenate([moved, last]), -32768, 32767).astype(np.int16)


def _rounded(values: np.ndarray) -> np.ndarray:
    """Returns whole numbers, halves away from zero."""
    return np.copysign(np.floor(np.abs(values) + np.float32(0.5)), values)

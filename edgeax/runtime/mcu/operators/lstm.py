"""UNIDIRECTIONAL_SEQUENCE_LSTM in integers: 8-bit activations and weights, a 16-bit cell."""

import math

import numpy as np

from edgeax.formats.rounding import quantize_multiplier
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import codes
from edgeax.runtime.mcu.program import Array, Lowered, Step, Struct, Value

_INPUT, _HIDDEN, _CELL = 0, 18, 19
_WEIGHTS, _RECURRENT, _BIAS = 1, 5, 12
_HIDDEN_INTERMEDIATE = 4

# Gates in the kernel's order, each the place of its tensors in the operator's.
_ENTRY = 0
_GATES = (1, 2, 3, _ENTRY)

_VARIANTS = {
    "peephole connections": range(9, 12),
    "a projection": range(16, 18),
    "layer normalization": range(20, 24),
}
_WAY_OUT = "Export a plain LSTM layer in integers (8-bit activations and weights)."

_GATE_STEP = 2.0**-12
_PRODUCT_STEP = 2.0**-30
_CELL_FRACTION_BITS = 15
_LARGEST_CELL_BITS = 6
_INT16 = np.iinfo(np.int16)
_LARGEST_DEPTH = 65536


def lstm(node: Node) -> Lowered:
    """UNIDIRECTIONAL_SEQUENCE_LSTM."""
    _check_variant(node)
    _check_states(node)
    batch, time, features = _sizes(node)
    units = node.output().shape[2]
    couples = not node.has_input(_WEIGHTS + _ENTRY)
    weights, input_bias, input_factors = _gates(node, _WEIGHTS, _INPUT, features)
    recurrent, recurrent_bias, recurrent_factors = _gates(node, _RECURRENT, _HIDDEN, units)
    input_bias += _biases(node)
    cell_bits = _cell_bits(node)
    arguments = Struct(
        "LstmArgs",
        {
            "batch": batch,
            "time": time,
            "features": features,
            "units": units,
            "time_major": int(node.options["time_major"]),
            "couples_input_to_forget": int(couples),
            "input_weights": Array("input_weights", weights),
            "recurrent_weights": Array("recurrent_weights", recurrent),
            "input_bias": Array("input_bias", input_bias),
            "recurrent_bias": Array("recurrent_bias", recurrent_bias),
            "input_factors": _factors("input", input_factors),
            "recurrent_factors": _factors("recurrent", recurrent_factors),
            "cell_bits": cell_bits,
            "cell_limits": _cell_limits(node),
            "hidden_factor": _hidden_factor(node),
            "hidden_zero_point": node.value(node.inputs[_HIDDEN]).zero_point,
        },
    )
    return [
        Step(
            label=node.label,
            kernel="Lstm",
            header="lstm.h",
            arguments=arguments,
            reads=(node.inputs[_INPUT],),
            writes=(node.outputs[0], node.inputs[_HIDDEN], node.inputs[_CELL]),
            rounds=True,
            macs=batch * time * units * (3 if couples else 4) * (features + units),
        )
    ]


def _check_variant(node: Node) -> None:
    for name, places in _VARIANTS.items():
        node.require(
            not any(map(node.has_input, places)),
            "it must be a plain LSTM",
            f"one with {name}",
            _WAY_OUT,
        )
    activation = node.options["fused_activation_function"]
    node.require(activation == "TANH", "its activation must be TANH", activation, _WAY_OUT)
    coupled = [not node.has_input(first + _ENTRY) for first in (_WEIGHTS, _RECURRENT, _BIAS)]
    node.require(
        len(set(coupled)) == 1,
        "the tensors of the input gate must be all there or all absent",
        f"weights, recurrent weights, bias absent: {coupled}",
    )
    node.require(
        not coupled[0] or node.rounding == "single",
        "the input gate must have weights of its own, as TFLM wants them",
        "input gate coupled to the forget gate",
        'Pass rounding="single", or export an LSTM with four gates.',
    )


def _check_states(node: Node) -> None:
    given, made = node.value(node.inputs[_INPUT]), node.value(node.outputs[0])
    hidden, cell = (_state(node, place) for place in (_HIDDEN, _CELL))
    dtypes = tuple(value.dtype for value in (given, made, hidden, cell))
    node.require(
        dtypes == ("int8", "int8", "int8", "int16"),
        "input, output, hidden state and cell state must be int8, int8, int8 and int16",
        ", ".join(dtypes),
        _WAY_OUT,
    )
    node.require(
        len(given.shape) == 3 and len(made.shape) == 3 and given.shape[:2] == made.shape[:2],
        "input and output must have three dimensions, the first two the same",
        f"{given.shape} and {made.shape}",
    )
    batch, _, _ = _sizes(node)
    for name, state in (("hidden", hidden), ("cell", cell)):
        node.require(state.is_state, f"its {name} state must be a variable", state.name)
        node.require(
            state.shape == (batch, made.shape[2]),
            f"the shape of its {name} state must be {(batch, made.shape[2])}",
            state.shape,
        )
    for place in (_INPUT, _HIDDEN):
        codes.meaning_of(node, node.input(place))
    node.require(cell.zero_point == 0, "the cell's zero point must be 0", cell.zero_point)
    alike = {"hidden state": hidden}
    if len(node.operator.intermediates) > _HIDDEN_INTERMEDIATE:
        alike["intermediate 4"] = node.value(node.operator.intermediates[_HIDDEN_INTERMEDIATE])
    for name, value in alike.items():
        node.require(
            (value.scale, value.zero_point) == (made.scale, made.zero_point),
            f"{name} and output must have the same scale and zero point",
            f"{(value.scale, value.zero_point)} and {(made.scale, made.zero_point)}",
        )


def _state(node: Node, place: int) -> Value:
    node.input(place)
    return node.value(node.inputs[place])


def _sizes(node: Node) -> tuple[int, int, int]:
    """Returns batch, time, features."""
    first, second, features = node.input(_INPUT).shape
    return (second, first, features) if node.options["time_major"] else (first, second, features)


def _gates(
    node: Node, first: int, source: int, depth: int
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Returns weights `(units, 4, depth)`, the share of the zero point in the sums `(units, 4)`,
    and the real factor of each gate's sums.
    """
    given = node.value(node.inputs[source])
    units = node.output().shape[2]
    node.require(
        depth <= _LARGEST_DEPTH, f"a row must have at most {_LARGEST_DEPTH} weights", depth
    )
    weights = np.zeros((units, len(_GATES), depth), np.int8)
    ratios = [0.0] * len(_GATES)
    for place, gate in enumerate(_GATES):
        if gate == _ENTRY and not node.has_input(first + gate):
            continue
        content = node.constant(first + gate)
        scale = _weight_scale(node, first + gate, (units, depth))
        weights[:, place] = content
        # The product of the scales is one of float32, in TFLM and in LiteRT.
        ratios[place] = float(np.float32(_scale(node, source)) * np.float32(scale)) / _GATE_STEP
    with np.errstate(over="ignore"):
        shares = weights.astype(np.int32).sum(axis=2, dtype=np.int32) * np.int32(-given.zero_point)
    return weights, shares, ratios


def _weight_scale(node: Node, position: int, shape: tuple[int, int]) -> float:
    tensor, value = node.input(position), node.value(node.inputs[position])
    node.require(
        tensor.dtype == "int8" and tensor.shape == shape,
        f"weights {position} must be int8 of shape {shape}",
        f"{tensor.dtype} of shape {tensor.shape}",
        _WAY_OUT,
    )
    node.require(
        value.scale is not None and value.zero_point == 0,
        f"weights {position} must have one scale and the zero point 0",
        f"scale {tensor.scale}, zero point {tensor.zero_point}",
    )
    return _scale_of(node, value)


def _scale(node: Node, position: int) -> float:
    return _scale_of(node, node.value(node.inputs[position]))


def _scale_of(node: Node, value: Value) -> float:
    if value.scale is None:
        node.fail("its tensors must have one scale each", f"{value.name} without", _WAY_OUT)
    return value.scale


def _biases(node: Node) -> np.ndarray:
    """Returns the biases `(units, 4)`."""
    units = node.output().shape[2]
    biases = np.zeros((units, len(_GATES)), np.int32)
    for place, gate in enumerate(_GATES):
        if gate == _ENTRY and not node.has_input(_BIAS + gate):
            continue
        bias = node.constant(_BIAS + gate)
        node.require(
            bias.dtype == np.int32 and bias.shape == (units,),
            f"bias {_BIAS + gate} must be int32 of shape {(units,)}",
            f"{bias.dtype} of shape {bias.shape}",
        )
        biases[:, place] = bias
    return biases


def _factors(name: str, ratios: list[float]) -> Struct:
    multipliers, shifts = zip(*map(quantize_multiplier, ratios), strict=True)
    return Struct(
        "Factors",
        {
            "multiplier": Array(f"{name}_multipliers", np.array(multipliers, np.int32)),
            "shift": Array(f"{name}_shifts", np.array(shifts, np.int8)),
        },
    )


def _cell_bits(node: Node) -> int:
    scale = _scale(node, _CELL)
    mantissa, exponent = math.frexp(scale)
    bits = exponent - 1 + _CELL_FRACTION_BITS
    node.require(
        mantissa == 0.5 and 0 <= bits <= _LARGEST_CELL_BITS,
        "the cell's scale must be a power of two between 2**-15 and 2**-9",
        scale,
    )
    return bits


def _cell_limits(node: Node) -> Struct:
    clip = node.options["cell_clip"]
    low, high = int(_INT16.min), int(_INT16.max)
    if clip > 0:
        high = min(int(clip / _scale(node, _CELL)), high)
        low = -high
    return Struct("Clamp", {"min": low, "max": high})


def _hidden_factor(node: Node) -> Struct:
    ratio = _PRODUCT_STEP / _scale(node, _HIDDEN)
    if node.rounding == "single":
        ratio = float(np.float32(ratio))
    return codes.factor(ratio)


HANDLERS = {"UNIDIRECTIONAL_SEQUENCE_LSTM": lstm}

"""LSTMs as TensorFlow Lite Micro computes them: gates by a table.

LiteRT has one kernel for both of its roundings, which computes gates in fixed point.
"""

import numpy as np

from edgeax.formats.flatbuffer import Operator, Subgraph, Tensor
from edgeax.formats.rounding import quantize_multiplier, requantize

_GATES = 4
_WEIGHTS, _RECURRENT, _BIAS, _HIDDEN, _CELL = 1, 5, 12, 18, 19
_GATE_STEP, _FRACTION_STEP = 2.0**-12, 2.0**-15
_TABLE_STEPS = 24  # of the table's argument


def sigmoid_table() -> np.ndarray:
    """Returns the sigmoid of `i / 24` in steps of `2**-16`, for `i` below 256.

    It is moved by a sixteenth of the curvature, so that straight lines between its entries are off
    by as much on both sides.
    """
    sigmoid = 1 / (1 + np.exp(-np.arange(256) / _TABLE_STEPS))
    curvature = sigmoid * (1 - sigmoid) * (1 - 2 * sigmoid) / _TABLE_STEPS**2
    table = np.floor(65536 * (sigmoid - curvature / 16) + 0.5).astype(np.int64)
    table[-1] = 65535
    return table


def lstm(graph: Subgraph, operator: Operator, source: np.ndarray) -> np.ndarray:
    """Returns the output of an LSTM from cleared state, as the tensors store it.

    Args:
        graph: The graph.
        operator: Its UNIDIRECTIONAL_SEQUENCE_LSTM, which `operators/lstm.py` knows.
        source: Codes of its input.
    """
    tensors = [graph.tensors[index] if index >= 0 else None for index in operator.inputs]
    given, hidden_state, cell_state = (_there(tensors[i]) for i in (0, _HIDDEN, _CELL))
    turned = bool(operator.options["time_major"])
    rows = source if turned else source.swapaxes(0, 1)
    hidden = np.full(hidden_state.shape, _zero(hidden_state), np.int64)
    cell = np.zeros(cell_state.shape, np.int64)
    cell_step = _step(cell_state)
    limit = operator.options["cell_clip"] / cell_step
    low, high = (-32768, 32767) if limit <= 0 else (-int(min(limit, 32767)), int(min(limit, 32767)))
    outputs = []
    for row in rows:
        entry, forget, content, exit = (
            _saturated(
                _sums(tensors, _WEIGHTS, _BIAS, gate, row, given)
                + _sums(tensors, _RECURRENT, None, gate, hidden, hidden_state)
            )
            for gate in range(_GATES)
        )
        kept = _scaled(_sigmoid(3 * forget) * cell, _FRACTION_STEP)
        added = _sigmoid(3 * entry) * _tanh(3 * content)
        cell = kept + _scaled(added, _FRACTION_STEP**2 / cell_step)
        cell = np.clip(_saturated(cell), low, high)
        shown = _sigmoid(3 * exit) * _tanh(_tanh_steps(cell, cell_step))
        hidden = _scaled(shown, _FRACTION_STEP**2 / _step(hidden_state)) + _zero(hidden_state)
        hidden = np.clip(hidden, -128, 127)
        outputs.append(hidden.astype(np.int8))
    made = np.stack(outputs)
    return made if turned else np.ascontiguousarray(made.swapaxes(0, 1))


def _sums(
    tensors: list[Tensor | None],
    first: int,
    first_bias: int | None,
    gate: int,
    codes: np.ndarray,
    source: Tensor,
) -> np.ndarray:
    weights = _there(tensors[first + gate])
    sums = (codes.astype(np.int64) - _zero(source)) @ _data(weights).astype(np.int64).T
    if first_bias is not None:
        sums = sums + _data(_there(tensors[first_bias + gate]))
    product = np.float32(_step(source)) * np.float32(_step(weights))
    return _saturated(_scaled(sums, float(product) / _GATE_STEP))


def _scaled(values: np.ndarray, ratio: float) -> np.ndarray:
    multiplier, shift = quantize_multiplier(ratio)
    return requantize(values.astype(np.int32), multiplier, shift, "double").astype(np.int64)


def _saturated(values: np.ndarray) -> np.ndarray:
    return np.clip(values, -32768, 32767)


def _tanh_steps(codes: np.ndarray, step: float) -> np.ndarray:
    """Returns three times the codes in steps of `2**-12`, halves up."""
    shift = int(np.log2(step)) + 12
    return 3 * codes << shift if shift >= 0 else (3 * codes + (1 << (-shift - 1))) >> -shift


def _interpolated(steps: np.ndarray, bits: int) -> np.ndarray:
    """Returns sigmoids of the magnitudes in steps of `2**-(16 + bits)`, -1 beyond the table."""
    magnitude = np.abs(steps)
    place = magnitude >> bits
    table = sigmoid_table()
    below, above = table[np.minimum(place, 255)], table[np.minimum(place + 1, 255)]
    between = (below << bits) + (magnitude & ((1 << bits) - 1)) * (above - below)
    return np.where(place >= 255, -1, between)


def _sigmoid(steps: np.ndarray) -> np.ndarray:
    found = _interpolated(steps, 9)
    positive = np.where(found < 0, 0x7FFF << 10, found)
    return np.where(steps >= 0, positive + 512, (1 << 25) - positive + 511) >> 10


def _tanh(steps: np.ndarray) -> np.ndarray:
    found = _interpolated(steps, 8)
    positive = np.where(found < 0, 0xFFFF << 8, found) - (1 << 23)
    return np.where(steps >= 0, positive + 128, 127 - positive) >> 8


def _there(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise ValueError(
            "an LSTM must have four gates for TensorFlow Lite Micro. Received: three. Use single "
            "rounding."
        )
    return tensor


def _data(tensor: Tensor) -> np.ndarray:
    if tensor.data is None:
        raise ValueError(
            f"{tensor.name!r} must be a constant. Received: a computed one. Export the model again."
        )
    return tensor.data


def _step(tensor: Tensor) -> float:
    if tensor.scale is None:
        raise ValueError(
            f"{tensor.name!r} must have a scale. Received: none. Quantize the model to int8."
        )
    return float(tensor.scale[0])


def _zero(tensor: Tensor) -> int:
    return 0 if tensor.zero_point is None else int(tensor.zero_point[0])

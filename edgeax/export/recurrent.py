"""Recurrent layers without a loop: LSTM as its operator, all others as their steps in a row."""

import dataclasses
from collections.abc import Callable, Collection
from typing import Any

import keras
import numpy as np

from edgeax.export.lstm import FusedLSTM, LSTMWeights
from edgeax.export.pieces import Reversed, Sequence, Step, Steps, Sum
from edgeax.export.weights import Builder, Extremes, Slice, Weights
from edgeax.export.wide import changed_grid

_layers = keras.layers

# What a state behind a tanh can be.
_STATE_EXTREMES = (-1.0, 127.0 / 128.0)


def recurrent(
    build: Builder,
    layer: Any,
    weights: Weights,
    path: str,
    sequence: Any,
    extremes: Extremes | None,
) -> Any:
    """Emits a recurrent layer that starts from a zero state; returns its output.

    Args:
        build: Where to emit.
        layer: LSTM, GRU or SimpleRNN.
        weights: What it computes with.
        path: Its path.
        sequence: Its input, `(batch, time, features)`.
        extremes: Range of its output if known. Where that is the last state alone it says nothing
            of the others.
    """
    if layer.go_backwards:
        sequence = build.call(Reversed(), path, sequence)
    last, extremes = extremes, extremes if layer.return_sequences else None
    extremes = extremes or state_extremes(layer)
    if is_fused(layer):
        fused = build.once(
            layer,
            "lstm",
            lambda: FusedLSTM(len(build.calls), _lstm_weights(layer, weights), layer.stateful),
        )
        states = build.call(fused, path, sequence, extremes=extremes)
        if layer.return_sequences:
            return states
        result = build.call(Step(-1), path, states)
        return result if last is None else build.call(changed_grid(), path, result, extremes=last)
    before = len(build.calls)
    steps = _unrolled(build, layer, weights, path, sequence, extremes)
    result = steps[-1]
    if layer.return_sequences:
        result = build.call(Sequence(), path, steps, extremes=extremes)
    build.steps |= {id(call.operation) for call in build.calls[before:]}
    build.results.add(id(build.calls[-1]))
    if last is not None:
        build.ranges[id(build.calls[-1])] = last
    return result


def state_extremes(layer: Any) -> Extremes | None:
    """Returns the range that the state of a recurrent layer cannot leave, None if there is none."""
    return _STATE_EXTREMES if _name(layer.cell.activation) == "tanh" else None


def is_fused(layer: Any) -> bool:
    """Returns whether the device's LSTM operator computes what a layer computes."""
    return (
        isinstance(layer, _layers.LSTM)
        and _name(layer.cell.activation) == "tanh"
        and _name(layer.cell.recurrent_activation) == "sigmoid"
    )


def why_not_recurrent(layer: Any) -> str:
    """Returns why a recurrent layer has to stay a loop, `""` if it has not."""
    if layer.return_state:
        return "it returns its state"
    if layer.stateful and not is_fused(layer):
        return "only the LSTM operator keeps its state"
    return ""


def _lstm_weights(layer: Any, weights: Weights) -> LSTMWeights:
    cell = layer.cell
    kernel, recurrent_kernel = cell.kernel, cell.recurrent_kernel
    encoded = weights.encoded(kernel), weights.encoded(recurrent_kernel)
    bias = weights.value(cell.bias) if cell.use_bias else np.zeros(kernel.shape[1], np.float32)
    return LSTMWeights(
        weights.value(kernel),
        weights.value(recurrent_kernel),
        bias,
        (encoded[0], encoded[1]) if encoded[0] is not None and encoded[1] is not None else None,
    )


def _unrolled(
    build: Builder,
    layer: Any,
    weights: Weights,
    path: str,
    sequence: Any,
    extremes: Extremes | None,
) -> list[Any]:
    """Returns the states after each step."""
    step = build.once(
        layer,
        "step",
        lambda: _STEPS[type(layer)](_Emitter(build, path, extremes), layer.cell, weights),
    )
    fed = [build.call(dense, path, sequence) for dense in step.input_layers]
    steps = [build.call(Steps(), path, tensor) for tensor in fed]
    states: list[Any] = []
    memory: Any = None
    for parts in zip(*steps, strict=True):
        state, memory = step.advance(list(parts), states[-1] if states else None, memory)
        states.append(state)
    return states


@dataclasses.dataclass
class _Emitter:
    """Emits the arithmetic of the steps; the layers are shared by all steps.

    Attributes:
        build: Where to emit.
        path: Path of the recurrent layer.
        extremes: Range of the state if known.
    """

    build: Builder
    path: str
    extremes: Extremes | None

    def __post_init__(self) -> None:
        self._shared: dict[Any, Any] = {}

    def gates(
        self,
        weights: Weights,
        variable: keras.Variable,
        biases: Collection[np.ndarray | None],
        of: str,
    ) -> list[Any]:
        """Returns one dense layer for each gate of a kernel `(rows, gates * units)`."""
        units = variable.shape[1] // len(biases)
        return [
            self.build.dense(
                f"{self.path}/{of}{index}",
                Slice(weights, variable, slice(index * units, (index + 1) * units)),
                bias,
            )
            for index, bias in enumerate(biases)
        ]

    def dense(self, layer: Any, tensor: Any) -> Any:
        return self.build.call(layer, self.build.paths[id(layer)], tensor)

    def add(self, left: Any, right: Any) -> Any:
        return self._apply(Sum, "add", [left, right])

    def subtract(self, left: Any, right: Any) -> Any:
        return self._apply(_layers.Subtract, "subtract", [left, right])

    def multiply(self, left: Any, right: Any) -> Any:
        return self._apply(_layers.Multiply, "multiply", [left, right])

    def activate(self, function: Any, tensor: Any) -> Any:
        return self._apply(lambda: _layers.Activation(function), function, tensor)

    def scale(self, gains: np.ndarray, tensor: Any) -> Any:
        return self._apply(lambda: _layers.Rescaling(gains), "scale", tensor)

    def state(self, kind: Callable[..., Any], *parts: Any) -> Any:
        """Emits what makes the next state: all states have one range."""
        layer = self._shared.setdefault(("state", kind), kind())
        return self.build.call(layer, self.path, list(parts), extremes=self.extremes)

    def _apply(self, make: Callable[[], Any], key: Any, given: Any) -> Any:
        layer = self._shared.setdefault(key, None) or make()
        self._shared[key] = layer
        return self.build.call(layer, self.path, given)


class _SimpleRNN:
    """`h = activation(x W + b + h U)`."""

    def __init__(self, emit: _Emitter, cell: Any, weights: Weights) -> None:
        self.emit, self.cell = emit, cell
        bias = weights.value(cell.bias) if cell.use_bias else None
        self.input_layers = emit.gates(weights, cell.kernel, [bias], "kernel")
        (self._again,) = emit.gates(weights, cell.recurrent_kernel, [None], "recurrent")

    def advance(self, parts: list[Any], state: Any, memory: Any) -> tuple[Any, Any]:
        summed = parts[0]
        if state is not None:
            summed = self.emit.add(summed, self.emit.dense(self._again, state))
        return self.emit.activate(self.cell.activation, summed), memory


class _GRU:
    """Keras's GRU, gates update (z), reset (r), new (n). `h = n + z * (h - n)`.

    The biases of z and r add up whether they belong to the input or to the state.
    """

    def __init__(self, emit: _Emitter, cell: Any, weights: Weights) -> None:
        self.emit, self.cell = emit, cell
        units = cell.units
        given = np.zeros((2, 3 * units), np.float32)
        if cell.use_bias:
            bias = weights.value(cell.bias)
            given[: 2 if cell.reset_after else 1] = bias
        inner, outer = given.reshape(2, 3, units)
        self._new_bias = outer[2] if cell.reset_after and outer[2].any() else None
        biases = [inner[0] + outer[0], inner[1] + outer[1], inner[2]]
        self.input_layers = emit.gates(weights, cell.kernel, list(biases), "kernel")
        self._again = emit.gates(
            weights, cell.recurrent_kernel, [None, None, self._new_bias], "recurrent"
        )

    def advance(self, parts: list[Any], state: Any, memory: Any) -> tuple[Any, Any]:
        emit, cell = self.emit, self.cell
        sums = list(parts)
        if state is not None:
            for gate in (0, 1):
                sums[gate] = emit.add(parts[gate], emit.dense(self._again[gate], state))
        update = emit.activate(cell.recurrent_activation, sums[0])
        kept = self._kept(state, sums[1])
        new = emit.activate(cell.activation, sums[2] if kept is None else emit.add(sums[2], kept))
        if state is None:
            return emit.state(_layers.Subtract, new, emit.multiply(update, new)), memory
        change = emit.multiply(update, emit.subtract(state, new))
        return emit.state(Sum, new, change), memory

    def _kept(self, state: Any, reset_sum: Any) -> Any:
        """Returns what the new gate gets of the state, None for nothing."""
        emit = self.emit
        if state is None:
            if self._new_bias is None:
                return None
            reset = emit.activate(self.cell.recurrent_activation, reset_sum)
            return emit.scale(self._new_bias, reset)
        reset = emit.activate(self.cell.recurrent_activation, reset_sum)
        if self.cell.reset_after:
            return emit.multiply(reset, emit.dense(self._again[2], state))
        return emit.dense(self._again[2], emit.multiply(reset, state))


class _LSTM:
    """An LSTM with other activations than the device's operator has."""

    def __init__(self, emit: _Emitter, cell: Any, weights: Weights) -> None:
        self.emit, self.cell = emit, cell
        bias = weights.value(cell.bias) if cell.use_bias else np.zeros(4 * cell.units, np.float32)
        biases = list(bias.reshape(4, cell.units))
        self.input_layers = emit.gates(weights, cell.kernel, biases, "kernel")
        self._again = emit.gates(weights, cell.recurrent_kernel, [None] * 4, "recurrent")

    def advance(self, parts: list[Any], state: Any, memory: Any) -> tuple[Any, Any]:
        emit, cell = self.emit, self.cell
        sums = list(parts)
        if state is not None:
            sums = [
                emit.add(part, emit.dense(again, state))
                for part, again in zip(parts, self._again, strict=True)
            ]
        entry, forget, leave = (
            emit.activate(cell.recurrent_activation, sums[gate]) for gate in (0, 1, 3)
        )
        memorized = emit.multiply(entry, emit.activate(cell.activation, sums[2]))
        if memory is not None:
            memorized = emit.add(emit.multiply(forget, memory), memorized)
        shown = emit.activate(cell.activation, memorized)
        return emit.state(_layers.Multiply, leave, shown), memorized


_STEPS: dict[type, Any] = {
    _layers.SimpleRNN: _SimpleRNN,
    _layers.GRU: _GRU,
    _layers.LSTM: _LSTM,
}


def _name(activation: Any) -> str:
    return getattr(activation, "__name__", "")

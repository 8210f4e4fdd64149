"""Dead channels: which ones a model computes nothing with, so that it is the same without them.

What each channel is when it is the same for every input and position is followed through the graph.
A reader that multiplies it by zeros, or a value of 0, makes it useless; another constant can be
taken into the reader's bias where all of its outputs see it alike.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from edgeax.model.channel_moves import (
    acts_on_values,
    given_tensors,
    is_value_function,
    keeps_constants,
    keeps_zeros_only,
    merges,
    move_of,
)
from edgeax.model.channel_rules import Flow, WeightAxis, channels_of
from edgeax.model.channels import Channels
from edgeax.model.graph import Call

_layers = keras.layers

_CONVOLUTIONS = (_layers.Conv1D, _layers.Conv2D, _layers.Conv3D)
_DEPTHWISE = (_layers.DepthwiseConv1D, _layers.DepthwiseConv2D)
_SEPARABLE = (_layers.SeparableConv1D, _layers.SeparableConv2D)
_TRANSPOSED = (_layers.Conv1DTranspose, _layers.Conv2DTranspose, _layers.Conv3DTranspose)


@dataclasses.dataclass(frozen=True, eq=False)
class Dead:
    """What can go without a change of a model's outputs.

    Attributes:
        units: The units that can go, as `Channels.classes` counts them.
        shifts: What has to be added to biases for that, float32 `(outputs,)` by id of the layer.
        kept: One line for each group with units that are the same for every input but stay.
    """

    units: np.ndarray
    shifts: dict[int, np.ndarray]
    kept: list[str]


def find_dead(channels: Channels) -> Dead:
    """Returns the dead units of a model."""
    return _Search(channels).result()


class Constants:
    """What the channels of a graph's tensors are at inference, where that depends on no input.

    Attributes:
        read: float32 arrays by `(layer's id, index of the weight, axis)`: what the weight reads
            along the axis, one array for each call; NaN where it varies.
    """

    def __init__(self, flow: Flow) -> None:
        graph = flow.graph
        self._understood = {id(axis.layer) for axis in flow.axes}
        self.read: dict[tuple[int, int, int], list[np.ndarray]] = {}
        self._of: dict[int, Any] = {
            id(tensor): _varying(channels_of(tensor)) for tensor in keras.tree.flatten(graph.inputs)
        }
        for call in graph.calls:
            given = [self._of[id(tensor)] for tensor in given_tensors(call)]
            results = self._results(call, given)
            for tensor in call.output_tensors:
                size = channels_of(tensor)
                known = results is not None and results.size == size
                self._of[id(tensor)] = results if known else _varying(size)

    def of(self, tensor: keras.KerasTensor) -> np.ndarray:
        """Returns float32 `(channels,)`: the value of each channel, NaN where it varies."""
        return np.asarray(self._of[id(tensor)])

    def _results(self, call: Call, given: list[np.ndarray]) -> np.ndarray | None:
        """Returns the values of the channels of a call's result, None if nothing is known."""
        operation = call.operation
        kind = type(operation)
        if call.kwargs.get("training"):  # always, as with dropout that samples
            return None
        if kind in _RULES:
            known = id(operation) in self._understood and len(given) == 1
            return _RULES[kind](self, operation, given[0]) if known else None
        if not given or not all(values.size for values in given):
            return None
        if merges(call):
            return self._merged(call, given)
        if acts_on_values(call):
            return _computed(call, given)
        move = move_of(call)
        moved = None if move is None else move(call, given)
        if moved is None or isinstance(moved, str):
            return None
        values = _alike(np.atleast_2d(moved))
        if keeps_constants(call):
            return values
        return np.where(values == 0.0, values, np.nan) if keeps_zeros_only(call) else None

    def _merged(self, call: Call, given: list[np.ndarray]) -> np.ndarray:
        values = _computed(call, given)
        if type(call.operation).__name__ == "Multiply":
            zero = [np.broadcast_to(part == 0.0, values.shape) for part in given]
            values = np.where(np.any(zero, axis=0), np.float32(0.0), values)
        return values

    def note(self, layer: Any, weight: str | int, axis: int, values: np.ndarray) -> None:
        """Notes what a weight reads along an axis."""
        if isinstance(weight, str):
            weight = [variable.name for variable in layer.weights].index(weight)
        key = (id(layer), weight, axis % len(layer.weights[weight].shape))
        self.read.setdefault(key, []).append(values)


def _varying(count: int) -> np.ndarray:
    return np.full(count, np.nan, np.float32)


def _alike(rows: np.ndarray) -> np.ndarray:
    """Returns `(columns,)` of `(rows, columns)`: what is the same in all rows, NaN elsewhere."""
    return np.where((rows == rows[0]).all(axis=0), rows[0], np.float32(np.nan))


def _computed(call: Call, given: list[np.ndarray]) -> np.ndarray:
    """Returns what a call makes of values; NaN where one of them is."""
    if not all(keras.backend.is_float_dtype(t.dtype) for t in call.input_tensors):
        return _varying(channels_of(call.output_tensors[0]))
    stand_ins = {
        id(tensor): values.reshape((1,) * (len(tensor.shape) - 1) + (-1,)).astype(tensor.dtype)
        for tensor, values in zip(given_tensors(call), given, strict=True)
    }

    def actual(leaf: Any) -> Any:
        return stand_ins.get(id(leaf), leaf)

    args, kwargs = keras.tree.map_structure(actual, (call.args, call.kwargs))
    made = np.asarray(call.operation(*args, **kwargs), np.float32).ravel()
    varies = np.any([np.broadcast_to(np.isnan(v), made.shape) for v in given], axis=0)
    return np.where(varies, np.float32(np.nan), made)


def _activated(layer: Any, values: np.ndarray) -> np.ndarray:
    if not is_value_function(layer.activation):
        return _varying(values.size)
    made = values if layer.activation is None else np.asarray(layer.activation(values), np.float32)
    return np.where(np.isnan(values), np.float32(np.nan), made)


def _biased(layer: Any, zero: np.ndarray) -> np.ndarray:
    """Returns what a layer makes where its sum is 0, NaN elsewhere."""
    bias = 0.0 if layer.bias is None else np.asarray(layer.bias, np.float32)
    return _activated(layer, np.where(zero, bias, np.nan).astype(np.float32))


def _sums_to_zero(kernel: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Returns of which outputs the sum is 0 whatever the inputs that vary are.

    Args:
        kernel: `(positions, inputs of a group, outputs)`.
        given: `(inputs,)`, those of all groups.
    """
    used = (kernel != 0.0).any(axis=0)
    live = (given != 0.0).reshape(-1, used.shape[0])
    by_output = np.repeat(live, used.shape[1] // len(live), axis=0).T
    return np.asarray(~(used & by_output).any(axis=0))


def _linear(constants: Constants, layer: Any, given: np.ndarray) -> np.ndarray:
    kernel = np.asarray(layer.kernel, np.float32)
    transposed = type(layer) in _TRANSPOSED
    groups = getattr(layer, "groups", 1)
    if transposed:
        kernel = np.swapaxes(kernel, -1, -2)
    inputs = kernel.shape[-2]
    if inputs > 1 or groups == 1:
        values = _alike(given.reshape(groups, -1))
        constants.note(layer, "kernel", -1 if transposed else -2, values)
    return _biased(layer, _sums_to_zero(kernel.reshape(-1, inputs, kernel.shape[-1]), given))


def _depthwise(constants: Constants, layer: Any, given: np.ndarray) -> np.ndarray:
    kernel = np.asarray(layer.kernel, np.float32)
    flat = kernel.reshape(-1, 1, kernel.shape[-2] * kernel.shape[-1])
    return _biased(layer, _sums_to_zero(flat, given))


def _separable(constants: Constants, layer: Any, given: np.ndarray) -> np.ndarray:
    depthwise = np.asarray(layer.depthwise_kernel, np.float32)
    flat = depthwise.reshape(-1, 1, depthwise.shape[-2] * depthwise.shape[-1])
    between = np.where(_sums_to_zero(flat, given), np.float32(0.0), np.float32(np.nan))
    constants.note(layer, "pointwise_kernel", -2, between)
    pointwise = np.asarray(layer.pointwise_kernel, np.float32)
    return _biased(layer, _sums_to_zero(pointwise.reshape(1, *pointwise.shape[-2:]), between))


def _normalized(constants: Constants, layer: Any, given: np.ndarray) -> np.ndarray:
    if layer.scale:  # what is multiplied by 0 need not be known
        given = np.where(np.asarray(layer.gamma) == 0.0, np.float32(0.0), given)
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    values = (given - mean) / np.sqrt(variance + layer.epsilon)
    values = values * np.asarray(layer.gamma) if layer.scale else values
    return values + np.asarray(layer.beta) if layer.center else values


def _prelu(constants: Constants, layer: Any, given: np.ndarray) -> np.ndarray:
    return np.where(given >= 0.0, given, np.float32(np.nan))


def _embedded(constants: Constants, layer: Any, given: np.ndarray) -> np.ndarray:
    return _alike(np.asarray(layer.embeddings, np.float32))


def _recurrent(constants: Constants, layer: Any, given: np.ndarray) -> None:
    for index, variable in enumerate(layer.weights):
        if variable.name == "kernel":
            constants.note(layer, index, 0, given)
        elif variable.name == "recurrent_kernel":
            constants.note(layer, index, 0, _varying(variable.shape[0]))


_RULES: dict[type, Any] = {
    **dict.fromkeys((_layers.Dense, _layers.EinsumDense), _linear),
    **dict.fromkeys((*_CONVOLUTIONS, *_TRANSPOSED), _linear),
    **dict.fromkeys(_DEPTHWISE, _depthwise),
    **dict.fromkeys(_SEPARABLE, _separable),
    _layers.BatchNormalization: _normalized,
    _layers.PReLU: _prelu,
    _layers.Embedding: _embedded,
    **dict.fromkeys(
        (_layers.LSTM, _layers.GRU, _layers.SimpleRNN, _layers.Bidirectional), _recurrent
    ),
}


class _Search:
    """The search for the units that can go, until none is found any more."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._constants = Constants(channels.flow)
        self._readers = [axis for axis in channels.axes if axis.role == "reads"]
        self._classes = {id(axis): channels.classes(axis.labels) for axis in channels.axes}
        everything = np.concatenate([np.zeros(0, np.int64), *self._classes.values()])
        self._free = [unit for unit in np.unique(everything).tolist() if not channels.reason(unit)]

    def result(self) -> Dead:
        gone: np.ndarray = np.zeros(0, np.int64)
        while True:
            more = self._useless(gone)
            if more.size == gone.size:
                break
            gone = more
        kept = self._stuck_lines(gone)
        gone, lines = self._with_one_left(gone)
        return Dead(gone, self._shifts(gone), [*kept, *lines])

    def _useless(self, gone: np.ndarray) -> np.ndarray:
        """Returns the units that can go when those that are `gone` do."""
        needed: set[int] = set()
        for axis in self._readers:
            ignored = self._ignores(axis, gone) | self._takes(axis)
            needed |= set(self._classes[id(axis)][~ignored].tolist())
        return np.array([unit for unit in self._free if unit not in needed], np.int64)

    def _ignores(self, axis: WeightAxis, gone: np.ndarray) -> np.ndarray:
        """Returns of which positions a weight reads nothing that other units than `gone` see."""
        values = np.asarray(axis.variable)
        for other in self._channels.axes:
            if other.layer is axis.layer and other.weight == axis.weight and other is not axis:
                stays = ~np.isin(self._classes[id(other)], gone)
                values = np.compress(stays, values, axis=other.axis)
        values = np.moveaxis(values, axis.axis, 0)
        return np.asarray((values == 0.0).reshape(len(values), -1).all(axis=1))

    def _read(self, axis: WeightAxis) -> np.ndarray:
        """Returns what a weight reads along an axis at all of its calls, NaN where it varies."""
        calls = self._constants.read.get((id(axis.layer), axis.weight, axis.axis), [])
        if not calls:
            return _varying(axis.labels.size)
        return _alike(np.stack(calls))

    def _takes(self, axis: WeightAxis) -> np.ndarray:
        """Returns of which positions what a weight reads is 0 or can go into a bias."""
        read = self._read(axis)
        return read == 0.0 if _why_no_shift(axis.layer) else ~np.isnan(read)

    def _shifts(self, gone: np.ndarray) -> dict[int, np.ndarray]:
        """Returns what biases gain by the constants of units that go."""
        shifts: dict[int, np.ndarray] = {}
        for axis in self._readers:
            read, ignored = self._read(axis), self._ignores(axis, gone)
            lost = np.isin(self._classes[id(axis)], gone) & ~ignored & (read != 0.0)
            if lost.any():
                kernel = np.asarray(axis.variable, np.float64)
                total = kernel.reshape(-1, *kernel.shape[-2:]).sum(axis=0)
                shifts[id(axis.layer)] = (read[lost] @ total[lost]).astype(np.float32)
        return shifts

    def _with_one_left(self, gone: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """Returns the units that go when each layer keeps one, and lines on those that stay."""
        lines = []
        for axis in self._channels.makers:
            units = self._classes[id(axis)]
            if np.isin(units, gone).all():
                gone = gone[gone != units[0]]
                path = self._channels.graph.path(axis.layer)
                lines.append(f"{path!r}: all that it makes is dead; one channel stays.")
        return gone, lines

    def _stuck_lines(self, gone: np.ndarray) -> list[str]:
        """Returns a line for each group with units that are constant everywhere but stay."""
        whys: dict[int, str] = {}
        varying: set[int] = set()
        for axis in self._readers:
            read, ignored = self._read(axis), self._ignores(axis, gone)
            units = self._classes[id(axis)]
            varying |= set(units[np.isnan(read) & ~ignored].tolist())
            path = self._channels.graph.path(axis.layer)
            for unit in units[~np.isnan(read) & (read != 0.0) & ~ignored].tolist():
                if _why_no_shift(axis.layer):
                    whys.setdefault(unit, f"{path!r} {_why_no_shift(axis.layer)}")
        lines = []
        for group in self._channels.groups:
            units = self._channels.units_of(group).tolist()
            stuck = [u for u in units if u in whys and u not in varying and u in self._free]
            if stuck:
                places = [units.index(unit) for unit in stuck]
                lines.append(
                    f"{group.name!r}: units {places} are constant but stay, because "
                    f"{whys[stuck[0]]}."
                )
        return lines


def _why_no_shift(layer: Any) -> str:
    """Returns why a constant that a layer reads cannot go into its bias, `""` if it can."""
    if type(layer) not in (_layers.Dense, *_CONVOLUTIONS):
        return f"({type(layer).__name__}) has no bias that could take the constant"
    if getattr(layer, "groups", 1) > 1:
        return "has groups"
    wide = any(size > 1 for size in getattr(layer, "kernel_size", ()))
    return "pads with zeros beside the constant" if wide and layer.padding != "valid" else ""

"""Lower LSTMs: the converter's placeholder becomes UNIDIRECTIONAL_SEQUENCE_LSTM.

In integers that operator takes 8-bit activations and weights, one scale a gate, and keeps the cell
state in 16 bits. The converter cannot make it so; it leaves a float placeholder among
conversions, which go.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from edgeax.export.carriers import integer_codes
from edgeax.export.lstm import FusedLSTM, LSTMWeights
from edgeax.export.placeholder import integer_output, integer_sources, unexpected
from edgeax.export.stored import Stored
from edgeax.formats import EncodedTensor, Integer
from edgeax.formats.flatbuffer import Model, Subgraph, Tensor
from edgeax.model.layout import LSTM_GATES

OPERATOR = "UNIDIRECTIONAL_SEQUENCE_LSTM"
_OPTIONS = "UnidirectionalSequenceLSTMOptions"
_TANH = 4  # ActivationFunctionType of the schema

_ABSENT = -1
_GATES = ("input", "forget", "cell", "output")
_WEIGHT_BITS = 8
_CELL_FRACTION_BITS = 15


def lower_lstms(
    model: Model, layers: Sequence[tuple[str, FusedLSTM]], integer: bool
) -> tuple[Stored, ...]:
    """Gives every LSTM its operator, in place.

    Args:
        model: As the converter made it.
        layers: Path and layer of each LSTM.
        integer: Whether it computes in integers.

    Returns:
        One entry per kernel, none for a float model.
    """
    graph = model.subgraphs[0]
    for path, layer in layers:
        weights = _Integer(graph, path, layer) if integer else _Float(graph, path, layer)
        for operator in [op for op in graph.operators if op.name == layer.operator]:
            weights.write(model, graph.operators.index(operator))
    graph.drop_unread("DEQUANTIZE")
    model.prune()
    why = f"{OPERATOR} has no packed kernel"
    return tuple(
        Stored(f"{path}/{kernel}", "int8", _WEIGHT_BITS, why)
        for path, _ in layers
        for kernel in ("kernel", "recurrent_kernel")
        if integer
    )


class _Float:
    """An LSTM's float constants, added once however often the model calls it."""

    def __init__(self, graph: Subgraph, path: str, layer: FusedLSTM) -> None:
        self.graph, self.path, self.layer = graph, path, layer
        self.values = layer.values
        self._kernels: list[int] = []

    def write(self, model: Model, place: int) -> None:
        operator = self.graph.operators[place]
        (source,) = operator.inputs
        self._kernels = self._kernels or [
            self.graph.add_tensor(f"{self.path}/{name}", np.ascontiguousarray(gate.T))
            for name, kernel in _named_kernels(self.values)
            for gate in np.split(kernel, LSTM_GATES, axis=1)
        ]
        biases = [
            self.graph.add_tensor(f"{self.path}/{name}_bias", bias)
            for name, bias in zip(_GATES, np.split(self.values.bias, LSTM_GATES), strict=True)
        ]
        shape = (self.graph.tensors[source].shape[0], self.values.units)
        hidden = self.graph.add_state(f"{self.path}/hidden", "float32", shape)
        cell = self.graph.add_state(f"{self.path}/cell", "float32", shape)
        _replace(model, place, _inputs(source, self._kernels, biases, hidden, cell))


@dataclasses.dataclass(frozen=True)
class _Gates:
    """A kernel as the operator wants it: for each gate int8 `(units, rows)` and a scale."""

    codes: list[np.ndarray]
    scale: np.ndarray


class _Integer:
    """An LSTM's integer constants, added once however often the model calls it."""

    def __init__(self, graph: Subgraph, path: str, layer: FusedLSTM) -> None:
        self.graph, self.path, self.layer = graph, path, layer
        self._gates = [_gates(encoded) for encoded in _encoded(layer.values)]
        self._kernels: list[int] = []

    def write(self, model: Model, place: int) -> None:
        graph, values = self.graph, self.layer.values
        (source,) = integer_sources(graph, place, self.path)
        output = integer_output(graph, place, self.path)
        given, made = graph.tensors[source], graph.tensors[output]
        self._kernels = self._kernels or [
            graph.add_tensor(f"{self.path}/{name}", codes, gates.scale[gate])
            for name, gates in zip(("kernel", "recurrent_kernel"), self._gates, strict=True)
            for gate, codes in enumerate(gates.codes)
        ]
        steps = float(_scale(given)) * self._gates[0].scale.astype(np.float64)
        biases = [
            graph.add_tensor(
                f"{self.path}/{name}_bias", np.rint(bias / step).astype(np.int32), step
            )
            for name, bias, step in zip(
                _GATES, np.split(values.bias, LSTM_GATES), steps, strict=True
            )
        ]
        shape = (given.shape[0], values.units)
        hidden = graph.add_state(
            f"{self.path}/hidden", "int8", shape, _scale(made), made.zero_point
        )
        cell_step = 2.0 ** (self.layer.cell_bits - _CELL_FRACTION_BITS)
        cell = graph.add_state(f"{self.path}/cell", "int16", shape, cell_step)
        # Four for layer normalization, which is not there; the fifth is the hidden state's scale.
        intermediates = [
            graph.add_state(f"{self.path}/unused{gate}", "int16", (0,), 2.0**-12, is_variable=False)
            for gate in range(LSTM_GATES)
        ]
        intermediates.append(
            graph.add_state(
                f"{self.path}/scale", "int8", (0,), _scale(made), made.zero_point, is_variable=False
            )
        )
        graph.operators[place].outputs = [output]
        inputs = _inputs(source, self._kernels, biases, hidden, cell)
        _replace(model, place, inputs, intermediates)


def _encoded(values: LSTMWeights) -> Iterable[EncodedTensor]:
    """Returns both kernels in codes of shape `(rows, units, gates)`."""
    if values.encoded is not None:
        return values.encoded
    grid = Integer(_WEIGHT_BITS, axis=-1)
    found = []
    for _, kernel in _named_kernels(values):
        by_gate = np.moveaxis(kernel.reshape(len(kernel), LSTM_GATES, values.units), 1, 2)
        params = grid.fit(by_gate)
        found.append(EncodedTensor(grid.encode(by_gate, params), grid, params))
    return found


def _gates(encoded: EncodedTensor) -> _Gates:
    codes = integer_codes(encoded)
    gates = [np.ascontiguousarray(codes.codes[..., gate].T) for gate in range(LSTM_GATES)]
    return _Gates(gates, codes.scale)


def _named_kernels(values: LSTMWeights) -> tuple[tuple[str, np.ndarray], ...]:
    return ("kernel", values.kernel), ("recurrent_kernel", values.recurrent_kernel)


def _inputs(
    source: int, kernels: list[int], biases: list[int], hidden: int, cell: int
) -> list[int]:
    """Returns the operator's 24 inputs: no peepholes, projection or layer normalization."""
    without_peepholes, without_projection, without_norm = (
        [_ABSENT] * 3,
        [_ABSENT] * 2,
        [_ABSENT] * 4,
    )
    return [
        source,
        *kernels,
        *without_peepholes,
        *biases,
        *without_projection,
        hidden,
        cell,
        *without_norm,
    ]


def _replace(
    model: Model, place: int, inputs: list[int], intermediates: Sequence[int] = ()
) -> None:
    options = {"fusedActivationFunction": _TANH}
    model.replace_with_builtin(0, place, OPERATOR, inputs, _OPTIONS, options, intermediates)


def _scale(tensor: Tensor) -> np.float32:
    if tensor.scale is None:
        raise unexpected(tensor.name, "a scale at")
    return np.float32(tensor.scale[0])

"""What an interpreter computes from a file, in either rounding: what a program is tested against.

Single rounding is what LiteRT computes as users run it, by XNNPACK. Double rounding is what its
reference kernels compute, and TensorFlow Lite Micro: but for FULLY_CONNECTED, which LiteRT rounds
once and TensorFlow Lite Micro twice, for LOGISTIC and TANH of int8, which LiteRT computes in float,
for SUM, whose codes its reference kernel does not scale, and for UNIDIRECTIONAL_SEQUENCE_LSTM, of
which they have different kernels; and packed operators run in the plugin, which rounds once. So
these operators are taken out of the file and computed here,
from the others' outputs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgeax.formats import rounding as rounding_kinds
from edgeax.formats.flatbuffer import Model, Operator, Subgraph, Tensor
from edgeax.runtime.interpreter import Interpreter
from edgeax.runtime.mcu import oracle_float, oracle_signs, packed_weights, tables
from edgeax.runtime.mcu.oracle_lstm import lstm
from edgeax.runtime.mcu.oracle_packed import packed

_Compute = Callable[[Subgraph, Operator, np.ndarray], np.ndarray]
_SIGMOIDS = {"LOGISTIC": tables.micro_logistic, "TANH": tables.micro_tanh}
_REAL_LIMITS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0, None),
    "RELU6": (0, 6),
    "RELU_N1_TO_1": (-1, 1),
}


def outputs_of(data: bytes, inputs: Sequence[np.ndarray], rounding: str) -> list[np.ndarray]:
    """Runs a file once, from cleared state.

    Args:
        data: Bytes of the file.
        inputs: What the input tensors store, in the order of the file.
        rounding: "single" or "double".

    Returns:
        What the output tensors store.
    """
    if rounding == "single":
        found = Interpreter(model_content=data).run(*inputs, raw=True)
        return found if isinstance(found, list) else [found]
    return _double(data, inputs)


def _double(data: bytes, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Runs the file without what LiteRT computes otherwise, again and again, until it is known."""
    model = Model.from_bytes(data)
    graph = model.subgraphs[0]
    others = [operator for operator in graph.operators if _computing(graph, operator)]
    known: dict[int, np.ndarray] = dict(zip(graph.inputs, inputs, strict=True))
    asked = [*graph.outputs]
    if others:
        _cut(model, graph, others)
    for operator in others:
        (source,) = _run_reference(model, graph, known, [operator.inputs[0]])
        if (compute := _computing(graph, operator)) is not None:
            known[operator.outputs[0]] = compute(graph, operator, source)
    return _run_reference(model, graph, known, asked)


def _computing(graph: Subgraph, operator: Operator) -> _Compute | None:
    """Returns what computes an operator in place of LiteRT; None: LiteRT does."""
    if operator.name in _SIGMOIDS and graph.tensors[operator.outputs[0]].dtype != "int8":
        return None
    return _COMPUTED_HERE.get(operator.name)


def _cut(model: Model, graph: Subgraph, others: Sequence[Operator]) -> None:
    """Makes the outputs of operators inputs of the graph, and takes the operators out."""
    graph.inputs = [*graph.inputs, *(operator.outputs[0] for operator in others)]
    graph.operators = [operator for operator in graph.operators if operator not in others]


def _run_reference(
    model: Model, graph: Subgraph, known: dict[int, np.ndarray], asked: Sequence[int]
) -> list[np.ndarray]:
    """Returns tensors that the reference kernels compute, or that are known."""
    computed = [tensor for tensor in dict.fromkeys(asked) if tensor not in known]
    if computed:
        graph.outputs = computed
        stock = _reference(model)
        for entry, tensor in zip(stock.get_input_details(), graph.inputs, strict=True):
            stock.set_tensor(
                entry["index"], known.get(tensor, np.zeros(entry["shape"], entry["dtype"]))
            )
        stock.invoke()
        entries = zip(computed, stock.get_output_details(), strict=True)
        known = known | {tensor: stock.get_tensor(entry["index"]) for tensor, entry in entries}
    return [known[tensor] for tensor in asked]


def _reference(model: Model) -> Any:
    """Returns an interpreter of reference kernels."""
    from ai_edge_litert.interpreter import Interpreter as Stock
    from ai_edge_litert.interpreter import OpResolverType

    stock = Stock(
        model_content=model.to_bytes(),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    stock.allocate_tensors()
    return stock


class OneOperator:
    """An operator of a file on its own, in double rounding, to be run often.

    Args:
        data: Bytes of the file.
        place: Place of an operator whose reference kernel rounds twice.

    Attributes:
        inputs: Numbers of the tensors that it reads and that are no constants.
    """

    def __init__(self, data: bytes, place: int) -> None:
        model = Model.from_bytes(data)
        graph = model.subgraphs[0]
        operator = graph.operators[place]
        computed = [t for t in operator.inputs if t >= 0 and not graph.tensors[t].is_constant]
        self.inputs = tuple(dict.fromkeys(computed))
        graph.operators = [operator]
        graph.inputs, graph.outputs = [*self.inputs], [*operator.outputs]
        self._stock = _reference(model)

    def run(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Returns its first output; inputs may have any shape of as many elements."""
        entries = self._stock.get_input_details()
        for entry, codes in zip(entries, inputs, strict=True):
            self._stock.set_tensor(entry["index"], codes.reshape(entry["shape"]))
        self._stock.invoke()
        output: np.ndarray = self._stock.get_tensor(self._stock.get_output_details()[0]["index"])
        return output


def fully_connected(graph: Subgraph, operator: Operator, source: np.ndarray) -> np.ndarray:
    """Returns the output of a dense layer whose sums are rounded twice."""
    x, w = (graph.tensors[index] for index in operator.inputs[:2])
    y = graph.tensors[operator.outputs[0]]
    weights = np.asarray(w.data, np.int64) - _zero(w)
    sums = (source.reshape(-1, weights.shape[1]).astype(np.int64) - _zero(x)) @ weights.T
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        sums = sums + np.asarray(graph.tensors[operator.inputs[2]].data)
    # As interpreters do: of float32 where there is one scale, of float64 where there are several.
    wide = np.float32 if _scales(w).size == 1 else np.float64
    products = (_scales(x).astype(wide) * _scales(w).astype(wide)).astype(np.float64)
    ratios = products / _scales(y).astype(np.float64)
    factors = [rounding_kinds.quantize_multiplier(ratio) for ratio in ratios]
    multipliers, shifts = np.array(factors).T
    if y.dtype == "int16":
        codes = _of_wide_sums(sums, multipliers, shifts)
    else:
        codes = rounding_kinds.requantize(sums.astype(np.int32), multipliers, shifts, "double")
    return _activated(operator, y, codes.astype(np.int64) + _zero(y)).reshape(y.shape)


def total(graph: Subgraph, operator: Operator, source: np.ndarray) -> np.ndarray:
    """Returns the output of a SUM whose codes are rounded twice."""
    x, y = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    axes = np.ravel(np.asarray(graph.tensors[operator.inputs[1]].data)) % source.ndim
    sums = (source.astype(np.int64) - _zero(x)).sum(axis=tuple({*axes.tolist()}))
    ratio = float(_scales(x)[0]) / float(_scales(y)[0])
    factor = rounding_kinds.quantize_multiplier(ratio)
    codes = rounding_kinds.requantize(np.asarray(sums, np.int32), *factor, "double")
    return _activated(operator, y, codes.astype(np.int64) + _zero(y)).reshape(y.shape)


def sigmoid(graph: Subgraph, operator: Operator, source: np.ndarray) -> np.ndarray:
    """Returns the output of a LOGISTIC or a TANH in fixed point."""
    x = graph.tensors[operator.inputs[0]]
    table = _SIGMOIDS[operator.name](tables.Codes(_scales(x)[0], _zero(x)))
    return table[source.astype(np.int32) + 128]


def _of_wide_sums(sums: np.ndarray, multipliers: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Returns sums of 64 bits scaled by multipliers that are rounded to 15 bits before."""
    reduced = np.minimum((multipliers.astype(np.int64) + (1 << 15)) >> 16, 0x7FFF)
    right = 15 - shifts.astype(np.int64)
    return (sums * reduced + (np.int64(1) << (right - 1))) >> right


def _scales(tensor: Tensor) -> np.ndarray:
    return np.ones(1, np.float32) if tensor.scale is None else tensor.scale


def _zero(tensor: Tensor) -> int:
    return 0 if tensor.zero_point is None else int(tensor.zero_point[0])


def _activated(operator: Operator, y: Tensor, codes: np.ndarray) -> np.ndarray:
    def code(real: float) -> int:
        return _zero(y) + int(np.round(np.float32(real) / _scales(y)[0]))

    limits = np.iinfo(y.dtype)
    low, high = _REAL_LIMITS[operator.options.get("fused_activation_function", "NONE")]
    lowest = limits.min if low is None else max(limits.min, code(low))
    highest = limits.max if high is None else min(limits.max, code(high))
    return np.clip(codes, lowest, highest).astype(y.dtype)


_COMPUTED_HERE: dict[str, _Compute] = {
    "FULLY_CONNECTED": fully_connected,
    "SUM": total,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
    **dict.fromkeys(_SIGMOIDS, sigmoid),
    oracle_float.NAME: oracle_float.float_product,
    **dict.fromkeys(packed_weights.NAMES, packed),
    **dict.fromkeys(oracle_signs.NAMES, oracle_signs.signs),
}

"""What an interpreter computes from a file, in either rounding: what a program is tested against.

Single rounding is what LiteRT computes as users run it, by XNNPACK. Double rounding is what its
reference kernels compute, and TensorFlow Lite Micro: with one exception, FULLY_CONNECTED, which
LiteRT rounds once and TensorFlow Lite Micro twice. So these layers are taken out of the file and
computed here, from the other layers' outputs.
"""

from collections.abc import Sequence

import numpy as np

from edgeax.formats import rounding as rounding_kinds
from edgeax.formats.flatbuffer import Model, Operator, Subgraph
from edgeax.runtime.interpreter import Interpreter

_DENSE = "FULLY_CONNECTED"


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
    """Runs the file without its dense layers again and again, until all of them are known."""
    model = Model.from_bytes(data)
    graph = model.subgraphs[0]
    dense = [operator for operator in graph.operators if operator.name == _DENSE]
    known: dict[int, np.ndarray] = dict(zip(graph.inputs, inputs, strict=True))
    asked = [*graph.outputs]
    if dense:
        _cut(model, graph, dense)
    for operator in dense:
        (source,) = _run_reference(model, graph, known, [operator.inputs[0]])
        known[operator.outputs[0]] = fully_connected(graph, operator, source)
    return _run_reference(model, graph, known, asked)


def _cut(model: Model, graph: Subgraph, dense: Sequence[Operator]) -> None:
    """Makes the outputs of dense layers inputs of the graph, and takes the layers out."""
    graph.inputs = [*graph.inputs, *(operator.outputs[0] for operator in dense)]
    graph.operators = [operator for operator in graph.operators if operator not in dense]


def _run_reference(
    model: Model, graph: Subgraph, known: dict[int, np.ndarray], asked: Sequence[int]
) -> list[np.ndarray]:
    """Returns tensors that the reference kernels compute, or that are known."""
    from ai_edge_litert.interpreter import Interpreter as Stock
    from ai_edge_litert.interpreter import OpResolverType

    computed = [tensor for tensor in dict.fromkeys(asked) if tensor not in known]
    if computed:
        graph.outputs = computed
        stock = Stock(
            model_content=model.to_bytes(),
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        )
        stock.allocate_tensors()
        for entry, tensor in zip(stock.get_input_details(), graph.inputs, strict=True):
            stock.set_tensor(
                entry["index"], known.get(tensor, np.zeros(entry["shape"], entry["dtype"]))
            )
        stock.invoke()
        entries = zip(computed, stock.get_output_details(), strict=True)
        known = known | {tensor: stock.get_tensor(entry["index"]) for tensor, entry in entries}
    return [known[tensor] for tensor in asked]


def fully_connected(graph: Subgraph, operator: Operator, source: np.ndarray) -> np.ndarray:
    """Returns the output of a dense layer whose sums are rounded twice."""
    x, w = (graph.tensors[index] for index in operator.inputs[:2])
    y = graph.tensors[operator.outputs[0]]
    weights = w.data.astype(np.int64)
    codes = source.reshape(-1, weights.shape[1]).astype(np.int64) - _zero(x)
    sums = codes @ (weights - _zero(w)).T
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        sums = sums + graph.tensors[operator.inputs[2]].data
    scales = np.float64(x.scale[0] * w.scale) / np.float64(y.scale[0])
    factors = np.array([rounding_kinds.quantize_multiplier(scale) for scale in scales])
    rounded = rounding_kinds.requantize(
        sums.astype(np.int32), factors[:, 0], factors[:, 1], "double"
    )
    return _activated(operator, y, rounded.astype(np.int64) + _zero(y)).reshape(y.shape)


def _zero(tensor) -> int:
    return 0 if tensor.zero_point is None else int(tensor.zero_point[0])


def _activated(operator: Operator, y, codes: np.ndarray) -> np.ndarray:
    limits = np.iinfo(y.dtype)
    low, high = limits.min, limits.max
    activation = operator.options.get("fused_activation_function", "NONE")

    def code(real: float) -> int:
        return _zero(y) + int(np.round(np.float32(real) / y.scale[0]))

    if activation in ("RELU", "RELU6"):
        low = max(low, code(0))
    if activation == "RELU6":
        high = min(high, code(6))
    if activation == "RELU_N1_TO_1":
        low, high = max(low, code(-1)), min(high, code(1))
    return np.clip(codes, low, high).astype(y.dtype)

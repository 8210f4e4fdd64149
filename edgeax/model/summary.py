"""Summary: what every layer of a model costs and how it is stored."""

import dataclasses
import math
from typing import Any

import keras
import numpy as np

from edgeax.formats import EncodedTensor, Float32
from edgeax.model.graph import Call, Graph, trace
from edgeax.model.placement import last_of_group, plain
from edgeax.model.rewrite import check_model, clone, fresh_copy
from edgeax.model.wrapper import Compressed, slot_of


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """One row of a summary.

    Attributes:
        path: The layer's path.
        kind: Its class.
        weight_bits: Bits of one kernel weight, 32 for float.
        sparsity: Fraction of zero kernel weights, 0 to 1.
        distinct_values: Number of different kernel weights.
        size_bytes: Bytes of all its weights, packed, with their scales and codebooks.
        macs: Multiply-accumulates of one sample.
        output: The output's number format, `"float32"` if it is not rounded.
        stays_float: Why the kernel stays float, `""` if it does not.
    """

    path: str
    kind: str
    weight_bits: int
    sparsity: float
    distinct_values: int
    size_bytes: int
    macs: int
    output: str
    stays_float: str


@dataclasses.dataclass(frozen=True)
class Summary:
    """Rows for the layers with weights, in the order in which they run. Prints as a table."""

    rows: tuple[LayerCost, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of all weights."""
        return sum(row.size_bytes for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample."""
        return sum(row.macs for row in self.rows)

    def __str__(self) -> str:
        head = ("layer", "kind", "bits", "sparsity", "values", "bytes", "MACs", "output", "float?")
        table = [head, *map(_cells, self.rows)]
        table.append(("total", "", "", "", "", f"{self.size_bytes:,}", f"{self.macs:,}", "", ""))
        widths = [max(len(row[column]) for row in table) for column in range(len(head))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column in (0, 1, 7, 8) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        )


def summary(model: keras.Model) -> Summary:
    """Returns bits, sparsity, bytes and multiply-accumulates of every layer that has weights.

    Args:
        model: Plain or compressed, Sequential or functional, nested ones included.

    Raises:
        ValueError: The model has no graph.
    """
    check_model(model)
    copies: dict[int, Any] = {}
    graph = trace(clone(model, fresh_copy, copies))
    originals = {
        id(copies[id(layer)]): layer
        for layer in model._flatten_layers(include_self=False)
        if id(layer) in copies
    }
    rows = []
    for layer in {id(call.operation): call.operation for call in graph.calls}.values():
        original = originals.get(id(layer))
        if original is not None and plain(original).weights:
            rows.append(_cost(original, graph, graph.calls_of(layer)))
    return Summary(tuple(rows))


def frozen_kernels(layer: keras.layers.Layer) -> list[EncodedTensor]:
    """Returns the kernels of a layer as they would be stored."""
    if isinstance(layer, Compressed):
        frozen = layer.freeze_weights()
        kernels = [code for variable, _, code in frozen if slot_of(variable.name) == "kernel"]
        if kernels:
            return kernels
        layer = layer.layer
    return [
        EncodedTensor(np.asarray(variable, np.float32), Float32(), {})
        for variable in layer.weights
        if slot_of(variable.name) == "kernel"
    ]


def _cost(layer: keras.layers.Layer, graph: Graph, calls: list[Call]) -> LayerCost:
    kernels = frozen_kernels(layer)
    values = sum(math.prod(kernel.shape) for kernel in kernels)
    zeros = sum(kernel.sparsity * math.prod(kernel.shape) for kernel in kernels)
    inner = plain(layer)
    others = sum(
        math.prod(variable.shape) * 4
        for variable in inner.weights
        if slot_of(variable.name) != "kernel"
    )
    bits = max((kernel.bits for kernel in kernels), default=32)
    return LayerCost(
        path=graph.path(calls[0].operation),
        kind=type(inner).__name__,
        weight_bits=bits,
        sparsity=zeros / values if values else 0.0,
        distinct_values=max((kernel.distinct_values for kernel in kernels), default=0),
        size_bytes=others + sum(-(-kernel.size_bits // 8) for kernel in kernels),
        macs=sum(macs(inner, call) for call in calls),
        output=_output_format(last_of_group(graph, calls[0]).operation),
        stays_float=_reason(layer, bits, bool(kernels)),
    )


def macs(layer: keras.layers.Layer, call: Call) -> int:
    """Returns the multiply-accumulates of one call for one sample."""
    kernels = [math.prod(v.shape) for v in layer.weights if slot_of(v.name) == "kernel"]
    if not kernels or isinstance(layer, keras.layers.Embedding):
        return 0
    transposed = type(layer).__name__.endswith("Transpose")
    tensor = call.input_tensors[0] if transposed else call.output_tensors[0]
    shape = [size or 1 for size in tensor.shape[1:]]
    channels_first = getattr(layer, "data_format", None) == "channels_first"
    positions = math.prod(shape[1:] if channels_first else shape[:-1])
    if isinstance(layer, keras.layers.EinsumDense):
        operands, result = layer.equation.replace(" ", "").split("->")
        letters = operands.split(",")[1]
        inputs = [
            size
            for letter, size in zip(letters, layer.kernel.shape, strict=True)
            if letter not in result
        ]
        return math.prod(shape) * math.prod(inputs)
    return positions * sum(kernels)


def _output_format(layer: keras.layers.Layer) -> str:
    quantizer = layer.quantizer("output") if isinstance(layer, Compressed) else None
    return getattr(quantizer, "format", "float32")


def _reason(layer: keras.layers.Layer, bits: int, has_kernel: bool) -> str:
    if not has_kernel or bits < 32:
        return ""
    if isinstance(layer, Compressed) and layer.slots.templates["kernel"]:
        return "its transforms have not begun or keep float values"
    return "no rule gives its kernel a format"


def _cells(row: LayerCost) -> tuple[str, ...]:
    return (
        row.path,
        row.kind,
        str(row.weight_bits),
        f"{row.sparsity:.3f}",
        str(row.distinct_values),
        f"{row.size_bytes:,}",
        f"{row.macs:,}",
        row.output,
        row.stays_float,
    )

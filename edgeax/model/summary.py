"""Summary: what every layer of a model costs and how it is stored."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from edgeax.formats import EncodedTensor, Float32
from edgeax.model.container import CompressedModel
from edgeax.model.copying import clone, originals_of, plain_copy
from edgeax.model.graph import Graph, is_nested, trace
from edgeax.model.macs import macs_of_call
from edgeax.model.placement import last_of_group, plain
from edgeax.model.rewrite import check_weights
from edgeax.model.subclassed import graph_of, layers_of, rebuilt
from edgeax.model.wrapper import Compressed, slot_of, unwrappable


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
        macs: Multiply-accumulates of one sample; a dimension that may vary counts 1.
        output: The number format of the output, or of what goes into its activation if only that is
            rounded; `"float32"` if neither is.
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
        model: Plain or compressed, nested ones included. In a subclassed one only what one call
            runs is listed.

    Raises:
        ValueError: The model has no weights yet, or Keras cannot make it again.
    """
    check_weights(model)
    graph, originals = plain_graph(model)
    rows = []
    for copy in {id(call.operation): call.operation for call in graph.calls}.values():
        layer = originals.get(id(copy))
        if layer is not None and copy.weights:
            calls = graph.calls_of(copy)
            end = originals[id(last_of_group(graph, calls[0]).operation)]
            path = graph.path(copy)
            rows.append(_cost(path, layer, sum(macs_of_call(copy, call) for call in calls), end))
    return Summary(tuple(rows))


def plain_graph(model: keras.Model) -> tuple[Graph, dict[int, keras.layers.Layer]]:
    """Returns the calls of a plain copy, and the layers of `model` by the ids of the copies."""
    copies: dict[int, Any] = {}
    if is_nested(model):
        return trace(clone(model, plain_copy, copies)), originals_of(model, copies)
    copy = rebuilt(model)
    graph, originals = graph_of(copy)
    actual = dict(zip(map(id, layers_of(copy)), layers_of(model), strict=True))
    wrappers = model.wrappers.values() if isinstance(model, CompressedModel) else ()
    wrapper_of = {id(wrapper.layer): wrapper for wrapper in wrappers}
    for identity, layer in originals.items():
        layer = actual.get(id(layer), layer)
        originals[identity] = wrapper_of.get(id(layer), layer)
    return graph, originals


@dataclasses.dataclass(frozen=True)
class KernelStatistics:
    """What the kernels of a layer hold, transformed.

    Attributes:
        count: Number of weights.
        zeros: How many of them are zero.
        distinct_values: Number of different values, most of any kernel; scales do not count.
        low: Smallest value.
        high: Largest value.
    """

    count: int
    zeros: int
    distinct_values: int
    low: float
    high: float

    @property
    def sparsity(self) -> float:
        """Fraction of weights that are zero, 0 to 1."""
        return self.zeros / self.count if self.count else 0.0


def kernel_statistics(kernels: Sequence[EncodedTensor]) -> KernelStatistics:
    """Returns the statistics of a layer's kernels taken together."""
    values = [kernel.decode() for kernel in kernels if kernel.codes.size]
    return KernelStatistics(
        count=sum(value.size for value in values),
        zeros=sum(int(np.sum(value == 0.0)) for value in values),
        distinct_values=max((kernel.distinct_values for kernel in kernels), default=0),
        low=min((float(np.min(value)) for value in values), default=0.0),
        high=max((float(np.max(value)) for value in values), default=0.0),
    )


def stored_weights(layer: keras.layers.Layer) -> list[tuple[str | None, EncodedTensor]]:
    """Returns each weight of a layer as it would be stored, and its slot."""
    encoded = {
        id(variable): code
        for variable, _, code in (layer.freeze_weights() if isinstance(layer, Compressed) else [])
    }
    return [
        (
            slot_of(variable.name),
            encoded.get(id(variable))
            or EncodedTensor(np.asarray(variable, np.float32), Float32(), {}),
        )
        for variable in plain(layer).weights
    ]


def _cost(
    path: str, layer: keras.layers.Layer, macs: int, rounded_behind: keras.layers.Layer
) -> LayerCost:
    weights = stored_weights(layer)
    kernels = [kernel for slot, kernel in weights if slot == "kernel"]
    statistics = kernel_statistics(kernels)
    bits = max((kernel.bits for kernel in kernels), default=32)
    return LayerCost(
        path=path,
        kind=type(plain(layer)).__name__,
        weight_bits=bits,
        sparsity=statistics.sparsity,
        distinct_values=statistics.distinct_values,
        size_bytes=sum(-(-weight.size_bits // 8) for _, weight in weights),
        macs=macs,
        output=_output_format(rounded_behind),
        stays_float=_reason(layer, bits, bool(kernels)),
    )


def _output_format(layer: keras.layers.Layer) -> str:
    if not isinstance(layer, Compressed):
        return "float32"
    quantizer = layer.quantizer("output") or layer.quantizer("before_activation")
    return getattr(quantizer, "format", "float32")


def _reason(layer: keras.layers.Layer, bits: int, has_kernel: bool) -> str:
    if not has_kernel or bits < 32:
        return ""
    if unwrappable(plain(layer)):
        return unwrappable(plain(layer))
    if isinstance(layer, Compressed) and layer.transforms_kernel:
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

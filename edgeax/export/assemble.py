"""Assemble: freeze, convert and lower, and what stays float on the way."""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from edgeax.export.convert import convert
from edgeax.export.freeze import Frozen, freeze, layers_in
from edgeax.export.lower import Stored, lower
from edgeax.export.lower_lstm import lower_lstms
from edgeax.export.lower_wide import lower_wide
from edgeax.export.rounding import IN_FORMAT
from edgeax.export.widen import widen
from edgeax.formats.flatbuffer import Model, Subgraph

_NO_FORM = "no operator computes in integers from its kernels"


@dataclasses.dataclass(frozen=True)
class Assembled:
    """A file that is complete but for its metadata.

    Attributes:
        frozen: The model that it was made of.
        file: The file.
        kernels: How each kernel with a number format is stored.
        stays_float: Operators that compute in float although integers were asked for, with their
            layers and, where it is known, the reason.
    """

    frozen: Frozen
    file: Model
    kernels: tuple[Stored, ...]
    stays_float: tuple[str, ...]


def assemble(
    model: keras.Model,
    samples: Sequence[np.ndarray],
    integer: bool,
    io: str = "float32",
    pack: bool = False,
    wide: bool = False,
) -> Assembled:
    """Returns the file of a model.

    Args:
        model: Sequential or functional, compressed or plain.
        samples: One array per input.
        integer: Whether it computes in integers.
        io: `"float32"` or `"int8"`.
        pack: Whether custom operators may be used.
        wide: Whether activations that training did not round get 16 bits.

    Raises:
        ValueError: The model has no file of that kind.
    """
    frozen = freeze(model, samples, integer, wide)
    file = convert(frozen.model, integer, io)
    kernels = lower(file, frozen.weights, pack)
    kernels += lower_lstms(file, frozen.lstms, integer)
    if integer:
        lower_wide(file)
        widen(file, frozen)
    kernels += tuple(
        Stored(path, "as converted", None, frozen.whole.get(path, _NO_FORM))
        for path in frozen.left_out
    )
    stays_float = _float_operators(file.subgraphs[0], frozen) if integer else ()
    return Assembled(frozen, file, kernels, stays_float)


def _float_operators(graph: Subgraph, frozen: Frozen) -> tuple[str, ...]:
    """Returns the operators that compute with float values, and the layers that they belong to.

    Conversions from and to integers do not count.
    """
    formatted = {path: f"its values are {name}" for path, name in frozen.formatted}
    reasons = {**formatted, **frozen.whole}
    found = []
    for operator in graph.operators:
        ends = [graph.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
        computes = operator.name not in ("QUANTIZE", "DEQUANTIZE")
        if computes and any(t.dtype == "float32" and not t.is_constant for t in ends):
            name = graph.tensors[operator.outputs[0]].name
            if IN_FORMAT in name:
                continue  # part of how a format is expressed; its layer is told of
            layers = sorted({frozen.paths[one] for one in layers_in(name) if one in frozen.paths})
            why = "; ".join(reasons[path] for path in layers if path in reasons)
            place = f"{operator.name} in {', '.join(layers) or name}"
            found.append(f"{place} ({why})" if why else place)
    return tuple(found)

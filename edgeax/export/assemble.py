"""Assemble: freeze, convert and lower, and what stays float on the way."""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from edgeax.export.choice import BY_BYTES, Choice
from edgeax.export.convert import convert
from edgeax.export.freeze import freeze
from edgeax.export.frozen import Frozen, layers_in
from edgeax.export.lower import FORMS, FORMS_FOR_SIZE, lower
from edgeax.export.lower_custom import Form
from edgeax.export.lower_decode import lower_decode
from edgeax.export.lower_float import lower_float
from edgeax.export.lower_lstm import lower_lstms
from edgeax.export.lower_sign_sum import rounded_sums
from edgeax.export.lower_wide import lower_wide
from edgeax.export.rounding import IN_FORMAT, WIDE_BITS
from edgeax.export.sign_sums import expand_sign_sums
from edgeax.export.signs import is_conversion, lower_signs, place_in_integers
from edgeax.export.stored import AS_CONVERTED, Stored
from edgeax.export.widen import widen
from edgeax.formats.flatbuffer import Model, Subgraph

_WITH_KERNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL")

_NO_FORM = "no operator computes in integers from its kernels"


@dataclasses.dataclass(frozen=True)
class Assembled:
    """A file that is complete but for its metadata.

    Attributes:
        frozen: The model that it was made of.
        file: The file.
        kernels: How each kernel with a number format is stored; of a float file with built-in
            operators only none.
        stays_float: Operators that compute in float although integers were asked for, with their
            layers and, where it is known, the reason.
        converted: The file before its kernels were lowered; empty if no custom operators may be
            used.
    """

    frozen: Frozen
    file: Model
    kernels: tuple[Stored, ...]
    stays_float: tuple[str, ...]
    converted: bytes = b""


def assemble(
    model: keras.Model,
    samples: Sequence[np.ndarray],
    integer: bool,
    io: str = "float32",
    pack: bool = False,
    wide: bool = False,
    choice: Choice = BY_BYTES,
    uncounted: frozenset[str] = frozenset(),
    batch: int = 1,
) -> Assembled:
    """Returns the file of a model.

    Args:
        model: Sequential or functional, compressed or plain.
        samples: One array per input.
        integer: Whether it computes in integers.
        io: `"float32"` or `"int8"`.
        pack: Whether custom operators may be used.
        wide: Whether activations that training did not round get 16 bits.
        choice: What decides between custom operators and built-in ones. Where bytes are to be the
            fewest, custom ones may also hold kernels that are decoded when a file is loaded.
        uncounted: Places of sums of signs for which no operator was found that counts their bits;
            where 8-bit integers do not hold them, operators of floats compute from them.
        batch: The batch of the file.

    Raises:
        ValueError: The model has no file of that kind.
    """
    frozen = freeze(model, samples, integer, wide, pack, uncounted, batch)
    if io == "int8":
        _check_narrow(frozen)
    file = convert(frozen.model, integer, io)
    converted = file.to_bytes() if pack else b""
    kernels, rounded = _lower(file, frozen, integer, io, _forms(pack, choice), choice)
    if rounded:
        uncounted |= rounded
        return assemble(model, samples, integer, io, pack, wide, choice, uncounted, batch)
    kernels += tuple(
        Stored(path, AS_CONVERTED, None, frozen.whole.get(path, _NO_FORM))
        for path in frozen.left_out
    )
    stays_float = _float_operators(file.subgraphs[0], frozen) if integer else ()
    return Assembled(frozen, file, kernels, stays_float, converted)


def dense_int8(made: Assembled, io: str) -> Model:
    """Returns a file that computes in integers, which may have custom operators, without them.

    Args:
        made: As `assemble` returned it for `pack=True`.
        io: As `assemble` got it.
    """
    file = Model.from_bytes(made.converted)
    _lower(file, made.frozen, True, io, forms=())
    return file


def with_decode(made: Assembled) -> Assembled:
    """Returns a copy of a file with its kernels for TensorFlow Lite Micro's DECODE operator, where
    that is smaller.

    Args:
        made: As `assemble` returned it for `pack=False`.
    """
    file = Model.from_bytes(made.file.to_bytes())
    kernels = lower_decode(file, made.kernels)
    return dataclasses.replace(made, file=file, kernels=kernels)


def _forms(pack: bool, choice: Choice) -> Sequence[Form]:
    """Returns the forms of kernels in custom operators that may be used; see `assemble`."""
    if not pack:
        return ()
    return FORMS_FOR_SIZE if choice.optimize == "size" else FORMS


def _lower(
    file: Model,
    frozen: Frozen,
    integer: bool,
    io: str,
    forms: Sequence[Form],
    choice: Choice = BY_BYTES,
) -> tuple[tuple[Stored, ...], frozenset[str]]:
    """Gives a converted file the numbers and operators of its frozen model, in place.

    Returns:
        How kernels are stored, and the places of sums of signs that were rounded to 8 bits.
    """
    lower_signs(file)
    place_in_integers(file, {*frozen.sums, *frozen.nearest})
    kernels = lower(file, frozen.weights, forms, choice, frozen.sums, frozen.nearest)
    rounded = rounded_sums(file.subgraphs[0], frozen.sums)
    expand_sign_sums(file.subgraphs[0], frozen.sums)
    kernels += lower_lstms(file, frozen.lstms, integer)
    if io == "int8":
        _check_ends(file.subgraphs[0])
    if forms and not integer:
        kernels += lower_float(file, frozen.trained)
    if integer:
        lower_wide(file)
        widen(file, frozen)
    return kernels, rounded


def _check_narrow(frozen: Frozen) -> None:
    """Checks that activations have the 8 bits of inputs and outputs that are int8.

    Raises:
        ValueError: They have 16.
    """
    wide = next((point.path for point in frozen.points if point.grid.bits == WIDE_BITS), None)
    if wide is not None:
        raise ValueError(
            f"`io` can be 'int8' only where activations have 8 bits. Received: io='int8' with 16 "
            f"bits at {wide!r}. Use io='float32'."
        )


def _check_ends(graph: Subgraph) -> None:
    """Checks that the inputs and outputs of a file are integers.

    Raises:
        ValueError: One is not, because the model rounds it to a format without integers.
    """
    for index in (*graph.inputs, *graph.outputs):
        if graph.tensors[index].dtype == "float32":
            raise ValueError(
                "`io` can be 'int8' only where training rounds inputs and outputs to integers, or "
                f"not at all. Received: io='int8' with values in another format at "
                f"{graph.tensors[index].name!r}. Use io='float32'."
            )


def _float_operators(graph: Subgraph, frozen: Frozen) -> tuple[str, ...]:
    """Returns the operators that compute with float values, and the layers that they belong to.

    Conversions from and to integers do not count.
    """
    formatted = {path: f"its values are {name}" for path, name in frozen.formatted}
    reasons = {**formatted, **frozen.whole}
    found = []
    for operator in graph.operators:
        ends = [graph.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
        converts = operator.name in ("QUANTIZE", "DEQUANTIZE") or is_conversion(graph, operator)
        if not converts and any(t.dtype == "float32" and not t.is_constant for t in ends):
            name = graph.tensors[operator.outputs[0]].name
            if IN_FORMAT in name and operator.name not in _WITH_KERNEL:
                continue  # part of how a format is expressed; told of below
            layers = sorted({frozen.paths[one] for one in layers_in(name) if one in frozen.paths})
            why = "; ".join(reasons[path] for path in layers if path in reasons)
            place = f"{operator.name} in {', '.join(layers) or name}"
            found.append(f"{place} ({why})" if why else place)
    return (*found, *(f"rounding in {path} (to {name})" for path, name in frozen.formatted))

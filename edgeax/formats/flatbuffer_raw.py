"""The schema's raw objects (ModelT and its parts): plain values from them, and their soundness."""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edgeax.formats import dtypes

CUSTOM = 32  # the builtin code of custom operators

SCHEMA_VERSION = 3
_MOST_DIMENSIONS = 32
_MOST_ELEMENTS = 2**40


def text(raw: bytes | str | None) -> str:
    """Returns a string of the schema, which reads bytes and writes both; "" when absent."""
    return raw if isinstance(raw, str) else (raw or b"").decode(errors="replace")


def integers(raw: Iterable[int] | None) -> tuple[int, ...]:
    """Returns a vector of the schema; empty when absent."""
    return () if raw is None else tuple(int(value) for value in raw)


def plain(value: Any, names: Mapping[int, str]) -> Any:
    """Returns the value of an option as a number, list or string; an enum's value by its name."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytes):
        return text(value)
    return names.get(value, value)


def builtin_code(code: Any) -> int:
    """Returns the operator of an OperatorCodeT: old files have only the deprecated field, which is
    too narrow for new operators.
    """
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def scale_tensors(raw: Any) -> dict[str, int]:
    """Returns the tensors that hold the scales and zero points of a block-wise quantized one."""
    details = None if raw.quantization is None else raw.quantization.details
    fields = {name: getattr(details, name, None) for name in ("scales", "zeroPoints")}
    return {name: int(index) for name, index in fields.items() if index is not None}


def inline_external_data(raw: Any, data: bytes) -> None:
    """Moves what lies behind the flatbuffer (the layout of files over 2 GiB) into its objects."""
    for i, buffer in enumerate(raw.buffers or ()):
        if buffer.offset > 1:
            buffer.data = _slice(data, buffer.offset, buffer.size, f"buffer {i}")
    for graph in raw.subgraphs or ():
        for i, operator in enumerate(graph.operators or ()):
            if operator.largeCustomOptionsOffset > 1:
                place = operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize
                operator.customOptions = _slice(data, *place, f"the options of operator {i}")
                operator.largeCustomOptionsOffset = operator.largeCustomOptionsSize = 0


def _slice(data: bytes, offset: int, size: int, what: str) -> np.ndarray:
    if offset + size > len(data):
        raise damaged(f"{what} ends at byte {offset + size} of {len(data)}")
    return np.frombuffer(data, np.uint8, size, offset)


def check_references(raw: Any, known_options: Mapping[str, Container[int]]) -> None:
    """Checks that all numbers that name something name something that is there.

    Args:
        raw: A ModelT.
        known_options: The kinds of options that the schema's reader keeps, for each of its unions;
            it drops the others, so that a file with one could not be written again.
    Raises:
        ValueError: a number names nothing, or a part is of an unknown kind; says which.
    """
    if raw.version != SCHEMA_VERSION or not raw.subgraphs:
        raise damaged(f"version {raw.version} with {len(raw.subgraphs or ())} graphs")
    codes = raw.operatorCodes or ()
    for i, code in enumerate(codes):
        if builtin_code(code) == CUSTOM and not code.customCode:
            raise damaged(f"operator code {i} is a custom operator without a name")
    buffers = len(raw.buffers or ()) or 1
    _check_range("a metadata buffer", integers(raw.metadataBuffer), 0, buffers)
    for entry in raw.metadata or ():
        _check_range(f"the buffer of metadata {text(entry.name)!r}", [entry.buffer], 0, buffers)
    for number, graph in enumerate(raw.subgraphs):
        _check_ends(graph, f"subgraph {number}")
        for tensor in graph.tensors or ():
            _check_tensor(tensor, len(graph.tensors), buffers)
        for i, operator in enumerate(graph.operators or ()):
            name = f"operator {i} of subgraph {number}"
            _check_range(f"the code of {name}", [operator.opcodeIndex], 0, len(codes))
            _check_operator(operator, name, len(graph.tensors or ()), known_options)
    for signature in raw.signatureDefs or ():
        _check_signature(signature, raw.subgraphs)


def _check_ends(graph: Any, name: str) -> None:
    for field in ("inputs", "outputs"):
        # Some writers mark an absent optional input of a graph by -1.
        tensors = integers(getattr(graph, field))
        _check_range(f"{field} of {name}", tensors, -1, len(graph.tensors or ()))


def _check_signature(signature: Any, graphs: Sequence[Any]) -> None:
    name = f"signature {text(signature.signatureKey)!r}"
    _check_range(f"the subgraph of {name}", [signature.subgraphIndex], 0, len(graphs))
    tensors = [
        entry.tensorIndex for entry in (*(signature.inputs or ()), *(signature.outputs or ()))
    ]
    count = len(graphs[signature.subgraphIndex].tensors or ())
    _check_range(f"a tensor of {name}", tensors, 0, count)


def _check_tensor(tensor: Any, tensors: int, buffers: int) -> None:
    name = f"tensor {text(tensor.name)!r}"
    _check_range(f"the buffer of {name}", [tensor.buffer], 0, buffers)
    _check_range(f"the type of {name}", [tensor.type], 0, len(dtypes.NAMES))
    _check_range(f"a scale tensor of {name}", scale_tensors(tensor).values(), -1, tensors)
    quantization = tensor.quantization
    if quantization is not None and quantization.detailsType and quantization.details is None:
        raise damaged(f"{name} has a kind of quantization that is not known")
    for part in () if tensor.sparsity is None else tensor.sparsity.dimMetadata or ():
        for field in ("arraySegments", "arrayIndices"):
            if getattr(part, f"{field}Type") and getattr(part, field) is None:
                raise damaged(f"{name} has a kind of sparsity that is not known")
    shape = integers(tensor.shape)
    if len(shape) > _MOST_DIMENSIONS or math.prod(map(abs, shape)) > _MOST_ELEMENTS:
        raise damaged(f"{name} has an impossible shape, {shape[:_MOST_DIMENSIONS]}")


def _check_operator(
    operator: Any, name: str, tensors: int, known_options: Mapping[str, Container[int]]
) -> None:
    for field in ("inputs", "outputs", "intermediates"):
        _check_range(f"{field} of {name}", integers(getattr(operator, field)), -1, tensors)
    for field, known in known_options.items():
        if getattr(operator, f"{field}Type") not in known:
            raise damaged(f"{name} has options of a kind that is not known")


def _check_range(what: str, values: Iterable[int], low: int, end: int) -> None:
    for value in values:
        if not low <= value < end:
            raise damaged(f"{what} is number {value}, but there are {end}")


def damaged(problem: str) -> ValueError:
    """Returns the error for a model that is unsound in itself."""
    return ValueError(
        f"`model` must be whole and name only parts that it has. Received: {problem}. The file is "
        "damaged, or an edit left the model so."
    )

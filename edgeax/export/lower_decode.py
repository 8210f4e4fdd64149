"""Lower for TensorFlow Lite Micro: kernels as indices and tables for its own DECODE operator.

A file with built-in operators only comes in. Every int8 kernel that is smaller so is decoded, in
front of the operator that reads it, into the arena: the file shrinks and the arena grows. A kernel
whose scales are all equal gets one scale, and so one table: TensorFlow Lite Micro computes the same
from it. Others have a table for each channel, of the codes that the channel uses.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from edgeax.export.carriers import FILTER_OPERATORS, scale_of
from edgeax.export.constants import bytes_in_file
from edgeax.export.lower_dense import kernel_name
from edgeax.export.stored import Stored
from edgeax.formats import decode_graph, decode_lut
from edgeax.formats.flatbuffer import ALIGNMENT, Model, Operator, Subgraph, Tensor

HOW = "decode"

_TOO_MANY = f"a table would have more than {decode_lut.MOST_CODES} codes"
_LOSS = "indices and {tables} would be {part:.2f} of int8"
_READ_ELSEWHERE = "something else reads its tensor too"


@dataclasses.dataclass(frozen=True, eq=False)
class _Kernel:
    """A kernel's tensor and the operators that read it."""

    place: int
    tensor: Tensor
    readers: tuple[Operator, ...]

    @property
    def codes(self) -> np.ndarray:
        return np.asarray(self.tensor.data)

    @property
    def is_read_as_kernel(self) -> bool:
        return all(
            reader.name in FILTER_OPERATORS and reader.inputs.index(self.place) == 1
            for reader in self.readers
        )

    @property
    def axis(self) -> int | None:
        """Axis of the channels, None where one scale does for all."""
        scale = scale_of(self.tensor)
        return None if np.all(scale == scale[0]) else self.tensor.quantized_axis

    def size_bytes(self, encoded: decode_lut.Encoded) -> int:
        """Returns what it takes in the file at most, beyond the tensor that it is decoded to."""
        scales = 0 if self.axis is None else 12 * scale_of(self.tensor).size
        more_outputs = [scales for _ in self.readers[1:]]
        operators = [0, *(0 for _ in self.readers)]  # and the name, which is in the file once
        sizes = [encoded.indices.size, encoded.ancillary.size, *operators, *more_outputs]
        return bytes_in_file(sizes) + 2 * ALIGNMENT


def lower_decode(file: Model, kernels: Sequence[Stored]) -> tuple[Stored, ...]:
    """Compresses the kernels of a file with built-in operators, in place.

    Args:
        file: As `lower` left it, with its kernels in bytes.
        kernels: How they are stored.

    Returns:
        How they are stored now.
    """
    graph = file.subgraphs[0]
    held = _kernels(graph)
    stored = tuple(
        _lower_kernel(graph, entry, held.get(kernel_name(entry.path), [])) for entry in kernels
    )
    file.prune()
    return stored


def _kernels(graph: Subgraph) -> dict[str, list[_Kernel]]:
    """Returns the int8 kernels of operators by the names of their tensors; a layer whose operators
    need different scales has several.
    """
    filters = [operator for operator in graph.operators if operator.name in FILTER_OPERATORS]
    found: dict[str, list[_Kernel]] = {}
    for place in dict.fromkeys(operator.inputs[1] for operator in filters):
        tensor = graph.tensors[place]
        if tensor.dtype == "int8" and tensor.is_constant:
            readers = tuple(graph.operators[reader] for reader in graph.consumers(place))
            found.setdefault(tensor.name, []).append(_Kernel(place, tensor, readers))
    return found


def _lower_kernel(graph: Subgraph, stored: Stored, kernels: Sequence[_Kernel]) -> Stored:
    """Compresses the kernel of one layer if that is smaller."""
    if not kernels:
        return stored
    if not all(kernel.is_read_as_kernel for kernel in kernels):
        return dataclasses.replace(stored, why=_READ_ELSEWHERE)
    try:
        encoded = [decode_lut.encode(kernel.codes, kernel.axis) for kernel in kernels]
    except ValueError:
        return dataclasses.replace(stored, why=_TOO_MANY)
    plain = sum(kernel.codes.size for kernel in kernels)
    size = sum(kernel.size_bytes(one) for kernel, one in zip(kernels, encoded, strict=True))
    tables = sum(one.tables for one in encoded)
    if size >= plain:
        text = "a table" if tables == 1 else f"{tables} tables"
        why = _LOSS.format(tables=text, part=size / plain)
        return dataclasses.replace(stored, why=why)
    for kernel, one in zip(kernels, encoded, strict=True):
        if kernel.axis is None:
            _share_scale(graph, kernel)
        decode_graph.insert_decode(graph, kernel.place, one)
    details = {"tables": tables, "decoded_bytes": plain}
    bits = max(one.bits for one in encoded)
    return dataclasses.replace(stored, how=HOW, bits=bits, why="", details=details)


def _share_scale(graph: Subgraph, kernel: _Kernel) -> None:
    """Leaves one scale to a kernel, and to the biases beside it, whose scales are all equal."""
    places = [(reader, FILTER_OPERATORS[reader.name][1]) for reader in kernel.readers]
    biases = [reader.inputs[place] for reader, place in places if len(reader.inputs) > place]
    for tensor in (kernel.tensor, *(graph.tensors[index] for index in biases if index >= 0)):
        tensor.scale = scale_of(tensor)[:1]
        tensor.quantized_axis = 0

"""What a `.tflite` file holds: its operators, tensors, bytes and metadata."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from typing import Any

from edgeax.formats import decode_graph, decode_lut, dtypes, vector_rows
from edgeax.formats.codebook import Codebook
from edgeax.formats.flatbuffer import Model, Operator, Subgraph, Tensor
from edgeax.formats.operators import OPERATORS, TRAINING_OPERATORS
from edgeax.formats.tables import text_table

METADATA_KEY = "edgeax"
_OUR_PREFIX = "Edgeax"
# Values of built-in options that a printed table leaves out.
_UNSAID = (0, False, "", "NONE", None)


@dataclasses.dataclass(frozen=True)
class TensorDetails:
    """One tensor.

    Attributes:
        subgraph: Number of its graph.
        index: Its number in the graph.
        name: Its name.
        kind: "input", "output", "constant", "variable" or "activation".
        dtype: Type of its elements.
        shape: Its shape; unknown sizes are -1.
        size_bytes: Bytes at that shape; None when unknown.
        scale: Scales of its codes; empty when not quantized.
        zero_point: Codes of 0.0, as many as scales.
    """

    subgraph: int
    index: int
    name: str
    kind: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int | None
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class OperatorDetails:
    """One operator.

    Attributes:
        subgraph: Number of its graph.
        index: Its place in the order in which the graph runs.
        name: Name of the custom operator, or the schema's of a built-in one ("CONV_2D").
        is_custom: Whether it is a custom operator.
        version: Its version.
        weight_bits: Bits of one stored weight, or of the index of a sub-vector; None for an
            operator without constants.
        constant_bytes: Bytes of all its constants: weights, bias, scales, codebook.
        inputs: Numbers of its input tensors, -1 = absent.
        outputs: Numbers of its output tensors.
        options: Its options by name; None for a custom operator that edgeax does not know.
    """

    subgraph: int
    index: int
    name: str
    is_custom: bool
    version: int
    weight_bits: int | None
    constant_bytes: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any] | None


@dataclasses.dataclass(frozen=True)
class FileDetails:
    """A whole file. Prints as tables.

    Attributes:
        name: Path of the file, or "model_content".
        size_bytes: Bytes of the file.
        weight_bytes: Bytes of all constants; shared ones count once.
        peak_activation_bytes: Most bytes of activations alive at once in the main graph, by a
            plan without reuse in place; None when a size is unknown.
        description: What the writer of the file says.
        metadata: Entries by name: JSON as its value, other text as text, else the bytes' number.
        operators: All operators of all graphs, in order.
        tensors: All tensors of all graphs.
    """

    name: str
    size_bytes: int
    weight_bytes: int
    peak_activation_bytes: int | None
    description: str
    metadata: dict[str, Any]
    operators: tuple[OperatorDetails, ...]
    tensors: tuple[TensorDetails, ...]

    @property
    def custom_operators(self) -> tuple[str, ...]:
        """Names of all custom operators, each once, sorted."""
        return tuple(sorted({operator.name for operator in self.operators if operator.is_custom}))

    @property
    def plugin_operators(self) -> tuple[str, ...]:
        """Names of the custom operators that edgeax's plugin brings."""
        return tuple(
            name
            for name in self.custom_operators
            if name.startswith(_OUR_PREFIX) or name in TRAINING_OPERATORS
        )

    @property
    def unknown_operators(self) -> tuple[str, ...]:
        """Names of the custom operators that this release of edgeax does not know."""
        known = {*OPERATORS, *TRAINING_OPERATORS, decode_lut.OPERATOR}
        return tuple(name for name in self.custom_operators if name not in known)

    @property
    def written_by(self) -> str:
        """The release of edgeax that wrote the file, "(unknown)" when it does not say."""
        entry = self.metadata.get(METADATA_KEY)
        version = entry.get("version") if isinstance(entry, dict) else None
        return str(version or "(unknown)")

    @property
    def is_stateful(self) -> bool:
        """Whether the model wants to keep its state from one run to the next."""
        entry = self.metadata.get(METADATA_KEY)
        return isinstance(entry, dict) and entry.get("stateful") is True

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        names = ("custom_operators", "plugin_operators", "unknown_operators")
        return dataclasses.asdict(self) | {name: list(getattr(self, name)) for name in names}

    def __str__(self) -> str:
        facts = [
            {"fact": "file", "value": self.name},
            {"fact": "size", "value": f"{self.size_bytes:,} bytes"},
            {"fact": "weights", "value": f"{self.weight_bytes:,} bytes"},
            {"fact": "peak activations", "value": _bytes_text(self.peak_activation_bytes)},
            {"fact": "plugin", "value": self._plugin_text()},
            *([{"fact": "description", "value": self.description}] if self.description else []),
            *({"fact": key, "value": _json_text(value)} for key, value in self.metadata.items()),
        ]
        tables = (facts, self._operator_rows(), [_tensor_row(tensor) for tensor in self.tensors])
        return "\n\n".join(map(text_table, tables))

    def _plugin_text(self) -> str:
        parts = []
        if self.plugin_operators:
            parts.append(f"needed for {', '.join(self.plugin_operators)}")
        foreign = [name for name in self.unknown_operators if name not in self.plugin_operators]
        if foreign:
            parts.append(f"foreign custom operators: {', '.join(foreign)}")
        if decode_lut.OPERATOR in self.custom_operators:
            parts.append(f"{decode_lut.OPERATOR} is in TensorFlow Lite Micro")
        return "; ".join(parts) or "not needed: built-in operators only"

    def _operator_rows(self) -> list[dict[str, Any]]:
        tensors = {(tensor.subgraph, tensor.index): tensor for tensor in self.tensors}
        rows = []
        for operator in self.operators:
            output = tensors.get((operator.subgraph, next(iter(operator.outputs), -1)))
            rows.append(
                {
                    "operator": f"{operator.subgraph}:{operator.index}",
                    "name": operator.name,
                    "output": "" if output is None else f"{output.dtype}{list(output.shape)}",
                    "bits": operator.weight_bits,
                    "bytes": operator.constant_bytes,
                    "options": _options_text(operator),
                }
            )
        return rows


def read_details(source: str | os.PathLike[str] | bytes) -> FileDetails:
    """Reads and checks a file without an interpreter.

    Args:
        source: Path of a `.tflite` file, or its bytes.
    Raises:
        ValueError: There is no such file, or it is damaged or no TFLite file.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        name, size_bytes, model = "model_content", len(source), Model.from_bytes(bytes(source))
    else:
        name, model = os.fspath(source), Model.read(source)
        size_bytes = os.path.getsize(source)
    graphs = list(enumerate(model.subgraphs))
    try:
        operators = tuple(
            _operator_details(number, index, operator, graph)
            for number, graph in graphs
            for index, operator in enumerate(graph.operators)
        )
    except ValueError as error:  # the options or the codebook of one of our operators
        raise ValueError(f"{name}: {error}") from error
    return FileDetails(
        name=name,
        size_bytes=size_bytes,
        weight_bytes=model.weight_bytes(),
        peak_activation_bytes=model.peak_activation_bytes() if graphs else 0,
        description=model.description,
        metadata={key: _readable(content) for key, content in model.metadata.items()},
        operators=operators,
        tensors=tuple(
            _tensor_details(number, index, tensor, graph)
            for number, graph in graphs
            for index, tensor in enumerate(graph.tensors)
        ),
    )


def _operator_details(
    number: int, index: int, operator: Operator, graph: Subgraph
) -> OperatorDetails:
    constants = [graph.tensors[i] for i in operator.inputs if i >= 0]
    constants = [tensor for tensor in constants if tensor.is_constant]
    return OperatorDetails(
        subgraph=number,
        index=index,
        name=operator.name,
        is_custom=operator.is_custom,
        version=operator.version,
        weight_bits=_weight_bits(operator, graph, constants),
        constant_bytes=sum(tensor.size_bytes or 0 for tensor in constants),
        inputs=operator.inputs,
        outputs=operator.outputs,
        options=_options(operator),
    )


def _weight_bits(operator: Operator, graph: Subgraph, constants: list[Tensor]) -> int | None:
    """Bits of one weight: an index into the codebook, which may be that of a sub-vector, a bit or
    an element of what one of our operators calls its weights, an index of what DECODE reads, or an
    element of the largest constant.
    """
    if decode_graph.is_decode(operator):
        return decode_graph.index_bits(graph, operator)
    codebook = _named_input(operator, graph, "codebook")
    if codebook is not None and len(codebook.shape) == 3:  # of sub-vectors
        return vector_rows.index_bits(codebook.shape[2])
    if codebook is not None:
        return Codebook(math.prod(codebook.shape[-1:]), value=None).bits
    weights = _named_input(operator, graph, "weights")
    if weights is not None:
        known = OPERATORS[operator.name]
        if known.has_bases:
            return known.unpack_options(operator.custom_options)["bases"]
        return 1 if known.has_binary_weights else dtypes.bits(weights.dtype)
    largest = max(constants, key=lambda tensor: tensor.size_bytes or 0, default=None)
    return None if largest is None else dtypes.bits(largest.dtype)


def _named_input(operator: Operator, graph: Subgraph, name: str) -> Tensor | None:
    """What one of our operators calls `name` among its inputs."""
    known = OPERATORS.get(operator.name) if operator.is_custom else None
    named = {} if known is None else dict(zip(known.inputs, operator.inputs, strict=False))
    index = named.get(name, -1)
    return None if index < 0 else graph.tensors[index]


def _options(operator: Operator) -> dict[str, Any] | None:
    if not operator.is_custom:
        return operator.options
    if operator.name not in OPERATORS:
        return None
    return dict(OPERATORS[operator.name].unpack_options(operator.custom_options))


def _tensor_details(number: int, index: int, tensor: Tensor, graph: Subgraph) -> TensorDetails:
    scale, zero_point = tensor.scale, tensor.zero_point
    return TensorDetails(
        subgraph=number,
        index=index,
        name=tensor.name,
        kind=_kind(index, tensor, graph),
        dtype=tensor.dtype,
        shape=tensor.shape,
        size_bytes=tensor.size_bytes,
        scale=() if scale is None else tuple(map(float, scale)),
        zero_point=() if zero_point is None else tuple(map(int, zero_point)),
    )


def _kind(index: int, tensor: Tensor, graph: Subgraph) -> str:
    if index in graph.inputs:
        return "input"
    if tensor.is_constant:
        return "constant"
    if tensor.is_variable:
        return "variable"
    return "output" if index in graph.outputs else "activation"


def _tensor_row(tensor: TensorDetails) -> dict[str, Any]:
    scales = len(tensor.scale)
    return {
        "tensor": f"{tensor.subgraph}:{tensor.index}",
        "kind": tensor.kind,
        "type": tensor.dtype,
        "shape": str(list(tensor.shape)),
        "bytes": tensor.size_bytes,
        "scale": f"{scales} scales" if scales > 1 else "".join(f"{s:.6g}" for s in tensor.scale),
        "zero": "" if scales > 1 else "".join(map(str, tensor.zero_point)),
        "name": tensor.name,
    }


def _readable(content: bytes) -> Any:
    """Metadata as a reader wants it: JSON, text, or how many bytes there are."""
    try:
        text = content.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return f"{len(content)} bytes"
    try:
        return json.loads(text)
    except ValueError:
        return text if text.isprintable() else f"{len(content)} bytes"


def _options_text(operator: OperatorDetails) -> str:
    """All options of a custom operator; of a built-in one those that say something."""
    options = operator.options or {}
    if not operator.is_custom:
        options = {name: value for name, value in options.items() if value not in _UNSAID}
    return _json_text(options)


def _json_text(value: Mapping[str, Any] | Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_json_text(entry)}" for key, entry in value.items())
    return "" if value is None else str(value)


def _bytes_text(size: int | None) -> str:
    return "unknown" if size is None else f"{size:,} bytes"

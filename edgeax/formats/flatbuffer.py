"""A typed view of a `.tflite` file that can be read, edited and written without loss.

Weights are written at 16-byte boundaries of the file, as kernels like them.
"""

import copy
import dataclasses
import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgeax.formats import dtypes, flatbuffer_check, flatbuffer_raw, memory

ALIGNMENT = 16
_PLACEHOLDER_FOR_LARGER = schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES
_MOST_BYTES = 2**31 - 2**20  # a flatbuffer's offsets end at 2 GiB; leaves room for the graph


def _names_of(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


_BUILTINS = _names_of(schema.BuiltinOperator)
_ENUM_OPTIONS = {
    "padding": _names_of(schema.Padding),
    "fused_activation_function": _names_of(schema.ActivationFunctionType),
}
_KNOWN_OPTIONS = {
    "builtinOptions": _names_of(schema.BuiltinOptions),
    "builtinOptions2": _names_of(schema.BuiltinOptions2),
}


# Options of operators whose table the converter leaves out when all of it is at its default.
_DEFAULT_TABLES = {"ADD": "AddOptions", "SUB": "SubOptions"}


class Tensor:
    """One tensor. What is set changes the model that it belongs to."""

    def __init__(self, model: "Model", raw: Any) -> None:
        self._model = model
        self._raw = raw

    @property
    def name(self) -> str:
        """Name; need not be unique; may be empty."""
        return flatbuffer_raw.text(self._raw.name)

    @name.setter
    def name(self, name: str) -> None:
        self._raw.name = name.encode() or None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as it stands in the file: a batch left open counts 1, other unknown sizes -1."""
        return flatbuffer_raw.integers(self._raw.shape)

    @shape.setter
    def shape(self, shape: Iterable[int]) -> None:
        self._raw.shape = np.array([*shape], np.int32)
        self._raw.shapeSignature = None

    @property
    def unknown_axes(self) -> tuple[int, ...]:
        """Axes whose size is open until the file runs; not the first one, the batch, at size 1."""
        sizes = flatbuffer_raw.integers(self._raw.shapeSignature) or self.shape
        return tuple(
            axis
            for axis, size in enumerate(sizes)
            if size < 0 and (axis > 0 or self.shape[:1] != (1,))
        )

    @property
    def dtype(self) -> str:
        """Name of the element type, numpy's where numpy has it; see `dtypes.NAMES`."""
        return dtypes.NAMES[self._raw.type]

    @dtype.setter
    def dtype(self, dtype: str) -> None:
        self._raw.type = dtypes.number(dtype)

    @property
    def scale(self) -> np.ndarray | None:
        """float32, one value or one per slice along `quantized_axis`; None: not quantized.

        Setting it drops recorded ranges, and sets zero points of another length to 0 (the
        runtime wants as many zero points as scales). Setting None removes all quantization.
        """
        quantization = self._raw.quantization
        if quantization is None or quantization.scale is None or not len(quantization.scale):
            return None
        return np.asarray(quantization.scale, np.float32)

    @scale.setter
    def scale(self, scale: npt.ArrayLike | None) -> None:
        if scale is None:
            self._raw.quantization = None
            return
        quantization = schema.QuantizationParametersT()
        quantization.scale = np.array(scale, np.float32).reshape(-1)
        former = self.zero_point
        same = former is not None and former.size == quantization.scale.size
        quantization.zeroPoint = former if same else np.zeros(quantization.scale.size, np.int64)
        quantization.quantizedDimension = self.quantized_axis or 0
        self._raw.quantization = quantization

    @property
    def zero_point(self) -> np.ndarray | None:
        """int64, as many as scales; None: not quantized."""
        quantization = self._raw.quantization
        if (
            quantization is None
            or quantization.zeroPoint is None
            or not len(quantization.zeroPoint)
        ):
            return None
        return np.asarray(quantization.zeroPoint, np.int64)

    @zero_point.setter
    def zero_point(self, zero_point: npt.ArrayLike) -> None:
        zero_point = np.array(zero_point, np.int64).reshape(-1)
        count = 0 if self.scale is None else self.scale.size
        if zero_point.size != count:
            raise ValueError(
                f"`zero_point` must hold one value per scale, {count}. Received: "
                f"{zero_point.size} values. Set `scale` first."
            )
        self._raw.quantization.zeroPoint = zero_point

    @property
    def quantized_axis(self) -> int | None:
        """Axis along which the scales run where there are several; None: not quantized."""
        return None if self.scale is None else int(self._raw.quantization.quantizedDimension)

    @quantized_axis.setter
    def quantized_axis(self, axis: int) -> None:
        if self.scale is None or not 0 <= axis < max(len(self.shape), 1):
            raise ValueError(
                f"`quantized_axis` must be an axis of a quantized tensor of shape {self.shape}. "
                f"Received: {axis}. Set `shape` and `scale` first."
            )
        self._raw.quantization.quantizedDimension = axis

    @property
    def is_variable(self) -> bool:
        """Whether the tensor keeps its value from one invocation to the next."""
        return bool(self._raw.isVariable)

    @property
    def is_constant(self) -> bool:
        """Whether the file holds the tensor's content."""
        return bool(self._raw.externalBuffer) or self._buffer_bytes() > 0

    @property
    def size_bytes(self) -> int | None:
        """Bytes of the tensor at its shape; None when a dimension is unknown or of strings."""
        return dtypes.size_bytes(self.dtype, self.shape)

    @property
    def data(self) -> np.ndarray | None:
        """Content, in shape and type; 4- and 2-bit codes as int8 or uint8. None: no content.

        Setting an array also sets the shape; other tensors that share the buffer keep theirs.

        Raises:
            ValueError: reading: the buffer does not suit shape and dtype, is sparse, lies in
                another file, or numpy has no such type. Setting: the array has another dtype.
        """
        if self._raw.externalBuffer or self._raw.sparsity is not None:
            raise ValueError(
                f"`data` must be dense and lie in the file. Received: tensor {self.name!r}, which "
                "is sparse or external. Only its shape and type can be read."
            )
        content = self._model._buffers[self._raw.buffer].data
        if content is None or not len(content):
            return None
        return dtypes.from_bytes(bytes(content), self.dtype, self.shape)

    @data.setter
    def data(self, array: np.ndarray) -> None:
        array = np.asarray(array)
        content = np.frombuffer(dtypes.to_bytes(array, self.dtype), np.uint8)
        self._raw.buffer = self._model._store(content, self._raw.buffer)
        self._raw.externalBuffer = 0
        self._raw.sparsity = None
        self.shape = array.shape

    @property
    def content(self) -> bytes:
        """Content as it lies in the file; empty without any."""
        content = self._model._buffers[self._raw.buffer].data
        return b"" if content is None else bytes(content)

    def _buffer_bytes(self) -> int:
        content = self._model._buffers[self._raw.buffer].data
        return 0 if content is None else len(content)


class Operator:
    """One operator. What is set changes the model that it belongs to."""

    def __init__(self, model: "Model", raw: Any) -> None:
        self._model = model
        self._raw = raw

    @property
    def _code(self) -> Any:
        return self._model._raw.operatorCodes[self._raw.opcodeIndex]

    @property
    def is_custom(self) -> bool:
        """Whether it is a custom operator."""
        return flatbuffer_raw.builtin_code(self._code) == flatbuffer_raw.CUSTOM

    @property
    def name(self) -> str:
        """Name of the custom operator, or of the built-in one as in the schema ("CONV_2D")."""
        builtin = flatbuffer_raw.builtin_code(self._code)
        if builtin == flatbuffer_raw.CUSTOM:
            return flatbuffer_raw.text(self._code.customCode)
        return _BUILTINS.get(builtin, f"UNKNOWN_{builtin}")

    @property
    def version(self) -> int:
        """Version of the operator."""
        return int(self._code.version)

    @property
    def inputs(self) -> tuple[int, ...]:
        """Indices of the input tensors, -1 = absent."""
        return flatbuffer_raw.integers(self._raw.inputs)

    @inputs.setter
    def inputs(self, tensors: Iterable[int]) -> None:
        self._raw.inputs = np.array([*tensors], np.int32)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Indices of the output tensors, -1 = absent."""
        return flatbuffer_raw.integers(self._raw.outputs)

    @outputs.setter
    def outputs(self, tensors: Iterable[int]) -> None:
        self._raw.outputs = np.array([*tensors], np.int32)

    @property
    def intermediates(self) -> tuple[int, ...]:
        """Indices of the tensors that tell scales of values within the operator."""
        return flatbuffer_raw.integers(self._raw.intermediates)

    @property
    def options(self) -> dict[str, Any]:
        """A copy of the built-in options by snake_case name: numbers, lists and strings.

        `padding` and `fused_activation_function` come as names, e.g. "SAME" and "RELU6".
        """
        options: dict[str, Any] = {}
        for table in (self._raw.builtinOptions, self._raw.builtinOptions2):
            for name, value in vars(table).items() if table is not None else ():
                snake = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
                options[snake] = flatbuffer_raw.plain(value, _ENUM_OPTIONS.get(snake, {}))
        return options

    @property
    def custom_options(self) -> bytes:
        """Options of a custom operator; empty when it has none."""
        options = self._raw.customOptions
        return b"" if options is None else bytes(options)

    def retarget(self, version: int, options: Mapping[str, int | bool]) -> None:
        """Sets the version, and built-in options by the schema's own names."""
        code = self._code
        self._raw.opcodeIndex = self._model._operator_code(
            flatbuffer_raw.builtin_code(code), flatbuffer_raw.text(code.customCode), version
        )
        if options and self._raw.builtinOptions is None:
            table = _DEFAULT_TABLES[self.name]
            self._raw.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            self._raw.builtinOptions = getattr(schema, f"{table}T")()
        for name, value in options.items():
            setattr(self._raw.builtinOptions, name, value)

    @property
    def _tensors(self) -> tuple[int, ...]:
        return (*self.inputs, *self.outputs, *self.intermediates)


class Subgraph:
    """One graph: tensors, and operators in the order in which they run.

    Attributes:
        tensors: All tensors; operators name them by index.
        operators: All operators; the list may be reordered and shortened.
    """

    def __init__(self, model: "Model", raw: Any) -> None:
        self._model = model
        self._raw = raw
        self.tensors = [Tensor(model, tensor) for tensor in raw.tensors or ()]
        self.operators = [Operator(model, operator) for operator in raw.operators or ()]

    @property
    def name(self) -> str:
        """Name; often empty."""
        return flatbuffer_raw.text(self._raw.name)

    @property
    def inputs(self) -> tuple[int, ...]:
        """Indices of the input tensors."""
        return flatbuffer_raw.integers(self._raw.inputs)

    @inputs.setter
    def inputs(self, tensors: Iterable[int]) -> None:
        self._raw.inputs = np.array([*tensors], np.int32)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Indices of the output tensors."""
        return flatbuffer_raw.integers(self._raw.outputs)

    @outputs.setter
    def outputs(self, tensors: Iterable[int]) -> None:
        self._raw.outputs = np.array([*tensors], np.int32)

    def add_tensor(
        self,
        name: str,
        data: np.ndarray,
        scale: npt.ArrayLike | None = None,
        zero_point: npt.ArrayLike | None = None,
    ) -> int:
        """Appends a constant tensor.

        Args:
            name: Name of the tensor.
            data: Content; sets shape and dtype.
            scale: One scale, or several (then set `quantized_axis` too); None: not quantized.
            zero_point: As many zero points as scales; None: 0.
        Returns:
            The index of the tensor.
        Raises:
            ValueError: the dtype of `data` is none of TFLite's, or `zero_point` has no scale or
                another length.
        """
        data = np.asarray(data)
        raw = schema.TensorT()
        raw.hasRank = True
        tensor = Tensor(self._model, raw)
        tensor.name = name
        tensor.dtype = data.dtype.name
        tensor.scale = scale
        if zero_point is not None:
            tensor.zero_point = zero_point
        tensor.data = data
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def add_state(
        self,
        name: str,
        dtype: str,
        shape: Iterable[int],
        scale: npt.ArrayLike | None = None,
        zero_point: npt.ArrayLike | None = None,
        is_variable: bool = True,
    ) -> int:
        """Appends a tensor without content that an operator owns.

        Args:
            name: Name of the tensor.
            dtype: Type of its elements; see `dtypes.NAMES`.
            shape: Its shape; () for one that only tells a scale.
            scale: One scale, or None: not quantized.
            zero_point: One zero point, or None: 0.
            is_variable: Whether it keeps its value from one invocation to the next.
        Returns:
            The index of the tensor.
        """
        raw = schema.TensorT()
        raw.hasRank = True
        raw.isVariable = is_variable
        tensor = Tensor(self._model, raw)
        tensor.name = name
        tensor.dtype = dtype
        tensor.shape = shape
        tensor.scale = scale
        if zero_point is not None:
            tensor.zero_point = zero_point
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def insert(
        self,
        place: int,
        name: str,
        inputs: Iterable[int],
        outputs: Iterable[int],
        version: int = 1,
        is_custom: bool = False,
    ) -> None:
        """Adds an operator without options.

        Args:
            place: Before which operator.
            name: Name as in the schema, such as "QUANTIZE", or of a custom operator.
            inputs: Indices of its input tensors.
            outputs: Indices of its output tensors.
            version: Its version.
            is_custom: Whether it is a custom operator.
        """
        raw = schema.OperatorT()
        kind = (flatbuffer_raw.CUSTOM, name)
        if not is_custom:
            kind = (getattr(schema.BuiltinOperator, name), "")
        raw.opcodeIndex = self._model._operator_code(*kind, version)
        operator = Operator(self._model, raw)
        operator.inputs, operator.outputs = inputs, outputs
        self.operators.insert(place, operator)

    def redirect(self, old: int, new: int) -> None:
        """Makes all that reads the tensor `old`, the graph's outputs too, read `new` instead."""
        for operator in self.operators:
            if old in operator.inputs:
                operator.inputs = [new if index == old else index for index in operator.inputs]
        self.outputs = [new if index == old else index for index in self.outputs]
        for entry in self._signature_entries():
            if entry.tensorIndex == old:
                entry.tensorIndex = new

    def drop_unread(self, name: str) -> None:
        """Removes operators of a name whose first result neither operators nor the ends read."""
        self.operators = [
            operator
            for operator in self.operators
            if operator.name != name
            or operator.outputs[0] in self.outputs
            or self.consumers(operator.outputs[0])
        ]

    def consumers(self, tensor: int) -> list[int]:
        """Returns the indices of the operators that read a tensor."""
        return [i for i, operator in enumerate(self.operators) if tensor in operator.inputs]

    def producer(self, tensor: int) -> int | None:
        """Returns the index of the operator that writes a tensor, None for inputs and constants."""
        return next((i for i, op in enumerate(self.operators) if tensor in op.outputs), None)

    def _used_tensors(self) -> set[int]:
        """Tensors that operators, the graph's ends, or scales of other used tensors name."""
        used = {*self.inputs, *self.outputs}
        used.update(index for operator in self.operators for index in operator._tensors)
        used.update(entry.tensorIndex for entry in self._signature_entries())
        used.discard(-1)
        for index in sorted(used):
            used.update(flatbuffer_raw.scale_tensors(self.tensors[index]._raw).values())
        return used

    def _signature_entries(self) -> Iterator[Any]:
        own = self._model.subgraphs.index(self)
        for signature in self._model._raw.signatureDefs or ():
            if signature.subgraphIndex == own:
                yield from [*(signature.inputs or ()), *(signature.outputs or ())]

    def _prune_tensors(self) -> None:
        places = _places(self._used_tensors())
        for operator in self.operators:
            for field in ("inputs", "outputs", "intermediates"):
                _renumber(operator._raw, field, places)
        for field in ("inputs", "outputs"):
            _renumber(self._raw, field, places)
        for entry in self._signature_entries():
            entry.tensorIndex = places[entry.tensorIndex]
        self.tensors = [tensor for i, tensor in enumerate(self.tensors) if i in places]
        for tensor in self.tensors:
            for field, index in flatbuffer_raw.scale_tensors(tensor._raw).items():
                setattr(tensor._raw.quantization.details, field, places[index])


@dataclasses.dataclass(frozen=True)
class Signature:
    """A named way to run a subgraph.

    Attributes:
        name: Key of the signature, e.g. "serving_default".
        subgraph: Index of the subgraph.
        inputs: Index of the tensor of each input name.
        outputs: Index of the tensor of each output name.
    """

    name: str
    subgraph: int
    inputs: dict[str, int]
    outputs: dict[str, int]


class Metadata(MutableMapping[str, bytes]):
    """Named bytes in the file, as a dict that changes the model."""

    def __init__(self, model: "Model") -> None:
        self._model = model

    def _entries(self) -> dict[str, Any]:
        return {flatbuffer_raw.text(entry.name): entry for entry in self._model._raw.metadata or ()}

    def __getitem__(self, name: str) -> bytes:
        content = self._model._buffers[self._entries()[name].buffer].data
        return b"" if content is None else bytes(content)

    def __setitem__(self, name: str, content: bytes) -> None:
        entry = self._entries().get(name)
        if entry is None:
            entry = schema.MetadataT()
            entry.name = name.encode()
            self._model._raw.metadata = [*(self._model._raw.metadata or ()), entry]
        entry.buffer = self._model._store(np.frombuffer(content, np.uint8), entry.buffer)

    def __delitem__(self, name: str) -> None:
        gone = self._entries()[name]
        self._model._raw.metadata = [e for e in self._model._raw.metadata if e is not gone]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __len__(self) -> int:
        return len(self._entries())


class Model:
    """A TFLite model. Read one by `Model.read` or `Model.from_bytes`, write `to_bytes()`.

    Attributes:
        subgraphs: The graphs; the first is the main one.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._buffers = [_AlignedBuffer(b.data) for b in raw.buffers or ()] or [_AlignedBuffer()]
        self.subgraphs = [Subgraph(self, subgraph) for subgraph in raw.subgraphs or ()]

    @classmethod
    def empty(cls) -> "Model":
        """Returns a model of one graph without tensors and operators."""
        raw = schema.ModelT()
        raw.version = flatbuffer_raw.SCHEMA_VERSION
        raw.subgraphs = [schema.SubGraphT()]
        return cls(raw)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Model":
        """Reads a `.tflite` file.

        Raises:
            ValueError: there is no such file, or it is no whole TFLite model; says what is wrong.
        """
        file = Path(path)
        if not file.is_file():
            raise ValueError(
                f"`path` must be a .tflite file. Received: {str(path)!r}, which is no file. Check "
                "the spelling."
            )
        try:
            return cls.from_bytes(file.read_bytes())
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error

    @classmethod
    def from_bytes(cls, data: bytes) -> "Model":
        """Reads the bytes of a `.tflite` file.

        Raises:
            ValueError: `data` is no whole TFLite model; says what is wrong.
        """
        flatbuffer_check.check(data)
        try:
            raw = schema.ModelT.InitFromPackedBuf(data)
        except (struct.error, ValueError, TypeError, IndexError, OverflowError) as error:
            raise flatbuffer_raw.damaged(
                f"the options of an operator cannot be read ({error})"
            ) from error
        flatbuffer_raw.inline_external_data(raw, data)
        flatbuffer_raw.check_references(raw, _KNOWN_OPTIONS)
        return cls(raw)

    def to_bytes(self) -> bytes:
        """Returns the file: every non-empty buffer starts at a multiple of 16 bytes.

        Raises:
            ValueError: the model is too large for a flatbuffer (2 GiB), or an edit left an index
                that names nothing.
        """
        self._assemble()
        flatbuffer_raw.check_references(self._raw, _KNOWN_OPTIONS)
        total = sum(0 if b.data is None else len(b.data) for b in self._buffers)
        if total > _MOST_BYTES:
            raise ValueError(
                f"`model` must fit a flatbuffer of 2 GiB. Received: {total} bytes of weights. "
                "Quantize it or split it."
            )
        builder = flatbuffers.Builder(total + 4096)
        builder.Finish(self._raw.Pack(builder), flatbuffer_check.IDENTIFIER)
        return bytes(builder.Output())

    def _assemble(self) -> None:
        """Puts the edited lists back into the schema's objects."""
        for subgraph in self.subgraphs:
            subgraph._raw.tensors = [tensor._raw for tensor in subgraph.tensors]
            subgraph._raw.operators = [operator._raw for operator in subgraph.operators]
        self._raw.subgraphs = [subgraph._raw for subgraph in self.subgraphs]
        self._raw.buffers = self._buffers

    @property
    def description(self) -> str:
        """What the writer says about the model."""
        return flatbuffer_raw.text(self._raw.description)

    @description.setter
    def description(self, description: str) -> None:
        self._raw.description = description.encode() or None

    @property
    def metadata(self) -> MutableMapping[str, bytes]:
        """Named bytes; edit it as a dict, or set a dict to replace all."""
        return Metadata(self)

    @metadata.setter
    def metadata(self, entries: dict[str, bytes]) -> None:
        entries = dict(entries)
        self._raw.metadata = None
        self.metadata.update(entries)

    @property
    def signatures(self) -> list[Signature]:
        """The named ways to run the model."""

        def by_name(entries: Iterable[Any] | None) -> dict[str, int]:
            return {
                flatbuffer_raw.text(entry.name): int(entry.tensorIndex) for entry in entries or ()
            }

        return [
            Signature(
                flatbuffer_raw.text(raw.signatureKey),
                int(raw.subgraphIndex),
                by_name(raw.inputs),
                by_name(raw.outputs),
            )
            for raw in self._raw.signatureDefs or ()
        ]

    def replace_signature(self, old: str, new: Signature) -> None:
        """Gives a signature another name, graph and ends.

        Args:
            old: Its name.
            new: What it becomes.
        Raises:
            ValueError: there is no such signature.
        """
        raws = {flatbuffer_raw.text(raw.signatureKey): raw for raw in self._raw.signatureDefs or ()}
        if old not in raws:
            raise ValueError(
                f"`old` must be one of {sorted(raws)}. Received: {old!r}. Look at `signatures`."
            )
        raw = raws[old]
        raw.signatureKey, raw.subgraphIndex = new.name.encode(), new.subgraph
        raw.inputs, raw.outputs = _entries(new.inputs), _entries(new.outputs)

    def keep_signature(self, name: str) -> None:
        """Leaves one signature and its graph, which must not run other ones.

        Args:
            name: Name of the signature.
        Raises:
            ValueError: there is no such signature.
        """
        kept = next((one for one in self.signatures if one.name == name), None)
        if kept is None:
            raise ValueError(
                f"`name` must be one of {[one.name for one in self.signatures]}. Received: "
                f"{name!r}. Look at `signatures`."
            )
        self._raw.signatureDefs = [
            raw for raw in self._raw.signatureDefs if flatbuffer_raw.text(raw.signatureKey) == name
        ]
        self.subgraphs = [self.subgraphs[kept.subgraph]]
        self._raw.signatureDefs[0].subgraphIndex = 0

    def share_buffers(self) -> None:
        """Lets tensors of equal content share a buffer; the others go when `prune` is called."""
        first: dict[bytes, int] = {}
        for raw in self._tensor_raws():
            content = self._buffers[raw.buffer].data
            if content is not None and len(content):
                raw.buffer = first.setdefault(bytes(content), raw.buffer)

    def graft(self, subgraph: int | Subgraph, other: "Model") -> dict[int, int]:
        """Puts the operators of another model's main graph in front of those of a graph.

        Args:
            subgraph: The graph or its index; its ends stay what they are.
            other: The other model. Its operators must not call graphs of its own.
        Returns:
            The indices in the graph of the tensors of `other`, by their indices there.
        """
        graph, front = self._subgraph(subgraph), other.subgraphs[0]
        count = len(graph.tensors)
        places = {-1: -1} | {old: old + count for old, _ in enumerate(front.tensors)}
        buffers = {0: 0}
        for tensor in front.tensors:
            raw = copy.deepcopy(tensor._raw)
            if raw.buffer not in buffers:
                self._buffers.append(_AlignedBuffer(other._buffers[raw.buffer].data))
                buffers[raw.buffer] = len(self._buffers) - 1
            raw.buffer = buffers[raw.buffer]
            for field, index in flatbuffer_raw.scale_tensors(raw).items():
                setattr(raw.quantization.details, field, places[index])
            graph.tensors.append(Tensor(self, raw))
        operators = []
        for operator in front.operators:
            raw, code = copy.deepcopy(operator._raw), operator._code
            kind = flatbuffer_raw.builtin_code(code), flatbuffer_raw.text(code.customCode)
            raw.opcodeIndex = self._operator_code(*kind, code.version)
            for field in ("inputs", "outputs", "intermediates"):
                _renumber(raw, field, places)
            operators.append(Operator(self, raw))
        graph.operators = [*operators, *graph.operators]
        return places

    def replace_with_custom(
        self,
        subgraph: int | Subgraph,
        operator_index: int,
        custom_name: str,
        inputs: Iterable[int],
        custom_options: bytes,
        version: int = 1,
    ) -> None:
        """Turns an operator into a custom one with the same outputs.

        Args:
            subgraph: The graph or its index.
            operator_index: Which operator.
            custom_name: Name of the custom operator.
            inputs: Indices of its input tensors, -1 = absent.
            custom_options: Its options.
            version: Its version.
        Raises:
            ValueError: the operator or an input tensor does not exist; nothing was changed then.
        """
        graph = self._subgraph(subgraph)
        inputs = [*inputs]
        self._check_replacement(graph, operator_index, inputs)
        raw = schema.OperatorT()
        raw.opcodeIndex = self._operator_code(flatbuffer_raw.CUSTOM, custom_name, version)
        raw.customOptions = np.frombuffer(custom_options, np.uint8)
        self._replace(graph, operator_index, raw, inputs)

    def replace_with_builtin(
        self,
        subgraph: int | Subgraph,
        operator_index: int,
        name: str,
        inputs: Iterable[int],
        options_table: str,
        options: Mapping[str, int | bool],
        intermediates: Iterable[int] = (),
    ) -> None:
        """Turns an operator into a built-in one, version 1, with the same outputs.

        Args:
            subgraph: The graph or its index.
            operator_index: Which operator.
            name: Name as in the schema, such as "UNIDIRECTIONAL_SEQUENCE_LSTM".
            inputs: Indices of its input tensors, -1 = absent.
            options_table: Name of its options in the schema, `""` where it has none.
            options: What differs from the schema's defaults, by the schema's own names.
            intermediates: Indices of the tensors that tell scales of values within the operator.
        Raises:
            ValueError: the operator or a tensor does not exist; nothing was changed then.
        """
        graph = self._subgraph(subgraph)
        inputs, intermediates = [*inputs], [*intermediates]
        self._check_replacement(graph, operator_index, [*inputs, *intermediates])
        raw = schema.OperatorT()
        raw.opcodeIndex = self._operator_code(getattr(schema.BuiltinOperator, name), "", 1)
        if options_table:
            raw.builtinOptionsType = getattr(schema.BuiltinOptions, options_table)
            raw.builtinOptions = getattr(schema, f"{options_table}T")()
        for option, value in options.items():
            setattr(raw.builtinOptions, option, value)
        if intermediates:
            raw.intermediates = np.array(intermediates, np.int32)
        self._replace(graph, operator_index, raw, inputs)

    def _replace(
        self, graph: Subgraph, operator_index: int, raw: Any, inputs: Iterable[int]
    ) -> None:
        raw.outputs = graph.operators[operator_index]._raw.outputs
        graph.operators[operator_index] = Operator(self, raw)
        graph.operators[operator_index].inputs = inputs

    def _check_replacement(
        self, graph: Subgraph, operator_index: int, inputs: Sequence[int]
    ) -> None:
        if not 0 <= operator_index < len(graph.operators):
            raise ValueError(
                f"`operator_index` must be below {len(graph.operators)}. Received: "
                f"{operator_index}. Use an index into `operators`."
            )
        if any(not -1 <= index < len(graph.tensors) for index in inputs):
            raise ValueError(
                f"`inputs` must be tensors of the graph, below {len(graph.tensors)}, or -1. "
                f"Received: {inputs}. Add tensors by `add_tensor` first."
            )

    def _operator_code(self, builtin: int, custom_name: str, version: int) -> int:
        """Returns the index of an operator code, which is added where there is none."""
        codes = self._raw.operatorCodes = self._raw.operatorCodes or []
        for i, code in enumerate(codes):
            same = (flatbuffer_raw.builtin_code(code), code.version) == (builtin, version)
            if same and flatbuffer_raw.text(code.customCode) == custom_name:
                return i
        code = schema.OperatorCodeT()
        code.builtinCode = builtin
        # Old readers know the first 127 here, and this placeholder where the number is larger.
        code.deprecatedBuiltinCode = min(builtin, _PLACEHOLDER_FOR_LARGER)
        code.customCode = custom_name.encode() or None
        code.version = version
        codes.append(code)
        return len(codes) - 1

    def prune(self) -> None:
        """Drops tensors, buffers and operator codes that nothing uses; the rest is renumbered."""
        for subgraph in self.subgraphs:
            subgraph._prune_tensors()
        places = _places({0, *self._buffer_users()})
        for holder in [*self._tensor_raws(), *(self._raw.metadata or ())]:
            holder.buffer = places[holder.buffer]
        _renumber(self._raw, "metadataBuffer", places)
        self._buffers = [buffer for i, buffer in enumerate(self._buffers) if i in places]
        operators = [op._raw for graph in self.subgraphs for op in graph.operators]
        places = _places({operator.opcodeIndex for operator in operators})
        for operator in operators:
            operator.opcodeIndex = places[operator.opcodeIndex]
        codes = self._raw.operatorCodes or ()
        self._raw.operatorCodes = [code for i, code in enumerate(codes) if i in places]

    def weight_bytes(self) -> int:
        """Returns the bytes of all buffers that tensors use; a shared one counts once."""
        used = {raw.buffer for raw in self._tensor_raws()}
        contents = (self._buffers[i].data for i in used)
        return sum(len(content) for content in contents if content is not None)

    def peak_activation_bytes(self, subgraph: int | Subgraph = 0) -> int | None:
        """Returns the most bytes of non-constant tensors that live during one operator.

        A static plan at the shapes in the file (see `memory.peak_bytes`); variables live always.
        None when the size of such a tensor is unknown.

        Raises:
            ValueError: there is no such subgraph.
        """
        graph = self._subgraph(subgraph)
        used = {
            index for operator in graph.operators for index in (*operator.inputs, *operator.outputs)
        }
        used = (used | {*graph.inputs, *graph.outputs}) - {-1}
        sizes, always = {}, 0
        for index in used:
            tensor = graph.tensors[index]
            if tensor.is_constant or tensor.dtype == "resource":  # a handle, whose size is nothing
                continue
            size = tensor.size_bytes
            if size is None:
                return None
            if tensor.is_variable:
                always += size
            else:
                sizes[index] = size
        steps = [(operator.inputs, operator.outputs) for operator in graph.operators]
        return always + memory.peak_bytes(sizes, steps, graph.inputs, graph.outputs)

    def _subgraph(self, subgraph: int | Subgraph) -> Subgraph:
        if isinstance(subgraph, Subgraph):
            return subgraph
        if not 0 <= subgraph < len(self.subgraphs):
            raise ValueError(
                f"`subgraph` must be below {len(self.subgraphs)}. Received: {subgraph}. Use an "
                "index into `subgraphs`."
            )
        return self.subgraphs[subgraph]

    def _tensor_raws(self) -> list[Any]:
        return [tensor._raw for subgraph in self.subgraphs for tensor in subgraph.tensors]

    def _buffer_users(self) -> list[int]:
        holders = [*self._tensor_raws(), *(self._raw.metadata or ())]
        return [holder.buffer for holder in holders] + [
            *flatbuffer_raw.integers(self._raw.metadataBuffer)
        ]

    def _store(self, content: np.ndarray, former: int) -> int:
        """Stores content in the former buffer when only its owner uses it, else in a new one."""
        if former == 0 or self._buffer_users().count(former) > 1:
            self._buffers.append(_AlignedBuffer(content))
            return len(self._buffers) - 1
        self._buffers[former].data = content
        return former


class _AlignedBuffer(schema.BufferT):
    """A buffer whose bytes are written at a multiple of ALIGNMENT."""

    def Pack(self, builder: flatbuffers.Builder) -> int:
        if self.data is not None and len(self.data):
            builder.Prep(ALIGNMENT, len(self.data))
        return super().Pack(builder)


def _entries(ends: Mapping[str, int]) -> list[Any]:
    """Returns the ends of a signature as the schema has them."""
    entries = []
    for name, index in ends.items():
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), index
        entries.append(entry)
    return entries


def _places(used: Iterable[int]) -> dict[int, int]:
    """Returns the new number of everything that stays, in the old order; -1 stays -1."""
    return {-1: -1} | {old: new for new, old in enumerate(sorted({*used} - {-1}))}


def _renumber(raw: Any, field: str, places: dict[int, int]) -> None:
    old = getattr(raw, field)
    if old is not None:
        setattr(raw, field, np.array([places[int(index)] for index in old], np.int32))

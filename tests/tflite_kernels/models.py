"""Tiny .tflite models with our operators in them, built field by field so that any can be wrong."""

from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeax.formats.coded import CodedRows
from edgeax.formats.operators import OPERATORS
from tests.tflite_kernels.native import Case

TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int64): schema.TensorType.INT64,
}


@dataclass
class Tensor:
    """A tensor of a model: constant when it has `data`; per channel when `scale` is a list."""

    name: str
    shape: tuple[int, ...]
    dtype: Any = np.int8
    scale: float | list[float] | None = None
    zero_point: int = 0
    data: np.ndarray | None = None
    axis: int = 0
    signature: tuple[int, ...] | None = None


@dataclass
class Operator:
    """An operator: a custom one by name and bytes, or a built-in one by code and options."""

    inputs: list[int]
    outputs: list[int]
    custom: str | None = None
    custom_options: bytes = b""
    builtin: int | None = None
    options: Any = None
    options_type: int = 0
    version: int = 1


@dataclass
class Model:
    """A model of one subgraph."""

    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def add(self, tensor: Tensor) -> int:
        """Adds a tensor; returns its number."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def write(self) -> bytes:
        """The bytes of the .tflite file."""
        model = schema.ModelT()
        model.version = 3
        model.buffers = [schema.BufferT()]
        model.operatorCodes = [_operator_code(operator) for operator in self.operators]
        graph = schema.SubGraphT()
        graph.tensors = [_tensor(tensor, model.buffers) for tensor in self.tensors]
        graph.operators = [_operator(i, operator) for i, operator in enumerate(self.operators)]
        graph.inputs, graph.outputs = self.inputs, self.outputs
        model.subgraphs = [graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _operator_code(operator: Operator) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = (
        schema.BuiltinOperator.CUSTOM if operator.custom is not None else operator.builtin
    )
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.customCode, code.version = operator.custom, operator.version
    return code


def _tensor(tensor: Tensor, buffers: list[Any]) -> Any:
    result = schema.TensorT()
    result.name, result.shape, result.type = (
        tensor.name,
        list(tensor.shape),
        TYPES[np.dtype(tensor.dtype)],
    )
    result.shapeSignature = None if tensor.signature is None else list(tensor.signature)
    result.buffer = 0
    if tensor.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), np.uint8)
        buffers.append(buffer)
        result.buffer = len(buffers) - 1
    if tensor.scale is not None:
        scales = [tensor.scale] if isinstance(tensor.scale, float) else tensor.scale
        quantization = schema.QuantizationParametersT()
        quantization.scale = scales
        quantization.zeroPoint = [tensor.zero_point] * len(scales)
        quantization.quantizedDimension = tensor.axis
        result.quantization = quantization
    return result


def _operator(index: int, operator: Operator) -> Any:
    result = schema.OperatorT()
    result.opcodeIndex = index
    result.inputs, result.outputs = operator.inputs, operator.outputs
    result.builtinOptions, result.builtinOptionsType = operator.options, operator.options_type
    if operator.custom is not None:
        result.customOptions = np.frombuffer(operator.custom_options, np.uint8)
    return result


def add_case(model: Model, case: Case, source: int | None = None) -> int:
    """Adds the operator of a case and its constants.

    Args:
        model: Where to.
        case: What.
        source: Number of the tensor that the operator reads; None adds one and makes it an input.
    Returns:
        The number of the output tensor.
    """
    packed = case.packed()
    constants = [
        Tensor("weights", packed.shape, packed.dtype, data=packed),
        Tensor("bias", case.bias.shape, np.int32, data=case.bias),
        Tensor("scale", case.scale.shape, np.float32, data=case.scale),
    ]
    if case.indices is not None:
        constants.append(Tensor("indices", case.indices.shape, np.uint8, data=case.indices))
    elif not case.is_binary:
        constants.append(Tensor("codebook", case.codebook.shape, np.int8, data=case.codebook))
    if case.points is not None:
        constants.append(Tensor("points", case.points.shape, np.int8, data=case.points))
    source = _source(model, case) if source is None else source
    numbers = [model.add(constant) for constant in constants]
    return _add_operator(model, case, case.operator, [source, *numbers])


def model_of(case: Case) -> Model:
    """A model of one operator: tensors in the order of the operator table, then the output."""
    model = Model()
    model.outputs.append(add_case(model, case))
    return model


def coded_rows(case: Case) -> CodedRows:
    """Weights, biases and scales of a case; one scale where all rows have the same."""
    codes = case.weights if case.is_sparse else case.codebook[case.weights]
    scale = case.scale[:1] if np.unique(case.scale).size == 1 else case.scale
    return CodedRows(codes, case.bias, scale)


def coded_tensor(data: bytes) -> Tensor:
    """The constant of an operator for coded rows."""
    return Tensor("coded", (len(data),), np.uint8, data=np.frombuffer(data, np.uint8))


def add_coded_case(model: Model, case: Case, coded: int, source: int | None = None) -> int:
    """Adds the operator for coded rows that computes a case.

    Args:
        model: Where to.
        case: What, of an operator for rows of channels.
        coded: Number of the tensor of its rows.
        source: Number of the tensor that the operator reads; None adds one and makes it an input.
    Returns:
        The number of the output tensor.
    """
    source = _source(model, case) if source is None else source
    name = f"EdgeaxCoded{case.operator.removeprefix('Edgeax').removeprefix('Sparse')}"
    return _add_operator(model, case, name, [source, coded])


def coded_model_of(case: Case, data: bytes) -> Model:
    """A model of one operator for coded rows: the input, the rows, the output."""
    model = Model()
    source = _source(model, case)
    model.outputs.append(add_coded_case(model, case, model.add(coded_tensor(data)), source))
    return model


def _source(model: Model, case: Case) -> int:
    into = (case.input_scale, case.input_zero_point)
    model.inputs.append(model.add(_activation(case, "input", "x", case.input.shape, *into)))
    return model.inputs[-1]


def _activation(
    case: Case, side: str, name: str, shape: tuple[int, ...], scale: float, zero_point: int
) -> Tensor:
    """The tensor of codes, or of bits, on the side "input" or "output" of a case."""
    if case.options.get(f"{side}_packed"):
        return Tensor(name, shape, np.uint8)
    return Tensor(name, shape, case.input.dtype, scale, zero_point)


def _add_operator(model: Model, case: Case, name: str, numbers: list[int]) -> int:
    out = (case.output_scale, case.output_zero_point)
    output = model.add(_activation(case, "output", "y", case.output_shape, *out))
    options = {option.name: case.options[option.name] for option in OPERATORS[name].options}
    packed = OPERATORS[name].pack_options(**options)
    model.operators.append(Operator(numbers, [output], name, packed))
    return output

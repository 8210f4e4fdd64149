"""Tiny `.tflite` files whose results can be worked out by hand."""

import json
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeax.formats import decode_graph, decode_lut
from edgeax.formats.flatbuffer import Model as FlatbufferModel
from tests.tflite_kernels import models, native

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "operators.json"


def golden_entries() -> list[dict]:
    """Single-rounding vectors of our operators, with the outputs they must give."""
    entries = json.loads(GOLDEN.read_text())
    return [entry for entry in entries if entry["rounding"] == "single"]


def golden_file(entry: dict) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A file with the operator of a golden vector, its input codes and its output codes."""
    case = native.golden_case(entry)
    expected = np.int8(entry["output"]["data"]).reshape(entry["output"]["shape"])
    return models.model_of(case).write(), case.input, expected


def packed_file() -> bytes:
    """A file that needs the plugin, for one EdgeaxFullyConnected."""
    entries = [e for e in golden_entries() if e["operator"] == "EdgeaxFullyConnected"]
    return golden_file(entries[0])[0]


def int8_dense() -> bytes:
    """y = x @ [[1, 0, 1], [0, 2, -1]] for x (1, 2), in int8 built-in operators.

    Codes of x: step 0.5, zero point 3. Codes of y: step 0.25, zero point -10.
    """
    weights = np.int8([[1, 0], [0, 2], [1, -1]])
    return _dense(np.int8, 0.5, 3, weights, 1.0, 0.25, -10)


def decoded_dense() -> bytes:
    """The same with its kernel behind TensorFlow Lite Micro's DECODE: 2-bit indices, one table."""
    model = FlatbufferModel.from_bytes(int8_dense())
    graph = model.subgraphs[0]
    decode_graph.insert_decode(graph, 1, decode_lut.encode(graph.tensors[1].data, None))
    model.prune()
    return model.to_bytes()


def float_dense() -> bytes:
    """The same matrix in float32."""
    weights = np.float32([[1, 0], [0, 2], [1, -1]])
    return _dense(np.float32, None, 0, weights, None, None, 0)


def _dense(dtype, in_scale, in_zero, weights, weight_scale, out_scale, out_zero) -> bytes:
    model = models.Model(inputs=[0], outputs=[2])
    model.add(models.Tensor("x", (1, 2), dtype, in_scale, in_zero))
    model.add(models.Tensor("w", weights.shape, dtype, weight_scale, 0, data=weights))
    model.add(models.Tensor("y", (1, 3), dtype, out_scale, out_zero))
    model.operators.append(
        models.Operator(
            [0, 1, -1],
            [2],
            builtin=schema.BuiltinOperator.FULLY_CONNECTED,
            options=schema.FullyConnectedOptionsT(),
            options_type=schema.BuiltinOptions.FullyConnectedOptions,
        )
    )
    return model.write()


def sum_and_difference() -> bytes:
    """Float inputs "a" and "b" (1, 2); outputs a + b and a - b."""
    model = models.Model(inputs=[0, 1], outputs=[2, 3])
    for name in ("a", "b", "sum", "difference"):
        model.add(models.Tensor(name, (1, 2), np.float32))
    codes = schema.BuiltinOperator
    kinds = schema.BuiltinOptions
    for code, options, kind, output in (
        (codes.ADD, schema.AddOptionsT(), kinds.AddOptions, 2),
        (codes.SUB, schema.SubOptionsT(), kinds.SubOptions, 3),
    ):
        model.operators.append(
            models.Operator([0, 1], [output], builtin=code, options=options, options_type=kind)
        )
    return model.write()


def running_sum() -> bytes:
    """A recurrent layer that adds up its input (1, 2, 1) and keeps the sum between invokes."""
    model = models.Model(inputs=[0], outputs=[5])
    one = np.ones((1, 1), np.float32)
    model.add(models.Tensor("x", (1, 2, 1), np.float32))
    model.add(models.Tensor("w", (1, 1), np.float32, data=one))
    model.add(models.Tensor("recurrent", (1, 1), np.float32, data=one))
    model.add(models.Tensor("bias", (1,), np.float32, data=np.zeros(1, np.float32)))
    model.add(models.Tensor("state", (1, 1), np.float32))
    model.add(models.Tensor("y", (1, 2, 1), np.float32))
    model.operators.append(
        models.Operator(
            [0, 1, 2, 3, 4],
            [5],
            builtin=schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_RNN,
            options=schema.SequenceRNNOptionsT(),
            options_type=schema.BuiltinOptions.SequenceRNNOptions,
        )
    )
    raw = schema.ModelT.InitFromPackedBuf(model.write())
    raw.subgraphs[0].tensors[4].isVariable = True
    return _packed(raw)


def with_signature(data: bytes, inputs: dict[str, int], outputs: dict[str, int]) -> bytes:
    """The same file with a signature "serving_default" that names inputs and outputs."""
    raw = schema.ModelT.InitFromPackedBuf(data)
    signature = schema.SignatureDefT()
    signature.signatureKey = "serving_default"
    signature.inputs = [_tensor_map(*item) for item in inputs.items()]
    signature.outputs = [_tensor_map(*item) for item in outputs.items()]
    raw.signatureDefs = [signature]
    return _packed(raw)


def with_metadata(data: bytes, **entries: bytes) -> bytes:
    """The same file with metadata."""
    model = FlatbufferModel.from_bytes(data)
    model.metadata.update(entries)
    return model.to_bytes()


def renamed(data: bytes, old: str, new: str) -> bytes:
    """The same file with its custom operator under another name."""
    raw = schema.ModelT.InitFromPackedBuf(data)
    for code in raw.operatorCodes:
        if code.customCode == old.encode():
            code.customCode = new
    return _packed(raw)


def _tensor_map(name: str, index: int) -> schema.TensorMapT:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry


def _packed(raw: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(raw.Pack(builder), b"TFL3")
    return bytes(builder.Output())

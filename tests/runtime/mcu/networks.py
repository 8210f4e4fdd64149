"""Tiny networks in int8 of which the generator can make programs."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.tflite_kernels.models import Model, Operator, Tensor

_CODES = schema.BuiltinOperator
_KINDS = schema.BuiltinOptions


def dense_chain(names: tuple[str, ...] = ("x", "h", "y"), batch: int = 1) -> bytes:
    """x [batch, 12] -> dense -> h [batch, 8] -> dense -> y [batch, 4]."""
    model = Model(inputs=[0])
    model.add(Tensor(names[0], (batch, 12), np.int8, 0.5, 3))
    hidden = add_dense(model, 0, 8, names[1], seed=1)
    model.outputs = [add_dense(model, hidden, 4, names[2], seed=2)]
    return model.write()


def reshaped(*names: tuple[str, str]) -> bytes:
    """Inputs of 6 codes that only change their shape, and their names before and behind."""
    model = Model()
    for before, behind in names or (("x", "y"),):
        model.inputs.append(model.add(Tensor(before, (1, 6), np.int8, 0.5, 3)))
        model.outputs.append(add_reshape(model, model.inputs[-1], (2, 3), behind))
    return model.write()


def branches() -> bytes:
    """x -> two wide layers -> two narrow ones, in the order that needs most memory."""
    model = Model(inputs=[0])
    model.add(Tensor("x", (1, 8), np.int8, 0.5, 3))
    wide = [add_dense(model, 0, 64, f"wide{side}", seed=side) for side in (0, 1)]
    model.outputs = [
        add_dense(model, wide[side], 8, f"narrow{side}", seed=side + 2) for side in (0, 1)
    ]
    return model.write()


def float_ends() -> bytes:
    """x, float32 -> QUANTIZE -> dense -> DEQUANTIZE -> y, float32."""
    model = Model(inputs=[0])
    model.add(Tensor("x", (1, 12), np.float32))
    codes = model.add(Tensor("codes", (1, 12), np.int8, 0.5, 3))
    _add(model, [0], codes, _CODES.QUANTIZE, schema.QuantizeOptionsT(), _KINDS.QuantizeOptions)
    hidden = add_dense(model, codes, 8, "h", seed=1)
    model.outputs = [model.add(Tensor("y", (1, 8), np.float32))]
    options = schema.DequantizeOptionsT()
    _add(model, [hidden], model.outputs[0], _CODES.DEQUANTIZE, options, _KINDS.DequantizeOptions)
    return model.write()


def images(batch: int = 1) -> bytes:
    """x [batch, 6, 6, 4] -> 3x3 convolution, SAME -> y [batch, 6, 6, 8]."""
    rng = np.random.default_rng(5)
    model = Model(inputs=[0], outputs=[3])
    model.add(Tensor("x", (batch, 6, 6, 4), np.int8, 0.5, 3))
    weights = rng.integers(-127, 128, (8, 3, 3, 4)).astype(np.int8)
    model.add(Tensor("weights", weights.shape, np.int8, [0.0113] * 8, 0, weights))
    bias = rng.integers(-500, 500, 8).astype(np.int32)
    model.add(Tensor("bias", bias.shape, np.int32, [0.00565] * 8, 0, bias))
    model.add(Tensor("y", (batch, 6, 6, 8), np.int8, 0.4, -4))
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    _add(model, [0, 1, 2], 3, _CODES.CONV_2D, options, _KINDS.Conv2DOptions)
    return model.write()


def add_dense(model: Model, source: int, outputs: int, name: str, seed: int) -> int:
    """Adds a dense layer with drawn weights; returns its output."""
    rng = np.random.default_rng(seed)
    rows, depth = model.tensors[source].shape
    weights = rng.integers(-127, 128, (outputs, depth)).astype(np.int8)
    bias = rng.integers(-500, 500, outputs).astype(np.int32)
    inputs = [
        source,
        model.add(Tensor(f"{name}_weights", weights.shape, np.int8, 0.0113, 0, weights)),
        model.add(Tensor(f"{name}_bias", bias.shape, np.int32, 0.00565, 0, bias)),
    ]
    output = model.add(Tensor(name, (rows, outputs), np.int8, 0.5, 3))
    options = schema.FullyConnectedOptionsT()
    _add(model, inputs, output, _CODES.FULLY_CONNECTED, options, _KINDS.FullyConnectedOptions)
    return output


def add_reshape(model: Model, source: int, shape: tuple[int, ...], name: str) -> int:
    """Adds a RESHAPE; returns its output."""
    given = model.add(Tensor(f"{name}_shape", (len(shape),), np.int32, data=np.int32(shape)))
    output = model.add(Tensor(name, shape, np.int8, 0.5, 3))
    _add(model, [source, given], output, _CODES.RESHAPE, None, 0)
    return output


def _add(model: Model, inputs: list[int], output: int, code: int, options: Any, kind: int) -> None:
    model.operators.append(
        Operator(inputs, [output], builtin=code, options=options, options_type=kind)
    )

"""Files of one int8 operator, for timing it alone inside an interpreter."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeax.formats.flatbuffer import Model, Subgraph
from edgeax.formats.operators import OPERATORS, PADDING_SAME

INPUT_SCALE = 0.02
_SPREAD = 40.0  # standard deviation of the output codes, so that few reach a limit


@dataclasses.dataclass(frozen=True)
class Shape:
    """What an operator computes.

    Attributes:
        name: As in a report.
        input: Shape of the input, `(1, height, width, channels)` or `(1, depth)`.
        kernel: Rows and columns of the kernel; 0 for a matrix product.
        outputs: Output channels.
    """

    name: str
    input: tuple[int, ...]
    kernel: int
    outputs: int

    @property
    def depth(self) -> int:
        """Weights of one output channel."""
        return self.input[-1] * max(self.kernel, 1) ** 2

    @property
    def output(self) -> tuple[int, ...]:
        """Shape of the output."""
        return (*self.input[:-1], self.outputs)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one invoke."""
        return int(np.prod(self.output)) * self.depth


def conv(size: int, inputs: int, outputs: int, kernel: int) -> Shape:
    """Returns a convolution of stride 1 that keeps the size of a square image."""
    name = f"conv{kernel}x{kernel} {size},{inputs},{outputs}"
    return Shape(name, (1, size, size, inputs), kernel, outputs)


def fully_connected(depth: int, outputs: int) -> Shape:
    """Returns a matrix product of one row."""
    return Shape(f"FC {depth}x{outputs}", (1, depth), 0, outputs)


def built_in_file(shape: Shape, weights: np.ndarray, scale: np.ndarray, dtype: str) -> bytes:
    """Returns a file of TFLite's own operator.

    Args:
        shape: What it computes.
        weights: Codes, int8 `(outputs, depth)`.
        scale: float32 `(outputs,)`, that of each output channel.
        dtype: "int8" or "int4", how the codes are stored.
    """
    model, graph = _model(shape, weights, scale)
    kernel = weights
    if shape.kernel:
        kernel = weights.reshape(shape.outputs, shape.kernel, shape.kernel, -1)
    number = graph.add_tensor("weights", kernel, scale)
    graph.tensors[number].quantized_axis = 0
    if dtype != "int8":
        graph.tensors[number].dtype = dtype
        graph.tensors[number].data = kernel
    bias = graph.add_tensor("bias", np.zeros(shape.outputs, np.int32), scale * INPUT_SCALE)
    name = "CONV_2D" if shape.kernel else "FULLY_CONNECTED"
    graph.insert(0, name, (0, number, bias), (1,), version=7 if dtype == "int4" else 3)
    table = "Conv2DOptions" if shape.kernel else "FullyConnectedOptions"
    options = getattr(schema, f"{table}T")()
    if shape.kernel:
        options.strideH = options.strideW = 1
    raw = graph.operators[0]._raw
    raw.builtinOptionsType, raw.builtinOptions = getattr(schema.BuiltinOptions, table), options
    return model.to_bytes()


def custom_file(
    shape: Shape,
    weights: np.ndarray,
    scale: np.ndarray,
    operator: str,
    constants: dict[str, np.ndarray],
    options: dict[str, int],
) -> bytes:
    """Returns a file of one of our operators.

    Args:
        shape: What it computes.
        weights: The codes that the constants stand for, int8 `(outputs, depth)`.
        scale: float32 `(outputs,)`, that of each output channel.
        operator: Name in the operator table.
        constants: The inputs of that operator but input, bias and scale, by name.
        options: Its options, where they are not those of a plain layer.
    """
    model, graph = _model(shape, weights, scale)
    constants = {"bias": np.zeros(shape.outputs, np.int32), "scale": scale, **constants}
    entry = OPERATORS[operator]
    numbers = [0, *(graph.add_tensor(name, constants[name]) for name in entry.inputs[1:])]
    graph.insert(0, operator, numbers, (1,), is_custom=True)
    plain = {option.name: 1 for option in entry.options} | {
        "kernel_height": shape.kernel,
        "kernel_width": shape.kernel,
        "padding": PADDING_SAME,
        "output_min": -128,
        "output_max": 127,
    }
    values = {option.name: plain[option.name] for option in entry.options} | options
    graph.operators[0]._raw.customOptions = np.frombuffer(entry.pack_options(**values), np.uint8)
    return model.to_bytes()


def _model(shape: Shape, weights: np.ndarray, scale: np.ndarray) -> tuple[Model, Subgraph]:
    """A graph that has its input and its output and nothing between them."""
    raw: Any = schema.ModelT()
    raw.version = 3
    raw.subgraphs = [schema.SubGraphT()]
    model = Model(raw)
    graph = model.subgraphs[0]
    real = weights.astype(np.float64) * scale[:, None]
    sums = 74.0 * INPUT_SCALE * np.sqrt(np.square(real).sum(axis=1).mean())  # uniform codes
    graph.add_state("input", "int8", shape.input, [INPUT_SCALE], is_variable=False)
    graph.add_state("output", "int8", shape.output, [sums / _SPREAD], is_variable=False)
    graph.inputs, graph.outputs = [0], [1]
    return model, graph

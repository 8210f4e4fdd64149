"""Drawn layers of products, as files and as cases of single steps."""

import dataclasses
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.node import Node
from edgeax.runtime.mcu.operators import HANDLERS
from edgeax.runtime.mcu.program import Step
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu.step_program import Case
from tests.tflite_kernels import models

ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A layer: its file and an input.

    Attributes:
        file: Bytes of a `.tflite` with one operator.
        oracle: Of the same with a bias of zeros where it has none, as LiteRT wants it.
        input: Codes.
    """

    file: bytes
    oracle: bytes
    input: np.ndarray

    def node(self, target: str, rounding: str) -> Node:
        """Returns the operator for a target."""
        graph = Model.from_bytes(self.file).subgraphs[0]
        return Node(0, graph.operators[0], graph.tensors, TARGETS[target], rounding)

    def case(self, target: str, rounding: str, bands: tuple[int, ...] = ()) -> Case:
        """Returns its step, with what TFLite writes."""
        node = self.node(target, rounding)
        (step,) = HANDLERS[node.operator.name](node)
        assert isinstance(step, Step)
        return Case(step, (self.input,), self.expected(rounding), rounding, bands)

    def expected(self, rounding: str) -> np.ndarray:
        """Returns what an interpreter of LiteRT with that rounding writes."""
        kind = OpResolverType.BUILTIN_REF if rounding == "double" else OpResolverType.BUILTIN
        interpreter = Interpreter(
            model_content=self.oracle, experimental_op_resolver_type=kind, num_threads=1
        )
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], self.input)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def drawn_codes(random: np.random.Generator, shape: tuple[int, ...], low: int) -> np.ndarray:
    """Returns int8 codes from `low` to 127, some of them extreme."""
    codes = random.integers(low, 128, shape)
    extreme = random.random(shape)
    return np.where(extreme < 0.1, low, np.where(extreme > 0.9, 127, codes)).astype(np.int8)


def conv2d(
    seed: int,
    image: tuple[int, int, int, int],
    channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    groups: int = 1,
    activation: str = "NONE",
    has_bias: bool = True,
    per_channel: bool = True,
    gain: float = 1.0,
) -> Drawn:
    """Draws a CONV_2D; outputs span their codes where `gain` is 1."""
    random = np.random.default_rng(seed)
    depth = image[3] // groups
    weights = drawn_codes(random, (channels, *kernel, depth), -127)
    reach = [(taps - 1) * apart + 1 for taps, apart in zip(kernel, dilation, strict=True)]
    size = [
        -(-length // step) if padding == "SAME" else (length - far) // step + 1
        for length, far, step in zip(image[1:3], reach, stride, strict=True)
    ]
    options: Any = schema.Conv2DOptionsT()
    options.padding = getattr(schema.Padding, padding)
    options.strideH, options.strideW = stride
    options.dilationHFactor, options.dilationWFactor = dilation
    options.fusedActivationFunction = ACTIVATIONS[activation]
    return _layer(
        random,
        image,
        weights,
        (image[0], *size, channels),
        models.Operator(
            [],
            [],
            builtin=schema.BuiltinOperator.CONV_2D,
            options=options,
            options_type=schema.BuiltinOptions.Conv2DOptions,
            version=3,
        ),
        has_bias=has_bias,
        per_channel=per_channel,
        gain=gain,
    )


def fully_connected(
    seed: int,
    shape: tuple[int, ...],
    outputs: int,
    activation: str = "NONE",
    has_bias: bool = True,
    per_channel: bool = False,
    keep_num_dims: bool = False,
    gain: float = 1.0,
) -> Drawn:
    """Draws a FULLY_CONNECTED."""
    random = np.random.default_rng(seed)
    weights = drawn_codes(random, (outputs, shape[-1]), -127)
    options: Any = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[activation]
    options.keepNumDims = keep_num_dims
    rows = int(np.prod(shape[:-1]))
    return _layer(
        random,
        shape,
        weights,
        (*shape[:-1], outputs) if keep_num_dims else (rows, outputs),
        models.Operator(
            [],
            [],
            builtin=schema.BuiltinOperator.FULLY_CONNECTED,
            options=options,
            options_type=schema.BuiltinOptions.FullyConnectedOptions,
            version=4,
        ),
        has_bias=has_bias,
        per_channel=per_channel,
        gain=gain,
    )


def _layer(
    random: np.random.Generator,
    shape: tuple[int, ...],
    weights: np.ndarray,
    output: tuple[int, ...],
    operator: models.Operator,
    has_bias: bool,
    per_channel: bool,
    gain: float,
) -> Drawn:
    depth = weights[0].size
    scales = (random.uniform(0.5, 1.5, len(weights) if per_channel else 1) * 0.01).tolist()
    input_scale = 0.02
    output_scale = float(input_scale * 0.01 * 100 * np.sqrt(depth) * 0.7 / gain)
    zero_points = random.integers(-128, 128, 2)
    model = models.Model()
    x = model.add(models.Tensor("x", shape, np.int8, input_scale, int(zero_points[0])))
    constant = models.Tensor("w", weights.shape, np.int8, scales, 0, weights)
    inputs = [x, model.add(constant)]
    bias = random.integers(-3000, 3000, len(weights)).astype(np.int32) * has_bias
    of_sums = [input_scale * scale for scale in scales]
    inputs.append(model.add(models.Tensor("b", bias.shape, np.int32, of_sums, 0, bias)))
    y = model.add(models.Tensor("y", output, np.int8, output_scale, int(zero_points[1])))
    model.operators.append(dataclasses.replace(operator, inputs=inputs, outputs=[y]))
    model.inputs, model.outputs = [x], [y]
    oracle = model.write()
    if not has_bias:
        model.operators[0].inputs = inputs[:2]
    return Drawn(model.write(), oracle, drawn_codes(random, shape, -128))

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
from tests.tflite_kernels import models, oracle

ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A layer: its file and an input.

    Attributes:
        file: Bytes of a `.tflite` with one operator.
        with_bias: Of the same with a bias of zeros where it has none, as LiteRT wants it.
        input: Codes.
    """

    file: bytes
    with_bias: bytes
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
        """Returns what LiteRT writes, or, of FULLY_CONNECTED with double rounding, what TFLM does.

        The reference kernel of FULLY_CONNECTED in LiteRT rounds once.
        """
        if rounding == "double" and self.node("host", rounding).operator.name == "FULLY_CONNECTED":
            return self._twin()
        kind = OpResolverType.BUILTIN_REF if rounding == "double" else OpResolverType.BUILTIN
        interpreter = Interpreter(
            model_content=self.with_bias, experimental_op_resolver_type=kind, num_threads=1
        )
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], self.input)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))

    def _twin(self) -> np.ndarray:
        """Returns what gemmlowp's arithmetic gives a fully connected layer."""
        graph = Model.from_bytes(self.with_bias).subgraphs[0]
        x, weights, bias = (graph.tensors[i] for i in graph.operators[0].inputs)
        output = graph.tensors[graph.operators[0].outputs[0]]
        assert weights.data is not None and bias.data is not None
        rows = self.input.reshape(-1, weights.shape[1]).astype(np.int64) - x.zero_point[0]
        sums = rows @ weights.data.T.astype(np.int64) + bias.data
        scale = oracle.requantize_int16 if x.dtype == "int16" else oracle.requantize
        columns = []
        for channel, of_weights in enumerate(np.broadcast_to(weights.scale, bias.shape)):
            ratio = float(np.float32(x.scale[0]) * of_weights)
            if weights.scale.size > 1:
                ratio = float(x.scale[0]) * float(of_weights)
            factor = oracle.quantize_multiplier(ratio / float(output.scale[0]))
            columns.append(scale(sums[:, channel], *factor, "double"))
        codes = np.stack(columns, axis=-1) + output.zero_point[0]
        ends = np.iinfo(output.dtype)
        activation = graph.operators[0].options["fused_activation_function"]
        low = output.zero_point[0] if activation == "RELU" else ends.min
        return np.clip(codes, low, ends.max).astype(output.dtype).reshape(output.shape)


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
    dtype: str = "int8",
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
        dtype=dtype,
    )


def transpose_conv(
    seed: int,
    image: tuple[int, int, int, int],
    channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (2, 2),
    padding: str = "SAME",
    activation: str = "NONE",
    has_bias: bool = True,
    per_channel: bool = True,
    dtype: str = "int8",
) -> Drawn:
    """Draws a TRANSPOSE_CONV."""
    random = np.random.default_rng(seed)
    weights = drawn_codes(random, (channels, *kernel, image[3]), -127)
    size = [
        length * step if padding == "SAME" else (length - 1) * step + taps
        for length, step, taps in zip(image[1:3], stride, kernel, strict=True)
    ]
    output = (image[0], *size, channels)
    options: Any = schema.TransposeConvOptionsT()
    options.padding = getattr(schema.Padding, padding)
    options.strideH, options.strideW = stride
    options.fusedActivationFunction = ACTIVATIONS[activation]
    return _layer(
        random,
        image,
        weights,
        output,
        models.Operator(
            [],
            [],
            builtin=schema.BuiltinOperator.TRANSPOSE_CONV,
            options=options,
            options_type=schema.BuiltinOptions.TransposeConvOptions,
            version=4,
        ),
        has_bias=has_bias,
        per_channel=per_channel,
        gain=1.0,
        dtype=dtype,
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
    dtype: str = "int8",
    weights_from: int = -127,
) -> Drawn:
    """Draws a FULLY_CONNECTED."""
    random = np.random.default_rng(seed)
    weights = drawn_codes(random, (outputs, shape[-1]), weights_from)
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
        dtype=dtype,
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
    dtype: str = "int8",
) -> Drawn:
    depth = weights[0].size
    scales = (random.uniform(0.5, 1.5, len(weights) if per_channel else 1) * 0.01).tolist()
    wide = dtype == "int16"
    input_scale = 0.02 / 256 if wide else 0.02
    output_scale = float(input_scale * np.sqrt(depth) * 0.7 / gain)
    zero_points = [0, 0] if wide else random.integers(-128, 128, 2).tolist()
    bias = random.integers(-3000, 3000, len(weights)).astype("int64" if wide else "int32")
    bias *= has_bias
    model = models.Model()
    x = model.add(models.Tensor("x", shape, dtype, input_scale, zero_points[0]))
    w = model.add(models.Tensor("w", weights.shape, np.int8, scales, 0, weights))
    of_sums = [input_scale * scale for scale in scales]
    b = model.add(models.Tensor("b", bias.shape, bias.dtype, of_sums, 0, bias))
    y = model.add(models.Tensor("y", output, dtype, output_scale, zero_points[1]))
    inputs = [x, w, b]
    if operator.builtin == schema.BuiltinOperator.TRANSPOSE_CONV:
        size = np.array(output, np.int32)
        inputs = [model.add(models.Tensor("size", (4,), np.int32, data=size)), w, x, b]
    model.operators.append(dataclasses.replace(operator, inputs=inputs, outputs=[y]))
    model.inputs, model.outputs = [x], [y]
    with_bias = model.write()
    if not has_bias:
        model.operators[0].inputs = inputs[:-1]
    drawn = drawn_codes(random, shape, -128)
    if wide:
        drawn = drawn.astype(np.int16) * 256 + random.integers(0, 256, shape).astype(np.int16)
    return Drawn(model.write(), with_bias, drawn)


def battery(target: str, rounding: str) -> list[Case]:
    """Returns cases of all operators of products, some in bands of rows."""
    convolutions = [
        (conv2d(1, (1, 7, 6, 16), 8, (3, 3)), (2, 5)),
        (conv2d(2, (1, 9, 8, 3), 8, (3, 3), (2, 2), activation="RELU"), (1, 3)),
        (conv2d(3, (2, 5, 5, 8), 10, (1, 1), activation="RELU6"), ()),
        (conv2d(4, (1, 8, 9, 5), 7, (3, 2), (1, 2), (2, 1)), (3,)),
        (conv2d(5, (1, 8, 9, 12), 9, (2, 3), (2, 1), padding="VALID", groups=3), (1,)),
        (conv2d(6, (1, 6, 6, 33), 5, (1, 1), (2, 2)), ()),
        (conv2d(7, (1, 6, 6, 32), 16, (3, 3), has_bias=False, per_channel=False), (1, 2, 3)),
        (conv2d(8, (1, 5, 5, 16), 4, (5, 5), activation="RELU_N1_TO_1"), (2,)),
        (conv2d(9, (1, 4, 4, 20), 6, (3, 3), gain=80.0), ()),  # a factor above 1
        (conv2d(10, (1, 3, 10, 24), 12, (3, 3), (2, 1)), (1,)),
        (conv2d(11, (1, 10, 3, 2), 1, (4, 1), (1, 1), (3, 1)), (4,)),
        (conv2d(12, (1, 2, 2, 36), 3, (3, 3), dilation=(1, 2)), ()),
        (conv2d(13, (1, 6, 6, 48), 8, (1, 1), groups=2), (3,)),
        (conv2d(14, (1, 3, 5, 64), 260, (1, 1)), ()),  # several sweeps
        (conv2d(15, (1, 3, 3, 160), 5, (3, 3)), ()),
    ]
    transposed = [
        transpose_conv(31, (1, 4, 5, 8), 6, (3, 3)),
        transpose_conv(32, (2, 3, 3, 5), 3, (4, 4), padding="VALID"),
        transpose_conv(33, (1, 5, 4, 16), 8, (2, 2)),
        transpose_conv(34, (1, 3, 3, 7), 5, (2, 5), (3, 1)),
        transpose_conv(35, (1, 3, 4, 4), 4, (1, 1), (2, 3), padding="VALID"),
        transpose_conv(36, (1, 3, 3, 4), 4, (5, 5), (4, 4)),
        transpose_conv(37, (1, 4, 4, 4), 4, (3, 3), (1, 1), has_bias=False, activation="RELU"),
        transpose_conv(38, (1, 4, 4, 20), 4, (5, 3), (2, 2), per_channel=False),
    ]
    connected = [
        fully_connected(41, shape, 10, activation, per_channel=per_channel)
        for shape in ((1, 64), (1, 30), (3, 20), (5, 16))
        for activation, per_channel in (("NONE", False), ("RELU", True))
    ]
    connected += [
        fully_connected(42, (1, 64), 10, weights_from=-128),  # not carried
        fully_connected(43, (2, 640), 13, has_bias=False),
        fully_connected(44, (1, 8), 3, gain=20.0),  # a factor above 1/2
    ]
    found = [drawn.case(target, rounding, bands) for drawn, bands in convolutions]
    found += [drawn.case(target, rounding) for drawn in (*transposed, *connected)]
    return found + (_wide(target) if rounding == "double" else [])


def _wide(target: str) -> list[Case]:
    """Returns cases of int16 codes; LiteRT has no single rounding for them."""
    convolutions = [
        (conv2d(51, (1, 7, 6, 16), 8, (3, 3), dtype="int16"), (2,)),
        (conv2d(52, (2, 5, 5, 8), 10, (1, 1), activation="RELU6", dtype="int16"), ()),
        (conv2d(53, (1, 8, 9, 12), 9, (2, 3), (2, 1), (1, 1), "VALID", 3, dtype="int16"), (1,)),
        (conv2d(54, (1, 8, 9, 5), 7, (3, 2), (1, 2), (2, 1), dtype="int16"), (4,)),
    ]
    connected = [
        transpose_conv(57, (1, 4, 5, 8), 6, (3, 3), dtype="int16"),
        transpose_conv(58, (2, 3, 3, 5), 3, (4, 5), (3, 2), "VALID", dtype="int16"),
        fully_connected(55, (3, 30), 7, dtype="int16"),
        fully_connected(56, (1, 64), 10, activation="RELU", per_channel=True, dtype="int16"),
    ]
    found = [drawn.case(target, "double", bands) for drawn, bands in convolutions]
    return found + [drawn.case(target, "double") for drawn in connected]

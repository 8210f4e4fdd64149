"""Layers with drawn sizes and weights, as steps: what tables of costs are measured on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.packed_versions import block_sparse, codebook, scattered, ternary
from benchmarks.step_programs import Drawn
from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.node import Node, value_of
from edgeax.runtime.mcu.operators import HANDLERS
from edgeax.runtime.mcu.program import Array, Program, Step, Struct, Value, Window
from edgeax.runtime.mcu.targets import TARGETS
from edgeax.runtime.mcu.work import whole
from tests.runtime.mcu import drawn as codes
from tests.runtime.mcu import image_cases, lstm_files, product_cases
from tests.runtime.mcu.built_in_cases import Case
from tests.runtime.mcu.one_operator import File
from tests.runtime.mcu.operators import (
    test_activation,
    test_batch_matmul,
    test_extremes,
    test_join,
    test_packed_depthwise_conv2d,
    test_packed_int16,
    test_pad,
    test_prelu,
    test_quantize,
    test_reduce,
    test_repeat,
    test_resize,
    test_slices,
    test_softmax_int16,
)
from tests.tflite_kernels import float_cases, models, random_cases
from tests.tflite_kernels.models import Tensor

_DRAWN = (
    "EdgeaxConv2D",
    "EdgeaxSparseConv2D",
    "EdgeaxVectorConv2D",
    "EdgeaxGroupedConv2D",
    "EdgeaxBinaryConv2D",
)
_SCALES = {"SAME": 0, "VALID": 1}


@dataclass(frozen=True)
class Layer:
    """A file of one operator, and how large the largest tensor of its model is beside it."""

    file: bytes
    largest_bytes: int = 0


def drawn_steps(target: str, rounding: str) -> list[Drawn]:
    """Returns steps for a target; those on images also with few of their rows."""
    found = []
    programs = [program_of(layer, target, rounding) for layer in layers(rounding)]
    for program in (*programs, *(_relocation(size) for size in (64, 1000, 20_000))):
        if program is not None:
            parts = _parts(program.steps[0])
            found += [Drawn(program, rounding, part) for part in parts]
    return found


def _relocation(size: int) -> Program:
    """Returns a program that moves bytes, as plans do."""
    values = {number: Value(number, "moved", "int8", (size,)) for number in (0, 1)}
    arguments = Struct("RelocateArgs", {"bytes": size})
    step = Step("move", "Relocate", "relocate.h", arguments, (0,), (1,))
    return Program(values, (step,), {}, (0,), (1,))


def _parts(step: Step) -> list[tuple[int, int] | None]:
    extent, all_of = step.extent, whole(step)
    if isinstance(extent, Window) and extent.output_rows > 8:
        middle = extent.output_rows // 2
        return [all_of, (middle, middle + 1), (middle, middle + 4)]
    return [all_of]


def program_of(layer: Layer, target: str, rounding: str) -> Program | None:
    """Returns the program of a layer; None where it only renames."""
    graph = Model.from_bytes(layer.file).subgraphs[0]
    beside = Model.from_bytes(layer.file).subgraphs[0].tensors[graph.inputs[0]]
    beside.shape = (layer.largest_bytes,)
    tensors = [*graph.tensors, beside]
    node = Node(0, graph.operators[0], tensors, TARGETS[target], rounding)
    (step,) = HANDLERS[node.operator.name](node)
    if not isinstance(step, Step):
        return None
    used = {*step.writes, *(read for read in step.reads if not isinstance(read, Array))}
    values = {index: value_of(index, tensors[index]) for index in used}
    return Program(values, (step,), {}, graph.inputs, graph.outputs)


def layers(rounding: str) -> Iterator[Layer]:
    """Yields the layers."""
    rng = np.random.default_rng(0)
    yield from _convolutions()
    yield from _depthwise(rng)
    yield from _packed_convolutions()
    yield from _lstms()
    yield from _dense()
    yield from _packed()
    yield from _images(rng)
    yield from _others(rng, rounding)
    for rows in (1, 4, 9):
        yield Layer(test_softmax_int16.build(shape=(rows, 20 * rows)))


def _convolutions() -> Iterator[Layer]:
    sizes = [
        ((1, 12, 12, 16), 32, 1, 1),
        ((1, 6, 6, 64), 64, 1, 1),
        ((1, 3, 3, 128), 64, 1, 1),
        ((1, 24, 24, 8), 16, 1, 1),
        ((1, 6, 6, 30), 10, 1, 1),
        ((1, 24, 24, 3), 8, 3, 2),
        ((1, 40, 32, 3), 16, 3, 1),
        ((1, 12, 12, 16), 16, 3, 1),
        ((1, 8, 8, 32), 32, 3, 2),
        ((1, 8, 8, 64), 16, 3, 1),
        ((1, 8, 8, 16), 32, 1, 2),
        ((1, 20, 10, 1), 24, 4, 2),
        ((1, 10, 14, 6), 9, 5, 1),
        ((1, 8, 8, 32), 24, 3, 1),
        ((1, 6, 5, 64), 16, 3, 2),
        ((1, 5, 5, 300), 12, 1, 1),
        ((1, 4, 4, 80), 10, 3, 1),
        ((1, 3, 3, 256), 20, 1, 1),
    ]
    for seed, (image, channels, kernel, stride) in enumerate(sizes):
        for largest in (0, 40_000):
            drawn = product_cases.conv2d(
                seed, image, channels, (kernel, kernel), (stride, stride), activation="RELU"
            )
            yield Layer(drawn.file, largest)
    yield Layer(product_cases.conv2d(20, (1, 9, 9, 8), 12, (3, 3), dilation=(2, 2)).file)
    yield Layer(product_cases.conv2d(21, (1, 9, 9, 8), 12, (3, 3), groups=2).file)
    yield Layer(product_cases.conv2d(22, (1, 9, 9, 8), 12, (3, 3), padding="VALID").file)
    for seed, gain in enumerate((600.0, 900.0, 1200.0)):  # factors that need saturation
        for image, channels, kernel in (((1, 6, 9, 12), 8, 3), ((1, 5, 4, 40), 12, 1)):
            drawn = product_cases.conv2d(
                seed + 30, image, channels, (kernel, kernel), gain=gain, per_channel=False
            )
            yield Layer(drawn.file, 8000 * seed)
    for seed, (image, channels) in enumerate((((1, 6, 6, 8), 8), ((1, 9, 5, 16), 4))):
        yield Layer(product_cases.conv2d(seed, image, channels, (3, 3), dtype="int16").file)
        yield Layer(product_cases.conv2d(seed, image, channels, (1, 1), dtype="int16").file)
        for stride in (1, 2):
            for dtype in ("int8", "int16"):
                drawn = product_cases.transpose_conv(
                    seed, image, channels, (3, 3), (stride, stride), dtype=dtype
                )
                yield Layer(drawn.file)


_DEPTHWISE = (
    ((1, 48, 48, 8), 3, 1, 1),
    ((1, 24, 24, 32), 3, 1, 1),
    ((1, 24, 24, 16), 3, 2, 1),
    ((1, 12, 12, 64), 3, 1, 1),
    ((1, 12, 12, 64), 3, 2, 1),
    ((1, 6, 6, 128), 3, 1, 1),
    ((1, 6, 6, 128), 3, 2, 1),
    ((1, 3, 3, 200), 3, 1, 1),
    ((1, 25, 5, 22), 3, 1, 1),
    ((1, 13, 17, 10), 3, 2, 1),
    ((1, 16, 16, 8), 5, 1, 1),
    ((1, 12, 9, 16), 5, 2, 1),
    ((1, 20, 4, 12), 4, 1, 1),
    ((1, 8, 8, 6), 3, 1, 2),
    ((1, 9, 11, 4), 3, 2, 3),
    ((1, 9, 11, 4), 5, 1, 2),
)


def _packed_convolutions() -> Iterator[Layer]:
    """Convolutions whose weights are packed: of usual sizes, then drawn small ones of all kinds."""
    sizes = [
        ((1, 12, 12, 16), 32, 1, 1),
        ((1, 6, 6, 64), 64, 1, 1),
        ((1, 24, 24, 3), 8, 3, 1),
        ((1, 16, 16, 16), 16, 3, 1),
        ((1, 8, 8, 32), 32, 3, 2),
        ((1, 8, 8, 64), 32, 3, 1),
        ((1, 12, 12, 16), 32, 1, 2),
        ((1, 8, 8, 32), 24, 3, 1),
        ((1, 5, 5, 300), 12, 1, 1),
        ((1, 4, 4, 80), 10, 3, 1),
    ]
    for seed, (image, channels, kernel, stride) in enumerate(sizes):
        for number, change in enumerate((codebook, ternary, block_sparse, scattered)):
            drawn = product_cases.conv2d(
                seed, image, channels, (kernel, kernel), (stride, stride), activation="RELU"
            )
            yield Layer(change(drawn.with_bias), 40_000 * ((seed + number) % 2))
    for operator in _DRAWN:
        for seed in range(12):
            case = random_cases.draw(operator, seed)
            if seed % 4 and not case.is_binary:  # factors that need no saturation
                case.scale = np.abs(case.scale) + np.float32(1e-4)
                case.output_scale = float(4 * case.input_scale * case.scale.max())
            yield Layer(models.model_of(case).write(), 20_000 * (seed % 2))


def _lstms() -> Iterator[Layer]:
    for features, units, time in ((5, 6, 4), (16, 32, 5), (40, 24, 3), (64, 64, 2), (12, 48, 6)):
        yield Layer(lstm_files.build(lstm_files.Case(1, time, features, units)))


def _depthwise(rng: np.random.Generator) -> Iterator[Layer]:
    for image, kernel, stride, multiplier in _DEPTHWISE:
        for largest in (0, 30_000):
            yield Layer(depthwise_file(rng, image, kernel, stride, multiplier), largest)


def depthwise_file(
    rng: np.random.Generator,
    image: tuple[int, int, int, int],
    kernel: int,
    stride: int,
    multiplier: int,
) -> bytes:
    """Returns the file of a DEPTHWISE_CONV_2D with padding SAME."""
    channels = image[3] * multiplier
    weights = codes.codes(rng, (1, kernel, kernel, channels))
    bias = rng.integers(-5000, 5000, channels).astype(np.int32)
    scales = rng.uniform(0.005, 0.015, channels).tolist()
    inputs = [
        Tensor("x", image, np.int8, 0.05, -3),
        Tensor("weights", weights.shape, np.int8, scales, 0, weights, 3),
        Tensor("bias", bias.shape, np.int32, None, 0, bias),
    ]
    output = (image[0], -(-image[1] // stride), -(-image[2] // stride), channels)
    options = {
        "padding": _SCALES["SAME"],
        "strideH": stride,
        "strideW": stride,
        "dilationHFactor": 1,
        "dilationWFactor": 1,
        "depthMultiplier": multiplier,
        "fusedActivationFunction": 1,
    }
    table = ("DepthwiseConv2DOptions", options)
    return File(
        "DEPTHWISE_CONV_2D", table, inputs, Tensor("y", output, np.int8, 0.08, -128), 3
    ).content()


def _dense() -> Iterator[Layer]:
    for seed, (rows, depth, outputs) in enumerate(
        (
            (1, 128, 128),
            (1, 640, 64),
            (1, 8, 128),
            (1, 64, 10),
            (1, 256, 2),
            (2, 96, 40),
            (3, 32, 8),
        )
    ):
        for per_channel in (False, True):
            drawn = product_cases.fully_connected(
                seed, (rows, depth), outputs, "RELU", per_channel=per_channel
            )
            yield Layer(drawn.file)
    yield Layer(product_cases.fully_connected(40, (5, 31), 7).file)
    for seed, depth in enumerate((16, 48, 80)):
        yield Layer(product_cases.fully_connected(seed, (1, depth), 24, gain=900.0).file)
        yield Layer(product_cases.fully_connected(seed, (1, depth), 12, dtype="int16").file)


_INT16 = (
    ((6, 12, 8), 8, 3),
    ((5, 8, 24), 12, 1),
    ((1, 2, 200), 9, 1),
    ((7, 6, 5), 11, 2),
    ((4, 4, 40), 6, 3),
)


def _packed() -> Iterator[Layer]:
    """Layers whose weights stay packed, beside int16 codes or of depthwise windows; floats."""
    for image, channels, kernel in _INT16:
        sizes = {"image": image, "channels": channels, "kernel": kernel}
        for entries in (16, 4):
            drawn = test_packed_int16.drawn("EdgeaxConv2D", entries, **sizes)
            yield Layer(models.model_of(drawn).write())
        for left, piece in ((0.25, 1), (0.4, 4), (0.25, 4)):
            drawn = test_packed_int16.drawn("EdgeaxSparseConv2D", left=left, piece=piece, **sizes)
            yield Layer(models.model_of(drawn).write())
    for image, kernel, stride, multiplier in _DEPTHWISE:
        for wide in (False, True):
            drawn = test_packed_depthwise_conv2d.drawn(
                16, image[3], multiplier, wide, image[1:3], kernel, stride
            )
            if not wide or math.prod(image) < 1000:
                yield Layer(models.model_of(drawn).write())
    for multiplier in (2, 4):
        for stride in (1, 2):
            for size in ((5, 6), (9, 8)):
                drawn = test_packed_depthwise_conv2d.drawn(
                    16, 6, multiplier, False, size, 3, stride
                )
                yield Layer(models.model_of(drawn).write())
    for image, channels, kernel in (((4, 5, 8), 6, 3), ((3, 3, 24), 5, 2), ((2, 6, 13), 4, 4)):
        drawn = product_cases.transpose_conv(
            kernel, (1, *image), channels, (kernel, kernel), dtype="int16"
        )
        yield Layer(drawn.file)
    for seed in range(16):
        yield Layer(float_cases.model_of(float_cases.draw(seed)).write())


def _images(rng: np.random.Generator) -> Iterator[Layer]:
    """Sums and pools of images of usual sizes, then drawn small ones of all kinds."""
    for shape in ((1, 32, 32, 16), (1, 8, 8, 64), (1, 16, 4, 10), (1, 1, 1, 40)):
        for name in ("ADD", "SUB", "MUL"):
            yield Layer(_binary_file(name, shape))
        yield Layer(_mean_file(shape))
        for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
            for window in {1, min(2, *shape[1:3]), min(shape[1:3])}:
                yield Layer(_pool_file(name, shape, window))
        softmax = {"beta": 1.0}
        x = Tensor("x", (shape[1], shape[3]), np.int8, 0.1, 3)
        y = Tensor("y", (shape[1], shape[3]), np.int8, 1 / 256, -128)
        yield Layer(File("SOFTMAX", ("SoftmaxOptions", softmax), [x], y, 3).content())
    for draw in image_cases.DRAWERS.values():
        for _ in range(4):
            yield Layer(draw(rng).file.content())
    for dtype in ("int8", "int16"):
        for name in 3 * ("REDUCE_MAX", "REDUCE_MIN"):
            yield Layer(test_reduce.extreme(rng, name, dtype).file.content())


def _binary_file(name: str, shape: tuple[int, ...]) -> bytes:
    inputs = [Tensor(word, shape, np.int8, scale, 4) for word, scale in (("a", 0.05), ("b", 0.03))]
    output = Tensor("y", shape, np.int8, 0.08 if name != "MUL" else 0.02, -7)
    options = {"fusedActivationFunction": 1}
    return File(name, (f"{name.title()}Options", options), inputs, output, 2).content()


def _mean_file(shape: tuple[int, ...]) -> bytes:
    axes = Tensor("axes", (2,), np.int32, data=np.array([1, 2], np.int32))
    output = Tensor("y", (shape[0], shape[3]), np.int8, 0.04, 2)
    inputs = [Tensor("x", shape, np.int8, 0.05, 1), axes]
    return File("MEAN", ("ReducerOptions", {"keepDims": False}), inputs, output, 2).content()


def _pool_file(name: str, shape: tuple[int, ...], window: int) -> bytes:
    sizes = {"filterHeight": window, "filterWidth": window, "strideH": window, "strideW": window}
    options = {"padding": _SCALES["VALID"], "fusedActivationFunction": 0, **sizes}
    output = (shape[0], shape[1] // window, shape[2] // window, shape[3])
    tensors = [Tensor(word, size, np.int8, 0.05, 3) for word, size in (("x", shape), ("y", output))]
    return File(name, ("Pool2DOptions", options), tensors[:1], tensors[1], 2).content()


def _others(rng: np.random.Generator, rounding: str) -> Iterator[Layer]:
    """Everything that copies or works on single codes, small and large."""
    for side in (3, 6, 12):
        image = codes.codes(rng, (1, side, 2 * side, 7))
        wide = image.astype(np.int16) * 200
        numbers = (np.arange(-30 * side, 30 * side, dtype=np.float32) / 8)[None]
        borders = np.array([[0, 0], [1, 2], [3, 1], [0, 0]], np.int32)
        order, half = np.array([0, 3, 1, 2], np.int32), (1, -(-side // 2), 3, 7)
        cases = [
            test_join.concatenation([image, image[..., :3]], 3),
            test_join.split_v([image[..., :3], image], 3),
            test_pad.pad(image, borders),
            test_slices.transpose(image, order),
            test_slices.strided(image, [(0, 1, 1), (0, side, 2), (1, 6, 2), (0, 7, 1)], half),
            test_resize.resize(test_resize.NEAREST, image, (side + 4, 4), (False, True)),
            test_resize.resize(test_resize.BILINEAR, image, (side, 13), (False, True), rounding),
            test_activation.draw(rng, "HARD_SWISH", np.int8, rounding),
            test_prelu.prelu(rng, (1, 1, 5), np.int8, rounding),
            test_prelu.prelu(rng, (3, 1, 5), np.int16, rounding),
            test_activation.sigmoid_like(rng, "LOGISTIC", np.int8, rounding),
            test_activation.sigmoid_like(rng, "TANH", np.int16, rounding),
            test_quantize.quantize(numbers, np.int8, 0.25, 3, rounding),
            test_quantize.quantize(numbers, np.int16, 0.25, 0, rounding),
            test_quantize.dequantize(np.int8, 0.3, -7),
            test_quantize.again(np.int8, np.int16, (0.1, 0.001), (-5, 0), rounding),
            test_extremes.arg_extreme("ARG_MAX", image, 3),
            test_extremes.extreme_of("MAXIMUM", [image, image]),
            test_slices.transpose(wide, order),
        ]
        cases += [test_repeat.tile(image, (1, 1, 2, 3)), *_matrices(rng, side, rounding)]
        yield from (Layer(case.file) for case in cases)


def _matrices(rng: np.random.Generator, side: int, rounding: str) -> Iterator[Case]:
    shapes = (1, 2, side, 3 * side), (1, 2, 3 * side, side)
    for dtype in (np.int8, np.int16):
        yield test_batch_matmul.product(rng, *shapes, dtype=dtype, rounding=rounding)

"""Drawn files of one operator of sums or images, with inputs that hold the extreme codes."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from tests.runtime.mcu import native_steps
from tests.runtime.mcu.one_operator import File
from tests.tflite_kernels.models import Tensor

PADDINGS = ("SAME", "VALID")
_ACTIVATIONS = (0, 0, 0, 1, 3)  # none, RELU, RELU6 of the schema


@dataclasses.dataclass
class Drawn:
    """A file and what its inputs hold."""

    file: File
    inputs: list[np.ndarray]


def codes(rng: np.random.Generator, shape: tuple[int, ...], dtype: str = "int8") -> np.ndarray:
    """Returns codes of all sizes, the least ones more often than others."""
    ends = np.iinfo(dtype)
    drawn = rng.integers(ends.min, ends.max + 1, shape)
    extreme = rng.random(shape)
    drawn = np.where(extreme < 0.05, ends.min, drawn)
    return np.where(extreme > 0.97, ends.max, drawn).astype(dtype)


def _zero_point(rng: np.random.Generator, dtype: str) -> int:
    return int(rng.choice([-128, 127, 0, rng.integers(-128, 128)])) if dtype == "int8" else 0


def _scale(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.float32(np.exp(rng.uniform(math.log(low), math.log(high)))))


@dataclasses.dataclass(frozen=True)
class Image:
    """Sizes of a layer with windows, and the options that say them."""

    shape: tuple[int, ...]
    kernel: tuple[int, int]
    output: tuple[int, int]
    options: dict[str, int]


def image(rng: np.random.Generator, is_3x3: bool, dilates: bool) -> Image:
    """Draws sizes."""
    kernel = (3, 3) if is_3x3 else (int(rng.integers(1, 6)), int(rng.integers(1, 6)))
    stride = [int(rng.choice([1, 1, 2, 2, 3]))] * 2
    if rng.random() < 0.2:
        stride[1] = int(rng.integers(1, 4))
    dilation = [int(rng.choice([1, 2, 3])) if dilates and max(stride) == 1 else 1 for _ in range(2)]
    valid = int(rng.integers(2))
    reach = [(taps - 1) * apart + 1 for taps, apart in zip(kernel, dilation, strict=True)]
    sizes = [int(rng.integers(1, 14)) for _ in range(2)]
    if valid:
        sizes = [max(size, least) for size, least in zip(sizes, reach, strict=True)]
    output = [
        (size - least) // step + 1 if valid else -(-size // step)
        for size, least, step in zip(sizes, reach, stride, strict=True)
    ]
    options = {
        "padding": valid,
        "strideH": stride[0],
        "strideW": stride[1],
        "fusedActivationFunction": int(rng.choice(_ACTIVATIONS)),
    }
    if dilates:
        options |= {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
    shape = (int(rng.choice([1, 1, 2])), *sizes, int(rng.integers(1, 11)))
    return Image(shape, kernel, (output[0], output[1]), options)


def depthwise(rng: np.random.Generator, dtype: str = "int8", is_common: bool = False) -> Drawn:
    """Draws a DEPTHWISE_CONV_2D; common ones have windows of 3 x 3 and a multiplier of 1."""
    drawn = image(rng, is_common or rng.random() < 0.6, dilates=not is_common)
    multiplier = 1 if is_common else int(rng.choice([1, 1, 1, 2, 3]))
    channels = drawn.shape[3] * multiplier
    weights = codes(rng, (1, *drawn.kernel, channels))
    per_tensor = rng.random() < 0.2
    input_scale = 0.05 if dtype == "int8" else 0.0005
    scales = [_scale(rng, 1e-4, 3e-2) for _ in range(1 if per_tensor else channels)]
    bias = rng.integers(-9000, 9000, channels)
    if rng.random() < 0.3:
        bias[-1] = rng.choice([2**31 - 1, -(2**31), 2**30])
    if channels > 1 and not per_tensor and rng.random() < 0.3:
        scales[0] = 1.5  # a factor above 1/2
    bias_type = np.int32 if dtype == "int8" else np.int64
    inputs = [
        Tensor("x", drawn.shape, np.dtype(dtype), input_scale, _zero_point(rng, dtype)),
        Tensor("weights", weights.shape, np.int8, scales, 0, weights, 3),
        Tensor("bias", (channels,), bias_type, None, 0, bias.astype(bias_type)),
    ]
    scale = 0.02 * math.sqrt(weights[0, ..., 0].size) / (1 if dtype == "int8" else 100)
    shape = (drawn.shape[0], *drawn.output, channels)
    output = Tensor("y", shape, np.dtype(dtype), scale, _zero_point(rng, dtype))
    options = drawn.options | {"depthMultiplier": multiplier}
    file = File("DEPTHWISE_CONV_2D", ("DepthwiseConv2DOptions", options), inputs, output, 3)
    return Drawn(file, [codes(rng, drawn.shape, dtype)])


def pool(rng: np.random.Generator, name: str, dtype: str = "int8") -> Drawn:
    """Draws an AVERAGE_POOL_2D or a MAX_POOL_2D."""
    drawn = image(rng, False, dilates=False)
    zero_point = _zero_point(rng, dtype)
    options = drawn.options | {"filterHeight": drawn.kernel[0], "filterWidth": drawn.kernel[1]}
    shape = (drawn.shape[0], *drawn.output, drawn.shape[3])
    inputs = [Tensor("x", drawn.shape, np.dtype(dtype), 0.05, zero_point)]
    output = Tensor("y", shape, np.dtype(dtype), 0.05, zero_point)
    return Drawn(
        File(name, ("Pool2DOptions", options), inputs, output, 2), [codes(rng, drawn.shape, dtype)]
    )


def binary(rng: np.random.Generator, name: str, dtype: str = "int8") -> Drawn:
    """Draws an ADD, SUB or MUL: equal shapes, or ones that spread; some operands are constants."""
    shape = tuple(int(size) for size in rng.integers(1, 6, int(rng.integers(1, 5))))
    shapes = [shape, shape]
    kind, swap = rng.integers(4), int(rng.integers(2))
    if kind == 1:
        shapes[1] = shape[-1:]
    elif kind == 2:
        shapes[1] = tuple(size if rng.random() < 0.5 else 1 for size in shape)
    shapes = shapes[::-1] if swap else shapes
    output_shape = tuple(int(size) for size in np.broadcast_shapes(*shapes))
    unit = 1.0 if dtype == "int8" else 1 / 200
    scales = [_scale(rng, 0.005, 0.05) * unit for _ in range(3)]
    if rng.random() < 0.2:
        scales[1] = scales[0]
    if name == "MUL":
        scales[2] = float(np.float32(scales[0] * scales[1] * (80 if unit == 1 else 16000)))
    given = [codes(rng, part, dtype) for part in shapes]
    constant = int(rng.choice([-1, -1, 0, 1]))
    inputs = [
        Tensor(
            word,
            part,
            np.dtype(dtype),
            float(np.float32(scale)),
            _zero_point(rng, dtype),
            data if number == constant else None,
        )
        for number, (word, part, scale, data) in enumerate(
            zip("ab", shapes, scales[:2], given, strict=True)
        )
    ]
    options: dict[str, object] = {"fusedActivationFunction": int(rng.choice(_ACTIVATIONS))}
    if dtype == "int16" and name != "MUL":
        options["potScaleInt16"] = False
    output = Tensor(
        "y", output_shape, np.dtype(dtype), float(np.float32(scales[2])), _zero_point(rng, dtype)
    )
    table = f"{name.title()}Options"
    file = File(name, (table, options), inputs, output, 2 if dtype == "int8" else 4)
    return Drawn(file, [data for number, data in enumerate(given) if number != constant])


def reduction(rng: np.random.Generator, name: str, dtype: str = "int8") -> Drawn:
    """Draws a MEAN or SUM over some axes."""
    rank = int(rng.integers(1, 5))
    shape = tuple(int(size) for size in rng.integers(1, 7, rank))
    axes = [axis for axis in range(rank) if rng.random() < 0.5] or [rank - 1]
    keep = bool(rng.integers(2))
    output_shape = tuple(
        1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes
    )
    count = math.prod(shape[axis] for axis in axes)
    grown = math.sqrt(count) if name == "SUM" else 1 / math.sqrt(count)
    signed = [axis - rank if rng.random() < 0.5 else axis for axis in axes]
    scale = float(np.float32(0.05 * grown * _scale(rng, 0.4, 2.5)))
    inputs = [
        Tensor("x", shape, np.dtype(dtype), 0.05, _zero_point(rng, dtype)),
        Tensor("axes", (len(axes),), np.int32, None, 0, np.int32(signed)),
    ]
    output = Tensor("y", output_shape, np.dtype(dtype), scale, _zero_point(rng, dtype))
    file = File(name, ("ReducerOptions", {"keepDims": keep}), inputs, output, 2)
    return Drawn(file, [codes(rng, shape, dtype)])


def softmax(rng: np.random.Generator, dtype: str = "int8") -> Drawn:
    """Draws a SOFTMAX from int8 to int8 or int16."""
    shape = (int(rng.integers(1, 5)), int(rng.integers(1, 30)))
    quantization = (1 / 256, -128) if dtype == "int8" else (1 / 65536, -32768)
    inputs = [Tensor("x", shape, np.int8, _scale(rng, 1e-3, 1.0), int(rng.integers(-128, 128)))]
    output = Tensor("y", shape, np.dtype(dtype), *quantization)
    options = {"beta": float(rng.choice([0.5, 1.0, 2.0]))}
    return Drawn(
        File("SOFTMAX", ("SoftmaxOptions", options), inputs, output, 3), [codes(rng, shape)]
    )


DRAWERS: dict[str, Callable[[np.random.Generator], Drawn]] = {
    "depthwise": depthwise,
    **{f"common depthwise {part}": lambda rng: depthwise(rng, is_common=True) for part in range(4)},
    "depthwise int16": lambda rng: depthwise(rng, "int16"),
    **{
        f"{name} {dtype}": lambda rng, name=name, dtype=dtype: pool(rng, name, dtype)
        for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D")
        for dtype in ("int8", "int16")
    },
    **{
        f"{name} {dtype}": lambda rng, name=name, dtype=dtype: binary(rng, name, dtype)
        for name in ("ADD", "SUB", "MUL")
        for dtype in ("int8", "int16")
    },
    **{
        f"{name} {dtype}": lambda rng, name=name, dtype=dtype: reduction(rng, name, dtype)
        for name in ("MEAN", "SUM")
        for dtype in ("int8", "int16")
    },
    "SOFTMAX int8": softmax,
    "SOFTMAX int16": lambda rng: softmax(rng, "int16"),
}


def made(
    drawn: Drawn, rounding: str = "double", in_place: int | None = None, target: str = "host"
) -> np.ndarray:
    """Returns what the step of a drawn operator writes on this machine."""
    step = drawn.file.step(rounding, target)
    output = drawn.file.output.shape, np.dtype(drawn.file.output.dtype).name
    inputs = drawn.file.ordered(step, drawn.inputs)
    return native_steps.run(step, inputs, output, rounding, in_place)


def check_in_place(drawn: Drawn, rounding: str = "double") -> int:
    """Checks the step with its output in the memory of each input that allows it; counts them."""
    step = drawn.file.step(rounding)
    for place, _ in step.in_place:
        assert np.array_equal(made(drawn, rounding, place), made(drawn, rounding))
    return len(step.in_place)

"""Layers that learn, in integers: twin of trained_conv2d.cc, trained_depthwise.cc, pool_gradients.

Shapes are those that C++ calls ConvolutionShape, by name of the member.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from edgeax.formats import rounding
from edgeax.runtime.mcu.oracle_gradients import Gradient, shifted_right

Shape = Mapping[str, int]
_Spots = tuple[int, tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def requantized(
    sums: np.ndarray, multiplier: np.ndarray, shift: np.ndarray, zero_point: int, limits: tuple
) -> np.ndarray:
    """Returns the int8 codes of sums, channels last."""
    scaled = rounding.requantize(sums.astype(np.int32), multiplier, shift, "double")
    return np.clip(scaled.astype(np.int64) + zero_point, *limits).astype(np.int8)


def convolution(shape: Shape, inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns sums of products, `(height, width, outputs)`.

    Args:
        shape: The shapes.
        inputs: Codes less the zero point, `(height, width, channels)`.
        weights: `(outputs, taps, channels)`.
    """
    sums = np.zeros(_output(shape), np.int64)
    for tap, to, source in _taps(shape):
        sums[to] += _product(inputs[source], weights[:, tap].T)
    return sums


def convolution_gradient(shape: Shape, errors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns sums `(height, width, channels)` of scaled errors `(height, width, outputs)`."""
    sums = np.zeros(_input(shape), np.int64)
    for tap, to, source in _taps(shape):
        sums[source] += _product(errors[to], weights[:, tap])
    return sums


def convolution_weights(shape: Shape, errors: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Returns gradients by weights, `(outputs, taps, channels of inputs)`."""
    channels = inputs.shape[-1]
    taps = shape["kernel_height"] * shape["kernel_width"]
    found = np.zeros((errors.shape[-1], taps, channels), np.int64)
    for tap, to, source in _taps(shape):
        rows = errors[to].reshape(-1, errors.shape[-1])
        found[:, tap] = _product(rows.T, inputs[source].reshape(-1, channels))
    return found


def depthwise(shape: Shape, inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns sums of products, `(height, width, outputs)`, of weights `(taps, outputs)`."""
    wide = np.repeat(inputs, weights.shape[-1] // inputs.shape[-1], axis=-1)
    sums = np.zeros(_output(shape), np.int64)
    for tap, to, source in _taps(shape):
        sums[to] += wide[source] * weights[tap]
    return sums


def depthwise_gradient(shape: Shape, errors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns sums `(height, width, channels)` of scaled errors `(height, width, outputs)`."""
    height, width, channels = _input(shape)
    sums = np.zeros((height, width, errors.shape[-1]), np.int64)
    for tap, to, source in _taps(shape):
        sums[source] += errors[to] * weights[tap]
    return sums.reshape(height, width, channels, -1).sum(-1)


def depthwise_weights(
    shape: Shape, errors: np.ndarray, inputs: np.ndarray, columns: int
) -> np.ndarray:
    """Returns gradients by weights, `(taps, columns)`."""
    multiplier = shape["output_channels"] // shape["input_channels"]
    wide = np.repeat(inputs, multiplier, axis=-1)[..., :columns]
    taps = shape["kernel_height"] * shape["kernel_width"]
    found = np.zeros((taps, columns), np.int64)
    for tap, to, source in _taps(shape):
        found[tap] = (errors[to][..., :columns] * wide[source]).sum((0, 1))
    return found


def average_gradient(shape: Shape, gradient: Gradient, bits: int) -> Gradient:
    """Returns sums of the gradient by the input of an average."""
    counts = np.zeros(_output(shape), np.int64)
    for _, to, _ in _taps(shape):
        counts[to] += 1
    shares = ((1 << bits) + counts // 2) // counts * gradient.codes.reshape(_output(shape))
    sums = np.zeros(_input(shape), np.int64)
    for _, to, source in _taps(shape):
        sums[source] += shares[to]
    return Gradient(sums.reshape(-1), gradient.exponent - bits)


def largest_taps(shape: Shape, codes: np.ndarray) -> np.ndarray:
    """Returns the tap that holds the largest code of each window, the first of equal ones."""
    image = codes.reshape(_input(shape)).astype(np.int64)
    largest = np.full(_output(shape), -129, np.int64)
    found = np.zeros(_output(shape), np.uint8)
    for tap, to, source in _taps(shape):
        is_larger = image[source] > largest[to]
        found[to] = np.where(is_larger, tap, found[to])
        largest[to] = np.where(is_larger, image[source], largest[to])
    return found.reshape(-1)


def largest_gradient(shape: Shape, gradient: Gradient, taps: np.ndarray) -> Gradient:
    """Returns sums of the gradient by the input of a maximum."""
    codes, places = (array.reshape(_output(shape)) for array in (gradient.codes, taps))
    sums = np.zeros(_input(shape), np.int64)
    for tap, to, source in _taps(shape):
        sums[source] += np.where(places[to] == tap, codes[to], 0)
    return Gradient(sums.reshape(-1), gradient.exponent)


def scaled_errors(
    shape: Shape, gradient: Gradient, scale: np.ndarray | int, shift: int
) -> np.ndarray:
    """Returns `(height, width, outputs)`: codes times `scale / 2**shift`."""
    return shifted_right(gradient.codes.reshape(_output(shape)) * scale, shift)


def _taps(shape: Shape) -> Iterator[_Spots]:
    """Yields taps, and the pixels of output and input that belong together then."""
    for i in range(shape["kernel_height"]):
        for j in range(shape["kernel_width"]):
            to_y, from_y = _axis(shape, "height", "top", i)
            to_x, from_x = _axis(shape, "width", "left", j)
            if len(to_y) and len(to_x):
                tap = i * shape["kernel_width"] + j
                yield tap, (to_y[:, None], to_x[None]), (from_y[:, None], from_x[None])


def _axis(shape: Shape, axis: str, side: str, tap: int) -> tuple[np.ndarray, np.ndarray]:
    to = np.arange(shape[f"output_{axis}"])
    source = to * shape[f"stride_{axis}"] - shape[f"pad_{side}"] + tap * shape[f"dilation_{axis}"]
    inside = (source >= 0) & (source < shape[f"input_{axis}"])
    return to[inside], source[inside]


def _output(shape: Shape) -> tuple[int, int, int]:
    return shape["output_height"], shape["output_width"], shape["output_channels"]


def _input(shape: Shape) -> tuple[int, int, int]:
    return shape["input_height"], shape["input_width"], shape["input_channels"]


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the exact matrix product of integers whose sums fit 53 bits."""
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)

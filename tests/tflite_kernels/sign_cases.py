"""Signs of a kernel's gradient that are predicted: cases, and what Keras's rule makes of them."""

from typing import Any

import numpy as np
import tensorflow as tf

from edgeax.training.code_bits import coded
from edgeax.training.psg import mixed_signs
from tests.tflite_kernels.gradient_cases import GradientCase

CONV, DEPTHWISE = "EdgeaxPredictedSigns", "EdgeaxDepthwisePredictedSigns"
OPERATORS = (CONV, DEPTHWISE)
PAPER = {
    "bits": 8,
    "predicted_bits": 4,
    "gradient_bits": 16,
    "predicted_gradient_bits": 10,
    "carry": 0,
    "beta": 0.05,
}
BYTES = {**PAPER, "predicted_bits": 8, "predicted_gradient_bits": 8}
# The paper's, bytes, and others that are cut elsewhere.
SETTINGS = (
    PAPER,
    BYTES,
    PAPER | {"bits": 7, "carry": 1, "gradient_bits": 12, "predicted_gradient_bits": 8},
    PAPER | {"predicted_bits": 6, "carry": 1, "predicted_gradient_bits": 12},
    PAPER | {"predicted_gradient_bits": 16},
    BYTES | {"predicted_gradient_bits": 9},
    BYTES | {"predicted_gradient_bits": 13},
    BYTES | {"predicted_gradient_bits": 16},
    BYTES | {"predicted_gradient_bits": 3},
    PAPER | {"bits": 4, "gradient_bits": 8, "predicted_gradient_bits": 5},
    PAPER | {"predicted_bits": 1, "predicted_gradient_bits": 1},
    PAPER | {"predicted_bits": 0},
)
PLAIN = {"strides": [1, 1, 1, 1], "padding": "VALID"}


def dense_case(name: str, x: Any, gradient: Any, expected: Any, **settings: Any) -> GradientCase:
    """A dense layer: a convolution over images of one pixel."""
    x, gradient = np.int8(x), np.int16(gradient)
    shape = (1, 1, x.shape[1], gradient.shape[1])
    inputs = {
        "input": x[:, None, None],
        "filter_sizes": np.int32(shape),
        "out_backprop": gradient[:, None, None],
    }
    attributes = {**PLAIN, **PAPER, **settings}
    expected = np.float32(expected).reshape(shape)
    return GradientCase(f"{CONV}_{name}", CONV, attributes, inputs, shape, expected)


def golden_cases() -> list[GradientCase]:
    """Cases worked out by hand."""
    # Codes in sixteenths, cut off: 6, -2, 0, 0; gradients in 64ths, rounded: 16, 0, 0, 1. So
    # predictions are 96, 0, -32 and 0, sums -2880, -20063 and 880 where none stands.
    x, gradient = [[100, -20], [3, 7]], [[1000, -30], [-9, 40]]
    # 0 and -1 predict -1, against a sum of 13976; carried, 15 gives 1 too, which predicts 15.
    misled = [[15], [-16]], [[1000], [64]]
    # Predictions of 100 and 5; of the latter, which is a twentieth, the sum is -880.
    limit = [[16, 0], [0, 16], [0, 15]], [[6400, 0], [0, 320], [0, -400]]
    return [
        dense_case("half", x, gradient, [1, -1, -1, 1], beta=0.5),
        dense_case("third", x, gradient, [1, -1, -1, 1], beta=0.3),
        dense_case("misled", *misled, [-1]),
        dense_case("carried", *misled, [1], carry=1),
        dense_case("in_full", *misled, [1], predicted_bits=0),
        dense_case("at_the_limit", *limit, [1, 0, 0, 1]),
        dense_case("below_the_limit", *limit, [1, 0, 0, -1], beta=0.051),
        dense_case("of_nothing", [[0, 5]], [[0, 31]], [0, 0, 0, 0]),
        dense_case("extremes", [[-128], [127]], [[-32768], [32767]], [1]),
    ]


def expected_signs(case: GradientCase) -> tuple[np.ndarray, np.ndarray]:
    """What `edgeax.training.psg` decides on these codes, and where the prediction decided."""
    settings = case.attributes
    x, sizes, gradient = case.inputs.values()

    def high(codes: np.ndarray, bits: int, most: int, carry: bool) -> np.ndarray:
        limit = tf.constant(2.0 ** (bits - 1))
        values = coded(tf.constant(codes, tf.float32), limit, bits, most, carry)
        return values.numpy() / 2.0 ** (bits - most)

    full = _sums(
        case,
        high(x, settings["bits"], settings["bits"], False),
        high(gradient, settings["gradient_bits"], settings["gradient_bits"], False),
    )
    if settings["predicted_bits"] == 0:
        return np.sign(full).astype(np.float32), np.zeros(full.shape, bool)
    predicted = _sums(
        case,
        high(x, settings["bits"], settings["predicted_bits"], bool(settings["carry"])),
        high(gradient, settings["gradient_bits"], settings["predicted_gradient_bits"], True),
    )
    signs, decided = mixed_signs(
        tf.constant(predicted, tf.float32), tf.constant(full, tf.float32), settings["beta"]
    )
    return signs.numpy(), decided.numpy()


def _sums(case: GradientCase, x: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Sums of integers in float64, which holds them exactly."""
    kernel = tuple(map(int, case.inputs["filter_sizes"]))
    strides = case.attributes["strides"][1:3]
    dilations = case.attributes.get("dilations", [1] * 4)[1:3]
    pads = [(0, 0)] * 4
    for axis, (size, taps) in enumerate(zip(x.shape[1:3], kernel[:2], strict=True)):
        reach = (gradient.shape[1 + axis] - 1) * strides[axis] + (taps - 1) * dilations[axis] + 1
        missing = max(reach - size, 0)
        pads[1 + axis] = (missing // 2, missing - missing // 2)
    x, gradient = np.pad(x.astype(np.float64), pads), gradient.astype(np.float64)
    if case.operator == DEPTHWISE:
        gradient = gradient.reshape(*gradient.shape[:3], *kernel[2:])
    sums = np.zeros(kernel)
    for place in np.ndindex(kernel[:2]):
        starts = [tap * dilation for tap, dilation in zip(place, dilations, strict=True)]
        rows, columns = (
            slice(start, start + (count - 1) * stride + 1, stride)
            for start, count, stride in zip(starts, gradient.shape[1:3], strides, strict=True)
        )
        read = x[:, rows, columns]
        if case.operator == DEPTHWISE:
            sums[place] = np.einsum("nyxi,nyxim->im", read, gradient)
        else:
            sums[place] = np.tensordot(read, gradient, ((0, 1, 2), (0, 1, 2)))
    return sums


def draw(seed: int, operator: str) -> GradientCase:
    """One case of an operator, with gradients as they are: few large, many small ones."""
    source = np.random.default_rng((9, seed))
    batch, height, width, channels = (
        int(source.integers(low, high)) for low, high in ((1, 6), (5, 30), (5, 14), (1, 20))
    )
    kernel = [int(size) for size in source.integers(1, 4, 2)]
    strides = [int(stride) for stride in source.integers(1, 4, 2)]
    if operator == DEPTHWISE:
        strides[1] = strides[0]
    dilation = int(source.integers(1, 3)) if strides == [1, 1] and operator == CONV else 1
    padding = str(source.choice(["SAME", "VALID"]))
    outputs = [
        -(-(size - (taps - 1) * dilation if padding == "VALID" else size) // stride)
        for size, taps, stride in zip((height, width), kernel, strides, strict=True)
    ]
    filters = int(source.choice([1, 2, 3, 7, 16, 21]))
    if operator == DEPTHWISE:
        filters = 1 + filters % 3
    all_filters = channels * filters if operator == DEPTHWISE else filters
    shape = (*kernel, channels, filters)
    settings = dict(SETTINGS[seed % len(SETTINGS)])
    settings["beta"] = float(source.choice([0.0, 0.05, 0.3, 1.0]))

    def codes(bits: int, spread: float, *sizes: int) -> np.ndarray:
        limit = 2 ** (8 if bits <= 8 else 16) // 2  # some are too large for their bits
        values = np.round(2 ** (bits - 1) * spread * source.standard_t(3, sizes))
        return np.clip(values, -limit, limit - 1)

    inputs = {
        "input": codes(settings["bits"], 0.3, batch, height, width, channels).astype(np.int8),
        "filter_sizes": np.int32(shape),
        "out_backprop": codes(
            settings["gradient_bits"], source.choice([0.02, 0.2]), batch, *outputs, all_filters
        ).astype(np.int16),
    }
    attributes = {
        "strides": [1, *strides, 1],
        "padding": padding,
        "dilations": [1, dilation, dilation, 1],
        "data_format": "NHWC",
        **settings,
    }
    return GradientCase(f"{operator}_{seed}", operator, attributes, inputs, shape)


def drawn() -> list[GradientCase]:
    """A case of each operator in each of the settings, with what Keras's rule makes of it."""
    cases = [draw(seed, operator) for operator in OPERATORS for seed in range(len(SETTINGS))]
    for case in cases:
        case.expected = expected_signs(case)[0]
    return cases

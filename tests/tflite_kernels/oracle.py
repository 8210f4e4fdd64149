"""The operators in plain numpy integers: slow, and written without a look at the C++.

Products are summed exactly in int64 and wrap to int32 once, but beside int16 activations;
requantization follows the definitions of gemmlowp, of TFLite's single rounding and of its kernels
of 16-bit activations.
"""

import math

import numpy as np

from tests.tflite_kernels.native import Case

INT32 = np.iinfo(np.int32)


def run(case: Case) -> np.ndarray:
    """The int8 or int16 output of a case, in its output shape."""
    if case.operator.endswith("FullyConnected"):
        x = centered(case)
        sums = x.reshape(-1, x.shape[-1]) @ values(case).T
    else:
        sums = windows(case)
    return finish(case, sums).reshape(case.output_shape)


def centered(case: Case) -> np.ndarray:
    """The input less its zero point, int64; of a binary operator +1 and -1, of lookups points."""
    if case.points is not None:
        return case.points.astype(np.int64)[case.input.astype(np.int64) + 128]
    if not case.is_binary:
        return case.input.astype(np.int64) - case.input_zero_point
    if not case.options["input_packed"]:
        return np.where(case.input < case.input_zero_point, -1, 1)
    count = case.options["input_channels"]
    bits = np.unpackbits(case.input.view(np.uint8), axis=-1, count=count, bitorder="little")
    return 1 - 2 * bits.astype(np.int64)


def values(case: Case) -> np.ndarray:
    """The weights, int64 in the shape of the codes."""
    if case.is_binary:
        return 1 - 2 * case.weights.astype(np.int64)
    if case.is_sparse:
        return case.weights.astype(np.int64)
    if case.is_vector:
        tables = np.arange(case.weights.shape[1]) % len(case.codebook)
        found = case.codebook.astype(np.int64)[tables, :, case.weights]
        return found.reshape(len(case.weights), -1)
    if case.numbers is not None:
        groups = np.arange(case.weights.shape[1]) >> case.options.get("group_bits", 16)
        return case.codebook.astype(np.int64)[case.numbers[:, groups], case.weights]
    return case.codebook.astype(np.int64)[case.weights]


def axis(case: Case, name: str, size: int) -> tuple[int, int, int]:
    """Returns output size, padding before and padding after of the axis "height" or "width"."""
    kernel = case.options[f"kernel_{name}"]
    stride, dilation = case.options[f"stride_{name}"], case.options[f"dilation_{name}"]
    extent = (kernel - 1) * dilation + 1
    if case.options["padding"] == 1:
        return (size - extent) // stride + 1, 0, 0
    out = -(-size // stride)
    total = max((out - 1) * stride + extent - size, 0)
    return out, total // 2, total - total // 2


def windows(case: Case) -> np.ndarray:
    """Sums of a convolution, int64 [N, OH, OW, Cout]."""
    x = centered(case)
    _, height, width, channels = x.shape
    out_height, top, bottom = axis(case, "height", height)
    out_width, left, right = axis(case, "width", width)
    outside = case.options.get("pad_value", 0)
    edges = ((0, 0), (top, bottom), (left, right), (0, 0))
    padded = np.pad(x, edges, constant_values=outside)
    kernel_height, kernel_width = case.options["kernel_height"], case.options["kernel_width"]
    weights = values(case)
    sums = 0
    for ky in range(kernel_height):
        for kx in range(kernel_width):
            y = ky * case.options["dilation_height"]
            x = kx * case.options["dilation_width"]
            step_y, step_x = case.options["stride_height"], case.options["stride_width"]
            seen = padded[:, y:, x:][:, ::step_y, ::step_x][:, :out_height, :out_width]
            tap = ky * kernel_width + kx
            if case.operator == "EdgeaxDepthwiseConv2D":
                repeated = np.repeat(seen, case.options["depth_multiplier"], axis=-1)
                sums = sums + repeated * weights[tap]
            else:
                sums = sums + grouped(seen, weights, tap, case.options["groups"], channels)
    return sums


def grouped(
    seen: np.ndarray, weights: np.ndarray, tap: int, groups: int, channels: int
) -> np.ndarray:
    """Products of one tap, [..., Cin] times its weights of every output channel."""
    depth, outputs = channels // groups, len(weights) // groups
    parts = []
    for group in range(groups):
        rows = weights[group * outputs : (group + 1) * outputs, tap * depth : (tap + 1) * depth]
        parts.append(seen[..., group * depth : (group + 1) * depth] @ rows.T)
    return np.concatenate(parts, axis=-1)


def finish(case: Case, sums: np.ndarray) -> np.ndarray:
    """Bias, requantization, zero point and clamp; the last axis are channels."""
    total = sums.astype(np.int64) * (4096 if case.is_binary else 1) + case.bias
    if case.is_binary and case.options["output_packed"]:
        bits = total * np.sign(case.scale) < 0
        return np.packbits(bits, axis=-1, bitorder="little").view(np.int8)
    if not case.is_int16:
        total = (total + 2**31) % 2**32 - 2**31
    input_scale = 1 / 4096 if case.is_binary else float(np.float32(case.input_scale))
    if case.points is not None:
        input_scale = 1.0
    ratios = [
        input_scale * float(scale) / float(np.float32(case.output_scale)) for scale in case.scale
    ]
    scaled = requantize_int16 if case.is_int16 else requantize
    columns = [
        scaled(total[..., c], *quantize_multiplier(ratio), case.kind)
        for c, ratio in enumerate(ratios)
    ]
    codes = np.stack(columns, axis=-1) + case.output_zero_point
    low, high = case.options["output_min"], case.options["output_max"]
    return np.clip(codes, low, high).astype(case.input.dtype)


def quantize_multiplier(ratio: float) -> tuple[int, int]:
    """TFLite's QuantizeMultiplier for a ratio of either sign."""
    mantissa, shift = math.frexp(abs(ratio))
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    if multiplier == 0 or shift < -31:
        return 0, 0
    if shift > 30:
        multiplier, shift = 2**31 - 1, 30
    return (multiplier if ratio > 0 else -multiplier), shift


def requantize(sums: np.ndarray, multiplier: int, shift: int, kind: str) -> np.ndarray:
    """int64 sums of int32 range times a factor, clamped to int32."""
    if kind == "single":
        right = 31 - shift
        scaled = (sums * multiplier + (1 << (right - 1))) >> right
        return np.clip(scaled, INT32.min, INT32.max)
    shifted = np.clip(sums << max(shift, 0), INT32.min, INT32.max)
    product = shifted * multiplier
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    # Division that truncates, as C++ divides.
    high = np.clip(np.sign(nudged) * (np.abs(nudged) >> 31), INT32.min, INT32.max)
    right = max(-shift, 0)
    half = (1 << right) >> 1  # half away from zero
    return np.where(high >= 0, (high + half) >> right, -((-high + half) >> right))


def requantize_int16(sums: np.ndarray, multiplier: int, shift: int, kind: str) -> np.ndarray:
    """int64 sums times a factor, whose multiplier is rounded to 15 bits for the kind "double",
    clamped to int32; in Python's integers.
    """
    if kind == "double":
        reduced = min((abs(multiplier) + 2**15) // 2**16, 0x7FFF) * 2**16
        multiplier = reduced if multiplier > 0 else -reduced
    products = [int(total) * multiplier * 2 ** (shift + 32) for total in sums.ravel()]
    rounded = [(product + 2**62) // 2**63 for product in products]
    clipped = [min(max(number, INT32.min), INT32.max) for number in rounded]
    return np.int64(clipped).reshape(sums.shape)

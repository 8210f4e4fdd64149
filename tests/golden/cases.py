"""Golden vectors that Python and C++ both read, computed by exact Python integers and fractions.

This is the independent oracle: it imports neither edgeax nor numpy, works on one number at a time
and follows the definitions (TFLite's QuantizeMultiplier and padding, gemmlowp's two roundings, the
table of custom operators) literally. `python -m tests.golden.cases` writes the JSON files beside
it; a test fails when they are stale.

`rounding.json`: `{"quantize_multiplier": [[ratio, multiplier, shift]], "requantize": [{"kind",
"multiplier", "shift", "acc", "out"}]}`. `packing.json`: `{"pack": [{"bits", "signed", "codes",
"packed"}]}`, one row each. `operators.json`: a list of cases; weights_index holds the unpacked rows
as the operator stores them, shape `[rows, codes in a row]`. `sparse.json`: the same for sparse
operators; weights holds the rows with their zeros, `[rows, weights in a row]`, and values and
indices what the file holds of them. `binary.json`: weights_index holds bits, and input and output
bytes of bits, as int8, where they are packed. `vector.json`: weights_index holds for each output
channel the index of each of its sub-vectors, `[channels, places]`, and codebook the numbers of
codebook_shape, `[tables, length, entries]`. Real numbers are hex strings. `coded.json`: see
coded_cases.py; `float.json`: float_cases.py; `grouped.json`: grouped_cases.py; `lookup.json`:
lookup_cases.py; `int16.json`: int16_cases.py; `sign_sum.json`: sign_sum_cases.py. Those of
gradients are in no file: gradient_cases.py.
"""

import itertools
import json
import math
import random
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
KINDS = ("single", "double")
OPERATOR_FILES = (
    "operators.json",
    "sparse.json",
    "binary.json",
    "vector.json",
    "grouped.json",
    "lookup.json",
)
INDEX_BLOCK = 128  # output channels whose indices of sub-vectors lie together


# Arithmetic, by definition.


def round_half_away(x: Fraction) -> int:
    """std::round."""
    magnitude = math.floor(abs(x) + Fraction(1, 2))
    return magnitude if x >= 0 else -magnitude


def clamp(x: int, low: int, high: int) -> int:
    return max(low, min(high, x))


def wrap_int32(x: int) -> int:
    """What two's-complement addition leaves of an exact sum."""
    return (x + 2**31) % 2**32 - 2**31


def quantize_multiplier(ratio: float) -> tuple[int, int]:
    """TFLite's QuantizeMultiplier; negative ratios keep their sign in the multiplier."""
    if ratio == 0:
        return 0, 0
    exact, shift = Fraction(ratio), 0
    while abs(exact) >= 1:
        exact, shift = exact / 2, shift + 1
    while abs(exact) < Fraction(1, 2):
        exact, shift = exact * 2, shift - 1
    multiplier = round_half_away(exact * 2**31)
    if abs(multiplier) == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        return (INT32_MAX if multiplier > 0 else -INT32_MAX), 30
    return multiplier, shift


def requantize(acc: int, multiplier: int, shift: int, kind: str) -> int:
    if kind == "single":
        exact = Fraction(acc * multiplier, 2 ** (31 - shift))
        return clamp(math.floor(exact + Fraction(1, 2)), INT32_MIN, INT32_MAX)
    # gemmlowp's SaturatingRoundingDoublingHighMul: its division truncates.
    left = clamp(acc * 2 ** max(shift, 0), INT32_MIN, INT32_MAX)
    product = left * multiplier
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    high = clamp(math.trunc(Fraction(nudged, 2**31)), INT32_MIN, INT32_MAX)
    # gemmlowp's RoundingDivideByPOT.
    return round_half_away(Fraction(high, 2 ** max(-shift, 0)))


def float32(x: float) -> float:
    """The float32 nearest to x."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def pack(codes: list[int], bits: int) -> list[int]:
    """First code in the lowest bits: a row is one little-endian integer."""
    row = sum((code % 2**bits) << (bits * i) for i, code in enumerate(codes))
    return list(row.to_bytes(-(-len(codes) * bits // 8), "little"))


def store(rows: list[list[int]], block: int, places: int) -> tuple[list[int], list[int]]:
    """Returns the blocks of the rows that are not zero, and the bytes that say where they stood.

    Args:
        rows: Rows of weights.
        block: Weights in a block.
        places: 0 a bit mask, 1 or 2 how many blocks are left out before each, in 4 or 8 bits.
    """
    values, indices = [], []
    for row in rows:
        filled = row + [0] * (-len(row) % block)
        blocks = [filled[i : i + block] for i in range(0, len(filled), block)]
        values += [value for one in blocks if any(one) for value in one]
        if places == 0:
            indices += pack([int(any(one)) for one in blocks], 1)
            continue
        bits = (4, 8)[places - 1]
        most = 2**bits - 1  # no block, but that many left out
        entries, left_out = [], 0
        for one in blocks:
            if any(one):
                entries += [most] * (left_out // most) + [left_out % most]
                left_out = 0
            else:
                left_out += 1
        entries += [most] * -(-left_out // most)
        indices += pack(entries, bits)
    return values, indices


# Operators, by definition. A case holds real numbers as hex strings.


def weight_rows(case: dict[str, Any]) -> tuple[list[int], int]:
    """Returns the weights, row after row as the operator stores them, and how many a row has."""
    if "Binary" in case["operator"]:
        index = case["weights_index"]
        return [1 - 2 * bit for bit in index["data"]], index["shape"][1]
    if "weights" in case:
        return case["weights"]["data"], case["weights"]["shape"][1]
    if "numbers" in case:
        from tests.golden import grouped_cases  # which imports this module

        return grouped_cases.weights(case)
    index = case["weights_index"]
    if "codebook_shape" in case:
        tables, length, entries = case["codebook_shape"]
        places = index["shape"][1]
        weights = [
            case["codebook"][(at % places % tables * length + i) * entries + code]
            for at, code in enumerate(index["data"])
            for i in range(length)
        ]
        return weights, places * length
    return [case["codebook"][code] for code in index["data"]], index["shape"][1]


def pack_indices(indices: list[int], places: int, entries: int) -> list[int]:
    """Of each 128 channels, for each place of a sub-vector, the indices of all of them."""
    rows = [indices[at : at + places] for at in range(0, len(indices), places)]
    packed = []
    for start in range(0, len(rows), INDEX_BLOCK):
        block = rows[start : start + INDEX_BLOCK]
        for place in range(places):
            packed += pack([row[place] for row in block], 4 if entries <= 16 else 8)
    return packed


def taps(case: dict[str, Any], axis: int, size: int) -> tuple[int, int, int, int]:
    """Returns output size, padding before, stride and dilation along axis 0 (height) or 1."""
    options, name = case["options"], ("height", "width")[axis]
    stride, dilation = options[f"stride_{name}"], options[f"dilation_{name}"]
    extent = (options[f"kernel_{name}"] - 1) * dilation + 1
    if options["padding"] == 0:
        out = -(-size // stride)
        return out, max((out - 1) * stride + extent - size, 0) // 2, stride, dilation
    return -(-(size - extent + 1) // stride), 0, stride, dilation


def numbers(case: dict[str, Any]) -> tuple[list[int], int]:
    """Returns the input less its zero point, +1 and -1 if binary, its points if it has some, and
    how many make a pixel.
    """
    data, last = case["input"]["data"], case["input"]["shape"][-1]
    zero = case["input"]["zero_point"]
    if "points" in case:
        return [case["points"][code + 128] for code in data], last
    if "Binary" not in case["operator"]:
        return [code - zero for code in data], last
    if not case["options"]["input_packed"]:
        return [1 if code >= zero else -1 for code in data], last
    count = case["options"]["input_channels"]
    rows = [data[at : at + last] for at in range(0, len(data), last)]
    return [1 - 2 * (row[i // 8] >> i % 8 & 1) for row in rows for i in range(count)], count


def pack_output(case: dict[str, Any]) -> None:
    """Packs the bits that are the data of an output, if so wanted, to bytes as int8."""
    if not case["options"].get("output_packed"):
        return
    out, count = case["output"], len(case["bias"])
    rows = [out["data"][at : at + count] for at in range(0, len(out["data"]), count)]
    out["data"] = [byte - 256 * (byte > 127) for row in rows for byte in pack(row, 1)]
    out["shape"] = [*out["shape"][:-1], -(-count // 8)]


def finish(case: dict[str, Any], acc: int, channel: int) -> int:
    """Bias, requantization, zero point and clamp of one output; the bit of a packed one."""
    scales = (case["input"]["scale"], case["scale"][channel], case["output"]["scale"])
    into, weight, out = (Fraction(float.fromhex(scale)) for scale in scales)
    if "Binary" in case["operator"]:
        into, acc = Fraction(1, 4096), 4096 * acc
        if case["options"]["output_packed"]:
            return int((case["bias"][channel] + acc) * weight < 0)
    multiplier, shift = quantize_multiplier(float(into * weight / out))
    total = case["bias"][channel] + acc
    if case["input"].get("type") == "int16":
        from tests.golden import int16_cases  # which imports this module

        code = int16_cases.requantize(total, multiplier, shift, case["rounding"])
        return clamp(code, case["options"]["output_min"], case["options"]["output_max"])
    total = wrap_int32(total)
    code = case["output"]["zero_point"] + requantize(total, multiplier, shift, case["rounding"])
    return clamp(code, case["options"]["output_min"], case["options"]["output_max"])


def convolve(case: dict[str, Any]) -> None:
    """Fills in shape and data of the output of a convolution's case."""
    depthwise = case["operator"] == "EdgeaxDepthwiseConv2D"
    options = case["options"]
    batch, height, width, _ = case["input"]["shape"]
    inputs, channels = numbers(case)
    kernel_height, kernel_width = options["kernel_height"], options["kernel_width"]
    outputs = len(case["bias"])
    out_height, top, stride_y, dilation_y = taps(case, 0, height)
    out_width, left, stride_x, dilation_x = taps(case, 1, width)
    weights, row = weight_rows(case)

    def x_at(n: int, y: int, x: int, channel: int) -> int:
        if not (0 <= y < height and 0 <= x < width):
            return options.get("pad_value", 0)
        return inputs[((n * height + y) * width + x) * channels + channel]

    def weight_at(channel: int, tap: int, i: int, depth: int) -> int:
        return weights[tap * row + channel if depthwise else channel * row + tap * depth + i]

    def value(n: int, y: int, x: int, channel: int) -> int:
        if depthwise:
            first, depth = channel // options["depth_multiplier"], 1
        else:
            depth = channels // options["groups"]
            first = channel // (outputs // options["groups"]) * depth
        acc = 0
        for ky, kx in itertools.product(range(kernel_height), range(kernel_width)):
            for i in range(depth):
                iy = y * stride_y - top + ky * dilation_y
                ix = x * stride_x - left + kx * dilation_x
                weight = weight_at(channel, ky * kernel_width + kx, i, depth)
                acc += x_at(n, iy, ix, first + i) * weight
        return finish(case, acc, channel)

    shape = [batch, out_height, out_width, outputs]
    case["output"]["shape"] = shape
    case["output"]["data"] = [value(*at) for at in itertools.product(*map(range, shape))]
    pack_output(case)


def multiply(case: dict[str, Any]) -> None:
    """Fills in shape and data of the output of a fully connected case."""
    outputs = len(case["bias"])
    weights, depth = weight_rows(case)
    codes, _ = numbers(case)
    rows = len(codes) // depth
    keep = case["options"]["keep_num_dims"]
    case["output"]["shape"] = [*(case["input"]["shape"][:-1] if keep else [rows]), outputs]
    case["output"]["data"] = [
        finish(
            case,
            sum(codes[r * depth + k] * weights[c * depth + k] for k in range(depth)),
            c,
        )
        for r in range(rows)
        for c in range(outputs)
    ]
    pack_output(case)


# Cases.


def rounding() -> dict[str, Any]:
    just_below = [math.nextafter(2.0**e, 0.0) for e in (-32, -31, 0, 1, 29, 30)]
    powers = [2.0**e for e in (-1074, -1022, -33, -32, -31, -8, -1, 0, 1, 29, 30, 31, 1023)]
    # A mantissa that ends in half a unit: 2**30 + 1/2 and 2**31 - 1/2 units.
    halves = [(2**31 + 1) / 2**32, (2**32 - 1) / 2**32, (2**31 + 3) / 2**40]
    source = random.Random(1)
    common = [0.75, 1 / 3, 0.1, 1e-4, 1e300, *(source.uniform(1e-5, 2) for _ in range(20))]
    magnitudes = [0.0, *powers, *just_below, *halves, *common]
    ratios = [sign * x for x in magnitudes for sign in (1.0, -1.0)]
    return {
        "quantize_multiplier": [[ratio.hex(), *quantize_multiplier(ratio)] for ratio in ratios],
        "requantize": list(requantize_cases(source)),
    }


def requantize_cases(source: random.Random) -> Iterator[dict[str, Any]]:
    ends = [INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX]
    factors = [0x40000000, 0x40000001, 0x60000000, 0x7FFFFFFF, source.randrange(2**30, 2**31)]
    shifts = (-31, -30, -15, -7, -1, 0, 1, 8, 30)
    for kind, factor, shift, sign in itertools.product(KINDS, factors, shifts, (1, -1)):
        # With the factor 2**30 these are ties; one more and one less lie beside them.
        half = 2 ** min(max(-shift, 0), 28)
        ties = [odd * half + beside for odd in (1, 3, -1, -3) for beside in (-1, 0, 1)]
        wide = [source.randrange(INT32_MIN, INT32_MAX) for _ in range(3)]
        acc = [*ends, *ties, *wide]
        out = [requantize(x, sign * factor, shift, kind) for x in acc]
        yield {"kind": kind, "multiplier": sign * factor, "shift": shift, "acc": acc, "out": out}
    for kind in KINDS:
        yield {"kind": kind, "multiplier": 0, "shift": 0, "acc": ends, "out": [0] * len(ends)}


def packing() -> dict[str, Any]:
    source = random.Random(2)
    cases = []
    for bits, signed in itertools.product((1, 2, 4, 8), (True, False)):
        low = -(2 ** (bits - 1)) if signed else 0
        every = list(range(low, low + 2**bits))
        for length in (0, 1, 2, 3, 7, 8, 9, 33):
            codes = [source.choice(every) for _ in range(length)]
            cases.append({"bits": bits, "signed": signed, "codes": codes})
        cases.append({"bits": bits, "signed": signed, "codes": every})
    return {"pack": [{**case, "packed": pack(case["codes"], case["bits"])} for case in cases]}


WINDOW = {
    "kernel_height": 3,
    "kernel_width": 3,
    "stride_height": 1,
    "stride_width": 1,
    "dilation_height": 1,
    "dilation_width": 1,
    "padding": 0,
}
KERNEL_1X1 = {"kernel_height": 1, "kernel_width": 1}
KERNEL_2X3 = {"kernel_height": 2, "kernel_width": 3}
STRIDE_2 = {"stride_height": 2, "stride_width": 2}
STRIDE_2X1 = {"stride_height": 2, "stride_width": 1}
STRIDE_3X2 = {"stride_height": 3, "stride_width": 2}
DILATION_2 = {"dilation_height": 2, "dilation_width": 2}
DILATION_1X3 = {"dilation_height": 1, "dilation_width": 3}
VALID = {"padding": 1}

# name, input shape, output channels, options that differ, `draw` arguments
CONV2D: list[tuple[str, list[int], int, dict[str, int], dict[str, Any]]] = [
    ("pointwise", [1, 3, 4, 5], 3, KERNEL_1X1, {}),
    ("same", [1, 5, 4, 3], 4, {}, {}),
    ("valid", [1, 5, 6, 2], 3, VALID, {}),
    ("same_stride_2_even", [1, 6, 4, 2], 3, STRIDE_2, {}),
    ("same_stride_2_odd", [1, 5, 7, 1], 2, STRIDE_2, {}),
    ("valid_stride_3x2", [2, 7, 6, 2], 2, VALID | STRIDE_3X2 | KERNEL_2X3, {}),
    ("kernel_2x3_same", [1, 4, 5, 2], 3, KERNEL_2X3 | STRIDE_2X1, {}),
    ("same_dilation_2", [1, 5, 6, 1], 2, DILATION_2, {}),
    ("valid_dilation_1x3", [1, 3, 9, 2], 2, VALID | DILATION_1X3, {}),
    ("same_stride_and_dilation", [1, 7, 6, 1], 2, STRIDE_2 | DILATION_2, {}),
    ("kernel_larger_than_input", [1, 2, 1, 3], 2, {"kernel_height": 5, "kernel_width": 4}, {}),
    ("one_number", [1, 1, 1, 1], 1, KERNEL_1X1, {}),
    ("groups_2", [1, 4, 4, 6], 4, {"groups": 2}, {}),
    ("groups_all_odd_depth", [1, 3, 4, 5], 10, VALID | {"groups": 5}, {}),
    ("many_channels", [1, 2, 3, 19], 35, KERNEL_1X1, {}),
    ("deep_row", [1, 3, 3, 37], 2, VALID, {}),
    ("zero_point_low", [1, 4, 3, 2], 3, {}, {"zero_in": -128, "zero_out": 127}),
    ("zero_point_high", [1, 4, 3, 2], 3, {}, {"zero_in": 127, "zero_out": -128}),
    ("extreme_codes", [1, 3, 3, 4], 4, {}, {"extremes": True, "zero_in": 127, "spread": 40.0}),
    ("ties", [1, 4, 4, 3], 6, {}, {"ties": True}),
    ("scale_zero", [1, 3, 3, 2], 4, {}, {"scale_zero": True}),
    ("relu", [1, 4, 4, 2], 3, {"output_min": -11}, {"zero_out": -11}),
    ("relu6", [1, 4, 4, 2], 3, {"output_min": -100, "output_max": 42}, {"zero_out": -100}),
    ("constant_output", [1, 2, 2, 2], 2, {"output_min": 5, "output_max": 5}, {}),
    ("bias_wraps", [1, 3, 3, 2], 4, {}, {"bias_wraps": True}),
    ("ratio_above_one", [1, 3, 3, 2], 4, {}, {"spread": 25000.0}),
    ("ratio_vanishes", [1, 3, 3, 2], 4, {}, {"spread": 1e-9}),
    ("codes_of_2_bits", [1, 4, 3, 3], 5, {}, {"entries": 4}),
    ("codes_of_2_bits_groups", [1, 3, 4, 6], 4, VALID | {"groups": 2}, {"entries": 4}),
    ("codes_of_1_bit", [1, 4, 3, 3], 5, {}, {"entries": 2}),
    ("codes_of_1_bit_extreme", [1, 2, 3, 19], 3, KERNEL_1X1, {"entries": 2, "extremes": True}),
]
DEPTHWISE: list[tuple[str, list[int], int, dict[str, int], dict[str, Any]]] = [
    ("same", [1, 5, 4, 5], 1, {}, {}),
    ("valid", [1, 5, 6, 3], 1, VALID, {}),
    ("multiplier_2", [1, 4, 5, 3], 2, {}, {}),
    ("multiplier_3_odd_row", [1, 4, 3, 1], 3, VALID, {}),
    ("same_stride_2_even", [1, 6, 4, 4], 1, STRIDE_2, {}),
    ("same_stride_2_odd", [2, 5, 3, 3], 1, STRIDE_2, {}),
    ("valid_stride_3x2", [1, 7, 6, 2], 2, VALID | STRIDE_3X2 | KERNEL_2X3, {}),
    ("same_dilation_2", [1, 5, 6, 2], 1, DILATION_2, {}),
    ("valid_dilation_1x3", [1, 3, 9, 2], 2, VALID | DILATION_1X3, {}),
    ("kernel_larger_than_input", [1, 2, 1, 3], 1, {"kernel_height": 5, "kernel_width": 4}, {}),
    ("pointwise", [1, 2, 3, 7], 1, KERNEL_1X1, {}),
    ("many_channels", [1, 3, 3, 37], 1, VALID, {}),
    ("zero_point_low", [1, 4, 3, 3], 1, {}, {"zero_in": -128, "zero_out": 127}),
    ("zero_point_high", [1, 4, 3, 3], 2, {}, {"zero_in": 127, "zero_out": -128}),
    ("extreme_codes", [1, 3, 3, 5], 1, {}, {"extremes": True, "zero_in": 127, "spread": 40.0}),
    ("ties", [1, 4, 4, 6], 1, {}, {"ties": True}),
    ("relu6", [1, 4, 4, 3], 1, {"output_min": -100, "output_max": 42}, {"zero_out": -100}),
    ("bias_wraps", [1, 3, 3, 4], 1, {}, {"bias_wraps": True}),
    ("codes_of_2_bits", [1, 3, 3, 7], 1, {}, {"entries": 4}),
    ("codes_of_2_bits_many_channels", [1, 2, 2, 21], 1, KERNEL_1X1, {"entries": 4}),
    ("codes_of_1_bit", [1, 3, 3, 5], 2, VALID, {"entries": 2}),
]
FULLY_CONNECTED: list[tuple[str, list[int], int, dict[str, int], dict[str, Any]]] = [
    ("one_number", [1, 1], 1, {}, {}),
    ("odd_depth", [3, 7], 5, {}, {}),
    ("even_depth", [2, 16], 4, {}, {}),
    ("long_row", [1, 131], 3, {}, {}),
    ("many_outputs", [2, 9], 37, {}, {}),
    ("rows_flattened", [2, 3, 5], 4, {}, {}),
    ("rows_kept", [2, 3, 5], 4, {"keep_num_dims": 1}, {}),
    ("four_axes_kept", [1, 2, 1, 6], 3, {"keep_num_dims": 1}, {}),
    ("zero_point_low", [2, 9], 4, {}, {"zero_in": -128, "zero_out": 127}),
    ("zero_point_high", [2, 9], 4, {}, {"zero_in": 127, "zero_out": -128}),
    ("extreme_codes", [2, 33], 4, {}, {"extremes": True, "zero_in": 127, "spread": 40.0}),
    ("ties", [8, 8], 6, {}, {"ties": True}),
    ("scale_zero", [2, 9], 4, {}, {"scale_zero": True}),
    ("relu", [4, 9], 4, {"output_min": -11}, {"zero_out": -11}),
    ("bias_wraps", [2, 9], 4, {}, {"bias_wraps": True}),
    ("codes_of_2_bits", [2, 35], 5, {}, {"entries": 4}),
    ("codes_of_2_bits_long_row", [1, 131], 2, {}, {"entries": 4, "extremes": True}),
    ("codes_of_1_bit", [2, 37], 5, {}, {"entries": 2}),
    ("codes_of_1_bit_long_row", [1, 263], 2, {}, {"entries": 2}),
]

# name, input shape, output channels, options that differ, what is left of the weights, `draw`
# arguments. Left: a part of the blocks, as many weights of so many, or the places in a row.
Left = float | tuple[int, int] | list[int]
MASK, FOUR_BITS, EIGHT_BITS = ({"places": places} for places in range(3))
BLOCK_2, BLOCK_4, BLOCK_8, BLOCK_16 = ({"block": block} for block in (2, 4, 8, 16))
SPARSE_CONV2D: list[tuple[str, list[int], int, dict[str, int], Left, dict[str, Any]]] = [
    ("pointwise", [1, 3, 4, 5], 3, KERNEL_1X1, 0.4, {}),
    ("same", [1, 5, 4, 3], 4, FOUR_BITS, 0.25, {}),
    ("valid_blocks_across_taps", [1, 5, 6, 3], 3, VALID | BLOCK_4 | FOUR_BITS, 0.4, {}),
    ("same_blocks_of_2", [1, 4, 5, 5], 3, BLOCK_2 | EIGHT_BITS, 0.3, {}),
    ("same_blocks_of_4", [1, 5, 4, 4], 5, BLOCK_4, 0.3, {}),
    ("same_blocks_of_8", [1, 3, 4, 8], 2, BLOCK_8 | EIGHT_BITS, 0.3, {}),
    ("valid_blocks_of_16", [1, 3, 4, 17], 2, VALID | BLOCK_16 | FOUR_BITS, 0.3, {}),
    ("two_of_four", [1, 3, 3, 8], 4, {}, (2, 4), {}),
    ("one_of_four", [1, 2, 4, 16], 18, KERNEL_1X1, (1, 4), {}),
    ("same_stride_2_even", [1, 6, 4, 2], 3, STRIDE_2, 0.5, {}),
    ("valid_stride_3x2", [2, 7, 6, 2], 2, VALID | STRIDE_3X2 | KERNEL_2X3 | BLOCK_2, 0.5, {}),
    ("same_dilation_2", [1, 5, 6, 3], 2, DILATION_2 | BLOCK_4 | EIGHT_BITS, 0.5, {}),
    ("kernel_larger_than_input", [1, 2, 1, 3], 2, {"kernel_height": 5, "kernel_width": 4}, 0.3, {}),
    ("one_number", [1, 1, 1, 1], 1, KERNEL_1X1, 1.0, {}),
    ("groups_2", [1, 4, 4, 6], 4, {"groups": 2} | BLOCK_2, 0.4, {}),
    ("groups_all_odd_depth", [1, 3, 4, 5], 10, VALID | FOUR_BITS | {"groups": 5}, 0.3, {}),
    ("many_pixels", [1, 6, 7, 4], 3, KERNEL_1X1 | BLOCK_4, 0.5, {}),
    ("nothing_left", [1, 3, 3, 2], 3, EIGHT_BITS, 0.0, {}),
    ("everything_left", [1, 3, 3, 4], 3, BLOCK_4 | FOUR_BITS, 1.0, {}),
    ("zero_point_low", [1, 4, 3, 2], 3, BLOCK_4, 0.5, {"zero_in": -128, "zero_out": 127}),
    ("zero_point_high", [1, 4, 3, 2], 3, BLOCK_8, 0.5, {"zero_in": 127, "zero_out": -128}),
    ("extreme_codes", [1, 3, 3, 4], 4, {}, 0.6, {"extremes": True, "zero_in": 127, "spread": 40.0}),
    ("ties", [1, 4, 4, 3], 6, {}, 0.5, {"ties": True}),
    ("scale_zero", [1, 3, 3, 2], 4, {}, 0.5, {"scale_zero": True}),
    ("relu6", [1, 4, 4, 2], 3, {"output_min": -100, "output_max": 42}, 0.5, {"zero_out": -100}),
    ("bias_wraps", [1, 3, 3, 2], 4, {}, 0.5, {"bias_wraps": True}),
]
SPARSE_FULLY_CONNECTED: list[tuple[str, list[int], int, dict[str, int], Left, dict[str, Any]]] = [
    ("one_number", [1, 1], 1, {}, 1.0, {}),
    ("odd_depth", [3, 7], 5, {}, 0.4, {}),
    ("blocks_of_2", [1, 21], 4, BLOCK_2 | FOUR_BITS, 0.3, {}),
    ("blocks_of_4", [2, 33], 5, BLOCK_4 | EIGHT_BITS, 0.3, {}),
    ("blocks_of_8", [1, 44], 3, BLOCK_8, 0.4, {}),
    ("blocks_of_16", [1, 70], 3, BLOCK_16 | FOUR_BITS, 0.5, {}),
    ("two_of_four", [2, 24], 5, {}, (2, 4), {}),
    ("one_of_four", [1, 40], 6, FOUR_BITS, (1, 4), {}),
    ("four_of_sixteen", [1, 48], 19, {}, (4, 16), {}),
    # Gaps of 15 and 255 and one beside them, at the start, in between and at the end of a row.
    ("gaps_in_a_mask", [1, 131], 2, MASK, [0, 63, 64, 65, 127, 128, 130], {}),
    ("gaps_in_4_bits", [1, 95], 2, FOUR_BITS, [14, 30, 47, 48, 79], {}),
    ("gaps_of_15_at_both_ends", [1, 32], 2, FOUR_BITS, [15, 16], {}),
    ("gaps_in_8_bits", [1, 771], 1, EIGHT_BITS, [254, 510, 511], {}),
    ("rows_flattened", [2, 3, 5], 4, BLOCK_2, 0.5, {}),
    ("rows_kept", [2, 3, 5], 4, FOUR_BITS | {"keep_num_dims": 1}, 0.5, {}),
    ("many_rows", [33, 9], 3, BLOCK_4, 0.5, {}),
    ("nothing_left", [2, 9], 4, {}, 0.0, {}),
    ("zero_point_low", [2, 9], 4, BLOCK_4, 0.6, {"zero_in": -128, "zero_out": 127}),
    ("zero_point_high", [2, 9], 4, {}, 0.6, {"zero_in": 127, "zero_out": -128}),
    ("extreme_codes", [2, 33], 4, {}, 0.6, {"extremes": True, "zero_in": 127, "spread": 40.0}),
    ("ties", [8, 8], 6, {}, 0.6, {"ties": True}),
    ("relu", [4, 9], 4, {"output_min": -11}, 0.5, {"zero_out": -11}),
    ("bias_wraps", [2, 9], 4, {}, 0.5, {"bias_wraps": True}),
]


# name, input shape in numbers, output channels, options that differ, `draw` arguments
IN_BITS, OUT_BITS, PAD_ONE = {"input_packed": 1}, {"output_packed": 1}, {"pad_value": 1}
BINARY_CONV2D: list[tuple[str, list[int], int, dict[str, int], dict[str, Any]]] = [
    ("pointwise", [1, 3, 4, 5], 3, KERNEL_1X1, {}),
    ("same", [1, 4, 3, 3], 4, {}, {}),
    ("same_pad_one", [1, 4, 3, 3], 4, PAD_ONE, {}),
    ("same_bits_in", [1, 3, 4, 11], 3, IN_BITS, {}),
    ("same_bits_out", [1, 3, 4, 2], 11, OUT_BITS, {}),
    ("same_bits_in_and_out", [1, 3, 3, 8], 8, IN_BITS | OUT_BITS | PAD_ONE, {}),
    ("valid", [1, 4, 5, 9], 3, VALID, {}),
    ("same_stride_2", [1, 5, 6, 2], 3, STRIDE_2, {}),
    ("valid_stride_3x2", [2, 7, 6, 2], 2, VALID | STRIDE_3X2 | KERNEL_2X3, {}),
    ("same_dilation_2", [1, 4, 5, 3], 2, DILATION_2, {}),
    ("kernel_larger_than_input", [1, 2, 1, 3], 2, {"kernel_height": 5, "kernel_width": 4}, {}),
    ("one_number", [1, 1, 1, 1], 1, KERNEL_1X1, {}),
    ("groups_2", [1, 3, 3, 6], 4, {"groups": 2}, {}),
    ("groups_3_bits_in_and_out", [1, 3, 3, 9], 15, {"groups": 3} | IN_BITS | OUT_BITS, {}),
    ("deep_row", [1, 3, 3, 70], 2, VALID, {}),
    ("many_channels", [1, 1, 2, 64], 35, KERNEL_1X1 | IN_BITS, {}),
    ("zero_point_low", [1, 3, 3, 2], 3, {}, {"zero_in": -128, "zero_out": 127}),
    ("zero_point_high", [1, 3, 3, 2], 3, {}, {"zero_in": 127, "zero_out": -128}),
    ("ties", [1, 3, 3, 3], 6, {}, {"ties": True}),
    ("scale_zero", [1, 2, 2, 2], 4, {}, {"scale_zero": True}),
    ("scale_zero_bits_out", [1, 2, 2, 2], 4, OUT_BITS, {"scale_zero": True}),
    ("relu6", [1, 3, 3, 2], 3, {"output_min": -100, "output_max": 42}, {"zero_out": -100}),
]
BINARY_FULLY_CONNECTED: list[tuple[str, list[int], int, dict[str, int], dict[str, Any]]] = [
    ("one_number", [1, 1], 1, {}, {}),
    ("odd_depth", [3, 7], 5, {}, {}),
    ("bits_in", [2, 21], 4, IN_BITS, {}),
    ("bits_out", [2, 16], 9, OUT_BITS, {}),
    ("long_row", [1, 131], 3, {}, {}),
    ("many_outputs", [2, 9], 37, IN_BITS | OUT_BITS, {}),
    ("rows_flattened", [2, 3, 5], 4, {}, {}),
    ("rows_kept", [2, 3, 5], 9, OUT_BITS | {"keep_num_dims": 1}, {}),
    ("ties", [4, 9], 6, {}, {"ties": True}),
    ("relu", [4, 9], 4, {"output_min": -11}, {"zero_out": -11}),
]

# name, input shape, output channels, options that differ, tables, length and entries, `draw`
# arguments
Format = tuple[int, int, int]
VECTOR_CONV2D: list[tuple[str, list[int], int, dict[str, int], Format, dict[str, Any]]] = [
    ("pointwise", [1, 3, 4, 6], 3, KERNEL_1X1, (1, 3, 16), {}),
    ("same_table_of_each_place", [1, 4, 3, 2], 5, {}, (9, 2, 4), {}),
    ("same_tables_of_inputs", [1, 3, 4, 8], 3, {}, (2, 4, 16), {}),
    ("valid_across_taps", [1, 4, 5, 2], 3, VALID, (1, 6, 7), {}),
    ("same_stride_2", [1, 5, 6, 2], 3, STRIDE_2, (1, 2, 16), {}),
    ("valid_stride_3x2", [2, 7, 6, 2], 2, VALID | STRIDE_3X2 | KERNEL_2X3, (3, 4, 5), {}),
    ("same_dilation_2", [1, 5, 6, 1], 2, DILATION_2, (1, 9, 3), {}),
    ("groups_2", [1, 3, 3, 8], 6, {"groups": 2}, (2, 2, 16), {}),
    ("groups_3_of_odd_size", [1, 3, 3, 6], 9, {"groups": 3}, (1, 2, 16), {}),
    ("many_entries", [1, 3, 3, 4], 5, {}, (1, 4, 40), {}),
    ("all_entries", [1, 2, 2, 4], 3, KERNEL_1X1, (1, 2, 256), {}),
    ("many_channels", [1, 1, 2, 8], 131, KERNEL_1X1, (2, 4, 16), {}),
    ("zero_point_low", [1, 3, 3, 4], 3, {}, (1, 4, 16), {"zero_in": -128, "zero_out": 127}),
    ("extreme_codes", [1, 3, 3, 4], 4, {}, (1, 4, 16), {"extremes": True, "zero_in": 127}),
    ("ties", [1, 3, 4, 4], 6, {}, (1, 4, 16), {"ties": True}),
    ("bias_wraps", [1, 3, 3, 2], 4, {}, (1, 2, 16), {"bias_wraps": True}),
]
VECTOR_FULLY_CONNECTED: list[tuple[str, list[int], int, dict[str, int], Format, dict[str, Any]]] = [
    ("one_number", [1, 1], 1, {}, (1, 1, 2), {}),
    ("odd_length", [3, 21], 5, {}, (1, 7, 16), {}),
    ("table_of_each_place", [2, 16], 4, {}, (4, 4, 16), {}),
    ("pairs", [1, 18], 3, {}, (3, 2, 5), {}),
    ("single_weights", [2, 9], 5, {}, (9, 1, 16), {}),
    ("long_vectors", [1, 120], 3, {}, (1, 40, 9), {}),
    ("many_entries", [2, 24], 5, {}, (1, 8, 100), {}),
    ("all_entries_of_pairs", [1, 8], 5, {}, (1, 2, 256), {}),
    ("many_outputs", [1, 8], 133, {}, (1, 4, 16), {}),
    ("many_outputs_and_entries", [1, 4], 130, {}, (2, 2, 17), {}),
    ("rows_flattened", [2, 3, 6], 4, {}, (1, 3, 16), {}),
    ("rows_kept", [2, 3, 6], 4, {"keep_num_dims": 1}, (2, 3, 16), {}),
    ("many_rows", [40, 4], 3, {}, (1, 4, 16), {}),
    ("zero_point_high", [2, 8], 4, {}, (1, 8, 16), {"zero_in": 127, "zero_out": -128}),
    ("extreme_codes", [2, 32], 4, {}, (1, 8, 16), {"extremes": True, "zero_in": 127}),
    ("ties", [8, 8], 6, {}, (1, 4, 16), {"ties": True}),
    ("relu", [4, 8], 4, {"output_min": -11}, (1, 8, 16), {"zero_out": -11}),
    ("bias_wraps", [2, 8], 4, {}, (1, 8, 16), {"bias_wraps": True}),
]


def draw(
    source: random.Random,
    case: dict[str, Any],
    outputs: int,
    shape: list[int],
    weights_shape: list[int],
    depth: int,
    *,
    zero_in: int = 3,
    zero_out: int = -5,
    spread: float = 60.0,
    entries: int = 16,
    extremes: bool = False,
    ties: bool = False,
    scale_zero: bool = False,
    bias_wraps: bool = False,
) -> dict[str, Any]:
    """Draws the numbers of a case.

    Args:
        source: Random numbers.
        case: name, operator, options and rounding.
        outputs: Output channels.
        shape: Of the input.
        weights_shape: Rows and codes in a row.
        depth: Products in one sum.
        zero_in: Zero point of the input.
        zero_out: Zero point of the output.
        spread: About the standard deviation of the output in codes, before the clamp.
        entries: Of the codebook.
        extremes: Input codes and codebook entries are all -128 or 127.
        ties: Scales are powers of two: half of the sums end in a tie of 1/8 steps.
        scale_zero: The scale of one output channel is 0.
        bias_wraps: Biases lie at the ends of int32, so that sums wrap.
    """
    low_high = (-128, 127) if extremes else range(-128, 128)
    codebook = [source.choice(low_high) for _ in range(entries)]
    scale_in = 0.5 if ties else float32(source.uniform(0.01, 0.1))
    scale = [0.5 if ties else float32(source.uniform(0.001, 0.02)) for _ in range(outputs)]
    # Some channels are negative: batch normalization may fold a negative gain into them.
    scale = [-value if c % 3 == 1 else value for c, value in enumerate(scale)]
    if scale_zero:
        scale[-1] = 0.0
    typical = 80 * 75 * math.sqrt(depth) * scale_in * max(map(abs, scale))
    scale_out = 2.0 if ties else float32(typical / spread)
    bias = [source.randrange(-4000, 4000) for _ in range(outputs)]
    if ties:
        codebook = [source.choice((-2, -1, 1, 2)) for _ in range(entries)]
        bias = [source.randrange(-40, 40) for _ in range(outputs)]
    if bias_wraps:
        bias = [(INT32_MAX, INT32_MIN)[c % 2] for c in range(outputs)]
        scale_out = float32(scale_out * 2**16)
    return {
        **case,
        "input": {
            "shape": shape,
            "data": [source.choice(low_high) for _ in range(math.prod(shape))],
            "scale": scale_in.hex(),
            "zero_point": zero_in,
        },
        "weights_index": {
            "shape": weights_shape,
            "data": [source.randrange(entries) for _ in range(math.prod(weights_shape))],
        },
        "bias": bias,
        "scale": [value.hex() for value in scale],
        "codebook": codebook,
        "output": {"shape": [], "scale": scale_out.hex(), "zero_point": zero_out, "data": []},
    }


def prune(source: random.Random, case: dict[str, Any], left: Left) -> dict[str, Any]:
    """Returns a drawn case with weights of which only what is `left` is not zero, and stored."""
    block, weights = case["options"]["block"], weight_rows(case)[0]
    rows, depth = case["weights_index"]["shape"]
    kept = []
    for _ in range(rows):
        if isinstance(left, float):
            blocks = [source.random() < left for _ in range(-(-depth // block))]
            kept += [blocks[k // block] for k in range(depth)]
        elif isinstance(left, tuple):
            count, whole = left
            for _ in range(depth // whole):
                chosen = source.sample(range(whole), count)
                kept += [k in chosen for k in range(whole)]
        else:
            kept += [k in left for k in range(depth)]
    data = [(weight or 1) if one else 0 for weight, one in zip(weights, kept, strict=True)]
    split = [data[row * depth : (row + 1) * depth] for row in range(rows)]
    values, indices = store(split, block, case["options"]["places"])
    stored = {
        "weights": {"shape": [rows, depth], "data": data},
        "values": values,
        "indices": indices,
    }
    parts = [key for key in case if key not in ("weights_index", "codebook", "output")]
    return {**{key: case[key] for key in parts}, **stored, "output": case["output"]}


def sparse() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = []
    common = {"block": 1, "places": 0, "output_min": -128, "output_max": 127}
    twice_rounded = ("extreme_codes", "ties", "bias_wraps")  # the others, of one rounding alone

    def add(
        operator: str, name: str, options: dict[str, int], shape: list[int], outputs: int,
        depth: int, left: Left, how: dict[str, Any],
    ) -> None:  # fmt: skip
        for kind in KINDS if name in twice_rounded else KINDS[:1]:
            source = random.Random(f"{operator} {name}")
            case = {"name": f"{name}_{kind}", "operator": operator, "options": options}
            case["rounding"] = kind
            drawn = draw(source, case, outputs, shape, [outputs, depth], depth, **how)
            cases.append(prune(source, drawn, left))
            (convolve if operator == "EdgeaxSparseConv2D" else multiply)(cases[-1])

    for name, shape, outputs, changes, left, how in SPARSE_CONV2D:
        options = {**WINDOW, "groups": 1, **common, **changes}
        depth = options["kernel_height"] * options["kernel_width"] * shape[3] // options["groups"]
        add("EdgeaxSparseConv2D", name, options, shape, outputs, depth, left, how)
    for name, shape, outputs, changes, left, how in SPARSE_FULLY_CONNECTED:
        options = {"keep_num_dims": 0, **common, **changes}
        add("EdgeaxSparseFullyConnected", name, options, shape, outputs, shape[-1], left, how)
    return cases


def binarize(source: random.Random, case: dict[str, Any], is_tie: bool) -> dict[str, Any]:
    """Returns a drawn case with bits for weights and, where it says so, for inputs."""
    into, index = case["input"], case["weights_index"]
    depth = index["shape"][1]
    index["data"] = [code & 1 for code in index["data"]]
    # Whole and half sums, so that one may meet the bias.
    unit = 4096 if is_tie else 2048
    case["bias"] = [source.randrange(-2 * depth, 2 * depth + 1) * unit for _ in case["bias"]]
    scale_out = 1.0 if is_tie else float32(max(map(float.fromhex, case["scale"])) * depth / 40)
    case["output"]["scale"] = scale_out.hex()
    if case["options"]["input_packed"]:
        into["shape"][-1] = -(-into["shape"][-1] // 8)
        into["data"] = into["data"][: math.prod(into["shape"])]
    parts = [key for key in case if key != "codebook"]
    return {key: case[key] for key in parts}


def binary() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = []
    common = {"input_packed": 0, "output_packed": 0}
    clamps = {"output_min": -128, "output_max": 127}

    def add(
        operator: str, name: str, options: dict[str, int], shape: list[int], outputs: int,
        depth: int, how: dict[str, Any],
    ) -> None:  # fmt: skip
        is_tie = name == "ties"
        for kind in KINDS if is_tie else KINDS[:1]:
            source = random.Random(f"{operator} {name}")
            case = {"name": f"{name}_{kind}", "operator": operator, "rounding": kind}
            case["options"] = clamps | options | {"input_channels": shape[-1]}
            drawn = draw(source, case, outputs, [*shape], [outputs, depth], depth, **how)
            cases.append(binarize(source, drawn, is_tie))
            (convolve if operator == "EdgeaxBinaryConv2D" else multiply)(cases[-1])

    for name, shape, outputs, changes, how in BINARY_CONV2D:
        options = {**WINDOW, "groups": 1, **common, "pad_value": 0, **changes}
        depth = options["kernel_height"] * options["kernel_width"] * shape[3] // options["groups"]
        add("EdgeaxBinaryConv2D", name, options, shape, outputs, depth, how)
    for name, shape, outputs, changes, how in BINARY_FULLY_CONNECTED:
        options = {"keep_num_dims": 0, **common, **changes}
        add("EdgeaxBinaryFullyConnected", name, options, shape, outputs, shape[-1], how)
    return cases


def cut(source: random.Random, case: dict[str, Any], format: Format) -> dict[str, Any]:
    """Returns a drawn case with sub-vectors for weights."""
    tables, length, entries = format
    channels, depth = case["weights_index"]["shape"]
    places = depth // length
    indices = [source.randrange(entries) for _ in range(channels * places)]
    return {
        **case,
        "weights_index": {"shape": [channels, places], "data": indices},
        "codebook": [source.choice(case["codebook"]) for _ in range(math.prod(format))],
        "codebook_shape": list(format),
    }


def vector() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = []
    clamps = {"output_min": -128, "output_max": 127}

    def add(
        operator: str, name: str, options: dict[str, int], shape: list[int], outputs: int,
        depth: int, format: Format, how: dict[str, Any],
    ) -> None:  # fmt: skip
        for kind in KINDS if name in ("ties", "extreme_codes") else KINDS[:1]:
            source = random.Random(f"{operator} {name}")
            case = {"name": f"{name}_{kind}", "operator": operator, "options": options}
            case["rounding"] = kind
            drawn = draw(source, case, outputs, shape, [outputs, depth], depth, **how)
            cases.append(cut(source, drawn, format))
            (convolve if operator == "EdgeaxVectorConv2D" else multiply)(cases[-1])

    for name, shape, outputs, changes, format, how in VECTOR_CONV2D:
        options = {**WINDOW, "groups": 1, **clamps, **changes}
        depth = options["kernel_height"] * options["kernel_width"] * shape[3] // options["groups"]
        add("EdgeaxVectorConv2D", name, options, shape, outputs, depth, format, how)
    for name, shape, outputs, changes, format, how in VECTOR_FULLY_CONNECTED:
        options = {"keep_num_dims": 0, **clamps, **changes}
        add("EdgeaxVectorFullyConnected", name, options, shape, outputs, shape[-1], format, how)
    return cases


def operators() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = []
    clamps = {"output_min": -128, "output_max": 127}

    def add(
        operator: str, name: str, kind: str, options: dict[str, int], *sizes: Any, **how: Any
    ) -> None:
        source = random.Random(f"{operator} {name}")  # the same numbers for both kinds
        case = {"name": f"{name}_{kind}", "operator": operator, "options": options}
        cases.append(draw(source, {**case, "rounding": kind}, *sizes, **how))
        (multiply if operator == "EdgeaxFullyConnected" else convolve)(cases[-1])

    def with_kinds(table: list[Any]) -> Iterator[Any]:
        """Codes of 4 bits with both kinds of rounding, the others with one alone."""
        for row in table:
            for kind in KINDS if "entries" not in row[-1] else KINDS[:1]:
                yield row, kind

    for (name, shape, outputs, changes, how), kind in with_kinds(CONV2D):
        options = {**WINDOW, "groups": 1, **clamps, **changes}
        taps = options["kernel_height"] * options["kernel_width"]
        depth = taps * shape[3] // options["groups"]
        add("EdgeaxConv2D", name, kind, options, outputs, shape, [outputs, depth], depth, **how)
    for (name, shape, multiplier, changes, how), kind in with_kinds(DEPTHWISE):
        options = {**WINDOW, "depth_multiplier": multiplier, **clamps, **changes}
        taps = options["kernel_height"] * options["kernel_width"]
        outputs = shape[3] * multiplier
        rows = [taps, outputs]
        add("EdgeaxDepthwiseConv2D", name, kind, options, outputs, shape, rows, taps, **how)
    for (name, shape, outputs, changes, how), kind in with_kinds(FULLY_CONNECTED):
        options = {"keep_num_dims": 0, **clamps, **changes}
        rows = [outputs, shape[-1]]
        add("EdgeaxFullyConnected", name, kind, options, outputs, shape, rows, shape[-1], **how)
    return cases


# Files.


def one_per_line(items: Iterable[Any]) -> str:
    return "[\n" + ",\n".join(json.dumps(item, separators=(",", ":")) for item in items) + "\n]"


def texts() -> dict[str, str]:
    """Returns the text of every golden file by its name."""
    # They import this module.
    from tests.golden import (
        coded_cases,
        float_cases,
        grouped_cases,
        int16_cases,
        lookup_cases,
        sign_sum_cases,
    )

    def by_key(table: dict[str, Any]) -> str:
        entries = (f"{json.dumps(key)}: {one_per_line(items)}" for key, items in table.items())
        return "{\n" + ",\n".join(entries) + "\n}\n"

    return {
        "rounding.json": by_key(rounding()),
        "packing.json": by_key(packing()),
        "operators.json": one_per_line(operators()) + "\n",
        "sparse.json": one_per_line(sparse()) + "\n",
        "binary.json": one_per_line(binary()) + "\n",
        "vector.json": one_per_line(vector()) + "\n",
        "coded.json": one_per_line(coded_cases.coded()) + "\n",
        "float.json": one_per_line(float_cases.floats()) + "\n",
        "grouped.json": one_per_line(grouped_cases.grouped()) + "\n",
        "lookup.json": one_per_line(lookup_cases.lookup()) + "\n",
        "int16.json": one_per_line(int16_cases.rows()) + "\n",
        "sign_sum.json": one_per_line(sign_sum_cases.rows()) + "\n",
    }


def load(name: str) -> Any:
    """Returns the content of a golden file, e.g. load("rounding.json")."""
    return json.loads((Path(__file__).parent / name).read_text())


def rows_of_codes() -> list[dict[str, Any]]:
    """Returns the cases of packing.json that are rows of codes into a codebook."""
    rows = load("packing.json")["pack"]
    return [row for row in rows if row["bits"] in (1, 2, 4) and not row["signed"]]


def main() -> None:
    for name, text in texts().items():
        (Path(__file__).parent / name).write_text(text)


if __name__ == "__main__":
    main()

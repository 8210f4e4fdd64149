"""Golden vectors of int16 activations, by definition: int16.json.

A case is a row, numbers in the order of FIELDS, to be short: options in the order of the operator's
table; input and outputs, of each kind of rounding, in hex of four digits a code; weights in hex, a
digit for a code of the codebook or two for a sparse operator's weight; a codebook in hex. Scales
are the float32 nearest to what is written. `load` returns them as operators.json has its cases.
"""

import math
import random
from fractions import Fraction
from typing import Any

from tests.golden import cases

FIELDS = (
    "operator name options shape input weights codebook bias scale output_scale single double"
).split()
LOWEST, HIGHEST = -(2**15), 2**15 - 1
INPUT_SCALE = 0.5

CLAMPS = {"output_min": LOWEST, "output_max": HIGHEST}
STORED = {"block": 1, "places": 0}
OPTIONS: dict[str, dict[str, int]] = {
    "EdgeaxConv2D": {**cases.WINDOW, "groups": 1, **CLAMPS},
    "EdgeaxDepthwiseConv2D": {**cases.WINDOW, "depth_multiplier": 1, **CLAMPS},
    "EdgeaxFullyConnected": {"keep_num_dims": 0, **CLAMPS},
    "EdgeaxSparseConv2D": {**cases.WINDOW, "groups": 1, **STORED, **CLAMPS},
    "EdgeaxSparseFullyConnected": {"keep_num_dims": 0, **STORED, **CLAMPS},
}
LIMITS = {"output_min": -9999, "output_max": 20000}
KERNEL_1X2 = {"kernel_height": 1, "kernel_width": 2}
VALID_2X3 = cases.KERNEL_2X3 | cases.VALID
APART = cases.DILATION_2 | {"depth_multiplier": 2}

# operator, name, input shape, output channels, options that differ, entries of the codebook or the
# part of the blocks that is not zero. Extreme codes and biases that int32 sums would wrap around
# at, if the name says so; sums that end in ties, if it does.
CASES: list[tuple[str, str, list[int], int, dict[str, int], int | float]] = [
    ("EdgeaxConv2D", "pointwise", [1, 2, 1, 5], 3, cases.KERNEL_1X1 | LIMITS, 16),
    ("EdgeaxConv2D", "same_stride_2", [1, 3, 3, 1], 2, cases.STRIDE_2, 4),
    ("EdgeaxConv2D", "extremes_groups_2", [1, 1, 3, 4], 4, KERNEL_1X2 | {"groups": 2}, 4),
    ("EdgeaxDepthwiseConv2D", "same", [1, 2, 2, 3], 3, cases.KERNEL_2X3, 4),
    ("EdgeaxDepthwiseConv2D", "dilation_2", [1, 3, 2, 1], 2, APART, 16),
    ("EdgeaxDepthwiseConv2D", "extremes", [2, 1, 2, 3], 3, KERNEL_1X2 | cases.VALID, 2),
    ("EdgeaxFullyConnected", "one_number", [1, 1], 1, {}, 2),
    ("EdgeaxFullyConnected", "ties", [2, 5], 3, {}, 4),
    ("EdgeaxFullyConnected", "rows_kept", [2, 1, 3], 3, {"keep_num_dims": 1}, 16),
    ("EdgeaxFullyConnected", "extremes", [1, 11], 4, {}, 2),
    ("EdgeaxSparseConv2D", "same", [1, 2, 2, 3], 2, KERNEL_1X2 | cases.FOUR_BITS, 0.5),
    ("EdgeaxSparseConv2D", "blocks_of_4", [1, 2, 4, 2], 1, VALID_2X3 | cases.BLOCK_4, 0.6),
    ("EdgeaxSparseConv2D", "extremes_groups_2", [1, 1, 3, 4], 4, KERNEL_1X2 | {"groups": 2}, 0.7),
    ("EdgeaxSparseFullyConnected", "ties", [2, 5], 3, {}, 0.7),
    ("EdgeaxSparseFullyConnected", "blocks_of_2", [1, 9], 2, cases.BLOCK_2 | LIMITS, 0.5),
    ("EdgeaxSparseFullyConnected", "blocks_of_16", [1, 18], 1, cases.BLOCK_16 | cases.MASK, 1.0),
    ("EdgeaxSparseFullyConnected", "extremes", [1, 10], 3, cases.EIGHT_BITS, 0.6),
]


def requantize(acc: int, multiplier: int, shift: int, kind: str) -> int:
    """The exact product, halves up; of double rounding the multiplier has 15 bits."""
    if kind == "double":
        reduced = min(cases.round_half_away(Fraction(abs(multiplier), 2**16)), 2**15 - 1) * 2**16
        multiplier = reduced if multiplier > 0 else -reduced
    exact = acc * multiplier * Fraction(2) ** (shift - 31)
    return cases.clamp(math.floor(exact + Fraction(1, 2)), cases.INT32_MIN, cases.INT32_MAX)


def to_hex(numbers: list[int], digits: int) -> str:
    """So many digits of each number, of a negative one its two's complement."""
    return "".join(f"{number % 16**digits:0{digits}x}" for number in numbers)


def from_hex(text: str, digits: int) -> list[int]:
    """The inverse of `to_hex`."""
    half = 16**digits // 2
    numbers = (int(text[at : at + digits], 16) for at in range(0, len(text), digits))
    return [(number + half) % (2 * half) - half for number in numbers]


def expand(row: list[Any]) -> list[dict[str, Any]]:
    """Returns a case for each kind of rounding; their outputs are as far as the row has them."""
    fields = dict(zip(FIELDS, row, strict=False))
    operator, shape = fields["operator"], fields["shape"]
    options = dict(zip(OPTIONS[operator], fields["options"], strict=True))
    scale, output_scale = (
        [cases.float32(value).hex() for value in values]
        for values in (fields["scale"], [fields["output_scale"]])
    )
    case = {
        "operator": operator,
        "options": options,
        "input": {
            "type": "int16",
            "shape": shape,
            "data": from_hex(fields["input"], 4),
            "scale": INPUT_SCALE.hex(),
            "zero_point": 0,
        },
        "bias": fields["bias"],
        "scale": scale,
        **_weights(fields, options),
    }
    found = []
    for kind in cases.KINDS:
        out = {"shape": [], "scale": output_scale[0], "zero_point": 0, "data": []}
        found.append({"name": f"{fields['name']}_{kind}", **case, "rounding": kind, "output": out})
        (cases.multiply if "keep_num_dims" in options else cases.convolve)(found[-1])
        if kind in fields:
            out["data"] = from_hex(fields[kind], 4)
    return found


def _weights(fields: dict[str, Any], options: dict[str, int]) -> dict[str, Any]:
    rows = len(fields["bias"])
    if "depth_multiplier" in options:
        rows = options["kernel_height"] * options["kernel_width"]
    if not fields["codebook"]:
        data = from_hex(fields["weights"], 2)
        depth = len(data) // rows
        split = [data[at : at + depth] for at in range(0, len(data), depth)]
        values, indices = cases.store(split, options["block"], options["places"])
        weights = {"shape": [rows, depth], "data": data}
        return {"weights": weights, "values": values, "indices": indices}
    codes = [int(digit, 16) for digit in fields["weights"]]
    return {
        "weights_index": {"shape": [rows, len(codes) // rows], "data": codes},
        "codebook": from_hex(fields["codebook"], 2),
    }


def load() -> list[dict[str, Any]]:
    """Returns the cases of int16.json in the form of those of operators.json."""
    return [case for row in cases.load("int16.json") for case in expand(row)]


def rows() -> list[list[Any]]:
    """Returns the rows of int16.json."""
    found = []
    for given in CASES:
        row = _draw(*given)
        row += [to_hex(case["output"]["data"], 4) for case in expand(row)]
        found.append(row)
    return found


def _draw(
    operator: str, name: str, shape: list[int], outputs: int, changes: dict[str, int],
    weights: int | float,
) -> list[Any]:  # fmt: skip
    source = random.Random(f"int16 {operator} {name}")
    options = OPTIONS[operator] | changes
    taps = options.get("kernel_height", 1) * options.get("kernel_width", 1)
    depth = taps if "depth_multiplier" in options else taps * shape[-1] // options.get("groups", 1)
    extremes, ties = "extremes" in name, name == "ties"

    def draw(count: int, low: int, high: int) -> list[int]:
        if extremes:
            return [source.choice((low, high)) for _ in range(count)]
        return [source.randint(low, high) for _ in range(count)]

    codes = draw(math.prod(shape), *((-99, 99) if ties else (LOWEST, HIGHEST)))
    if isinstance(weights, int):
        codebook = draw(weights, -128, 127)
        digits = to_hex([source.randrange(weights) for _ in range(depth * outputs)], 1)
    else:
        codebook, kept = [], []
        for _ in range(outputs):
            blocks = [source.random() < weights for _ in range(-(-depth // options["block"]))]
            kept += [blocks[k // options["block"]] for k in range(depth)]
        drawn = draw(depth * outputs, -128, 127)
        digits = to_hex([value * one for value, one in zip(drawn, kept, strict=True)], 2)
    bias = [source.randint(-(10**5), 10**5) for _ in range(outputs)]
    if extremes:
        bias = [(cases.INT32_MAX, cases.INT32_MIN)[c % 2] for c in range(outputs)]
    scale = [(-1.0) ** (c % 3 == 1) * source.randint(20, 99) / 1000 for c in range(outputs)]
    typical = (2.0**31 if extremes else 2.0**20 * math.sqrt(depth)) * INPUT_SCALE * 0.06
    output_scale = float(f"{typical / 20000:.2g}")
    if ties:
        scale, output_scale = [(-0.25, 0.5)[c % 2] for c in range(outputs)], 1.0
    return [
        operator, name, list(options.values()), shape, to_hex(codes, 4), digits,
        to_hex(codebook, 2), bias, scale, output_scale,
    ]  # fmt: skip

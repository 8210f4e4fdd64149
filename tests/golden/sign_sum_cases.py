"""Golden vectors of sums of signs, by definition: sign_sum.json.

A case is a row, numbers in the order of FIELDS, to be short: options in the order of the operator's
table; weights as the operator holds them, input and outputs, of each kind of rounding, in hex;
gains of each base and plane; thresholds of each plane. Scales are the float32 nearest to what is
written.
"""

import math
import random
from typing import Any

from tests.golden import cases
from tests.golden.int16_cases import from_hex, to_hex

FIELDS = (
    "operator name options shape input weights bias scale gains thresholds output_scale "
    "output_zero_point single double"
).split()
MAX_SUM, MAX_BIAS = 2**30 - 1, 2**30  # of products with their gains, and beside them

CLAMPS = {"output_min": -128, "output_max": 127}
PARTS = {"planes": 1, "bases": 1}
OPTIONS: dict[str, dict[str, int]] = {
    "EdgeaxSignSumConv2D": {**cases.WINDOW, "groups": 1, **PARTS, "pad_value": 0, **CLAMPS},
    "EdgeaxSignSumFullyConnected": {"keep_num_dims": 0, **PARTS, **CLAMPS},
}
VALID_1X3 = {"kernel_height": 1} | cases.VALID
TWO_PLANES, TWO_BASES = {"planes": 2}, {"bases": 2}

# operator, name, input shape, output channels, options that differ, thresholds of a plane
CASES: list[tuple[str, str, list[int], int, dict[str, int], int]] = [
    ("EdgeaxSignSumConv2D", "same_pad_one", [1, 2, 3, 3], 2, TWO_PLANES | {"pad_value": 1}, 1),
    ("EdgeaxSignSumConv2D", "groups_2", [1, 1, 4, 4], 4, TWO_BASES | VALID_1X3 | {"groups": 2}, 2),
    ("EdgeaxSignSumConv2D", "ties", [2, 3, 1, 2], 3, cases.STRIDE_2 | cases.KERNEL_2X3, 1),
    ("EdgeaxSignSumFullyConnected", "extremes", [1, 1], 4, TWO_PLANES, 2),
    ("EdgeaxSignSumFullyConnected", "long_row", [1, 67], 2, TWO_PLANES | TWO_BASES, 3),
    ("EdgeaxSignSumFullyConnected", "ties", [2, 2, 3], 3, {"keep_num_dims": 1}, 1),
]


def sign(code: int, thresholds: list[int]) -> int:
    """-1 where an odd number of thresholds lies above the code."""
    return 1 - 2 * (sum(code < threshold for threshold in thresholds) % 2)


def expand(row: list[Any]) -> list[dict[str, Any]]:
    """Returns a case for each kind of rounding, in the form of those of operators.json, with bytes
    for weights; their outputs are as far as the row has them.
    """
    fields = dict(zip(FIELDS, row, strict=False))
    case = {
        "operator": fields["operator"],
        "options": dict(zip(OPTIONS[fields["operator"]], fields["options"], strict=True)),
        "input": {
            "shape": fields["shape"],
            "data": from_hex(fields["input"], 2),
            "scale": (1.0).hex(),
            "zero_point": 0,
        },
        "packed": [*bytes.fromhex(fields["weights"])],
        "bias": fields["bias"],
        "scale": [cases.float32(value).hex() for value in fields["scale"]],
        "gains": fields["gains"],
        "thresholds": fields["thresholds"],
    }
    out = {
        "scale": cases.float32(fields["output_scale"]).hex(),
        "zero_point": fields["output_zero_point"],
    }
    found = []
    for kind in cases.KINDS:
        found.append({"name": f"{fields['name']}_{kind}", **case, "rounding": kind})
        found[-1]["output"] = _output(found[-1], out)
        if kind in fields:
            found[-1]["output"]["data"] = from_hex(fields[kind], 2)
    return found


def load() -> list[dict[str, Any]]:
    """Returns the cases of sign_sum.json."""
    return [case for row in cases.load("sign_sum.json") for case in expand(row)]


def weights(case: dict[str, Any]) -> list[list[list[int]]]:
    """Returns +1 and -1, `[bases][outputs][taps * channels of a group]`."""
    depth = case["input"]["shape"][-1] // case["options"].get("groups", 1)
    packed, tap = case["packed"], -(-depth // 8)
    signs = [
        1 - 2 * (packed[at + i // 8] >> i % 8 & 1)
        for at in range(0, len(packed), tap)
        for i in range(depth)
    ]
    outputs, bases = len(case["bias"]), case["options"]["bases"]
    row = len(signs) // (outputs * bases)
    rows = [signs[at : at + row] for at in range(0, len(signs), row)]
    return [rows[at : at + outputs] for at in range(0, len(rows), outputs)]


def _output(case: dict[str, Any], out: dict[str, Any]) -> dict[str, Any]:
    """Returns the output: that of a plain operator, whose pixels are the signs in all planes and
    whose weights are sums of the bases with the gains.
    """
    into, outputs, planes = case["input"], len(case["bias"]), len(case["thresholds"])
    depth = into["shape"][-1] // case["options"].get("groups", 1)
    signs = [
        sign(into["data"][at + i], thresholds)
        for at in range(0, len(into["data"]), depth)
        for thresholds in case["thresholds"]
        for i in range(depth)
    ]
    bases = weights(case)
    data = []
    for c in range(outputs):
        for first in range(0, len(bases[0][c]), depth):
            for plane in range(planes):
                gains = [gain[c] for gain in case["gains"][plane::planes]]
                data += [
                    sum(gain * base[c][first + i] for gain, base in zip(gains, bases, strict=True))
                    for i in range(depth)
                ]
    shape = [*into["shape"][:-1], into["shape"][-1] * planes]
    plain = {
        **case,
        "input": {**into, "shape": shape, "data": signs},
        "weights": {"shape": [outputs, len(data) // outputs], "data": data},
        "output": {**out},
    }
    (cases.multiply if "keep_num_dims" in case["options"] else cases.convolve)(plain)
    return plain["output"]


def rows() -> list[list[Any]]:
    """Returns the rows of sign_sum.json."""
    found = []
    for given in CASES:
        row = _draw(*given)
        row += [to_hex(case["output"]["data"], 2) for case in expand(row)]
        found.append(row)
    return found


def _draw(
    operator: str, name: str, shape: list[int], outputs: int, changes: dict[str, int], count: int
) -> list[Any]:
    source = random.Random(f"{operator} {name}")
    options = OPTIONS[operator] | changes
    planes, bases = options["planes"], options["bases"]
    taps = options.get("kernel_height", 1) * options.get("kernel_width", 1)
    channels = shape[-1] // options.get("groups", 1)
    bits = [[source.randrange(2) for _ in range(channels)] for _ in range(bases * outputs * taps)]
    thresholds = [[source.randint(-99, 99) for _ in range(count)] for _ in range(planes)]
    most = 9 if name == "ties" else 999
    gains = [[source.randint(-most, most) for _ in range(outputs)] for _ in range(planes * bases)]
    bias = [source.randint(-most, most) for _ in range(outputs)]
    codes = [source.choice((-128, 127, *range(-99, 100, 9))) for _ in range(math.prod(shape))]
    scale = [(-1.0) ** (c % 3 == 1) * source.randint(20, 99) / 1000 for c in range(outputs)]
    output_scale = float(f"{most * math.sqrt(taps * channels * planes * bases) / 2000:.2g}")
    if name == "ties":
        scale, output_scale = [(-0.25, 0.5)[c % 2] for c in range(outputs)], 1.0
    if name == "extremes":
        codes, thresholds = [-128], [[-128, 128], [-127, -129]]
        bias = [MAX_BIAS, -MAX_BIAS] * 2
        # Both products of a channel are minus its weight; the gains push to the end of int32.
        ends = [(2 * bit - 1) * (-1) ** c for c, (bit,) in enumerate(bits)]
        halves = [(MAX_SUM // 2, MAX_SUM // 2), (MAX_SUM, 0)]
        gains = [[end * halves[c // 2][part] for c, end in enumerate(ends)] for part in (0, 1)]
        output_scale = 2.0**20
    packed = bytes(byte for tap in bits for byte in cases.pack(tap, 1)).hex()
    zero_out = 0 if name == "ties" else source.randint(-20, 20)
    return [
        operator, name, list(options.values()), shape, to_hex(codes, 2), packed, bias, scale, gains,
        thresholds, output_scale, zero_out,
    ]  # fmt: skip

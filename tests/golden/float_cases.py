"""Golden vectors of the product of floats with packed weights, by exact fractions.

`float.json`: a list of cases. A number is the float32 nearest to what is written. codes are the
unpacked rows, a byte each in hex; codebook holds 16, 4 or 2 numbers, or the name of one with 256,
see `codebook_of`.
"""

import random
import struct
from fractions import Fraction
from typing import Any

from tests.golden import cases

OPERATOR = "EdgeaxFloatFullyConnected"
LANES = 16  # sums of which a row's is made

# name, input shape, outputs, codebook, options that differ
CASES: list[tuple[str, list[int], int, Any, dict[str, int]]] = [
    ("odd_depth", [2, 37], 3, 16, {}),
    ("one_number", [1, 1], 1, 16, {}),
    ("two_bits", [1, 141], 2, 4, {"activation": 1}),
    ("one_bit", [1, 131], 2, 2, {}),
    ("integers", [2, 21], 3, "int8", {"activation": 2}),
    ("short_floats", [1, 40], 2, "float8_e4", {"activation": 3}),
    ("short_floats_without_subnormals", [1, 17], 3, "float8_e3_lifted", {}),
    ("groups_of_32", [1, 70], 2, 16, {"group": 32}),
    ("groups_of_24_bytes", [5, 50], 2, "int8", {"group": 24}),
    ("rank_3", [2, 2, 9], 5, 16, {"keep_num_dims": 1}),
]
LIMITS = [(None, None), (0, None), (0, 6), (-1, 1)]


def nearest(exact: Fraction) -> Fraction:
    """The float32 nearest to a number in its range, halves to even."""
    if exact == 0:
        return exact
    exponent = abs(exact).numerator.bit_length() - exact.denominator.bit_length()
    exponent -= abs(exact) < Fraction(2) ** exponent
    step = Fraction(2) ** (max(exponent, -126) - 23)
    return round(exact / step) * step


def number(written: float) -> Fraction:
    """What a number of the file stands for."""
    return Fraction(cases.float32(written))


def written(exact: Fraction) -> float:
    """The shortest decimal number that stands for a float32."""
    texts = (f"{float(exact):.{digits}g}" for digits in range(1, 10))
    return next(float(text) for text in texts if number(float(text)) == exact)


def codebook_of(case: dict[str, Any]) -> list[float]:
    """The values that codes stand for: of 8 bits whole numbers, or floats of 8 bits.

    "float8_eN" has N bits of exponent, biased as in a float of 16 bits; "lifted", no subnormals:
    all exponents are one higher, and only the codes without exponent and mantissa are 0.
    """
    if not isinstance(case["codebook"], str):
        return [cases.float32(value) for value in case["codebook"]]
    if case["codebook"] == "int8":
        return [float(code - 256 * (code > 127)) for code in range(256)]
    name, *lifted = case["codebook"].removeprefix("float8_").split("_")
    values = []
    for code in range(256):
        magnitude = code % 128
        half = (magnitude << 3 + int(name[1:])) + ((1 << 10) if lifted and magnitude else 0)
        (value,) = struct.unpack("<e", struct.pack("<H", half + (code // 128 << 15)))
        values.append(value)
    return values


def row_sum(
    case: dict[str, Any], x: list[Fraction], codes: list[int], scales: list[Fraction]
) -> Fraction:
    """The sum of one output, each operation rounded once."""
    table = codebook_of(case)
    bits, group = len(table).bit_length() - 1, case["options"]["group"] or len(x)
    totals = [Fraction(0)] * LANES
    for start, scale in zip(range(0, len(x), group), scales, strict=True):
        sums = [Fraction(0)] * LANES
        for k in range(start, min(start + group, len(x))):
            lane = (k - start) * bits // 8 % LANES
            sums[lane] = nearest(x[k] * Fraction(table[codes[k]]) + sums[lane])
        totals = [nearest(scale * s + t) for s, t in zip(sums, totals, strict=True)]
    while len(totals) > 1:
        half = len(totals) // 2
        totals = [nearest(totals[i] + totals[half + i]) for i in range(half)]
    return totals[0]


def multiply(case: dict[str, Any]) -> None:
    """Fills in the output of a case."""
    outputs, depth = len(case["bias"]), case["input"]["shape"][-1]
    x = [number(value) for value in case["input"]["data"]]
    codes = [*bytes.fromhex(case["codes"])]
    groups = len(case["scale"]) // outputs
    low, high = LIMITS[case["options"]["activation"]]
    data = []
    for first in range(0, len(x), depth):
        for c in range(outputs):
            scales = [number(value) for value in case["scale"][c * groups : (c + 1) * groups]]
            row = codes[c * depth : (c + 1) * depth]
            total = nearest(
                number(case["bias"][c]) + row_sum(case, x[first : first + depth], row, scales)
            )
            total = total if low is None else max(total, Fraction(low))
            data.append(written(total if high is None else min(total, Fraction(high))))
    keep = case["options"]["keep_num_dims"]
    rows = case["input"]["shape"][:-1] if keep else [len(x) // depth]
    case["output"] = {"shape": [*rows, outputs], "data": data}


def floats() -> list[dict[str, Any]]:
    """All cases."""
    return [_case(*row) for row in CASES]


def _case(
    name: str, shape: list[int], outputs: int, codebook: Any, changes: dict[str, int]
) -> dict[str, Any]:
    source = random.Random(f"{OPERATOR} {name}")
    depth = shape[-1]
    rows = 1
    for size in shape[:-1]:
        rows *= size

    def draw(count: int, most: float = 2.0, digits: int = 3) -> list[float]:
        return [round(source.uniform(-most, most), digits) for _ in range(count)]

    options = {"keep_num_dims": 0, "group": 0, "activation": 0} | changes
    case: dict[str, Any] = {"name": name, "operator": OPERATOR, "options": options}
    case["input"] = {"shape": shape, "data": draw(rows * depth, digits=2)}
    case["codebook"] = codebook if isinstance(codebook, str) else draw(codebook)
    entries = 256 if isinstance(codebook, str) else codebook
    codes = [source.randrange(entries) for _ in range(outputs * depth)]
    if entries == 256:  # all numbers, none of the codes that stand for none
        codes = [code if code % 128 < 120 else code - 8 for code in codes]
    case["codes"] = bytes(codes).hex()
    case["bias"] = draw(outputs)
    groups = -(-depth // options["group"]) if options["group"] else 1
    case["scale"] = draw(outputs * groups, 0.05)
    multiply(case)
    return case

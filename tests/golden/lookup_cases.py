"""Golden vectors of inputs that are put on points, by definition: lookup.json, like grouped.json.

`points` holds what each input code from -128 to 127 stands for. A row has one codebook, and a scale
is that of a product: the scale of the input is 1, and its zero point says nothing.
"""

import bisect
import random
from typing import Any

from tests.golden import cases

# name, input shape, output channels, options that differ, entries, codebooks, points (0: any table
# of 256), `draw` arguments
Table = list[tuple[str, list[int], int, dict[str, int], int, int, int, dict[str, Any]]]
CONV2D: Table = [
    ("pointwise", [1, 2, 3, 21], 3, cases.KERNEL_1X1, 16, 4, 16, {}),
    ("same_codebook_of_each_output", [1, 4, 3, 3], 4, {}, 16, 4, 4, {}),
    ("valid_stride_2", [1, 5, 4, 4], 5, cases.VALID | cases.STRIDE_2, 4, 8, 16, {}),
    ("same_dilation_2_groups_2", [1, 4, 3, 6], 4, cases.DILATION_2 | {"groups": 2}, 16, 1, 2, {}),
    ("extreme_codes", [1, 2, 3, 4], 4, {}, 16, 4, 0, {"extremes": True, "zero_in": 127}),
    ("ties", [1, 3, 3, 3], 6, {}, 16, 4, 16, {"ties": True}),
]
FULLY_CONNECTED: Table = [
    ("one_number", [1, 1], 1, {}, 16, 1, 2, {}),
    ("long_row", [1, 131], 3, {}, 16, 4, 16, {}),
    ("codes_of_2_bits", [2, 37], 3, {}, 4, 4, 256, {"zero_in": -128, "zero_out": 127}),
    ("rows_kept", [2, 2, 21], 4, {"keep_num_dims": 1}, 4, 1, 16, {}),
    ("bias_wraps", [2, 17], 4, {}, 16, 8, 0, {"bias_wraps": True}),
    ("ties", [8, 20], 6, {}, 4, 4, 16, {"ties": True}),
]


def nearest(source: random.Random, count: int) -> list[int]:
    """Returns for each code the nearest of so many points, one of which is 0; or any table."""
    if count == 0:
        return [source.choice((-128, 127)) for _ in range(256)]
    points = sorted({0, *(source.randrange(-127, 128) for _ in range(count - 1))})
    middles = [(low + high) / 2 for low, high in zip(points[:-1], points[1:], strict=True)]
    return [points[bisect.bisect_left(middles, code)] for code in range(-128, 128)]


def lookup() -> list[dict[str, Any]]:
    """Returns the cases."""
    found: list[dict[str, Any]] = []
    clamps = {"output_min": -128, "output_max": 127}
    for name, shape, outputs, changes, *rest in CONV2D:
        options = {**cases.WINDOW, "groups": 1, **clamps, **changes}
        depth = options["kernel_height"] * options["kernel_width"] * shape[3] // options["groups"]
        found += _with_kinds("EdgeaxLookupConv2D", name, options, shape, outputs, depth, *rest)
    for name, shape, outputs, changes, *rest in FULLY_CONNECTED:
        options = {"keep_num_dims": 0, **clamps, **changes}
        given = name, options, shape, outputs, shape[-1]
        found += _with_kinds("EdgeaxLookupFullyConnected", *given, *rest)
    return found


def _with_kinds(
    operator: str, name: str, options: dict[str, int], shape: list[int], outputs: int,
    depth: int, entries: int, codebooks: int, points: int, how: dict[str, Any],
) -> list[dict[str, Any]]:  # fmt: skip
    found = []
    for kind in cases.KINDS if name in ("ties", "extreme_codes") else cases.KINDS[:1]:
        source = random.Random(f"{operator} {name}")  # the same numbers for both kinds
        case = {"name": f"{name}_{kind}", "operator": operator, "options": options}
        case["rounding"] = kind
        given = case, outputs, shape, [outputs, depth], depth
        drawn = cases.draw(source, *given, entries=entries * codebooks, **how)
        scales = (drawn["output"]["scale"], drawn["input"]["scale"])
        out, into = map(float.fromhex, scales)
        drawn["output"]["scale"] = cases.float32(out / into).hex()
        drawn["input"]["scale"] = (1.0).hex()
        drawn["weights_index"]["data"] = [i % entries for i in drawn["weights_index"]["data"]]
        numbers = [source.randrange(codebooks) for _ in range(outputs)]
        drawn |= {
            "entries": entries,
            "numbers": {"shape": [outputs, 1], "data": numbers},
            "points": nearest(source, points),
        }
        (cases.convolve if operator == "EdgeaxLookupConv2D" else cases.multiply)(drawn)
        found.append(drawn)
    return found

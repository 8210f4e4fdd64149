"""Golden vectors of weights in groups, by definition: grouped.json, like operators.json.

`codebook` holds codebooks of `entries` values one after the other, and `numbers`, shape
`[rows, groups]`, of which of them each group of 2**group_bits codes in a row is.
"""

import random
from typing import Any

from tests.golden import cases

# name, input shape, output channels, options that differ, entries, codebooks, `draw` arguments
Table = list[tuple[str, list[int], int, dict[str, int], int, int, dict[str, Any]]]
CONV2D: Table = [
    ("pointwise_deep", [1, 2, 3, 37], 3, cases.KERNEL_1X1, 16, 4, {}),
    ("same_groups_across_taps", [1, 4, 3, 5], 4, {}, 16, 4, {}),
    ("valid_stride_2_codes_of_2_bits", [1, 5, 4, 6], 5, cases.VALID | cases.STRIDE_2, 4, 16, {}),
    ("channel_groups_2_one_codebook", [1, 3, 3, 8], 4, {"groups": 2}, 16, 1, {}),
    ("groups_of_64", [1, 3, 3, 9], 3, {"group_bits": 6}, 4, 2, {"zero_in": -128, "zero_out": 127}),
    ("extreme_codes", [1, 2, 3, 4], 4, {}, 16, 4, {"extremes": True, "zero_in": 127}),
    ("ties", [1, 3, 3, 3], 6, {}, 16, 4, {"ties": True}),
]
FULLY_CONNECTED: Table = [
    ("one_number", [1, 1], 1, {}, 16, 1, {}),
    ("long_row", [1, 131], 3, {}, 16, 8, {}),
    ("long_row_codes_of_2_bits", [2, 131], 3, {"group_bits": 5}, 4, 16, {}),
    ("rows_kept", [2, 2, 21], 4, {"keep_num_dims": 1}, 4, 4, {}),
    ("one_group", [2, 40], 7, {"group_bits": 16}, 16, 4, {}),
    ("bias_wraps", [2, 33], 4, {}, 16, 8, {"bias_wraps": True}),
    ("ties", [8, 20], 6, {}, 4, 4, {"ties": True}),
]
TWICE_ROUNDED = ("extreme_codes", "ties", "bias_wraps")  # the others, of one rounding alone


def weights(case: dict[str, Any]) -> tuple[list[int], int]:
    """Returns the weights, row after row, and how many a row has."""
    (rows, depth), groups = case["weights_index"]["shape"], case["numbers"]["shape"][1]
    group = 2 ** case["options"].get("group_bits", 16)
    found = []
    for row in range(rows):
        for k in range(depth):
            number = case["numbers"]["data"][row * groups + k // group]
            code = case["weights_index"]["data"][row * depth + k]
            found.append(case["codebook"][number * case["entries"] + code])
    return found, depth


def packed(case: dict[str, Any]) -> list[int]:
    """Returns the rows as the file holds them: codes, and behind them the numbers."""
    (rows, depth), groups = case["weights_index"]["shape"], case["numbers"]["shape"][1]
    codes, numbers = case["weights_index"]["data"], case["numbers"]["data"]
    found = []
    for row in range(rows):
        found += cases.pack(codes[row * depth : (row + 1) * depth], {16: 4, 4: 2}[case["entries"]])
        found += numbers[row * groups : (row + 1) * groups]
    return found


def grouped() -> list[dict[str, Any]]:
    """Returns the cases."""
    found: list[dict[str, Any]] = []
    common = {"group_bits": 4, "output_min": -128, "output_max": 127}
    for name, shape, outputs, changes, entries, codebooks, how in CONV2D:
        options = {**cases.WINDOW, "groups": 1, **common, **changes}
        taps = options["kernel_height"] * options["kernel_width"]
        depth = taps * shape[3] // options["groups"]
        given = name, options, shape, outputs, depth, entries, codebooks, how
        found += _with_kinds("EdgeaxGroupedConv2D", *given)
    for name, shape, outputs, changes, entries, codebooks, how in FULLY_CONNECTED:
        options = {"keep_num_dims": 0, **common, **changes}
        given = name, options, shape, outputs, shape[-1], entries, codebooks, how
        found += _with_kinds("EdgeaxGroupedFullyConnected", *given)
    return found


def _with_kinds(
    operator: str, name: str, options: dict[str, int], shape: list[int], outputs: int,
    depth: int, entries: int, codebooks: int, how: dict[str, Any],
) -> list[dict[str, Any]]:  # fmt: skip
    found = []
    for kind in cases.KINDS if name in TWICE_ROUNDED else cases.KINDS[:1]:
        source = random.Random(f"{operator} {name}")  # the same numbers for both kinds
        case = {"name": f"{name}_{kind}", "operator": operator, "options": options}
        case["rounding"] = kind
        drawn = cases.draw(
            source,
            case,
            outputs,
            shape,
            [outputs, depth],
            depth,
            entries=entries * codebooks,
            **how,
        )
        index = drawn["weights_index"]["data"]
        groups = -(-depth // 2 ** options["group_bits"])
        numbers = [source.randrange(codebooks) for _ in range(outputs * groups)]
        drawn["weights_index"]["data"] = [code % entries for code in index]
        drawn |= {"entries": entries, "numbers": {"shape": [outputs, groups], "data": numbers}}
        (cases.convolve if operator == "EdgeaxGroupedConv2D" else cases.multiply)(drawn)
        found.append(drawn)
    return found

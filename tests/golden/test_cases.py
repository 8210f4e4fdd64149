from pathlib import Path

import pytest

from tests.golden import cases, int16_cases, sign_sum_cases

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("name, text", cases.texts().items(), ids=cases.texts())
def test_the_golden_files_are_not_stale(name, text):
    assert (FOLDER / name).read_text() == text, "run python -m tests.golden.cases"


def test_the_golden_files_stay_small():
    assert sum(path.stat().st_size for path in FOLDER.glob("*.json")) < 540_000


def test_the_reference_equals_a_convolution_worked_out_by_hand():
    case = {
        "operator": "EdgeaxConv2D",
        "options": {**cases.WINDOW, "groups": 1, "output_min": -128, "output_max": 9}
        | {"kernel_height": 1, "kernel_width": 2},
        "rounding": "single",
        "input": {"shape": [1, 1, 3, 1], "data": [1, 3, -2], "scale": "0x1p-1", "zero_point": 1},
        "weights_index": {"shape": [1, 2], "data": [1, 2]},
        "bias": [4],
        "scale": ["0x1p0"],
        "codebook": [0, 3, -5, *[0] * 13],
        "output": {"scale": "0x1p1", "zero_point": 7, "shape": [], "data": []},
    }
    # Inputs less the zero point: 0, 2, -3 and one column of padding after them. Sums with the
    # bias: 4 + 0 - 10 = -6, 4 + 6 + 15 = 25, 4 - 9 = -5. A quarter, halves up: -1.5 gives -1,
    # 6.25 gives 6, -1.25 gives -1. With the zero point 6, 13, 6; the clamp leaves 6, 9, 6.
    cases.convolve(case)
    assert case["output"]["shape"] == [1, 1, 3, 1]
    assert case["output"]["data"] == [6, 9, 6]


def test_the_cases_tell_the_kinds_of_rounding_apart():
    table = [case for name in cases.OPERATOR_FILES for case in cases.load(name)]
    for operator in {case["operator"] for case in table}:
        outputs = {
            case["rounding"]: case["output"]["data"]
            for case in table
            if case["operator"] == operator and case["name"].startswith("ties")
        }
        assert outputs["single"] != outputs["double"]


@pytest.mark.parametrize("module", [int16_cases, sign_sum_cases])
def test_codes_of_16_bits_and_sums_of_signs_tell_the_kinds_of_rounding_apart(module):
    table = module.load()
    for operator in module.OPTIONS:
        outputs = [
            [case["output"]["data"] for case in table if case["operator"] == operator][kind::2]
            for kind in (0, 1)
        ]
        assert len(outputs[0]) >= 3 and outputs[0] != outputs[1]


def test_products_of_int16_codes_are_rounded_as_worked_out_by_hand():
    # 3/4 of 10 and of -10 are 7.5 and -7.5: halves up.
    for kind in cases.KINDS:
        assert int16_cases.requantize(10, 3 * 2**29, 0, kind) == 8
        assert int16_cases.requantize(-10, 3 * 2**29, 0, kind) == -7
    # A sum that int32 does not hold times a factor of 2**-8 units; 15 bits hold no last unit of it,
    # and at most 32767 of 2**16 units.
    found = {
        kind: [int16_cases.requantize(2**33, m, -10, kind) for m in (2**30 + 2**15 - 1, 2**31 - 1)]
        for kind in cases.KINDS
    }
    assert found == {"single": [2**22 + 128, 2**23], "double": [2**22, 32767 * 2**8]}


def test_sums_of_signs_equal_those_worked_out_by_hand():
    # Of the codes -3, 5 and 0 the first alone lies below 0, and the last alone below an odd number
    # of -2 and 4: signs - + + and + + -. With the weights + - + they add up to -1 and -1, and with
    # gains and bias to 3 - 10 - 3 = -10. A quarter is -2.5, beside a zero point of 7.
    row = [
        "EdgeaxSignSumFullyConnected", "by_hand", [0, 2, 1, -128, 127], [1, 3], "fd0500", "02", [3],
        [1.0], [[10], [3]], [[0, -128], [-2, 4]], 4.0, 7,
    ]  # fmt: skip
    single, double = sign_sum_cases.expand(row)
    assert sign_sum_cases.weights(single) == [[[1, -1, 1]]]
    assert single["output"]["data"] == [5]  # halves up
    assert double["output"]["data"] == [4]  # halves away from 0


def test_indices_of_sub_vectors_are_packed_as_worked_out_by_hand():
    # Channels 1 2 | 3 4 | 5 6: place 0 of all, then place 1.
    assert cases.pack_indices([1, 2, 3, 4, 5, 6], 2, 16) == [0x31, 0x05, 0x42, 0x06]
    assert cases.pack_indices([1, 2, 3, 4], 2, 17) == [1, 3, 2, 4]
    # The 129th channel begins a block of its own.
    many = cases.pack_indices([1, 2] * 129, 2, 16)
    assert many == [0x11] * 64 + [0x22] * 64 + [1, 2]


def test_sparse_rows_are_stored_as_worked_out_by_hand():
    rows = [[0, 0, 5, 0, -1], [0, 0, 0, 0, 0]]
    assert cases.store(rows, 1, 0) == ([5, -1], [0b10100, 0])
    # Two left out, then one; an empty row of 5 is one highest number, which reaches too far.
    assert cases.store(rows, 1, 1) == ([5, -1], [0x12, 0x0F])
    assert cases.store(rows, 1, 2) == ([5, -1], [2, 1, 255])
    # Blocks of 2: the second and the third, which is filled up.
    assert cases.store(rows, 2, 0) == ([5, 0, -1, 0], [0b110, 0])
    # 15 left out are a highest number, then none before the block; 16 are one and one.
    assert cases.store([[0] * 15 + [7]], 1, 1) == ([7], [0x0F])
    assert cases.store([[0] * 16 + [7]], 1, 1) == ([7], [0x1F])

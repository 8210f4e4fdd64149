"""Kernels for inputs on points: products are those of a table, and spans have their sizes. Golden
and random cases: see test_kernels.
"""

import ctypes
import dataclasses
import itertools

import numpy as np
import pytest

from edgeax.formats.lookup import product_table
from tests.golden import cases as golden
from tests.tflite_kernels import native, oracle, random_cases

CONV, DENSE = "EdgeaxLookupConv2D", "EdgeaxLookupFullyConnected"
SETS = native.isas()
CASES = [
    native.golden_case(entry)
    for entry in golden.load("lookup.json")
    if entry["name"] in ("valid_stride_2_single", "rows_kept_single")
]


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("seed", range(6))
def test_the_sums_are_those_of_a_table_of_all_products(seed, isa):
    case = random_cases.draw(DENSE, seed)
    rows, depth = case.input.shape
    table = product_table(case.codebook.astype(np.float32), case.points.astype(np.float32))
    sums = np.zeros((rows, len(case.weights)), np.int64)
    for output, (weights, number) in enumerate(zip(case.weights, case.numbers[:, 0], strict=True)):
        for k in range(depth):
            found = table[number, weights[k], case.input[:, k].astype(int) + 128]
            sums[:, output] += found.astype(np.int64)
    expected = oracle.finish(case, sums).reshape(case.output_shape)
    np.testing.assert_array_equal(native.run(isa, case), expected)


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("operator", [CONV, DENSE])
def test_scale_and_zero_point_of_the_input_are_not_looked_at(operator, isa):
    case = random_cases.draw(operator, 3)
    other = dataclasses.replace(case, input_scale=7.5, input_zero_point=-5)
    np.testing.assert_array_equal(native.run(isa, case), native.run(isa, other))


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("entries", [16, 4])
def test_the_deepest_row_of_extreme_products_does_not_overflow(entries, rows, isa):
    depth = 65536
    case = native.Case(
        "deep",
        DENSE,
        {"keep_num_dims": 0, "output_min": -128, "output_max": 127},
        "single",
        np.full((rows, depth), 9, np.int8),
        np.zeros((2, depth), np.uint8),
        np.int32([0, 5]),
        np.float32([2.0**-24, 2.0**-24]),
        np.int8([[-128] * entries, [-1] * entries]),
        1.0,
        0,
        1.0,
        0,
        (rows, 2),
        numbers=np.uint8([[0], [1]]),
        points=np.full(256, -128, np.int8),
    )
    # 128 * 128 * 65536 / 2**24 = 64 and 128 * 65536 / 2**24 = 0.5, which rounds up.
    assert native.run(isa, case).tolist() == [[64, 1]] * rows


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operator)
@pytest.mark.parametrize(
    "field, change",
    [
        *itertools.product(
            ("input_size", "weights_size", "codebook_size", "points_size", "output_size"), (-1, 1)
        ),
        ("channels", -1),
        ("points_size", -256),
        ("codebook_size", 2 * 4),  # to no power of two
    ],
)
def test_a_span_of_the_wrong_size_is_refused_and_the_output_untouched(field, change, case, isa):
    if field == "codebook_size" and change == 8:
        case = dataclasses.replace(case, codebook=np.resize(case.codebook, (8, 4)))
    output = np.full(case.output_shape, 77, np.int8)
    tensors = native.tensors(case, np.ascontiguousarray, output)
    setattr(tensors, field, max(getattr(tensors, field) + change, 0))
    status = native.function(case)(
        isa.encode(), ctypes.byref(native.arguments(case)), ctypes.byref(tensors)
    )
    assert status == native.BAD_SHAPE
    assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operator)
@pytest.mark.parametrize("bits", [-4, 0, 1, 3, 8])
def test_a_width_of_codes_that_there_is_not_is_refused(bits, case, isa):
    arguments = native.arguments(case)
    arguments.bits = bits
    output = np.full(case.output_shape, 77, np.int8)
    tensors = native.tensors(case, np.ascontiguousarray, output)
    status = native.function(case)(isa.encode(), ctypes.byref(arguments), ctypes.byref(tensors))
    assert status == native.BAD_ARGUMENT
    assert (output == 77).all()

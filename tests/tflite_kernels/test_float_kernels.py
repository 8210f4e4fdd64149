"""Floats times packed weights: every instruction set gives the same bits, those worked out."""

import ctypes
import dataclasses

import numpy as np
import pytest

from tests.tflite_kernels import float_cases, native
from tests.tflite_kernels.guarded import GuardedArrays

SETS = native.isas()
GOLDEN = float_cases.golden_cases()
RANDOM_CASES = 80


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_the_operator_gives_the_golden_numbers(case, isa):
    np.testing.assert_array_equal(float_cases.run(isa, case), case.expected)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_the_numpy_oracle_gives_the_golden_numbers(case):
    np.testing.assert_array_equal(float_cases.oracle(case), case.expected)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_the_golden_numbers_are_those_of_a_product_in_double(case):
    """Up to rounding: what the order of the sum means is nowhere else."""
    x = case.input.reshape(-1, case.input.shape[-1]).astype(np.float64)
    scale = np.repeat(case.scale, case.options["group"] or x.shape[1], axis=1)[:, : x.shape[1]]
    exact = x @ (case.codebook[case.codes] * scale.astype(np.float64)).T + case.bias
    low, high = ((-np.inf, np.inf), (0, np.inf), (0, 6), (-1, 1))[case.options["activation"]]
    expected = np.clip(exact, low, high).reshape(case.output_shape)
    np.testing.assert_allclose(case.expected, expected, rtol=1e-5, atol=1e-5)


def test_random_cases_give_the_bits_of_the_numpy_oracle():
    for seed in range(RANDOM_CASES):
        case = float_cases.draw(seed)
        expected = float_cases.oracle(case).view(np.int32)
        for isa in SETS:
            found = float_cases.run(isa, case, GuardedArrays(seed % 2 == 0))
            np.testing.assert_array_equal(found.view(np.int32), expected, f"{case.name} on {isa}")


@pytest.mark.parametrize("isa", SETS)
def test_a_product_and_a_sum_are_rounded_once(isa):
    # 4097 * 4097 is 2**24 + 2**13 + 1, which takes 25 bits: rounded before the sum it would be
    # 2**24 + 2**13, and the difference 0.
    case = float_cases.FloatCase(
        "once",
        {"keep_num_dims": 0, "group": 0, "activation": 0},
        np.float32([[2**24 + 2**13, 4097]]),
        np.uint8([[1, 2]]),
        np.float32([0]),
        np.float32([[1]]),
        np.float32([0, -1, 4097, 0]),
    )  # two codes of 2 bits lie in one byte, so in one sum
    assert float_cases.run(isa, case).tolist() == [[1.0]]


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("name", float_cases.CODEBOOKS)
def test_every_code_of_8_bits_stands_for_its_number(name, isa):
    codebook = np.float32(float_cases.golden_floats.codebook_of({"codebook": name}))
    case = float_cases.FloatCase(
        name,
        {"keep_num_dims": 0, "group": 0, "activation": 0},
        np.ones((1, 1), np.float32),
        np.arange(256, dtype=np.uint8)[:, None],
        np.zeros(256, np.float32),
        np.ones((256, 1), np.float32),
        codebook,
    )
    np.testing.assert_array_equal(float_cases.run(isa, case)[0], codebook)


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("code", [0, 1, 127, 128, 129, 200, 255])
def test_a_codebook_that_differs_from_a_known_one_in_one_number_is_looked_up(code, isa):
    for name in ("int8", "float8_e4"):
        case = float_cases.draw(0)
        case.codebook = np.float32(float_cases.golden_floats.codebook_of({"codebook": name}))
        case.codebook[code] = 1.1
        case.codes = np.full_like(case.codes, code)
        np.testing.assert_array_equal(float_cases.run(isa, case), float_cases.oracle(case))


@pytest.mark.parametrize("isa", SETS)
def test_numbers_that_are_none_stay_in_their_row_and_output(isa):
    case = float_cases.draw(2)
    case.options["activation"] = 1
    case.input = np.ones((3, case.codes.shape[1]), np.float32)
    plain = float_cases.run(isa, case)
    case.input[1, -1] = np.nan
    found = float_cases.run(isa, case)
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[::2], plain[::2])


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("field", ["input", "weights", "bias", "scale", "codebook", "output"])
def test_a_span_of_the_wrong_size_is_refused_and_the_output_untouched(field, isa):
    case = float_cases.draw(1)
    for change in (-1, 1):
        output = np.full(case.output_shape, 77, np.float32)
        tensors = float_cases.tensors(case, np.ascontiguousarray, output)
        setattr(tensors, f"{field}_size", getattr(tensors, f"{field}_size") + change)
        status = float_cases.call_c(isa, float_cases.arguments(case), tensors)
        assert status == native.BAD_SHAPE
        assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize(
    "field, value, expected",
    [
        ("rows", 0, native.BAD_SHAPE),
        ("rows", 2**31 - 1, native.BAD_SHAPE),  # the product overflows
        ("depth", -1, native.BAD_SHAPE),
        ("depth", 65537, native.BAD_SHAPE),
        ("outputs", 0, native.BAD_SHAPE),
        ("outputs", 2**31 - 1, native.BAD_SHAPE),
        ("bits", 0, native.BAD_ARGUMENT),
        ("bits", 3, native.BAD_ARGUMENT),
        ("bits", 16, native.BAD_ARGUMENT),
        ("bits", 2, native.BAD_SHAPE),  # of another codebook
        ("group", -8, native.BAD_ARGUMENT),
        ("group", 12, native.BAD_ARGUMENT),
        ("group", 65544, native.BAD_ARGUMENT),
        ("activation", -1, native.BAD_ARGUMENT),
        ("activation", 4, native.BAD_ARGUMENT),
    ],
)
def test_an_argument_out_of_range_is_refused_and_the_output_untouched(field, value, expected, isa):
    case = float_cases.draw(1)  # codes of 4 bits
    arguments = float_cases.arguments(case)
    setattr(arguments, field, value)
    output = np.full(case.output_shape, 77, np.float32)
    tensors = float_cases.tensors(case, np.ascontiguousarray, output)
    assert float_cases.call_c(isa, arguments, tensors) == expected
    assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS[1:])
def test_scratch_holds_a_few_vectors_and_no_weights(isa):
    size = ctypes.c_size_t()
    for rows, most in ((1, 1), (100, 4)):
        arguments = float_cases.Args(rows, 4096, 4096, 4, 0, 0)
        status = native.load().edgeax_float_fully_connected_scratch_bytes(
            isa.encode(), ctypes.byref(arguments), ctypes.byref(size)
        )
        assert status == native.OK
        assert size.value <= most * 4096 * 4 + 64


def test_an_unknown_instruction_set_is_refused():
    case = dataclasses.replace(GOLDEN[0])
    output = np.full(case.output_shape, 77, np.float32)
    tensors = float_cases.tensors(case, np.ascontiguousarray, output)
    assert float_cases.call_c("sse9", float_cases.arguments(case), tensors) == native.UNKNOWN_ISA
    assert (output == 77).all()

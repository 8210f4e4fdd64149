import numpy as np
import pytest

from tests.runtime.mcu import declared, image_cases
from tests.runtime.mcu.one_operator import File
from tests.tflite_kernels.models import Tensor

CASES = 30


def file_of(name="ADD", scales=(0.5, 0.25, 1.0), zero_points=(0, 0, 0), **options) -> File:
    """An operator on four int8 codes."""
    tensors = [
        Tensor(word, (4,), np.int8, scale, zero_point)
        for word, scale, zero_point in zip("aby", scales, zero_points, strict=True)
    ]
    return File(name, (f"{name.title()}Options", options), tensors[:2], tensors[2], 2)


def made(file, a, b, rounding="double"):
    return image_cases.made(image_cases.Drawn(file, [np.int8(a), np.int8(b)]), rounding).tolist()


@pytest.mark.parametrize("rounding", ["single", "double"])
def test_sums_are_those_worked_out_by_hand(rounding):
    # 1/2 a + 1/4 b: 10 + 1, -10 - 1, 63.5 + 31.75, -64 - 32
    assert made(file_of(), [20, -20, 127, -128], [4, -4, 127, -128], rounding) == [11, -11, 95, -96]
    assert made(file_of("SUB"), [20, -20, 127, 0], [4, -4, -128, 8], rounding) == [9, -9, 96, -2]
    swapped = file_of("SUB", (0.25, 0.5, 1.0), (1, 2, 3))
    assert made(swapped, [5, 1, 1, 41], [2, 22, -18, 2], rounding) == [4, -7, 13, 13]


def test_halves_go_up_as_in_xnnpack_or_away_from_zero_as_in_tflm():
    assert made(file_of(), [1, -1, 3, -3], [0, 0, 0, 0], "single") == [1, 0, 2, -1]
    assert made(file_of(), [1, -1, 3, -3], [0, 0, 0, 0], "double") == [1, -1, 2, -2]


def test_products_are_those_worked_out_by_hand():
    file = file_of("MUL", (0.5, 0.5, 1.0), (0, 1, -2))
    assert made(file, [4, -4, 0, 127], [5, 5, 9, 127]) == [2, -6, -2, 127]
    file = file_of("MUL", (0.5, 0.5, 1.0), (0, 1, -2), fusedActivationFunction=1)
    assert made(file, [4, -4, 0, 127], [5, 5, 9, 127]) == [2, -2, -2, 127]


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_drawn_operators_equal_the_reference_kernels_also_in_place(name, dtype):
    rng, in_place = np.random.default_rng(4), 0
    for _ in range(CASES):
        drawn = image_cases.binary(rng, name, dtype)
        assert np.array_equal(image_cases.made(drawn), drawn.file.interpreted(drawn.inputs))
        in_place += image_cases.check_in_place(drawn)
    assert in_place > CASES


@pytest.mark.parametrize("name", ["ADD", "SUB"])
def test_sums_with_one_rounding_are_those_of_xnnpack(name):
    rng = np.random.default_rng(5)
    for _ in range(CASES):
        drawn = image_cases.binary(rng, name)
        expected = drawn.file.interpreted(drawn.inputs, "single")
        assert drawn.file.step("single").kernel.startswith("AddWeighted")
        assert np.array_equal(image_cases.made(drawn, "single"), expected)
        image_cases.check_in_place(drawn, "single")


def test_scales_that_xnnpack_leaves_to_tflite_are_added_as_tflite_adds():
    file = file_of(scales=(1.0, 0.0005, 1.0))
    assert file.step("single").kernel == "Add"
    inputs = [np.int8([100, -100, 3, 4]), np.int8([127, -128, 0, 0])]
    drawn = image_cases.Drawn(file, inputs)
    assert np.array_equal(image_cases.made(drawn, "single"), file.interpreted(inputs, "single"))


def test_products_with_one_rounding_are_within_one_code_of_xnnpack():
    rng = np.random.default_rng(6)
    for _ in range(CASES):
        drawn = image_cases.binary(rng, "MUL")
        got = image_cases.made(drawn, "single").astype(int)
        assert np.abs(got - drawn.file.interpreted(drawn.inputs, "single")).max() <= 1


@pytest.mark.parametrize("name, struct", [("ADD", "AddArgs"), ("MUL", "MultiplyArgs")])
def test_the_fields_are_those_of_the_header(name, struct):
    assert [*file_of(name).step().arguments.fields] == declared.fields_of(struct)
    weighted = file_of().step("single").arguments
    assert [*weighted.fields] == declared.fields_of("WeightedAddArgs")
    assert [*weighted.fields["clamp"].fields] == declared.fields_of("Clamp")


def test_what_cannot_be_generated_is_named():
    file = file_of()
    file.inputs[1].dtype = np.int16
    with pytest.raises(ValueError, match=r"operator 0 ADD, y: its second input must be int8"):
        file.step()
    with pytest.raises(ValueError, match=r"its output's scale must not be far below"):
        file_of(scales=(1.0, 1.0, 1e-7)).step()
    file = file_of("MUL")
    file.inputs[0].scale = None
    with pytest.raises(ValueError, match=r"its first input must have one scale"):
        file.step()

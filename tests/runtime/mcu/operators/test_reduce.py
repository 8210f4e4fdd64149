import numpy as np
import pytest

from edgeax.runtime.mcu import oracle
from edgeax.runtime.mcu.operators import reduce
from tests.runtime.mcu import declared, image_cases
from tests.runtime.mcu.one_operator import File
from tests.tflite_kernels.models import Tensor

CASES = 40


def file_of(name="MEAN", shape=(2, 3), axes=(1,), output=(2,), scales=(1.0, 1.0)) -> File:
    """A reduction of int8 codes."""
    inputs = [
        Tensor("x", shape, np.int8, scales[0], 1),
        Tensor("axes", (len(axes),), np.int32, None, 0, np.int32(axes)),
    ]
    given = ("ReducerOptions", {"keepDims": False})
    return File(name, given, inputs, Tensor("y", output, np.int8, scales[1], -1), 2)


def made(file, x):
    return image_cases.made(image_cases.Drawn(file, [np.int8(x)])).tolist()


def test_means_and_sums_are_those_worked_out_by_hand():
    x = [[2, 3, 4], [-9, -9, -10]]  # 1, 2, 3 and -10, -10, -11 above the zero point
    assert made(file_of(), x) == [2 - 1, -10 - 1]
    assert made(file_of("SUM", scales=(1.0, 0.5)), x) == [12 - 1, -62 - 1]
    assert made(file_of(axes=(0, -1), output=()), x) == -4 - 1  # -25 / 6


@pytest.mark.parametrize("rounding", ["single", "double"])
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_drawn_means_equal_those_of_the_interpreter(dtype, rounding):
    rng = np.random.default_rng(10)
    for _ in range(CASES):
        drawn = image_cases.reduction(rng, "MEAN", dtype)
        expected = drawn.file.interpreted(drawn.inputs, rounding)
        assert np.array_equal(image_cases.made(drawn, rounding), expected)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_drawn_sums_equal_those_that_litert_gives_by_default(dtype):
    """Its reference kernel of SUM does not scale codes; that of TFLM does."""
    rng = np.random.default_rng(11)
    for _ in range(CASES):
        drawn = image_cases.reduction(rng, "SUM", dtype)
        expected = drawn.file.interpreted(drawn.inputs, "single")
        assert np.array_equal(image_cases.made(drawn, "single"), expected)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_drawn_sums_are_those_that_programs_are_tested_against(dtype):
    rng = np.random.default_rng(12)
    for _ in range(CASES):
        drawn = image_cases.reduction(rng, "SUM", dtype)
        (expected,) = oracle.outputs_of(drawn.file.content(), drawn.inputs, "double")
        assert np.array_equal(image_cases.made(drawn), expected)


def extreme(rng: np.random.Generator, name: str, dtype: str) -> image_cases.Drawn:
    drawn = image_cases.reduction(rng, name, dtype)
    x, y = drawn.file.inputs[0], drawn.file.output
    y.scale, y.zero_point = x.scale, x.zero_point
    drawn.file.version = 2 if dtype == "int8" else 3
    return drawn


@pytest.mark.parametrize("name", ["REDUCE_MAX", "REDUCE_MIN"])
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_drawn_extremes_equal_those_of_the_interpreter(dtype, name):
    rng = np.random.default_rng(13)
    for _ in range(CASES):
        drawn = extreme(rng, name, dtype)
        assert np.array_equal(image_cases.made(drawn), drawn.file.interpreted(drawn.inputs))


def test_extremes_are_codes_of_the_input():
    file = file_of("REDUCE_MAX")
    with pytest.raises(ValueError, match="input and output must have one scale and zero point"):
        file.step()
    file.output.zero_point = 1
    fields = file.step().arguments.fields
    assert [*fields] == declared.fields_of("ReduceExtremeArgs") and fields["sign"] == 1
    assert made(file, [[-128, 5, 4], [-9, -10, -11]]) == [5, -9]


def test_neighboring_axes_become_one_loop():
    kept = reduce._loops((2, 3, 4, 5), {1, 2}, False)
    assert kept == [[2, 60], [5, 1]]
    assert reduce._loops((2, 3, 4, 5), {1, 2}, True) == [[12, 5]]
    assert reduce._loops((1, 1), {0}, True) == [[1, 1]]


def test_the_fields_are_those_of_the_header():
    fields = file_of().step().arguments.fields
    assert [*fields] == declared.fields_of("ReduceArgs")
    assert [*fields["kept"].fields] == declared.fields_of("Loops")


def test_what_cannot_be_generated_is_named():
    with pytest.raises(ValueError, match=r"operator 0 MEAN, y: its axes must lie in \[-2, 1\]"):
        file_of(axes=(2,)).step()
    with pytest.raises(ValueError, match=r"its output must have the shape \(2,\)"):
        file_of(output=(3,)).step()
    file = file_of()
    file.inputs[1].data = None
    with pytest.raises(ValueError, match="input 1 must be a constant"):
        file.step()
    with pytest.raises(ValueError, match=r"it must sum below 8388608\. Received: 8388608"):
        file_of(shape=(2, 1 << 23)).step()
    with pytest.raises(ValueError, match="alternate less"):
        file_of(shape=(2,) * 10, axes=(0, 2, 4, 6, 8), output=(2,) * 5).step()

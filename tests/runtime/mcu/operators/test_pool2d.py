import numpy as np
import pytest

from edgeax.runtime.mcu.program import Window
from tests.runtime.mcu import declared, image_cases, native_steps
from tests.runtime.mcu.one_operator import File
from tests.tflite_kernels.models import Tensor

CASES = 30
NAMES = ("AVERAGE_POOL_2D", "MAX_POOL_2D")


def file_of(name="AVERAGE_POOL_2D", size=3, window=2, scale=1.0, zero_point=0, **options) -> File:
    """Windows with strides of 1 and padding SAME over a square of one channel."""
    given = {"padding": 0, "strideH": 1, "strideW": 1, "filterHeight": window}
    shape = (1, size, size, 1)
    return File(
        name,
        ("Pool2DOptions", given | {"filterWidth": window} | options),
        [Tensor("x", shape, np.int8, 1.0, 0)],
        Tensor("y", shape, np.int8, scale, zero_point),
        2,
    )


def made(file, x):
    drawn = image_cases.Drawn(file, [np.int8(x).reshape(1, 3, 3, 1)])
    return image_cases.made(drawn)[0, :, :, 0].tolist()


def test_pools_give_the_codes_worked_out_by_hand():
    x = [[1, 2, -3], [4, -5, 6], [-7, 8, -9]]  # what lies outside does not count
    halves_away = [[1, 0, 2], [0, 0, -2], [1, -1, -9]]
    assert made(file_of(), x) == halves_away
    assert made(file_of("MAX_POOL_2D"), x) == [[4, 6, 6], [8, 8, 6], [8, 8, -9]]
    limited = made(file_of("MAX_POOL_2D", fusedActivationFunction=3), x)
    assert limited == [[4, 6, 6], [6, 6, 6], [6, 6, 0]]


@pytest.mark.parametrize("rounding", ["single", "double"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_drawn_pools_equal_those_of_the_interpreter_also_in_place(name, dtype, rounding):
    rng, in_place = np.random.default_rng(8), 0
    for _ in range(CASES):
        drawn = image_cases.pool(rng, name, dtype)
        expected = drawn.file.interpreted(drawn.inputs, rounding)
        assert np.array_equal(image_cases.made(drawn, rounding), expected)
        in_place += image_cases.check_in_place(drawn)
    assert in_place > CASES // 4


@pytest.mark.parametrize("code", [-128, 127, -1, 1])
@pytest.mark.parametrize("size", [63, 65])  # below and above what reciprocals are exact for
def test_an_average_of_equal_codes_is_that_code_however_large_the_window(code, size):
    file = file_of(size=size, window=size, padding=1)
    file.output.shape = (1, 1, 1, 1)
    x = np.full((1, size, size, 1), code, np.int8)
    assert image_cases.made(image_cases.Drawn(file, [x])).item() == code
    x.reshape(-1)[: size * size // 2 + 1] = 0
    less = image_cases.made(image_cases.Drawn(file, [x])).item()
    assert less == int(np.sign(code) * np.floor(np.abs(x.sum(dtype=int)) / size**2 + 0.5))


def test_bands_of_rows_need_only_the_input_rows_that_the_extent_names():
    rng = np.random.default_rng(9)
    for _ in range(CASES):
        drawn = image_cases.pool(rng, "AVERAGE_POOL_2D")
        step, shape = drawn.file.step(), drawn.file.output.shape
        if shape[0] > 1 or shape[1] < 2 or not isinstance(step.extent, Window):
            continue
        first, last = step.extent.needed(1, shape[1])
        part = np.ascontiguousarray(drawn.inputs[0][:, first:last])
        band = (1, shape[1] - 1, *shape[2:]), "int8"
        got = native_steps.run_rows(step, [part], band, "double", (1, shape[1], first))
        assert np.array_equal(got, image_cases.made(drawn)[:, 1:])


def test_the_fields_are_those_of_the_header():
    assert [*file_of().step().arguments.fields] == declared.fields_of("Pool2DArgs")


def test_what_cannot_be_generated_is_named():
    with pytest.raises(ValueError, match=r"operator 0 AVERAGE_POOL_2D, y: .*same scale and zero"):
        file_of(scale=2.0).step()
    with pytest.raises(ValueError, match=r"same scale and zero point.*\[0, 3\]"):
        file_of(zero_point=3).step()
    with pytest.raises(ValueError, match=r"its output must have the shape \(1, 2, 2\)"):
        file_of(padding=1).step()
    file = file_of()
    file.inputs[0].dtype = file.output.dtype = np.float32
    with pytest.raises(ValueError, match="Quantize the model"):
        file.step()

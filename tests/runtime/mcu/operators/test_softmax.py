import math

import numpy as np
import pytest

from tests.runtime.mcu import declared, image_cases
from tests.runtime.mcu.one_operator import File
from tests.tflite_kernels.models import Tensor

CASES = 40


def file_of(shape=(1, 2), scale=0.125, output=(1 / 256, -128), dtype=np.int8, beta=1.0) -> File:
    """A softmax of int8 codes."""
    inputs = [Tensor("x", shape, np.int8, scale, 0)]
    return File(
        "SOFTMAX", ("SoftmaxOptions", {"beta": beta}), inputs, Tensor("y", shape, dtype, *output)
    )


def test_probabilities_are_those_of_the_formula_to_the_nearest_code():
    x = np.int8([[0, 8]])  # exp(0) and exp(1)
    got = image_cases.made(image_cases.Drawn(file_of(), [x]))
    expected = [256 / (1 + math.e), 256 * math.e / (1 + math.e)]
    assert got.tolist() == [[round(code) - 128 for code in expected]]


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_drawn_rows_equal_the_reference_kernel_also_in_place(dtype):
    rng = np.random.default_rng(12)
    for _ in range(CASES):
        drawn = image_cases.softmax(rng, dtype)
        assert np.array_equal(image_cases.made(drawn), drawn.file.interpreted(drawn.inputs))
        assert image_cases.check_in_place(drawn) == (1 if dtype == "int8" else 0)


def test_one_code_of_many_takes_all():
    x = np.full((1, 300), -128, np.int8)
    x[0, 7] = 127
    got = image_cases.made(image_cases.Drawn(file_of((1, 300), scale=1.0), [x]))
    assert got[0, 7] == 127 and np.count_nonzero(got > -128) == 1


def test_the_fields_are_those_of_the_header():
    assert [*file_of().step().arguments.fields] == declared.fields_of("SoftmaxArgs")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"output": (1 / 128, -128)}, r"its output must have zero point -128 and scale 0.0039"),
        ({"output": (1 / 256, 0)}, r"zero point -128"),
        ({"dtype": np.int16}, r"zero point -32768"),
        ({"shape": (1, 5000)}, r"its last axis 1 to 4095"),
        ({"scale": 1e-9}, r"beta times its input's scale must be above"),
    ],
)
def test_what_cannot_be_generated_is_named(change, message):
    with pytest.raises(ValueError, match=f"operator 0 SOFTMAX, y: .*{message}"):
        file_of(**change).step()

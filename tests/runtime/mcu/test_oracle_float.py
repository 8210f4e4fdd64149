import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.oracle_float import float_product, multiply_add
from tests.tflite_kernels import float_cases

GOLDEN = float_cases.golden_cases()  # worked out in fractions


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_golden_bits_come_out(case):
    graph = Model.from_bytes(float_cases.model_of(case).write()).subgraphs[0]
    made = float_product(graph, graph.operators[0], case.input)
    assert made.dtype == np.float32 and np.array_equal(made, case.expected)


def test_a_product_and_a_sum_are_rounded_once():
    """Rounded to double in between, the sum lies halfway between two floats, and goes up."""
    a, b = np.float32([8 * (1 + 2**-15)]), np.float32([8 * (1 - 2**-15)])
    c = np.float32([2**30 + 2**7])
    assert np.float32(np.float64(a) * b + c)[0] == 2**30 + 2**8
    assert multiply_add(a, b, c)[0] == 2**30 + 2**7
    assert multiply_add(-a, b, -c)[0] == -(2**30) - 2**7


def test_what_is_exact_stays_so():
    assert multiply_add(np.float32([3]), np.float32([0.5]), np.float32([-1.5]))[0] == 0

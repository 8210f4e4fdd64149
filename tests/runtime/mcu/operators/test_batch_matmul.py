import numpy as np
import pytest

from edgeax.runtime.mcu.operators import HANDLERS
from tests.runtime.mcu import drawn
from tests.runtime.mcu.built_in_cases import Case, case, check, node_of, step_of
from tests.runtime.mcu.declared import fields_of


def product(
    rng: np.random.Generator,
    first: tuple[int, ...],
    second: tuple[int, ...],
    turned: tuple[bool, bool] = (False, False),
    dtype: type = np.int8,
    rounding: str = "double",
) -> Case:
    values = [drawn.codes(rng, shape, dtype) for shape in (first, second)]
    parts = [
        np.swapaxes(value, -1, -2) if turns else value
        for value, turns in zip(values, turned, strict=True)
    ]
    depth = parts[0].shape[-1]
    zero_points = [drawn.zero_point(rng) for _ in range(3)]
    grown = 60.0 if dtype == np.int8 else 15000.0
    inputs = [
        drawn.tensor(name, value.shape, dtype, 0.05, zero)
        for name, value, zero in zip("ab", values, zero_points, strict=False)
    ]
    shape = np.matmul(*(np.zeros(part.shape) for part in parts)).shape
    scale = 0.05**2 * grown * depth**0.5
    output = drawn.tensor("y", shape, dtype, scale, zero_points[2])
    options = {"adjX": turned[0], "adjY": turned[1], "table": "BatchMatMulOptions"}
    version = 2 if dtype == np.int8 else 3
    return case("BATCH_MATMUL", inputs, [output], values, rounding, version, **options)


def cases(dtype: type, rounding: str = "double") -> list[Case]:
    rng = np.random.default_rng(41)
    found = []
    for turned in ((False, False), (True, False), (False, True), (True, True)):
        first = (2, 3, 7, 4) if turned[0] else (2, 3, 4, 7)
        second = (2, 3, 5, 7) if turned[1] else (2, 3, 7, 5)
        found.append(product(rng, first, second, turned, dtype, rounding))
    found.append(product(rng, (1, 3, 4, 7), (2, 1, 7, 5), dtype=dtype, rounding=rounding))
    found.append(product(rng, (6, 40), (40, 3), dtype=dtype, rounding=rounding))
    found.append(product(rng, (3, 4, 9), (9, 5), dtype=dtype, rounding=rounding))
    return found


@pytest.mark.parametrize("dtype", drawn.TYPES)
def test_codes_are_those_of_the_interpreter(dtype, tmp_path):
    check(tmp_path, cases(dtype))


def test_single_rounding_is_that_of_litert(tmp_path):
    check(tmp_path, cases(np.int8, "single"))


def test_the_fields_are_those_of_the_header():
    step = step_of(cases(np.int8)[0])
    assert [*step.arguments.fields] == fields_of("BatchMatMulArgs")
    assert step.macs == 2 * 3 * 4 * 7 * 5


@pytest.mark.parametrize(
    "shape, words",
    [((2, 3, 8, 5), "its second input must have 7 rows"), ((4, 3, 7, 5), "its batches must suit")],
)
def test_matrices_that_do_not_suit_each_other_are_refused(shape, words):
    node = node_of(cases(np.int8)[0].file)
    node.tensors[node.inputs[1]].shape = shape
    with pytest.raises(ValueError, match=words):
        HANDLERS["BATCH_MATMUL"](node)

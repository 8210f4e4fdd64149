import numpy as np
import pytest
from numpy.random import Generator

from edgeax.runtime.mcu.operators import HANDLERS
from edgeax.runtime.mcu.program import Alias
from tests.runtime.mcu import drawn
from tests.runtime.mcu.built_in_cases import Case, case, check, node_of, step_of


def tile(values: np.ndarray, times: tuple[int, ...]) -> Case:
    dtype = values.dtype.type
    inputs = [drawn.tensor("x", values.shape, dtype), drawn.constant("times", times)]
    output = drawn.tensor("y", np.tile(values, times).shape, dtype)
    return case("TILE", inputs, [output], [values], version=2, table="TileOptions")


def broadcast(values: np.ndarray, shape: tuple[int, ...]) -> Case:
    dtype = values.dtype.type
    inputs = [drawn.tensor("x", values.shape, dtype), drawn.constant("shape", shape)]
    output = drawn.tensor("y", shape, dtype)
    options = {"version": 3, "table": "BroadcastToOptions"}
    return case("BROADCAST_TO", inputs, [output], [values], **options)


def drawn_tiles(rng: Generator, dtype: type) -> list[Case]:
    found = []
    for _ in range(12):
        shape = rng.integers(1, 6, rng.integers(1, 4))
        times = tuple(int(n) for n in rng.integers(1, 4, shape.size))
        found.append(tile(drawn.codes(rng, shape.tolist(), dtype), times))
    return found


@pytest.mark.parametrize("dtype", drawn.TYPES)
def test_elements_are_those_of_the_interpreter(dtype, tmp_path):
    rng = np.random.default_rng(31)
    cases = drawn_tiles(rng, dtype)
    cases.append(broadcast(drawn.codes(rng, (1, 3, 1, 4), dtype), (2, 3, 5, 4)))
    cases.append(broadcast(drawn.codes(rng, (1, 4), dtype), (2, 3, 4)))
    check(tmp_path, cases)


def test_what_stands_once_is_no_copy():
    (part,) = tile(np.int8([[1, 2]]), (1, 1)).lowered()
    assert isinstance(part, Alias)


@pytest.mark.parametrize(
    "one, words",
    [
        (tile(np.int8([[1, 2]]), (2, 3)), "must have shape"),
        (broadcast(np.int8([[1, 2]]), (3, 2)), "must have shape"),
    ],
)
def test_outputs_of_another_shape_are_refused(one, words):
    node = node_of(one.file)
    node.tensors[node.outputs[0]].shape = (5, 7)
    with pytest.raises(ValueError, match=words):
        HANDLERS[node.operator.name](node)


def test_a_shape_that_is_no_repetition_is_refused():
    with pytest.raises(ValueError, match="where sizes of 1 are repeated"):
        step_of(broadcast(np.int8([[1, 2, 3]]), (3, 2)))

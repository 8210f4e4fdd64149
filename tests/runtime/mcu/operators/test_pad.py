from pathlib import Path

import numpy as np
import pytest

from edgeax.runtime.mcu.program import Alias
from tests.runtime.mcu import drawn
from tests.runtime.mcu.built_in_cases import Case, case, check, step_of


def pad(values: np.ndarray, borders: np.ndarray, value: int | None = None) -> Case:
    dtype = values.dtype.type
    inputs = [drawn.tensor("x", values.shape, dtype), drawn.constant("borders", borders)]
    if value is not None:
        inputs.append(drawn.tensor("v", (), dtype, data=np.array(value, dtype)))
    output = drawn.tensor("y", values.shape + borders.sum(axis=1), dtype)
    output.shape = tuple(map(int, output.shape))
    name, table = ("PAD", "PadOptions") if value is None else ("PADV2", "PadV2Options")
    return case(name, inputs, [output], [values], version=2, table=table)


@pytest.mark.parametrize("dtype", drawn.TYPES)
def test_borders_are_the_interpreters(dtype: type, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    cases = []
    for _ in range(25):
        shape = rng.integers(1, 7, rng.integers(1, 6))
        values = drawn.codes(rng, shape, dtype)
        borders = rng.integers(0, 4, (shape.size, 2)) * (rng.random((shape.size, 1)) < 0.6)
        cases += [pad(values, borders), pad(values, borders, -77)]
    check(tmp_path, cases)


def test_the_step_says_what_is_padded() -> None:
    borders = np.int32([[0, 0], [1, 2], [3, 4], [0, 0]])
    fields = step_of(pad(np.zeros((1, 5, 6, 8), np.int8), borders)).arguments.fields
    assert fields["value"] == 3 and fields["element"] == 1
    assert fields["axes"].data.tolist() == [[0, 1, 0], [1, 5, 2], [3, 6, 4], [0, 8, 0]]


def test_no_border_is_the_same_memory() -> None:
    one = pad(np.zeros((1, 5), np.int8), np.zeros((2, 2), np.int32))
    assert one.lowered() == [Alias("0 PAD, y", 0, 2)]


def test_borders_that_do_not_fit_are_refused() -> None:
    x, y = drawn.tensor("x", (1, 5)), drawn.tensor("y", (1, 7))
    with pytest.raises(ValueError, match="paddings must be 4 numbers from 0 up. Received: .*-1"):
        case("PAD", [x, drawn.constant("borders", [[0, 0], [-1, 3]])], [y], []).lowered()
    with pytest.raises(ValueError, match=r"'y' must have shape \[1, 6\]"):
        case("PAD", [x, drawn.constant("borders", [[0, 0], [0, 1]])], [y], []).lowered()
    computed = drawn.constant("borders", [[0, 0], [0, 2]])
    computed.data = None
    with pytest.raises(ValueError, match="input 1 must be a constant"):
        case("PAD", [x, computed], [y], []).lowered()


def test_a_value_of_another_scale_is_refused() -> None:
    inputs = [
        drawn.tensor("x", (1, 5)),
        drawn.constant("borders", [[0, 0], [0, 2]]),
        drawn.tensor("v", (), scale=0.5, data=np.array(1, np.int8)),
    ]
    with pytest.raises(ValueError, match="value must have the scale and zero point of the output"):
        case("PADV2", inputs, [drawn.tensor("y", (1, 7))], []).lowered()

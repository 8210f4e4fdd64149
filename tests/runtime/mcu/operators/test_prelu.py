from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator

from edgeax.runtime.mcu.program import Window
from tests.runtime.mcu import drawn
from tests.runtime.mcu.built_in_cases import Case, case, check, step_of

SHAPE = (1, 3, 4, 5)
SLOPES = [(1, 1, 5), (5,), (3, 4, 5), (3, 1, 5), (1, 1, 1), (1, 4, 5), ()]


def prelu(
    rng: Generator,
    slopes: tuple[int, ...],
    dtype: type = np.int8,
    rounding: str = "double",
    shape: tuple[int, ...] = SHAPE,
) -> Case:
    values, factors = drawn.codes(rng, shape, dtype), drawn.codes(rng, slopes)
    x, y = (
        drawn.tensor(name, shape, dtype, drawn.scale(rng, dtype), drawn.zero_point(rng))
        for name in "xy"
    )
    zero = drawn.zero_point(rng) if dtype == np.int8 else 0
    slope = drawn.tensor("slopes", slopes, np.int8, drawn.scale(rng), zero, factors)
    return case("PRELU", [x, slope], [y], [values], rounding)


@pytest.mark.parametrize("rounding", ["double", "single"])
def test_outputs_are_the_interpreters(rounding: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    cases = [
        prelu(rng, slopes, dtype, rounding)
        for dtype in drawn.TYPES
        for slopes in SLOPES
        for _ in range(3)
    ]
    cases.append(prelu(rng, (1, 7), rounding=rounding, shape=(3, 7)))
    cases.append(prelu(rng, (1, 1, 5), rounding=rounding, shape=(2, 3, 4, 5)))
    check(tmp_path, cases)


def test_an_image_is_computed_by_rows() -> None:
    step = step_of(prelu(np.random.default_rng(9), (1, 1, 5)))
    assert step.extent == Window(3, 3) and step.in_place == ((0, 0),)
    assert step.arguments.fields["row"] == 20 and step.arguments.fields["period"] == 5


def test_slopes_must_be_constant_codes_that_fit() -> None:
    rng = np.random.default_rng(10)
    with pytest.raises(ValueError, match=r"slopes must fit the input, .* Received: \(3, 5, 5\)"):
        prelu(rng, (3, 5, 5)).lowered()
    x, y = drawn.tensor("x", SHAPE), drawn.tensor("y", SHAPE)
    with pytest.raises(ValueError, match="input 1 must be a constant. Received: 'a', computed"):
        case("PRELU", [x, drawn.tensor("a", (5,))], [y], []).lowered()
    wide = drawn.tensor("a", (5,), np.int16, data=np.zeros(5, np.int16))
    with pytest.raises(ValueError, match="'a' must be int8. Received: int16"):
        case("PRELU", [x, wide], [y], []).lowered()

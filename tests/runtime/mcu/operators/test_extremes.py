from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator

from tests.runtime.mcu import drawn
from tests.runtime.mcu.built_in_cases import Case, case, check, step_of
from tests.tflite_kernels.models import Tensor

SHAPES = [
    ((2, 3, 4, 5), (2, 3, 4, 5)),
    ((2, 3, 4, 5), (5,)),
    ((2, 1, 4, 5), (1, 3, 1, 5)),
    ((2, 3, 1, 1), (2, 3, 4, 5)),
    ((1,), (2, 3, 4)),
    ((2, 3), ()),
]


def arg_extreme(name: str, values: np.ndarray, axis: int, out: type = np.int32) -> Case:
    shape = tuple(int(size) for size in np.delete(values.shape, axis))
    inputs = [drawn.tensor("x", values.shape, values.dtype.type), drawn.constant("axis", axis)]
    table = {"ARG_MAX": "ArgMaxOptions", "ARG_MIN": "ArgMinOptions"}[name]
    kind = {np.int32: 2, np.int64: 4}.get(out, 2)
    return case(
        name, inputs, [Tensor("y", shape, out)], [values], version=2, table=table, outputType=kind
    )


def extreme_of(name: str, values: list[np.ndarray], shape: tuple[int, ...] | None = None) -> Case:
    dtype = values[0].dtype.type
    inputs = [drawn.tensor(f"x{i}", part.shape, dtype) for i, part in enumerate(values)]
    shape = np.broadcast_shapes(*(part.shape for part in values)) if shape is None else shape
    version = 2 if dtype == np.int8 else 3
    options = {"version": version, "table": "MaximumMinimumOptions"}
    return case(name, inputs, [drawn.tensor("y", shape, dtype)], values, **options)


def few_codes(rng: Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Codes of which many are the same, -128 and 127 among them."""
    return rng.choice(np.int8([-128, -1, 0, 127]), shape)


def test_places_of_extremes_are_the_interpreters(tmp_path: Path) -> None:
    rng = np.random.default_rng(13)
    cases = [
        arg_extreme(name, few_codes(rng, (2, 3, 4, 5)), axis, out)
        for name in ("ARG_MAX", "ARG_MIN")
        for axis in (0, 1, 2, 3, -1, -2)
        for out in (np.int32, np.int64)
    ]
    cases += [arg_extreme("ARG_MAX", drawn.codes(rng, (1, 300)), 1)]
    check(tmp_path, cases)


def test_extremes_of_two_are_the_interpreters(tmp_path: Path) -> None:
    rng = np.random.default_rng(14)
    cases = [
        extreme_of(name, [drawn.codes(rng, shape, dtype) for shape in shapes])
        for name in ("MAXIMUM", "MINIMUM")
        for dtype in drawn.TYPES
        for shapes in SHAPES
    ]
    check(tmp_path, cases)


def test_a_constant_is_compared_with_from_flash(tmp_path: Path) -> None:
    values = drawn.codes(np.random.default_rng(15), (2, 3))
    inputs = [drawn.tensor("x", (2, 3)), drawn.tensor("c", (), data=np.array(-5, np.int8))]
    options = {"version": 2, "table": "MaximumMinimumOptions"}
    one = case("MAXIMUM", inputs, [drawn.tensor("y", (2, 3))], [values], **options)
    assert step_of(one).in_place == ((0, 0),)
    check(tmp_path, [one])


def test_shapes_and_types_that_do_not_fit_are_refused() -> None:
    values = np.zeros((2, 3), np.int8)
    with pytest.raises(ValueError, match=r"shape that its inputs spread to.* to \(3, 3\)"):
        extreme_of("MAXIMUM", [values, values], (3, 3)).lowered()
    with pytest.raises(ValueError, match="output must be int32 or int64. Received: int16"):
        arg_extreme("ARG_MAX", values, 1, np.int16).lowered()
    with pytest.raises(ValueError, match=r"axis must lie in \[-2, 1\]. Received: 2"):
        inputs = [drawn.tensor("x", (2, 3)), drawn.constant("axis", 2)]
        case("ARG_MAX", inputs, [Tensor("y", (2,), np.int32)], []).lowered()

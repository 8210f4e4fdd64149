from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator

from edgeax.runtime.mcu.program import Alias, Array
from tests.runtime.mcu import drawn
from tests.runtime.mcu.built_in_cases import Case, case, check, step_of


def concatenation(parts: list[np.ndarray], axis: int, scale: float = drawn.SCALE) -> Case:
    dtype = parts[0].dtype.type
    inputs = [drawn.tensor(f"x{i}", part.shape, dtype) for i, part in enumerate(parts)]
    output = drawn.tensor("y", np.concatenate(parts, axis).shape, dtype, scale)
    version = 2 if dtype == np.int8 else 3
    return case(
        "CONCATENATION",
        inputs,
        [output],
        parts,
        version=version,
        table="ConcatenationOptions",
        axis=axis,
    )


def split_v(parts: list[np.ndarray], axis: int) -> Case:
    dtype = parts[0].dtype.type
    whole = np.concatenate(parts, axis)
    sizes = drawn.constant("sizes", [part.shape[axis] for part in parts])
    inputs = [drawn.tensor("x", whole.shape, dtype), sizes, drawn.constant("axis", axis)]
    outputs = [drawn.tensor(f"y{i}", part.shape, dtype) for i, part in enumerate(parts)]
    options = {"table": "SplitVOptions", "numSplits": len(parts)}
    return case("SPLIT_V", inputs, outputs, [whole], version=2, **options)


def split(parts: list[np.ndarray], axis: int) -> Case:
    dtype = parts[0].dtype.type
    whole = np.concatenate(parts, axis)
    inputs = [drawn.constant("axis", axis), drawn.tensor("x", whole.shape, dtype)]
    outputs = [drawn.tensor(f"y{i}", part.shape, dtype) for i, part in enumerate(parts)]
    options = {"table": "SplitOptions", "numSplits": len(parts)}
    version = 2 if dtype == np.int8 else 4
    return case("SPLIT", inputs, outputs, [whole], version=version, **options)


def pack(parts: list[np.ndarray], axis: int) -> Case:
    dtype = parts[0].dtype.type
    inputs = [drawn.tensor(f"x{i}", part.shape, dtype) for i, part in enumerate(parts)]
    output = drawn.tensor("y", np.stack(parts, axis).shape, dtype)
    options = {"table": "PackOptions", "axis": axis, "valuesCount": len(parts)}
    return case("PACK", inputs, [output], parts, version=2 if dtype == np.int8 else 3, **options)


def unpack(whole: np.ndarray, axis: int) -> Case:
    dtype = whole.dtype.type
    shape = np.delete(whole.shape, axis)
    outputs = [drawn.tensor(f"y{i}", shape, dtype) for i in range(whole.shape[axis])]
    inputs = [drawn.tensor("x", whole.shape, dtype)]
    options = {"table": "UnpackOptions", "axis": axis, "num": len(outputs)}
    version = 2 if dtype == np.int8 else 4
    return case("UNPACK", inputs, outputs, [whole], version=version, **options)


def draw(rng: Generator, dtype: type) -> Iterator[Case]:
    rank = int(rng.integers(1, 6))
    axis = int(rng.integers(-rank, rank))
    shape = [int(size) for size in rng.integers(1, 6, rank)]
    alike = [drawn.codes(rng, shape, dtype) for _ in range(rng.integers(1, 5))]
    other = []
    for _ in range(rng.integers(1, 5)):
        shape[axis] = int(rng.integers(1, 23))
        other.append(drawn.codes(rng, shape, dtype))
    yield concatenation(other, axis)
    yield split_v(other, axis)
    yield split(alike, axis)
    yield pack(alike, axis)
    yield unpack(alike[0], axis)


@pytest.mark.parametrize("dtype", drawn.TYPES)
def test_all_give_the_interpreters_outputs(dtype: type, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    check(tmp_path, [one for _ in range(20) for one in draw(rng, dtype)])


def test_a_constant_is_joined_from_flash(tmp_path: Path) -> None:
    values, fixed = np.int8([[1, 2, 3]]), np.int8([[4, 5]])
    inputs = [drawn.tensor("x", (1, 3)), drawn.tensor("c", (1, 2), data=fixed)]
    options = {"version": 2, "table": "ConcatenationOptions", "axis": 1}
    one = case("CONCATENATION", inputs, [drawn.tensor("y", (1, 5))], [values], **options)
    assert isinstance(step_of(one).reads[1], Array)
    check(tmp_path, [one])


def test_parts_along_the_outer_dimension_are_one_run_each() -> None:
    parts = [np.zeros((1, 4, 5, 3), np.int8), np.zeros((1, 2, 5, 3), np.int8)]
    fields = step_of(concatenation(parts, 1)).arguments.fields
    assert fields["rows"] == 1 and fields["runs"].data.tolist() == [60, 30]
    fields = step_of(split_v(parts, 1)).arguments.fields
    assert fields["rows"] == 1 and fields["runs"].data.tolist() == [60, 30]


@pytest.mark.parametrize("make", [concatenation, split, split_v])
def test_one_part_is_the_same_memory(make) -> None:
    assert make([np.zeros((1, 4), np.int8)], 1).lowered() == [
        Alias(
            f"0 {make.__name__.upper()}, {'y' if make is concatenation else 'y0'}", *numbers(make)
        )
    ]


def numbers(make) -> tuple[int, int]:
    return {concatenation: (0, 1), split: (1, 2), split_v: (0, 3)}[make]


def test_parts_of_other_scales_are_refused() -> None:
    one = concatenation([np.zeros((1, 4), np.int8)] * 2, 1, scale=0.2)
    with pytest.raises(
        ValueError, match=r"CONCATENATION, y: 'x0' must have the scale .* 0\.2.* 0\.1"
    ):
        one.lowered()


def test_a_fused_activation_is_refused() -> None:
    inputs = [drawn.tensor("x", (1, 4)), drawn.tensor("z", (1, 4))]
    options = {"table": "ConcatenationOptions", "axis": 1, "fusedActivationFunction": 1}
    one = case("CONCATENATION", inputs, [drawn.tensor("y", (1, 8))], [], **options)
    with pytest.raises(ValueError, match="no fused activation. Received: RELU"):
        one.lowered()


def test_axes_and_shapes_that_do_not_fit_are_refused() -> None:
    inputs = [drawn.tensor("x", (1, 4)), drawn.tensor("z", (1, 4))]
    options = {"table": "ConcatenationOptions"}
    with pytest.raises(ValueError, match=r"axis must lie in \[-2, 1\]. Received: 2"):
        case("CONCATENATION", inputs, [drawn.tensor("y", (1, 8))], [], **options, axis=2).lowered()
    with pytest.raises(ValueError, match=r"as long as it along axis 1, 7. Received: 8"):
        case("CONCATENATION", inputs, [drawn.tensor("y", (1, 7))], [], **options, axis=1).lowered()
    with pytest.raises(ValueError, match=r"'x' must have shape \[2, 4\]"):
        case("CONCATENATION", inputs, [drawn.tensor("y", (2, 8))], [], **options, axis=1).lowered()


def test_a_computed_axis_and_floats_are_refused() -> None:
    axis = drawn.constant("axis", 1)
    axis.data = None
    outputs = [drawn.tensor("y", (1, 2)), drawn.tensor("z", (1, 2))]
    with pytest.raises(ValueError, match="input 0 must be a constant. Received: 'axis', computed"):
        case("SPLIT", [axis, drawn.tensor("x", (1, 4))], outputs, []).lowered()
    outputs = [drawn.tensor("y", (1, 2), np.float32), drawn.tensor("z", (1, 2), np.float32)]
    whole = drawn.tensor("x", (1, 4), np.float32)
    with pytest.raises(ValueError, match="'x' must be int8 or .* Received: float32, .* Quantize"):
        case("SPLIT", [drawn.constant("axis", 1), whole], outputs, []).lowered()

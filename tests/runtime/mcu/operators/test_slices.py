from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from edgeax.runtime.mcu.operators.slices import Loop, carries, merged
from edgeax.runtime.mcu.program import Alias
from tests.runtime.mcu import drawn
from tests.runtime.mcu.built_in_cases import Case, case, check, step_of


def transpose(values: np.ndarray, order: np.ndarray) -> Case:
    dtype = values.dtype.type
    inputs = [drawn.tensor("x", values.shape, dtype), drawn.constant("order", order)]
    output = drawn.tensor("y", values.transpose(order).shape, dtype)
    version = 2 if dtype == np.int8 else 4
    return case("TRANSPOSE", inputs, [output], [values], version=version, table="TransposeOptions")


def slice_of(values: np.ndarray, begin: np.ndarray, size: np.ndarray) -> Case:
    dtype = values.dtype.type
    sizes = np.where(size < 0, values.shape - begin, size)
    inputs = [
        drawn.tensor("x", values.shape, dtype),
        drawn.constant("begin", begin),
        drawn.constant("size", size),
    ]
    output = drawn.tensor("y", sizes.tolist(), dtype)
    version = 2 if dtype == np.int8 else 4
    return case("SLICE", inputs, [output], [values], version=version, table="SliceOptions")


def strided(
    values: np.ndarray, places: list[tuple[int, int, int]], shape: Any, **masks: int
) -> Case:
    dtype = values.dtype.type
    numbers = [drawn.constant(n, p) for n, p in zip("bes", np.int32(places).T, strict=True)]
    inputs = [drawn.tensor("x", values.shape, dtype), *numbers]
    options = {"table": "StridedSliceOptions", "version": 2 if dtype == np.int8 else 4, **masks}
    return case("STRIDED_SLICE", inputs, [drawn.tensor("y", shape, dtype)], [values], **options)


def draw_strided(rng: Generator, dtype: type) -> Case:
    """Draws a slice that takes something; numpy says which shape it has."""
    while True:
        shape = [int(size) for size in rng.integers(1, 7, rng.integers(1, 5))]
        values = drawn.codes(rng, shape, dtype)
        places = [
            (int(rng.integers(-size - 2, size + 2)), int(rng.integers(-size - 2, size + 3)), stride)
            for size, stride in zip(shape, rng.choice([-2, -1, 1, 2, 3], len(shape)), strict=True)
        ]
        masks = dict.fromkeys(("beginMask", "endMask", "shrinkAxisMask"), 0)
        index: list[Any] = []
        for axis, (begin, end, stride) in enumerate(places):
            bits = rng.random(3) < (0.3, 0.3, 0.2)
            if bits[2]:
                begin = int(rng.integers(-shape[axis], shape[axis]))
                places[axis] = (begin, end, 1)
                masks["shrinkAxisMask"] |= 1 << axis
                index.append(begin)
                continue
            masks["beginMask"] |= int(bits[0]) << axis
            masks["endMask"] |= int(bits[1]) << axis
            index.append(slice(None if bits[0] else begin, None if bits[1] else end, stride))
        taken = values[tuple(index)]
        if taken.size:
            return strided(values, places, taken.shape, **masks)


@pytest.mark.parametrize("dtype", drawn.TYPES)
def test_slices_and_transpositions_give_the_interpreters_outputs(
    dtype: type, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)
    cases = []
    for _ in range(20):
        shape = rng.integers(1, 7, rng.integers(1, 7))
        values = drawn.codes(rng, shape, dtype)
        cases.append(transpose(values, rng.permutation(shape.size)))
        shape = shape[:5]
        values = drawn.codes(rng, shape, dtype)
        begin = rng.integers(0, shape)
        size = rng.integers(1, shape - begin + 1)
        cases.append(slice_of(values, begin, np.where(rng.random(shape.size) < 0.3, -1, size)))
        cases.append(draw_strided(rng, dtype))
    check(tmp_path, cases)


def test_ellipses_and_new_axes_give_the_interpreters_outputs(tmp_path: Path) -> None:
    values = drawn.codes(np.random.default_rng(3), (2, 3, 4, 5))
    all_of = (0, 0, 1)
    cases = [
        strided(
            values, [(1, 2, 1), all_of, (0, 5, 2)], values[1:2, ..., ::2].shape, ellipsisMask=2
        ),
        strided(values, [all_of, (3, 1, -1)], values[..., 3:1:-1].shape, ellipsisMask=1),
        strided(values, [(0, 2, 1), all_of, (1, 3, 1)], (2, 1, 2, 4, 5), newAxisMask=2),
        strided(
            values,
            [(0, 2, 1), all_of, all_of, (1, 3, 1)],
            (2, 3, 4, 1, 2),
            ellipsisMask=2,
            newAxisMask=4,
        ),
        strided(values, [(1, 2, 1), (1, 3, 1)], (2, 4, 5), shrinkAxisMask=1),
    ]
    check(tmp_path, cases)


def test_what_keeps_its_order_is_the_same_memory() -> None:
    values = np.zeros((1, 1, 4, 3), np.int8)
    assert isinstance(transpose(values, np.int32([1, 2, 0, 3])).lowered()[0], Alias)
    assert isinstance(slice_of(values, np.zeros(4, int), np.full(4, -1)).lowered()[0], Alias)


def test_rows_of_an_image_are_one_block() -> None:
    values = np.zeros((1, 6, 4, 3), np.int8)
    fields = step_of(
        slice_of(values, np.int32([0, 2, 0, 0]), np.int32([1, 3, 4, 3]))
    ).arguments.fields
    assert (fields["begin"], fields["block"], fields["axis_count"]) == (24, 36, 1)


def test_loops_are_joined_and_carried() -> None:
    # A transposition of (2, 3, 4) to (4, 2, 3): one loop over 4, one over 6.
    loops = merged([Loop(4, 1), Loop(2, 12), Loop(3, 4)])
    assert loops == [Loop(4, 1), Loop(6, 4)]
    assert carries([Loop(2, 100), Loop(3, 10), Loop(4, 1)]) == [80, 10, 1]


def test_what_is_taken_must_lie_in_the_input() -> None:
    values = np.zeros((3, 4), np.int8)
    with pytest.raises(ValueError, match=r"slices must lie in the input, shape \(3, 4\)"):
        slice_of(values, np.int32([0, 2]), np.int32([3, 3])).lowered()
    with pytest.raises(ValueError, match="must take one of 3 elements. Received: 7"):
        strided(values, [(7, 8, 1), (0, 4, 1)], (4,), shrinkAxisMask=1).lowered()
    with pytest.raises(ValueError, match="must take elements. Received: none along axis 1"):
        strided(values, [(0, 3, 1), (2, 2, 1)], (3, 1)).lowered()
    with pytest.raises(ValueError, match="strides must not be 0"):
        strided(values, [(0, 3, 0), (2, 2, 1)], (3, 1)).lowered()
    with pytest.raises(ValueError, match=r"'y' must have shape \[3, 2\]"):
        strided(values, [(0, 3, 1), (0, 2, 1)], (3, 3)).lowered()


def test_a_permutation_must_be_one() -> None:
    one = transpose(np.zeros((3, 4), np.int8), np.int32([1, 0]))
    inputs = [drawn.tensor("x", (3, 4)), drawn.constant("order", [0, 0])]
    with pytest.raises(ValueError, match=r"one of \[0, 1\]. Received: \[0, 0\]"):
        case("TRANSPOSE", inputs, [drawn.tensor("y", (3, 3))], one.inputs).lowered()

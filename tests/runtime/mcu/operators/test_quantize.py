from pathlib import Path

import numpy as np
import pytest

from edgeax.runtime.mcu.program import Alias
from tests.runtime.mcu import drawn
from tests.runtime.mcu.built_in_cases import Case, Library, case, check
from tests.tflite_kernels.models import Tensor

KINDS = [(np.int8, np.int8), (np.int8, np.int16), (np.int16, np.int8), (np.int16, np.int16)]


def again(
    into: type, out: type, scales: tuple[float, float], zeros: tuple[int, int], rounding: str
) -> Case:
    codes = drawn.every_code(into)
    x = drawn.tensor("x", codes.shape, into, scales[0], zeros[0])
    y = drawn.tensor("y", codes.shape, out, scales[1], zeros[1])
    return case("QUANTIZE", [x], [y], [codes], rounding, version=2)


def quantize(numbers: np.ndarray, out: type, scale: float, zero: int, rounding: str) -> Case:
    x = Tensor("x", numbers.shape, np.float32)
    return case(
        "QUANTIZE", [x], [drawn.tensor("y", numbers.shape, out, scale, zero)], [numbers], rounding
    )


def dequantize(into: type, scale: float, zero: int) -> Case:
    codes = drawn.every_code(into)
    x = drawn.tensor("x", codes.shape, into, scale, zero)
    y = Tensor("y", codes.shape, np.float32)
    return case("DEQUANTIZE", [x], [y], [codes], version=2 if into == np.int8 else 3)


@pytest.mark.parametrize("rounding", ["double", "single"])
def test_outputs_are_the_interpreters(rounding: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    cases = []
    for into, out in KINDS * 8:
        scales = drawn.scale(rng, into), drawn.scale(rng, out)
        zeros = drawn.zero_point(rng), drawn.zero_point(rng)
        cases.append(again(into, out, scales, zeros, rounding))
        steps = rng.normal(0, np.iinfo(out).max * 0.6, (1, 300))
        steps[0, :100] = np.arange(-50, 50) / 2  # halves
        numbers = (steps.astype(np.float32) * np.float32(scales[1])).astype(np.float32)
        cases.append(quantize(numbers, out, scales[1], zeros[1], rounding))
        cases.append(dequantize(into, scales[0], zeros[0]))
    # Ratios that XNNPACK does not take.
    cases += [again(np.int8, np.int8, s, (3, -4), rounding) for s in ((1e-3, 0.3), (0.5, 1e-3))]
    check(tmp_path, cases)


@pytest.mark.parametrize("rounding", ["double", "single"])
@pytest.mark.parametrize("dtype", drawn.TYPES)
def test_what_no_code_stands_for_becomes_the_nearest_code(
    dtype: type, rounding: str, tmp_path: Path
) -> None:
    numbers = np.float32([[1e30, -1e30, 3e9, -3e9, np.inf, -np.inf]])
    library = Library(tmp_path, [quantize(numbers, dtype, 0.1, 5, rounding)])
    (output,) = library.run(0, at_end=True)
    limits = np.iinfo(dtype)
    assert output.tolist() == [[limits.max, limits.min] * 3]


def test_the_same_codes_are_the_same_memory() -> None:
    one = again(np.int8, np.int8, (0.1, 0.1), (3, 3), "double")
    assert one.lowered() == [Alias("0 QUANTIZE, y", 0, 1)]


def test_other_types_are_refused() -> None:
    x, y = Tensor("x", (1, 4), np.float32), drawn.tensor("y", (1, 4), np.uint8)
    with pytest.raises(ValueError, match="'y' must be int8 or int16. Received: uint8"):
        case("QUANTIZE", [x], [y], []).lowered()
    with pytest.raises(ValueError, match="'y' must be int8 or int16. Received: uint8"):
        case("DEQUANTIZE", [y], [x], []).lowered()
    with pytest.raises(ValueError, match="output must be float32. Received: int8"):
        case("DEQUANTIZE", [drawn.tensor("x", (1, 4))], [drawn.tensor("y", (1, 4))], []).lowered()

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from tests.export import tflm
from tests.runtime.mcu import drawn
from tests.runtime.mcu.built_in_cases import Case, Library, case, check, step_of

LEAKY = "LeakyReluOptions"


def unary(
    name: str,
    scales: tuple[float, float],
    zero_points: tuple[int, int],
    dtype: type = np.int8,
    rounding: str = "double",
    **options: Any,
) -> Case:
    """An operator on every code."""
    codes = drawn.every_code(dtype)
    tensors = [
        drawn.tensor(key, codes.shape, dtype, scale, zero_point)
        for key, scale, zero_point in zip("xy", scales, zero_points, strict=True)
    ]
    return case(name, tensors[:1], tensors[1:], [codes], rounding, **options)


def draw(rng: Generator, name: str, dtype: type, rounding: str, **options: Any) -> Case:
    """The operator with drawn scales and zero points."""
    scales = drawn.scale(rng, dtype), drawn.scale(rng, dtype)
    if name == "HARD_SWISH":  # that of the input is less than 128 times that of the output
        scales = scales[0], max(scales[1], scales[0] / 100)
    zero_points = drawn.zero_point(rng), drawn.zero_point(rng)
    return unary(name, scales, zero_points, dtype, rounding, **options)


def sigmoid_like(
    rng: Generator, name: str, dtype: type = np.int8, rounding: str = "double"
) -> Case:
    """LOGISTIC or TANH, whose output codes are given."""
    scale = drawn.scale(rng, dtype)
    if dtype == np.int16:
        return unary(name, (scale, 2.0**-15), (0, 0), dtype, rounding)
    out = {"LOGISTIC": (2.0**-8, -128), "TANH": (2.0**-7, 0)}[name]
    return unary(name, (scale, out[0]), (drawn.zero_point(rng), out[1]), dtype, rounding)


def draw_relus(rng: Generator, dtype: type, rounding: str) -> list[Case]:
    version = 2 if dtype == np.int8 else 3
    cases = [draw(rng, name, dtype, rounding, version=version) for name in ("RELU", "RELU6")]
    if dtype == np.int8:
        cases += [draw(rng, name, dtype, rounding) for name in ("RELU_0_TO_1", "RELU_N1_TO_1")]
    scale, zero_point = drawn.scale(rng, dtype), drawn.zero_point(rng)
    same = (scale, scale), (zero_point, zero_point)
    return [*cases, unary("RELU6", *same, dtype, rounding, version=version)]


@pytest.mark.parametrize("rounding", ["double", "single"])
@pytest.mark.parametrize("dtype", drawn.TYPES)
def test_pieces_of_lines_are_the_interpreters(dtype: type, rounding: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    cases = []
    slopes = [0.1, 0.3, 0.001, 1.5, 0.0] + ([-0.2, -1.0] if dtype == np.int8 else [])
    for _ in range(12):
        cases += draw_relus(rng, dtype, rounding)
        alpha = float(rng.choice(slopes))
        options = {"version": 2, "table": LEAKY, "alpha": alpha}
        cases.append(draw(rng, "LEAKY_RELU", dtype, rounding, **options))
        if dtype == np.int8:
            cases.append(draw(rng, "HARD_SWISH", dtype, rounding))
    check(tmp_path, cases)


def test_sigmoids_of_16_bits_and_of_single_rounding_are_the_interpreters(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    kinds = [(np.int8, "single"), (np.int16, "single"), (np.int16, "double")]
    cases = [
        sigmoid_like(rng, name, *kind)
        for kind in kinds
        for name in ("LOGISTIC", "TANH")
        for _ in range(8)
    ]
    powers = [("LOGISTIC", 2.0**-12), ("TANH", 2.0**-12), ("TANH", 2.0**-11)]
    cases += [unary(name, (scale, 2.0**-15), (0, 0), np.int16) for name, scale in powers]
    check(tmp_path, cases)


def test_double_rounding_is_that_of_tensorflow_lite_micro(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    cases = [sigmoid_like(rng, name) for name in ("LOGISTIC", "TANH") for _ in range(20)]
    # Here LiteRT's table differs by a code.
    cases.append(unary("LOGISTIC", (2.0468714, 2.0**-8), (0, -128)))
    cases += [draw(rng, "HARD_SWISH", np.int8, "double") for _ in range(10)]
    cases += [draw(rng, "RELU", np.int8, "double", version=2) for _ in range(5)]
    options = {"version": 2, "table": LEAKY, "alpha": 0.3}
    cases += [draw(rng, "LEAKY_RELU", np.int8, "double", **options) for _ in range(5)]
    for number, one in enumerate(cases):
        (tmp_path / f"{number}.tflite").write_bytes(one.file)
    expected = tflm.run(tmp_path, [drawn.every_code()])
    library = Library(tmp_path, cases)
    for number in range(len(cases)):
        (output,) = library.run(number, at_end=True)
        np.testing.assert_array_equal(output, expected[str(number)].outputs[0], str(number))


def test_relu_of_one_scale_needs_no_table() -> None:
    step = step_of(unary("RELU6", (0.1, 0.1), (-128, -128), version=2))
    assert (step.kernel, step.arguments.fields) == ("Clip", {"min": -128, "max": -68})
    assert step.in_place == ((0, 0),) and step.extent.count == 256


def test_what_the_kernels_assume_is_checked() -> None:
    def refused(one: Case, match: str) -> None:
        with pytest.raises(ValueError, match=match):
            one.lowered()

    refused(unary("LOGISTIC", (0.1, 0.1), (0, -128)), "output must have scale 0.0039.* 0.1")
    refused(unary("TANH", (0.1, 2.0**-7), (0, 1)), "zero point 0. Received: 0.0078125 and 1")
    refused(unary("HARD_SWISH", (0.1, 2.0**-12), (0, 0)), "less than 128 times")
    refused(unary("HARD_SWISH", (0.1, 0.1), (0, 0), np.int16), "'x' must be int8. Received: int16")
    refused(unary("RELU", (0.1, 0.1), (0, 300)), "zero point of .* must be a code. Received: 300")
    power = unary("TANH", (2.0**-11, 2.0**-15), (0, 0), np.int16, "single")
    refused(power, r"must not be 2\*\*-12, .*single rounding.*rounding=\"double\"")
    options = {"table": LEAKY, "alpha": -0.5}
    refused(
        unary("LEAKY_RELU", (0.1, 0.1), (0, 0), np.int16, **options), "alpha must not be negative"
    )
    x, y = drawn.tensor("x", (1, 4)), drawn.tensor("y", (1, 4))
    x.scale = None
    refused(case("RELU", [x], [y], []), "'x' must have one scale above 0. Received: None")
    y.scale = [0.1, 0.2, 0.3, 0.4]
    refused(case("RELU", [y], [x], []), "'y' must have one scale above 0. Received: .0.1")
    real = drawn.tensor("x", (1, 4), np.float32)
    refused(case("RELU", [real], [y], []), "Received: float32, tensor 'x'. Quantize the model")
    wide = drawn.tensor("x", (1, 5))
    refused(case("RELU", [wide], [drawn.tensor("y", (1, 4))], []), r"must have shape \[1, 5\]")

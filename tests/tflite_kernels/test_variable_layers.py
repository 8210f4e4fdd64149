"""Layers whose weights are variables: golden bits, TensorFlow's, threads, bad files."""

from typing import Any

import numpy as np
import pytest

from edgeax.formats.operators import VARIABLE_OPERATORS
from tests.tflite_kernels import native
from tests.tflite_kernels.gradient_cases import model_of
from tests.tflite_kernels.test_gradients import BOUND, run
from tests.tflite_kernels.test_plugin import start as start_interpreter
from tests.tflite_kernels.variable_cases import (
    CONVOLUTION,
    DENSE,
    DEPTHWISE,
    call_tensorflow,
    convolution,
    draw,
)

SETS = native.isas()
SEEDS = 12


@pytest.fixture(scope="module")
def library() -> str:
    return native.load()._name


def hold(case: Any, library: str) -> None:
    """All sets of kernels give the bits of the reference, and that is near TensorFlow."""
    expected = run(library, case, "reference")
    wanted, size = call_tensorflow(case), call_tensorflow(case, magnitudes=True)
    assert expected.shape == wanted.shape
    error = np.max(np.abs(expected - wanted) / size)
    assert error <= BOUND, f"{case.name}: {error}"
    for isa in SETS[1:]:
        found = run(library, case, isa)
        np.testing.assert_array_equal(found, expected, f"{case.name} on {isa}")


@pytest.mark.parametrize("operator", VARIABLE_OPERATORS)
def test_every_set_of_kernels_agrees_with_tensorflow_and_with_the_reference(operator, library):
    for seed in range(SEEDS):
        hold(draw(seed, operator), library)


@pytest.mark.parametrize(
    "operator, shape, kernel, attributes",
    [
        (CONVOLUTION, (1, 9, 15, 40), (1, 1, 40, 33), {}),  # read where it lies
        (CONVOLUTION, (2, 4, 3, 24), (1, 1, 24, 10), {"strides": [1, 2, 1, 1]}),
        (CONVOLUTION, (1, 8, 8, 12), (3, 3, 4, 21), {}),  # three groups
        (CONVOLUTION, (1, 8, 8, 12), (1, 1, 3, 8), {}),  # four groups of pixels
        (CONVOLUTION, (1, 3, 3, 2), (7, 5, 2, 20), {}),  # most taps lie outside
        (DEPTHWISE, (1, 12, 31, 40), (3, 3, 40, 1), {"strides": [1, 2, 2, 1]}),
        (DENSE, (37, 130), (130, 70), {"activation": "RELU"}),
    ],
)
def test_larger_layers_agree_too(operator, shape, kernel, attributes, library):
    hold(convolution(operator, shape, kernel, **attributes), library)


@pytest.mark.parametrize(
    "operator, shape, kernel",
    [
        (CONVOLUTION, (2, 24, 23, 20), (3, 3, 20, 70)),
        (DEPTHWISE, (3, 40, 41, 60), (3, 3, 60, 1)),
        (DENSE, (64, 200), (200, 130)),
    ],
)
def test_threads_give_the_bits_of_one(operator, shape, kernel, library):
    case = convolution(operator, shape, kernel)
    expected = run(library, case)
    for threads in (2, 3):
        np.testing.assert_array_equal(run(library, case, num_threads=threads), expected)


def test_a_window_that_reaches_very_far_is_computed_too(library):
    shape, dilations = (1, 2, 64_000, 20), [1, 1, 65_000, 1]
    case = convolution(CONVOLUTION, shape, (1, 2, 20, 3), dilations=dilations)
    found = run(library, case)
    np.testing.assert_array_equal(found, run(library, case, "reference"))


@pytest.mark.parametrize("isa", SETS)
def test_what_is_no_number_stays_so_and_signs_of_zeros_too(isa, library):
    """In lanes and behind them, in front of a limit and not."""
    case = convolution(DENSE, (1, 1), (1, 19), activation="RELU")
    case.inputs["input"] = np.float32([[0.0]])
    case.inputs["filter"] = np.full((1, 19), -1, np.float32)
    case.inputs["bias"] = np.resize(np.float32([np.nan, -0.0, 0.0, -1.0, np.inf]), 19)
    found = run(library, case, isa)[0]
    np.testing.assert_array_equal(found, np.resize(np.float32([np.nan, 0, 0, 0, np.inf]), 19))
    assert np.signbit(found[[1, 16]]).all() and not np.signbit(found[[2, 3, 17, 18]]).any()


def change(case: Any, **changes: Any) -> Any:
    for name, value in changes.items():
        (case.inputs if name in case.inputs else case.attributes)[name] = value
    return case


BAD = [
    (CONVOLUTION, {"strides": [1, 2]}, "attribute strides must be a list of 4 whole numbers."),
    (CONVOLUTION, {"padding": "EXACT"}, "attribute padding must be SAME, VALID or EXPLICIT."),
    (CONVOLUTION, {"activation": "TANH"}, "must be NONE, RELU, RELU6 or RELU_N1_TO_1."),
    (CONVOLUTION, {"filter": np.zeros((3, 3, 3, 4), np.float32)}, "a kernel for 2 channels"),
    (CONVOLUTION, {"bias": np.zeros(5, np.float32)}, "tensor bias must have the shape [4]"),
    (CONVOLUTION, {"bias": np.zeros(4, np.int32)}, "tensor bias must be float32."),
    (CONVOLUTION, {"padding": "VALID", "dilations": [1, 3, 1, 1]}, "must hold the dilated kernel."),
    (DEPTHWISE, {"filter": np.zeros((3, 3, 3, 2), np.float32)}, "a kernel for 2 channels"),
    (DENSE, {"filter": np.zeros((3, 4), np.float32)}, "tensor filter must have 2 rows."),
    (
        DENSE,
        {"filter": np.zeros((2, 4, 1), np.float32)},
        "tensor filter must have a rank in [2, 2]",
    ),
]


@pytest.mark.parametrize("place", range(len(BAD)))
def test_a_damaged_file_is_refused_by_the_names_of_the_operator_and_the_part(place, library):
    operator, changes, message = BAD[place]
    kernel = {CONVOLUTION: (3, 3, 2, 4), DEPTHWISE: (3, 3, 2, 2), DENSE: (2, 4)}[operator]
    shape = (5, 2) if operator == DENSE else (1, 5, 5, 2)
    case = change(convolution(operator, shape, kernel), **changes)
    with pytest.raises((RuntimeError, ValueError)) as error:
        start_interpreter(library, model_of(case).write())
    assert message in str(error.value)
    assert f"{operator}: " in str(error.value)

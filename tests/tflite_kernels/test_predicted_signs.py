"""Predicted signs: by hand, against Keras's rule, on every set of kernels, and bad files."""

import numpy as np
import pytest

from tests.tflite_kernels import native, sign_cases
from tests.tflite_kernels.gradient_cases import GradientCase, model_of
from tests.tflite_kernels.sign_cases import CONV, DEPTHWISE, PAPER, PLAIN
from tests.tflite_kernels.test_gradients import run, start_interpreter

SETS = native.isas()
GOLDEN = sign_cases.golden_cases()
SEEDS = 3 * len(sign_cases.SETTINGS)


@pytest.fixture(scope="module")
def library() -> str:
    return native.load()._name


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_signs_worked_out_by_hand(case, library):
    for isa in SETS:
        np.testing.assert_array_equal(run(library, case, isa), case.expected, isa)
    np.testing.assert_array_equal(sign_cases.expected_signs(case)[0], case.expected)


@pytest.mark.parametrize("operator", sign_cases.OPERATORS)
def test_wjc19_every_set_of_kernels_decides_as_keras_does(operator, library):
    shares = []
    for seed in range(SEEDS):
        case = sign_cases.draw(seed, operator)
        expected, decided = sign_cases.expected_signs(case)
        shares.append(decided.mean())
        for isa in SETS:
            found = run(library, case, isa)
            np.testing.assert_array_equal(found, expected, f"{case.name} on {isa}")
    assert min(shares) < 0.1 and max(shares) > 0.9  # both ways of deciding were there


@pytest.mark.parametrize(
    "shape, kernel, outputs, stride",
    [
        ((3, 70, 61, 3), (3, 3), 9, 1),  # chunks of several lines
        ((40, 9, 9, 5), (2, 3), 6, 2),  # chunks of several images, the last one of fewer
        ((1, 2, 1100, 2), (1, 5), 3, 1),
        ((300, 1, 1, 33), (1, 1), 10, 1),
        ((1, 20, 20, 2), (17, 1), 2, 1),  # more taps than are fast
    ],
)
def test_many_positions_are_added_up_rightly(shape, kernel, outputs, stride, library):
    source = np.random.default_rng(2)
    positions = [-(-size // stride) for size in shape[1:3]]
    gradient = source.integers(-32768, 32768, (shape[0], *positions, outputs))
    inputs = {
        "input": source.integers(-128, 128, shape).astype(np.int8),
        "filter_sizes": np.int32((*kernel, shape[3], outputs)),
        "out_backprop": gradient.astype(np.int16),
    }
    attributes = {"strides": [1, stride, stride, 1], "padding": "SAME", **PAPER, "beta": 0.3}
    case = GradientCase(CONV, CONV, attributes, inputs, (*kernel, shape[3], outputs))
    expected, _ = sign_cases.expected_signs(case)
    for isa in SETS:
        np.testing.assert_array_equal(run(library, case, isa), expected, isa)


def test_groups_read_their_own_channels(library):
    source = np.random.default_rng(3)
    x = source.integers(-128, 128, (2, 6, 7, 6)).astype(np.int8)
    gradient = source.integers(-3000, 3000, (2, 6, 7, 10)).astype(np.int16)
    attributes = {"strides": [1, 1, 1, 1], "padding": "SAME", **PAPER, "predicted_bits": 0}

    def signs(x, gradient, isa):
        shape = (3, 3, 3, gradient.shape[3])
        inputs = {"input": x, "filter_sizes": np.int32(shape), "out_backprop": gradient}
        return run(library, GradientCase(CONV, CONV, attributes, inputs, shape), isa)

    for isa in SETS:
        halves = [
            signs(x[..., :3], gradient[..., :5], isa),
            signs(x[..., 3:], gradient[..., 5:], isa),
        ]
        np.testing.assert_array_equal(signs(x, gradient, isa), np.concatenate(halves, -1), isa)


BAD = [
    ({"bits": 9}, "attribute bits must be a whole number in [2, 8]."),
    ({"bits": 1}, "attribute bits must be"),
    ({"predicted_bits": 9}, "attribute predicted_bits must be a whole number in [0, 8]."),
    ({"gradient_bits": 17}, "attribute gradient_bits must be a whole number in [2, 16]."),
    ({"predicted_gradient_bits": 0}, "predicted_gradient_bits must be a whole number in [1, 16]."),
    ({"carry": 2}, "attribute carry must be a whole number in [0, 1]."),
    ({"beta": 1.5}, "attribute beta must be a number in [0, 1]."),
    ({"beta": float("nan")}, "attribute beta must be"),
    ({"bits": None}, "attribute bits must be"),
    ({"padding": "EXACT"}, "attribute padding must be"),
]


@pytest.mark.parametrize("operator", [CONV, DEPTHWISE])
@pytest.mark.parametrize("place", range(len(BAD)))
def test_a_damaged_file_is_refused_by_the_names_of_the_operator_and_the_part(
    operator, place, library
):
    change, message = BAD[place]
    case = sign_cases.draw(0, operator)
    attributes = {**case.attributes, **change}
    case.attributes = {name: value for name, value in attributes.items() if value is not None}
    with pytest.raises((RuntimeError, ValueError)) as error:
        start_interpreter(library, model_of(case).write())
    assert message in str(error.value) and f"{operator}: " in str(error.value)


@pytest.mark.parametrize("name, kind", [("input", np.float32), ("out_backprop", np.int8)])
def test_other_types_are_refused(name, kind, library):
    case = sign_cases.dense_case("", [[1]], [[1]], [1])
    case.inputs[name] = case.inputs[name].astype(kind)
    case.attributes = {**PLAIN, **PAPER}
    with pytest.raises((RuntimeError, ValueError), match=f"tensor {name} must be"):
        start_interpreter(library, model_of(case).write())

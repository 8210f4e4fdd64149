import numpy as np
import pytest

from edgeax.runtime.mcu.operators import HANDLERS
from edgeax.runtime.mcu.operators.conv2d import Shape
from edgeax.runtime.mcu.operators.transpose_conv import phases
from tests.runtime.mcu import native_steps, product_cases


def test_outputs_two_apart_are_one_convolution():
    weights = np.int8([1, 2, 3]).reshape(1, 1, 3, 1)  # along the width
    shape = Shape(1, 1, 4, 1, 1, 8, 1, 1, 3, stride_width=2)
    even, odd = phases(shape, weights)
    assert even.place == (0, 0, 1, 4) and odd.place == (0, 1, 1, 4)
    assert even.weights.reshape(-1).tolist() == [3, 1]  # of the input before, and here
    assert odd.weights.reshape(-1).tolist() == [2]
    assert even.pad == (0, 1) and odd.pad == (0, 0)


def test_outputs_without_a_tap_get_a_weight_of_zero():
    weights = np.int8([7]).reshape(1, 1, 1, 1)
    first, second = phases(Shape(1, 1, 2, 1, 1, 4, 1, 1, 1, stride_width=2), weights)
    assert first.weights.reshape(-1).tolist() == [7]
    assert second.weights.reshape(-1).tolist() == [0]


def test_a_step_tells_its_products():
    step = product_cases.transpose_conv(1, (1, 4, 5, 8), 6, (3, 2)).case("host", "double").step
    assert step.macs == 4 * 5 * 8 * 6 * 3 * 2 and step.extent is None


def int16(*arguments, **options) -> product_cases.Drawn:
    return product_cases.transpose_conv(*arguments, **options, dtype="int16")


WIDE = [
    int16(1, (1, 4, 5, 8), 6, (3, 3)),
    int16(2, (2, 3, 3, 5), 3, (4, 4), padding="VALID", activation="RELU"),
    int16(3, (1, 3, 3, 7), 5, (2, 5), (3, 1), activation="RELU6"),
    int16(4, (1, 3, 4, 4), 4, (1, 1), (2, 3), padding="VALID", per_channel=False),
    int16(5, (1, 4, 4, 20), 4, (5, 3), (2, 2), has_bias=False),
]


@pytest.mark.parametrize("drawn", WIDE, ids=range(len(WIDE)))
@pytest.mark.parametrize("rounding", ["single", "double"])
def test_int16_codes_are_those_of_the_interpreter(drawn, rounding):
    case = drawn.case("host", rounding)
    (x,), wanted = case.inputs, case.expected
    made = native_steps.run(case.step, [x], (wanted.shape, "int16"), rounding)
    assert np.array_equal(made, wanted)


@pytest.mark.parametrize(
    "tensor, shape, words",
    [
        (2, (1, 4, 5, 7), "its weights must suit input and output"),
        (4, (1, 8, 12, 6), "convolution of its output must have the size of its input, \\(4, 5\\)"),
        (4, (1, 8, 60), "must have 4 axes"),
    ],
)
def test_shapes_that_do_not_suit_each_other_are_refused(tensor, shape, words):
    node = product_cases.transpose_conv(1, (1, 4, 5, 8), 6, (3, 3)).node("host", "double")
    numbers = {2: node.inputs[2], 4: node.outputs[0]}
    node.tensors[numbers[tensor]].shape = shape
    with pytest.raises(ValueError, match=words):
        HANDLERS["TRANSPOSE_CONV"](node)

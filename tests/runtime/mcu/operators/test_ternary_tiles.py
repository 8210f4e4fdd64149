import numpy as np

from tests.runtime.mcu import packed_cases
from tests.runtime.mcu.operators.test_packed_conv2d import dense


def step_of(codes: list[list[int]], book: list[int], target: str = "cortex-m55", bias=()):
    """Returns the step of a layer whose rows are 4 codes, 16 times."""
    bytes_of_rows = [[a | b << 2 | c << 4 | d << 6] * 16 for a, b, c, d in codes]
    biases = np.zeros(len(codes), np.int32)
    biases[: len(bias)] = bias
    content = dense(np.array(bytes_of_rows, np.uint8), np.int8(book), 64, bias=biases)
    return packed_cases.step_of(content, target, "double")


def test_four_channels_are_digits_of_a_byte():
    step = step_of([[2, 0, 1, 1], [0, 2, 1, 1], [2, 2, 1, 1], [0, 0, 1, 1]], [-1, 0, 1, 0])
    assert step.kernel == "TernaryConv2D"
    digits = step.arguments.fields["digits"].data.tolist()
    assert digits == [1 - 4 + 16 - 64, -1 + 4 + 16 - 64, 0, 0] * 16


def test_biases_are_sums_with_quarters_of_digits():
    book, zeros = [-1, 0, 1, 0], 16 * 3
    step = step_of([[2, 1, 1, 1], [2, 0, 1, 1], [0, 1, 1, 1]], book, bias=[10, 20, 30])
    bias = step.arguments.fields["layer"].fields["bias"].data.tolist()
    folded = [10 - zeros, 20, 30 + zeros, 0]
    assert bias[3] == 0 and bias[2] == folded[2]
    assert bias[1] == folded[1] + 4 * bias[2] and bias[0] == folded[0] + 4 * bias[1]


def test_other_weights_and_targets_decode_codes():
    codes = [[2, 0, 1, 1]] * 8
    assert step_of(codes, [-1, 0, 2, 0]).kernel != "TernaryConv2D"
    assert step_of(codes, [-1, 0, 1, 0], "cortex-m4").kernel != "TernaryConv2D"

"""Weights in groups in a stock interpreter, and damaged files; golden ones: see test_plugin."""

import numpy as np
import pytest

from tests.tflite_kernels import models, native
from tests.tflite_kernels.test_plugin import (
    GROUPED_CONV,
    GROUPED_DENSE,
    both,
    constant,
    golden_named,
    inputs,
    option,
    options_cut,
    run,
    start,
    tensor,
)


@pytest.fixture(scope="module")
def library() -> str:
    return native.load()._name


# The input is [1, 4, 3, 5], weights [4, 23 + 3], kernel 3x3, with 4 codebooks of 16, for
# GROUPED_CONV; [2, 131], [3, 33 + 5] and 16 codebooks of 4 for GROUPED_DENSE.
GOOD = {GROUPED_CONV: "same_groups_across_taps", GROUPED_DENSE: "long_row_codes_of_2_bits"}
BAD = [
    (GROUPED_CONV, options_cut(44), "the options must have 48 bytes. Received: 44."),
    (GROUPED_DENSE, options_cut(24), "the options must have 20 bytes. Received: 24."),
    *(
        (operator, option(operator, "group_bits", value), "option group_bits must lie in [4, 16].")
        for operator in GOOD
        for value in (-1, 0, 3, 17, 2**31 - 1)
    ),
    (
        GROUPED_CONV,
        option(GROUPED_CONV, "group_bits", 5),
        "tensor weights must have the shape [4, 25]. Received: [4, 26].",
    ),
    (
        GROUPED_DENSE,
        option(GROUPED_DENSE, "group_bits", 16),
        "tensor weights must have the shape [3, 34]. Received: [3, 38].",
    ),
    (
        GROUPED_CONV,
        option(GROUPED_CONV, "kernel_height", 2),
        "tensor weights must have the shape [4, 17]. Received: [4, 26].",
    ),
    (
        GROUPED_CONV,
        both(option(GROUPED_CONV, "kernel_height", 4096), option(GROUPED_CONV, "kernel_width", 99)),
        "a row of tensor weights (kernel_height x kernel_width x channels of a group) must have at "
        "most 65536 weights",
    ),
    (
        GROUPED_DENSE,
        tensor("x", shape=(2, 140)),
        "tensor weights must have the shape [3, 40]. Received: [3, 38].",
    ),
    (
        GROUPED_CONV,
        constant("codebook", np.zeros(64, np.int8)),
        "tensor codebook must have a rank in [2, 2].",
    ),
    *(
        (
            GROUPED_CONV,
            constant("codebook", np.zeros((4, entries), np.int8)),
            f"tensor codebook must have rows of 16 or 4 entries. Received: {entries}.",
        )
        for entries in (1, 2, 8, 17, 256)
    ),
    (
        GROUPED_CONV,
        constant("codebook", np.zeros((4, 4), np.int8)),
        "tensor weights must have the shape [4, 15]. Received: [4, 26].",
    ),
    *(
        (
            GROUPED_DENSE,
            constant("codebook", np.zeros((count, 4), np.int8)),
            "tensor codebook must have 1, 2, 4 or another power of two of rows, up to 256. "
            f"Received: {count}.",
        )
        for count in (3, 5, 255, 257, 512)
    ),
    # Of the numbers only the bits count that tell codebooks apart.
    (GROUPED_DENSE, constant("codebook", np.zeros((1, 4), np.int8)), None),
    (GROUPED_DENSE, constant("codebook", np.zeros((256, 4), np.int8)), None),
    (GROUPED_DENSE, constant("weights", np.full((3, 38), 255, np.uint8)), None),
    (GROUPED_CONV, tensor("codebook", dtype=np.uint8), "tensor codebook must be int8."),
    (GROUPED_CONV, tensor("weights", dtype=np.int8), "tensor weights must be uint8."),
    *(
        (GROUPED_CONV, tensor(name, data=None), f"tensor {name} must be a constant of the model.")
        for name in ("weights", "bias", "scale", "codebook")
    ),
    (GROUPED_DENSE, inputs(0, 1, 2, 3), "the operator must have 5 inputs and 1 output."),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_damaged_file_is_refused_by_the_names_of_the_operator_and_the_part(number, library):
    operator, change, message = BAD[number]
    model = models.model_of(golden_named(operator, GOOD[operator]))
    change(model)
    if message is None:  # at the edge of what is allowed
        start(library, model.write()).invoke()
        return
    with pytest.raises(RuntimeError) as error:
        start(library, model.write())
    assert f"{operator}: {message}" in str(error.value)


def test_an_input_can_be_resized_to_many_rows_and_to_one(library):
    case = golden_named(GROUPED_DENSE, GOOD[GROUPED_DENSE])
    interpreter = start(library, models.model_of(case).write())
    index = interpreter.get_input_details()[0]["index"]
    expected = run(interpreter, case.input)
    for times in (9, 1):
        x = np.concatenate([case.input] * times)
        interpreter.resize_tensor_input(index, x.shape)
        interpreter.allocate_tensors()
        np.testing.assert_array_equal(run(interpreter, x), np.concatenate([expected] * times))

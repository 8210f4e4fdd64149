"""Damaged files with points in a stock interpreter; right ones: see test_plugin."""

import numpy as np
import pytest

from tests.tflite_kernels import models, native
from tests.tflite_kernels.test_plugin import (
    LOOKUP_CONV,
    LOOKUP_DENSE,
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


# The input is [1, 5, 4, 4], weights [5, 9 + 1], kernel 3x3, with 8 codebooks of 4, for LOOKUP_CONV;
# [1, 131], [3, 66 + 1] and 4 codebooks of 16 for LOOKUP_DENSE.
GOOD = {LOOKUP_CONV: "valid_stride_2", LOOKUP_DENSE: "long_row"}
BAD = [
    (LOOKUP_CONV, options_cut(40), "the options must have 44 bytes. Received: 40."),
    (LOOKUP_DENSE, options_cut(20), "the options must have 16 bytes. Received: 20."),
    (LOOKUP_DENSE, option(LOOKUP_DENSE, "version", 2), "option version must be 1. Received: 2."),
    (
        LOOKUP_CONV,
        option(LOOKUP_CONV, "groups", 3),
        "option groups must divide the 4 channels of tensor input",
    ),
    (
        LOOKUP_CONV,
        option(LOOKUP_CONV, "kernel_width", 2),
        "tensor weights must have the shape [5, 7]. Received: [5, 10].",
    ),
    (
        LOOKUP_DENSE,
        tensor("x", shape=(1, 130)),
        "tensor weights must have the shape [3, 66]. Received: [3, 67].",
    ),
    (
        LOOKUP_DENSE,
        inputs(0, 1, 2, 3, 4),
        "the operator must have 6 inputs and 1 output. Received: 5 and 1.",
    ),
    (
        LOOKUP_DENSE,
        constant("points", np.zeros(255, np.int8)),
        "tensor points must have the shape [256]. Received: [255].",
    ),
    (LOOKUP_DENSE, constant("points", np.zeros((1, 256), np.int8)), "tensor points must have"),
    (LOOKUP_DENSE, constant("points", np.zeros(256, np.uint8)), "tensor points must be"),
    (LOOKUP_DENSE, tensor("points", data=None), "tensor points must be"),
    (
        LOOKUP_DENSE,
        constant("codebook", np.zeros((4, 8), np.int8)),
        "tensor codebook must have rows of 16 or 4 entries. Received: 8.",
    ),
    (
        LOOKUP_DENSE,
        constant("codebook", np.zeros((3, 16), np.int8)),
        "tensor codebook must have 1, 2, 4 or another power of two of rows, up to 256. Received: 3",
    ),
    (
        LOOKUP_DENSE,
        constant("codebook", np.zeros((4, 4), np.int8)),
        "tensor weights must have the shape [3, 34]. Received: [3, 67].",
    ),
    (LOOKUP_DENSE, tensor("x", dtype=np.int16), "tensor input must be"),
    (LOOKUP_DENSE, constant("bias", np.zeros(4, np.int32)), "tensor bias must have the shape [3]."),
    (
        LOOKUP_DENSE,
        constant("scale", np.float32([1, np.inf, 1])),
        "every number of tensor scale must be finite.",
    ),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_damaged_file_is_refused_by_the_names_of_the_operator_and_the_part(number, library):
    operator, change, message = BAD[number]
    model = models.model_of(golden_named(operator, GOOD[operator]))
    change(model)
    with pytest.raises((RuntimeError, ValueError)) as error:
        start(library, model.write())
    assert message in str(error.value)
    assert operator in str(error.value)


def test_threads_share_a_large_product(library):
    """Two threads read the same input, and each puts it on its points for itself."""
    case = golden_named(LOOKUP_DENSE, "long_row")
    case.weights = np.resize(case.weights, (2100, 131))
    case.numbers = np.resize(case.numbers, (2100, 1))
    case.bias, case.scale = np.resize(case.bias, 2100), np.resize(case.scale, 2100)
    case.input, case.output_shape = np.resize(case.input, (3, 131)), (3, 2100)
    content = models.model_of(case).write()
    outputs = [run(start(library, content, num_threads=count), case.input) for count in (1, 2)]
    np.testing.assert_array_equal(*outputs)
    np.testing.assert_array_equal(outputs[0], native.run("reference", case))

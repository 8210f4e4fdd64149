"""Damaged files with sub-vectors in a stock interpreter; right ones: see test_plugin."""

import numpy as np
import pytest

from tests.golden import cases as golden
from tests.tflite_kernels import models, native
from tests.tflite_kernels.test_plugin import constant, inputs, option, options_cut, start, tensor

CONV, DENSE = "EdgeaxVectorConv2D", "EdgeaxVectorFullyConnected"
ENTRIES = golden.load("vector.json")


@pytest.fixture(scope="module")
def library() -> str:
    return native.load()._name


def golden_named(operator: str, name: str) -> native.Case:
    entries = [e for e in ENTRIES if (e["operator"], e["name"]) == (operator, f"{name}_single")]
    return native.golden_case(entries[0])


# The input is [1, 3, 4, 8], with 2 tables of 4 x 16 and 3 channels of 18 sub-vectors, for CONV;
# [1, 18], with 3 tables of 2 x 5 and 3 channels of 9 sub-vectors, for DENSE.
GOOD = {CONV: "same_tables_of_inputs", DENSE: "pairs"}
BAD = [
    (CONV, options_cut(40), "the options must have 44 bytes. Received: 40."),
    (DENSE, options_cut(12), "the options must have 16 bytes. Received: 12."),
    (DENSE, option(DENSE, "version", 2), "option version must be 1. Received: 2."),
    (CONV, option(CONV, "groups", 3), "option groups must divide the 8 channels of tensor input"),
    (CONV, option(CONV, "groups", 2), "option groups must divide the 8 channels of tensor input"),
    (CONV, option(CONV, "kernel_width", 2), "tensor weights must have the shape [24]."),
    (CONV, option(CONV, "padding", 2), "option padding must lie in [0, 1]. Received: 2."),
    (DENSE, inputs(0, 1, 2, 3), "the operator must have 5 inputs and 1 output. Received: 4 and 1."),
    (
        DENSE,
        constant("codebook", np.ones((3, 2, 1), np.int8)),
        "the last dimension of tensor codebook must lie in [2, 256]. Received: 1.",
    ),
    (
        DENSE,
        constant("codebook", np.ones((1, 1, 257), np.int8)),
        "the last dimension of tensor codebook must lie in [2, 256]. Received: 257.",
    ),
    (DENSE, constant("codebook", np.ones((6, 5), np.int8)), "tensor codebook must have"),
    (DENSE, constant("codebook", np.ones((3, 2, 5), np.uint8)), "tensor codebook must be"),
    (DENSE, constant("codebook", np.ones((3, 0, 5), np.int8)), "tensor codebook must"),
    (
        DENSE,
        constant("codebook", np.ones((3, 4, 5), np.int8)),
        "the 18 weights of an output must be sub-vectors of the length in the middle dimension of "
        "tensor codebook, and the number of these a multiple of the first dimension. Received: "
        "[3, 4, 5].",
    ),
    (DENSE, constant("codebook", np.ones((2, 2, 5), np.int8)), "Received: [2, 2, 5]."),
    (DENSE, constant("codebook", np.ones((3, 2, 17), np.int8)), "must have the shape [27]."),
    (DENSE, constant("codebook", np.ones((3, 1, 5), np.int8)), "must have the shape [36]."),
    (DENSE, constant("weights", np.zeros(17, np.uint8)), "weights must have the shape [18]."),
    (DENSE, constant("weights", np.zeros(18, np.int8)), "tensor weights must be"),
    (DENSE, constant("weights", np.zeros((1, 18), np.uint8)), "tensor weights must have"),
    (
        DENSE,
        constant("weights", np.full(18, 0x05, np.uint8)),
        "every index of tensor weights must be below the 5 entries of a table.",
    ),
    (DENSE, constant("scale", np.ones(4, np.float32)), "tensor scale must have the shape [3]."),
    (DENSE, constant("bias", np.zeros(5, np.int32)), "tensor weights must have the shape [27]."),
    (DENSE, tensor("weights", data=None), "tensor weights must be"),
    (DENSE, tensor("codebook", data=None), "tensor codebook must be"),
    (DENSE, tensor("x", dtype=np.uint8), "tensor input must be"),
    (DENSE, tensor("x", shape=(1, 65538)), "tensor input must be at most 65536. Received: 65538."),
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

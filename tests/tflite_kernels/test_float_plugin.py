"""Products of floats with packed weights in a stock interpreter; golden ones: see test_plugin."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.tflite_kernels import float_cases, models, native
from tests.tflite_kernels.test_plugin import constant, inputs, option, options_cut, tensor
from tests.tflite_kernels.test_plugin import run as run_once
from tests.tflite_kernels.test_plugin import start as start_interpreter

NAME = float_cases.OPERATOR


@pytest.fixture(scope="module")
def library() -> str:
    return native.load()._name


def golden_named(name: str) -> float_cases.FloatCase:
    (found,) = [case for case in float_cases.golden_cases() if case.name == f"{NAME}_{name}"]
    return found


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_give_the_bits_of_one(threads, library):
    for seed in range(12):
        case = float_cases.repeated(float_cases.draw(seed), 3 * 2**18)
        content = float_cases.model_of(case).write()
        found = run_once(start_interpreter(library, content, num_threads=threads), case.input)
        np.testing.assert_array_equal(found, float_cases.run("reference", case), case.name)


def test_a_built_in_neighbor_stays_and_reads_the_floats(library):
    case = golden_named("odd_depth")
    model = float_cases.model_of(case)
    doubled = model.add(models.Tensor("sum", case.output_shape, np.float32))
    model.operators.append(
        models.Operator(
            [model.outputs[0]] * 2,
            [doubled],
            builtin=schema.BuiltinOperator.ADD,
            options=schema.AddOptionsT(),
            options_type=schema.BuiltinOptions.AddOptions,
        )
    )
    model.outputs = [doubled]
    found = run_once(start_interpreter(library, model.write()), case.input)
    np.testing.assert_array_equal(found, 2 * case.expected)


def test_the_input_can_be_resized(library):
    case = golden_named("groups_of_32")
    interpreter = start_interpreter(library, float_cases.model_of(case).write())
    index = interpreter.get_input_details()[0]["index"]
    for rows in (9, 1, 4):
        x = np.repeat(case.input, rows, axis=0)
        interpreter.resize_tensor_input(index, x.shape)
        interpreter.allocate_tensors()
        found = run_once(interpreter, x)
        np.testing.assert_array_equal(found, np.repeat(case.expected, rows, axis=0))


# The input is [1, 70], the weights are [2, 35] bytes of 4 bits, the scales [2, 3].
BAD = [
    (options_cut(12), "the options must have 16 bytes. Received: 12."),
    (option(NAME, "version", 2), "option version must be 1. Received: 2."),
    (option(NAME, "keep_num_dims", 2), "option keep_num_dims must lie in [0, 1]. Received: 2."),
    (option(NAME, "group", -8), "option group must lie in [0, 65536]. Received: -8."),
    (option(NAME, "group", 36), "option group must be a multiple of 8. Received: 36."),
    (option(NAME, "group", 16), "tensor scale must have the shape [2, 5]"),
    (option(NAME, "group", 0), "tensor scale must have the shape [2, 1]"),
    (option(NAME, "activation", 4), "option activation must lie in [0, 3]. Received: 4."),
    (inputs(0, 1, 2, 3), "the operator must have 5 inputs and 1 output. Received: 4 and 1."),
    (inputs(0, 1, 2, 3, -1), "tensor codebook must be a tensor of the model. Received: number -1."),
    (constant("codebook", np.ones(3, np.float32)), "must have 256, 16, 4 or 2 entries. Received"),
    (constant("codebook", np.ones(16, np.int8)), "tensor codebook must be"),
    (constant("codebook", np.ones((4, 4), np.float32)), "tensor codebook must have"),
    (constant("codebook", np.ones(4, np.float32)), "tensor weights must have the shape [2, 18]"),
    (constant("codebook", np.ones(256, np.float32)), "tensor weights must have the shape [2, 70]"),
    (constant("weights", np.ones((2, 34), np.uint8)), "tensor weights must have the shape [2, 35]"),
    (constant("weights", np.ones((2, 35), np.int8)), "tensor weights must be"),
    (constant("bias", np.ones(3, np.float32)), "tensor bias must have the shape [2]"),
    (constant("bias", np.ones(2, np.int32)), "tensor bias must be"),
    (constant("scale", np.ones(6, np.float32)), "tensor scale must have"),
    (tensor("weights", data=None), "tensor weights must be"),
    (tensor("scale", data=None), "tensor scale must be"),
    (tensor("x", dtype=np.int8), "tensor input must be"),
    (tensor("y", dtype=np.int8), "tensor output must be"),
    (tensor("x", shape=(1, 65537)), "the last dimension of tensor input must be at most 65536"),
    (tensor("x", shape=(1, 0)), "tensor input must have"),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_damaged_file_is_refused_by_the_names_of_the_operator_and_the_part(number, library):
    change, message = BAD[number]
    model = float_cases.model_of(golden_named("groups_of_32"))
    change(model)
    with pytest.raises((RuntimeError, ValueError)) as error:
        start_interpreter(library, model.write())
    assert message in str(error.value)


def test_rows_beyond_every_limit_are_refused(library):
    model = float_cases.model_of(golden_named("one_number"))
    model.tensors[0].shape = (2**16, 2**15, 1)
    with pytest.raises((RuntimeError, ValueError)) as error:
        start_interpreter(library, model.write())
    assert NAME in str(error.value) or "overflow" in str(error.value)

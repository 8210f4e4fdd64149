"""Operators of int16 activations: every instruction set, TFLite's own operators, the plugin."""

import ctypes
import dataclasses

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema

from tests.golden import int16_cases as golden
from tests.tflite_kernels import int16_cases, models, native, oracle
from tests.tflite_kernels.guarded import GuardedArrays
from tests.tflite_kernels.test_plugin import (
    repeated,
    run,
    start,
    tensor,
)

RANDOM_CASES = 120  # of each operator
CONV, DEPTHWISE, DENSE, SPARSE_CONV, SPARSE_DENSE = int16_cases.OPERATORS
SETS = native.isas()
GOLDEN = golden.load()
LOWEST, HIGHEST = int16_cases.ENDS.min, int16_cases.ENDS.max


@pytest.fixture(scope="module")
def library() -> str:
    return native.load()._name


def dense(x: np.ndarray, weights: np.ndarray, output_scale: float = 1.0) -> native.Case:
    """A product of int16 vectors with int8 values of which there are 16 at most; scales of 1."""
    codebook, codes = np.unique(weights, return_inverse=True)
    outputs = len(weights)
    return native.Case(
        "dense",
        DENSE,
        {"keep_num_dims": 0, "output_min": LOWEST, "output_max": HIGHEST},
        "single",
        np.int16(x),
        codes.reshape(weights.shape).astype(np.uint8),
        np.zeros(outputs, np.int32),
        np.ones(outputs, np.float32),
        np.resize(codebook, 16).astype(np.int8),
        1.0,
        0,
        output_scale,
        0,
        (len(x), outputs),
    )


def test_a_product_gives_the_codes_worked_out_by_hand():
    case = dense([[1000, -2000, 3]], np.int8([[1, -2, 3], [-128, 0, 127]]), output_scale=2.0)
    case.bias = np.int32([-10, 2**31 - 1])
    # 1000 + 4000 + 9 - 10 = 4999, a half up; -128000 + 381 + 2147483647 is beyond int16.
    for isa in SETS:
        assert native.run(isa, case).tolist() == [[2500, 32767]]


@pytest.mark.parametrize("entry", GOLDEN, ids=[f"{e['operator']}_{e['name']}" for e in GOLDEN])
def test_operators_and_the_numpy_oracle_give_the_golden_codes(entry):
    case = native.golden_case(entry)
    expected = np.int16(entry["output"]["data"]).reshape(entry["output"]["shape"])
    np.testing.assert_array_equal(oracle.run(case), expected)
    for isa in SETS:
        np.testing.assert_array_equal(native.run(isa, case), expected, isa)


@pytest.mark.parametrize("operator", int16_cases.OPERATORS)
def test_random_cases_give_the_codes_of_the_numpy_oracle(operator):
    for seed in range(RANDOM_CASES):
        case = int16_cases.draw(operator, seed)
        expected = oracle.run(case)
        for isa in SETS:
            memory = GuardedArrays(seed % 2 == 0)  # a step outside is a crash
            found = native.run(isa, case, memory)
            np.testing.assert_array_equal(found, expected, f"{case.name} on {isa}")


@pytest.mark.parametrize("rows", [1, 5, 70])
@pytest.mark.parametrize("weight", [-128, 127, -16, -1])
def test_the_longest_row_of_extreme_codes_does_not_overflow(weight, rows):
    depth = 65536
    x = np.full((rows, depth), LOWEST, np.int16)
    x[:, 1::2] = np.where(np.arange(rows) % 2, HIGHEST, LOWEST)[:, np.newaxis]
    weights = np.full((3, depth), weight, np.int8)
    weights[1, depth // 2 :] = 0
    case = dense(x, weights, output_scale=2.0**24)
    expected = np.int64(x) @ np.int64(weights).T
    for isa in SETS:
        found = native.run(isa, case)
        assert np.array_equal(found, (expected + 2**23) >> 24), isa


@pytest.mark.parametrize("taps", [(23, 23), (200, 300)])
def test_a_window_of_extreme_codes_does_not_overflow(taps):
    options = {
        "kernel_height": taps[0],
        "kernel_width": taps[1],
        **{f"{part}_{side}": 1 for part in ("stride", "dilation") for side in ("height", "width")},
        "padding": 1,
        "depth_multiplier": 1,
        "output_min": LOWEST,
        "output_max": HIGHEST,
    }
    channels = 5
    case = dataclasses.replace(
        dense([[0]], np.full((channels, 1), -128, np.int8), output_scale=2.0**24),
        operator=DEPTHWISE,
        options=options,
        input=np.full((1, *taps, channels), LOWEST, np.int16),
        weights=np.zeros((taps[0] * taps[1], channels), np.uint8),
        output_shape=(1, 1, 1, channels),
    )
    wanted = (taps[0] * taps[1] * 2**22 + 2**23) >> 24
    for isa in SETS:
        assert (native.run(isa, case) == wanted).all(), isa


@pytest.mark.parametrize("kind", native.KINDS)
@pytest.mark.parametrize("exponent", range(-40, 40))
def test_factors_of_any_size_round_as_the_numpy_oracle_does(exponent, kind):
    x = [[number] for number in (LOWEST, -3, -2, -1, 1, 2, 3, HIGHEST)]
    case = dense(x, np.int8([[-128], [-1], [1], [127]]))
    case.scale = np.float32([-0.75, 1.0, 0.99999994, -0.5000001]) * np.float32(2.0) ** exponent
    case.bias = np.int32([2**31 - 1, 0, -(2**31), 1])
    case.kind = kind
    expected = oracle.run(case)
    for isa in SETS:
        np.testing.assert_array_equal(native.run(isa, case), expected, isa)


def builtin_model(case: native.Case) -> bytes:
    """The same case as a built-in operator of int16 activations over the decoded weights."""
    weights = oracle.values(case).astype(np.int8)
    options = case.options
    model = models.Model()
    into = models.Tensor("x", case.input.shape, np.int16, case.input_scale)
    model.inputs = [model.add(into)]
    if case.operator in (DENSE, SPARSE_DENSE):
        code, axis = schema.BuiltinOperator.FULLY_CONNECTED, 0
        built, kind = schema.FullyConnectedOptionsT(), schema.BuiltinOptions.FullyConnectedOptions
        version = 7
    else:
        height, width = options["kernel_height"], options["kernel_width"]
        if case.operator != DEPTHWISE:
            code, axis = schema.BuiltinOperator.CONV_2D, 0
            built, kind = schema.Conv2DOptionsT(), schema.BuiltinOptions.Conv2DOptions
            weights = weights.reshape(len(weights), height, width, -1)
            version = 4
        else:
            code, axis = schema.BuiltinOperator.DEPTHWISE_CONV_2D, 3
            built = schema.DepthwiseConv2DOptionsT()
            kind = schema.BuiltinOptions.DepthwiseConv2DOptions
            built.depthMultiplier = options["depth_multiplier"]
            weights = weights.reshape(1, height, width, -1)
            version = 5
        built.strideH, built.strideW = options["stride_height"], options["stride_width"]
        built.dilationHFactor = options["dilation_height"]
        built.dilationWFactor = options["dilation_width"]
        built.padding = options["padding"]
    scale = [float(value) for value in case.scale]
    bias_scale = [float(np.float32(case.input_scale) * value) for value in case.scale]
    bias = case.bias.astype(np.int64)
    numbers = [
        0,
        model.add(models.Tensor("w", weights.shape, np.int8, scale, 0, weights, axis)),
        model.add(models.Tensor("b", bias.shape, np.int64, bias_scale, 0, bias)),
    ]
    model.outputs = [model.add(models.Tensor("y", case.output_shape, np.int16, case.output_scale))]
    model.operators = [
        models.Operator(
            numbers, model.outputs, builtin=code, options=built, options_type=kind, version=version
        )
    ]
    return model.write()


@pytest.mark.parametrize(
    "resolver", [litert.OpResolverType.BUILTIN_REF, litert.OpResolverType.AUTO]
)
@pytest.mark.parametrize("operator", int16_cases.OPERATORS)
def test_codes_equal_those_of_the_built_in_operators(operator, resolver):
    checked = 0
    for seed in range(90):
        case = int16_cases.as_tflite_has_it(int16_cases.draw(operator, seed))
        factor = case.input_scale * case.scale.max() / case.output_scale
        if case.options.get("groups", 1) != 1 or factor >= 128 or len(case.scale) == 1:
            continue  # one channel has the factor of a tensor, which is computed in float
        interpreter = litert.Interpreter(
            model_content=builtin_model(case), experimental_op_resolver_type=resolver
        )
        interpreter.allocate_tensors()
        expected = run(interpreter, case.input)
        for isa in SETS:
            found = native.run(isa, case)
            np.testing.assert_array_equal(found, expected, f"{case.name} on {isa}")
        checked += 1
    assert checked > 20


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("operator", int16_cases.OPERATORS)
@pytest.mark.parametrize(
    "field, value",
    [
        ("input_zero_point", 1),
        ("input_zero_point", -128),
        ("output_zero_point", -1),
        ("output_min", LOWEST - 1),
        ("output_max", HIGHEST + 1),
        ("output_max", LOWEST - 1),
        ("rounding", 2),
    ],
)
def test_an_argument_out_of_range_is_refused_and_the_output_untouched(field, value, operator, isa):
    case = int16_cases.draw(operator, 0)
    arguments = native.arguments(case)
    dense = arguments
    if case.is_sparse:
        dense = arguments.conv2d if operator == SPARSE_CONV else arguments.fully_connected
    setattr(dense.quantization, field, value)
    output = np.full(case.output_shape, 77, np.int16)
    tensors = native.tensors(case, np.ascontiguousarray, output)
    status = native.function(case)(isa.encode(), ctypes.byref(arguments), ctypes.byref(tensors))
    assert status == native.BAD_ARGUMENT
    assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("operator", int16_cases.OPERATORS[:3])
@pytest.mark.parametrize(
    "field", ["input_size", "weights_size", "channels", "codebook_size", "output_size"]
)
def test_a_span_of_the_wrong_size_is_refused_and_the_output_untouched(field, operator, isa):
    case = int16_cases.draw(operator, 0)
    for change in (-1, 1):
        output = np.full(case.output_shape, 77, np.int16)
        tensors = native.tensors(case, np.ascontiguousarray, output)
        if field == "channels":  # the arrays have to hold what is claimed
            tensors.keep = [np.zeros(case.bias.size + 1, kind) for kind in (np.int32, np.float32)]
            tensors.bias, tensors.scale = (array.ctypes.data for array in tensors.keep)
        setattr(tensors, field, getattr(tensors, field) + change)
        arguments = ctypes.byref(native.arguments(case))
        status = native.function(case)(isa.encode(), arguments, ctypes.byref(tensors))
        assert status == native.BAD_SHAPE
        assert (output == 77).all()


# The plugin.


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("operator", int16_cases.OPERATORS)
def test_the_plugin_gives_the_codes_of_the_numpy_oracle(operator, threads, library):
    for seed in range(6):
        case = int16_cases.draw(operator, seed)
        case.kind = int16_cases.kind_of_built_in(operator)
        expected, times = oracle.run(case), 1
        if case.input.ndim > 1:
            case, times = repeated(case, 3 * 2**18)
        for isa in ("auto", "reference"):
            content = models.model_of(case).write()
            interpreter = start(library, content, isa, num_threads=threads)
            found = run(interpreter, case.input)
            assert found.dtype == np.int16
            wanted = np.concatenate([expected] * times)
            np.testing.assert_array_equal(found, wanted, f"{case.name} on {isa}")


@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")
def test_int16_and_int8_stand_in_one_file(library):
    case = dataclasses.replace(int16_cases.draw(DENSE, 0), kind="single")
    model = models.model_of(case)
    narrow = models.Tensor("narrow", case.output_shape, np.int8, case.output_scale * 256)
    model.operators.append(
        models.Operator(
            model.outputs, [model.add(narrow)], builtin=schema.BuiltinOperator.QUANTIZE, version=2
        )
    )
    second = native.Case(
        **vars(case)
        | {
            "input": np.zeros(case.output_shape, np.int8),
            "options": case.options | {"output_min": -128, "output_max": 127},
            "input_scale": narrow.scale,
            "weights": np.tile(np.arange(16, dtype=np.uint8), (3, 9))[:, : case.output_shape[-1]],
            "bias": np.int32([1, 2, 3]),
            "scale": np.float32([0.01, 0.02, 0.03]),
            "output_shape": (*case.output_shape[:-1], 3),
        }
    )
    model.outputs = [models.add_case(model, second, model.operators[-1].outputs[0])]
    interpreter = start(library, model.write(), experimental_preserve_all_tensors=True)
    found = run(interpreter, case.input)
    middle = model.operators[1].outputs[0]
    second.input = interpreter.get_tensor(middle)
    np.testing.assert_array_equal(found, oracle.run(second))


BAD = [
    (tensor("y", dtype=np.int8), "tensor output must be int16. Received: int8 (9)."),
    (tensor("x", dtype=np.int8), "tensor output must be int8. Received: int16 (7)."),
    (tensor("y", dtype=np.uint8), "tensor output must be int16. Received: uint8 (3)."),
    (tensor("x", zero_point=1), "the zero point of tensor input must be 0, as it is int16."),
    (tensor("y", zero_point=-3), "the zero point of tensor output must be 0, as it is int16."),
    (tensor("x", scale=None), "tensor input must be quantized with one scale"),
    (tensor("y", scale=-0.5), "the scale of tensor output must be positive and finite."),
    (tensor("bias", dtype=np.float32), "tensor bias must be int32. Received: float32 (1)."),
]


@pytest.mark.parametrize("operator", int16_cases.OPERATORS)
@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_damaged_file_is_refused_by_the_names_of_the_operator_and_the_part(
    number, operator, library
):
    change, message = BAD[number]
    model = models.model_of(int16_cases.draw(operator, 0))
    change(model)
    with pytest.raises(RuntimeError) as error:
        start(library, model.write())
    assert f"{operator}: {message}" in str(error.value)


@pytest.mark.parametrize("operator", int16_cases.OPERATORS)
@pytest.mark.parametrize("name, value", [("output_min", -129), ("output_max", 128)])
def test_limits_of_int16_are_refused_beside_int8(name, value, operator, library):
    case = int16_cases.draw(operator, 0)
    case.options |= {"output_min": -128, "output_max": 127} | {name: value}
    model = models.model_of(dataclasses.replace(case, input=np.int8(case.input % 2)))
    with pytest.raises(RuntimeError) as error:
        start(library, model.write())
    message = f"option {name} must lie in [-128, 127], as the output is int8. Received: {value}."
    assert f"{operator}: {message}" in str(error.value)

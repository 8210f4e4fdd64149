"""The operators on sums of signs, in the stock interpreter, against numpy."""

import ctypes
from typing import Any

import numpy as np
import pytest

from edgeax.formats import binary_rows, sign_sum
from tests.golden import sign_sum_cases as golden
from tests.tflite_kernels import native, sign_sum_cases
from tests.tflite_kernels.guarded import GuardedArrays
from tests.tflite_kernels.test_plugin import constant, option, run, start, tensor

OPERATORS = (sign_sum_cases.CONV2D, sign_sum_cases.FULLY_CONNECTED)
GOLDEN = golden.load()


@pytest.fixture(scope="module")
def library() -> str:
    return native.load()._name


@pytest.mark.parametrize("entry", GOLDEN, ids=[f"{e['operator']}_{e['name']}" for e in GOLDEN])
def test_operators_and_numpy_give_the_golden_codes(entry, library):
    case = sign_sum_cases.golden_case(entry)
    expected = np.int8(entry["output"]["data"]).reshape(entry["output"]["shape"])
    np.testing.assert_array_equal(case.expected(), expected)
    assert sign_sum.pack_bases(case.weights).ravel().tolist() == entry["packed"]
    for isa in native.isas():
        if case.kind == "single":  # as the plugin rounds
            interpreter = start(library, case.model().write(), isa)
            np.testing.assert_array_equal(run(interpreter, case.input), expected, isa)
        if case.operator == sign_sum_cases.CONV2D:
            status, output = call(case, isa)
            assert status == 0
            np.testing.assert_array_equal(output, expected.ravel(), isa)


@pytest.mark.parametrize("isa", native.isas())
@pytest.mark.parametrize("operator", OPERATORS)
def test_random_shapes_and_extreme_numbers_equal_numpy(operator, isa, library):
    for seed in range(60):
        case = sign_sum_cases.draw(operator, seed)
        interpreter = start(library, case.model().write(), isa)
        np.testing.assert_array_equal(run(interpreter, case.input), case.expected(), f"seed {seed}")


def wide(operator: str) -> sign_sum_cases.SignSumCase:
    """A case of enough products for several threads."""
    seeds = (sign_sum_cases.draw(operator, seed) for seed in range(200))
    case = max(seeds, key=lambda case: case.weights[0].size)
    repeats = -(-(1 << 20) // (case.expected().size * case.weights[0, 0].size))
    case.input = np.concatenate([case.input] * repeats)
    return case


@pytest.mark.parametrize("operator", OPERATORS)
def test_threads_share_an_operator_and_give_the_codes_of_one(operator, library):
    case = wide(operator)
    content = case.model().write()
    for threads in (2, 3):
        interpreter = start(library, content, num_threads=threads)
        np.testing.assert_array_equal(run(interpreter, case.input), case.expected())


class Args(ctypes.Structure):
    _fields_ = [
        ("conv2d", native.Conv2DArgs),
        *((name, ctypes.c_int32) for name in ("planes", "bases", "thresholds", "pad_value")),
    ]


def arguments(case: sign_sum_cases.SignSumCase) -> Args:
    options = case.options
    window = native.Window(*(options[name] for name, _ in native.Window._fields_))
    quantization = native.Quantization(
        0.0,
        0,
        case.output_scale,
        case.output_zero_point,
        options["output_min"],
        options["output_max"],
        native.KINDS.index(case.kind),
    )
    shape = (*case.input.shape, len(case.bias), options["groups"], window, quantization)
    parts = (options["planes"], options["bases"], case.thresholds.shape[1], options["pad_value"])
    return Args(native.Conv2DArgs(*shape), *parts)


def call(case: sign_sum_cases.SignSumCase, isa: str, cut: str = "") -> tuple[int, np.ndarray]:
    """The C function's answer and output, each tensor up to a page that may not be touched."""
    output = np.full(case.expected().size, 77, np.int8)
    spans = {
        "input": case.input,
        "weights": sign_sum.pack_bases(case.weights),
        "bias": case.bias,
        "scale": case.scale,
        "gains": case.gains,
        "thresholds": case.thresholds,
    }
    guard = GuardedArrays(at_end=True)
    kept = {name: guard(array.ravel()) for name, array in {**spans, "output": output}.items()}
    fields: list[tuple[str, Any]] = []
    values = []
    for name, array in kept.items():
        fields.append((name, ctypes.c_void_p))
        values.append(array.ctypes.data)
        if name != "bias":  # it has the size of the scales
            size = "channels" if name == "scale" else f"{name}_size"
            fields.append((size, ctypes.c_size_t))
            values.append(array.size - (name == cut))
    tensors = type("Tensors", (ctypes.Structure,), {"_fields_": fields})(*values)
    given = ctypes.byref(arguments(case)), ctypes.byref(tensors)
    return native.load().edgeax_sign_sum(isa.encode(), *given), kept["output"]


@pytest.mark.parametrize("isa", native.isas())
def test_the_c_function_steps_nowhere_outside(isa):
    for seed in range(20):
        case = sign_sum_cases.draw(sign_sum_cases.CONV2D, seed)
        status, output = call(case, isa)
        assert status == 0
        np.testing.assert_array_equal(output, case.expected().ravel(), f"seed {seed}")


@pytest.mark.parametrize("isa", native.isas())
@pytest.mark.parametrize("cut", ["input", "weights", "scale", "gains", "thresholds", "output"])
def test_a_span_of_the_wrong_size_is_refused_and_the_output_untouched(cut, isa):
    status, output = call(sign_sum_cases.draw(sign_sum_cases.CONV2D, 1), isa, cut)
    assert status == 1 and np.all(output == 77)


def test_wsl18_the_bit_packed_dot_of_ternary_numbers_is_the_float_dot(library):
    random = np.random.default_rng(3)
    numbers = random.integers(-1, 2, (2, 300))
    signs = random.choice([-1, 1], (1, 5, 1, 300))
    case = sign_sum_cases.draw(sign_sum_cases.FULLY_CONNECTED, 0)
    case.options |= {"planes": 2, "bases": 1, "output_min": -128, "output_max": 127}
    case.options["keep_num_dims"] = 1
    case.input = (100 * numbers).astype(np.int8)
    case.weights, case.bias = signs, np.zeros(5, np.int32)
    case.gains, case.scale = np.full((2, 5), 2048, np.int32), np.full(5, 2.0**-12, np.float32)
    case.thresholds = np.int32([[-99], [100]])
    case.output_scale, case.output_zero_point = 1.0, 0
    found = run(start(library, case.model().write()), case.input)
    np.testing.assert_array_equal(found, numbers.astype(np.float32) @ signs[0, :, 0].T)


def largest(gain: int) -> sign_sum_cases.SignSumCase:
    """One activation with two weights of 1, the largest biases, and gains of either sign."""
    case = sign_sum_cases.draw(sign_sum_cases.FULLY_CONNECTED, 0)
    case.options |= {"planes": 1, "bases": 1, "output_min": -128, "output_max": 127}
    case.input, case.thresholds = np.int8([[127]]), np.int32([[sign_sum.NEVER]])
    case.weights = np.ones((1, 2, 1, 1), int)
    case.gains = np.int32([[gain, -gain]])
    case.bias = np.int32([binary_rows.MAX_BIAS, -binary_rows.MAX_BIAS])
    case.scale = np.full(2, 1e-7, np.float32)
    case.output_scale, case.output_zero_point = 1.0, 0
    return case


@pytest.mark.parametrize("isa", native.isas())
def test_the_largest_gain_beside_the_largest_bias_does_not_wrap_around(isa, library):
    case = largest(sign_sum.MAX_SUM)
    found = run(start(library, case.model().write(), isa), case.input)
    np.testing.assert_array_equal(found.ravel(), [127, -128])
    with pytest.raises((RuntimeError, ValueError)):
        start(library, largest(sign_sum.MAX_SUM + 1).model().write(), isa)


def gain(index: int, value: int):
    def change(model):
        found = next(t for t in model.tensors if t.name == "gains")
        found.data = found.data.copy()
        found.data.flat[index] = value

    return change


def bias_of(value: int):
    def change(model):
        found = next(t for t in model.tensors if t.name == "bias")
        found.data = np.full_like(found.data, value)

    return change


def cut(name: str):
    def change(model):
        found = next(t for t in model.tensors if t.name == name)
        found.data = found.data[:-1]
        found.shape = found.data.shape

    return change


CONV, FULL = OPERATORS
DAMAGED = [
    (CONV, option(CONV, "planes", 0), "option planes"),
    (CONV, option(CONV, "bases", 9), "option bases"),
    (CONV, option(CONV, "pad_value", 2), "option pad_value"),
    (CONV, option(CONV, "groups", 3), "option groups"),
    (FULL, option(FULL, "keep_num_dims", 2), "option keep_num_dims"),
    (FULL, gain(0, 2**30), "tensor gains"),
    (FULL, gain(0, -(2**31)), "tensor gains"),
    (FULL, bias_of(-(2**30) - 1), "tensor bias"),
    (FULL, constant("thresholds", np.zeros((2, 257), np.int32)), "tensor thresholds"),
    (FULL, constant("thresholds", np.zeros((3, 1), np.int32)), "tensor thresholds"),
    (FULL, constant("thresholds", np.zeros((2, 1), np.uint8)), "tensor thresholds"),
    (FULL, tensor("gains", data=None), "tensor gains"),
    (FULL, tensor("thresholds", data=None), "tensor thresholds"),
    *[(operator, cut("weights"), "tensor weights") for operator in OPERATORS],
    *[(operator, cut("gains"), "tensor gains") for operator in OPERATORS],
]


def case_of(operator: str) -> sign_sum_cases.SignSumCase:
    seeds = (sign_sum_cases.draw(operator, seed) for seed in range(1000))
    return next(
        case
        for case in seeds
        if (case.options["planes"], case.options["bases"]) == (2, 2)
        and case.options.get("groups", 1) == 1
        and case.input.shape[-1] % 3
    )


@pytest.mark.parametrize("number", range(len(DAMAGED)))
def test_a_damaged_file_is_refused_by_the_names_of_the_operator_and_the_part(
    number, library, capfd
):
    operator, change, part = DAMAGED[number]
    model = case_of(operator).model()
    change(model)
    with pytest.raises((RuntimeError, ValueError)) as error:
        start(library, model.write())
    message = str(error.value) + capfd.readouterr().err
    assert operator in message and part in message

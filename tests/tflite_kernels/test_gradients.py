"""Gradients under TensorFlow's names: golden bits, TensorFlow's own kernels, threads, bad files."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import interpreter as litert
from flatbuffers import flexbuffers

from edgeax.formats.operators import GRADIENT_OPERATORS
from tests.tflite_kernels import gradient_cases, native, sign_cases
from tests.tflite_kernels.gradient_cases import GradientCase, draw, model_of
from tests.tflite_kernels.test_plugin import start as start_interpreter

NAMES = [name for name in GRADIENT_OPERATORS if name not in sign_cases.OPERATORS]
SETS = native.isas()
GOLDEN = gradient_cases.golden_cases()
SEEDS = 8
# Of the sum of absolute values: TensorFlow adds in another order.
BOUND = 1e-5


@pytest.fixture(scope="module")
def library() -> str:
    return native.load()._name


def feed(interpreter: litert.Interpreter, case: GradientCase) -> np.ndarray:
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], case.inputs[detail["name"]])
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def run(library: str, case: GradientCase, isa: str = "auto", **settings: Any) -> np.ndarray:
    content = model_of(case).write()
    return feed(start_interpreter(library, content, isa, **settings), case)


def golden_named(name: str) -> GradientCase:
    (found,) = [case for case in GOLDEN if case.name == name]
    return found


def call_tensorflow(case: GradientCase, magnitudes: bool = False) -> np.ndarray:
    """TensorFlow's own kernel, with absolute values in sums of products where asked."""
    names = [argument for argument in GRADIENT_OPERATORS[case.operator].inputs]
    tensors = {
        name: np.abs(array) if magnitudes and name != "orig_input" else array
        for name, array in zip(names, case.inputs.values(), strict=True)
    }
    if case.operator == "MaxPoolGrad":  # it wants the real one
        tensors["orig_output"] = tf.nn.max_pool2d(
            tensors["orig_input"],
            *(case.attributes[name] for name in ("ksize", "strides", "padding")),
        )
    return getattr(tf.raw_ops, case.operator)(**tensors, **case.attributes).numpy()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_the_operator_gives_the_golden_numbers(case, isa, library):
    found = run(library, case, isa)
    assert found.shape == case.output_shape
    np.testing.assert_array_equal(found, case.expected)


@pytest.mark.parametrize("name", ["more_than_two_blocks", "explicit", "groups", "dilation"])
def test_the_golden_numbers_are_tensorflow_s(name):
    case = golden_named(f"Conv2DBackpropFilter_{name}")
    found, size = call_tensorflow(case), call_tensorflow(case, magnitudes=True)
    assert np.all(np.abs(found - case.expected) <= BOUND * size)


@pytest.mark.parametrize("operator", NAMES)
def test_every_set_of_kernels_agrees_with_tensorflow_and_with_the_reference(operator, library):
    for seed in range(SEEDS):
        case = draw(seed, operator)
        wanted = call_tensorflow(case)
        sums = operator.startswith(gradient_cases.CONVOLUTIONS) or "Pool" in operator
        size = call_tensorflow(case, magnitudes=True) if sums else np.abs(wanted)
        expected = run(library, case, "reference")
        error = np.max(np.abs(expected - wanted) / np.maximum(size, 1e-30))
        assert error <= BOUND, f"{case.name}: {error}"
        for isa in SETS[1:]:
            found = run(library, case, isa)
            np.testing.assert_array_equal(found, expected, f"{case.name} on {isa}")


@pytest.mark.parametrize(
    "operator, shape, outputs",
    [
        ("Conv2DBackpropFilter", (2, 24, 23, 20), 70),
        ("Conv2DBackpropInput", (2, 24, 23, 20), 20),
        ("DepthwiseConv2dNativeBackpropFilter", (3, 40, 41, 60), 60),
        ("DepthwiseConv2dNativeBackpropInput", (3, 40, 41, 60), 60),
        ("MaxPoolGrad", (2, 50, 41, 60), 60),
        ("AvgPoolGrad", (1, 90, 41, 60), 60),
    ],
)
def test_threads_give_the_bits_of_one(operator, shape, outputs, library):
    source = np.random.default_rng(5)
    attributes: dict[str, Any] = {"strides": [1, 1, 1, 1], "padding": "SAME"}
    kernel = [3, 3, shape[3], 1 if "Depthwise" in operator else outputs]
    gradient = source.standard_normal((*shape[:3], outputs)).astype(np.float32)
    values = source.standard_normal(shape).astype(np.float32)
    if operator.endswith("Filter"):
        inputs = {"input": values, "filter_sizes": np.int32(kernel), "out_backprop": gradient}
        output = tuple(kernel)
    elif operator.endswith("Input"):
        weights = source.standard_normal(kernel).astype(np.float32)
        inputs = {"input_sizes": np.int32(shape), "filter": weights, "out_backprop": gradient}
        output = shape
    else:
        attributes["ksize"] = [1, 3, 3, 1]
        first = np.int32(shape) if operator == "AvgPoolGrad" else values
        inputs = {"first": first, "grad": gradient}
        if operator == "MaxPoolGrad":
            inputs = {"first": first, "second": gradient, "grad": gradient}
        output = shape
    case = GradientCase(operator, operator, attributes, inputs, output)
    expected = run(library, case)
    for threads in (2, 3):
        np.testing.assert_array_equal(run(library, case, num_threads=threads), expected)


def test_a_depthwise_kernel_of_many_taps_is_computed_too(library):
    source = np.random.default_rng(6)
    values = source.standard_normal((1, 401, 401, 2)).astype(np.float32)
    gradient = source.standard_normal((1, 2, 2, 2)).astype(np.float32)
    inputs = {"x": values, "filter_sizes": np.int32([400, 400, 2, 1]), "out_backprop": gradient}
    attributes = {"strides": [1, 1, 1, 1], "padding": "VALID"}
    name = "DepthwiseConv2dNativeBackpropFilter"
    found = run(library, GradientCase(name, name, attributes, inputs, (400, 400, 2, 1)))
    expected = sum(
        gradient[0, y, x] * values[0, y : y + 400, x : x + 400] for y in (0, 1) for x in (0, 1)
    )
    np.testing.assert_allclose(found[..., 0], expected, rtol=1e-5, atol=1e-5)


def test_what_the_converter_writes_of_a_training_step_is_served(library):
    """The gradients of a network that has every operator but those of other activations."""
    kernels = [
        tf.Variable(tf.random.stateless_normal(shape, (1, place)) * 0.3)
        for place, shape in enumerate([(3, 3, 2, 4), (3, 3, 4, 1), (3, 3, 4, 6), (54, 3)])
    ]

    def network(x):
        x = tf.nn.relu(tf.nn.conv2d(x, kernels[0], 1, "SAME"))
        x = tf.nn.relu6(4 * tf.nn.depthwise_conv2d(x, kernels[1], [1, 2, 2, 1], "SAME"))
        x = tf.nn.max_pool2d(x, 3, 1, "SAME")
        x = tf.nn.avg_pool2d(x, 2, 1, "VALID")
        x = tf.nn.conv2d(x, kernels[2], 2, [[0, 0], [1, 1], [1, 1], [0, 0]])
        return tf.reshape(x, (4, -1)) @ kernels[3]

    @tf.function(input_signature=[tf.TensorSpec((4, 12, 12, 2)), tf.TensorSpec((4,), tf.int32)])
    def gradients(x, y):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, network(x))
            loss = tf.reduce_mean(losses)
        return tape.gradient(loss, kernels)

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [gradients.get_concrete_function()], gradients
    )
    converter.allow_custom_ops = True
    interpreter = start_interpreter(library, converter.convert())
    x = np.random.default_rng(0).standard_normal((4, 12, 12, 2)).astype(np.float32)
    for detail in interpreter.get_input_details():
        fed = x if detail["dtype"] == np.float32 else np.int32([0, 1, 2, 1])
        interpreter.set_tensor(detail["index"], fed)
    interpreter.invoke()
    details = sorted(interpreter.get_output_details(), key=lambda detail: detail["name"])
    found = [interpreter.get_tensor(detail["index"]) for detail in details]
    for wanted, got in zip(gradients(x, np.int32([0, 1, 2, 1])), found, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


# The input is [1, 5, 4, 2], the kernel [3, 3, 2, 3].


def attribute(name: str, value: Any) -> Callable[[GradientCase], None]:
    return lambda case: case.attributes.update({name: value})


def without(name: str) -> Callable[[GradientCase], None]:
    return lambda case: case.attributes.pop(name)


def array(name: str, value: np.ndarray) -> Callable[[GradientCase], None]:
    return lambda case: case.inputs.update({name: value})


BAD = [
    (attribute("strides", [1, 2, 2]), "attribute strides must be a list of 4 whole numbers."),
    (attribute("strides", [1, 0, 1, 1]), "attribute strides must be [1, h, w, 1]"),
    (attribute("strides", [2, 1, 1, 1]), "Received: [2, 1, 1, 1]."),
    (attribute("strides", [1, 65536, 1, 1]), "h and w in [1, 65535]"),
    (attribute("strides", "SAME"), "attribute strides must be a list"),
    (without("strides"), "attribute strides must be a list"),
    (attribute("dilations", [1, 1, 1, 2]), "attribute dilations must be [1, h, w, 1]"),
    (attribute("padding", "EXACT"), "attribute padding must be SAME, VALID or EXPLICIT."),
    (without("padding"), "attribute padding must be"),
    (attribute("padding", "EXPLICIT"), "attribute explicit_paddings must be a list of 8"),
    (attribute("data_format", "NCHW"), "attribute data_format must be NHWC."),
    (attribute("strides", [1, 2, 2, 1]), "the shape [1, 3, 2, 3], the layer's output."),
    (attribute("padding", "VALID"), "the shape [1, 3, 2, 3], the layer's output."),
    (array("filter_sizes", np.int32([70000, 1, 2, 3])), "at most 65535 high and wide."),
    (array("filter_sizes", np.int32([3, 3, 3, 3])), "a kernel for 2 channels"),
    (array("filter_sizes", np.int32([3, 3, 2, 0])), "must hold 4 positive numbers"),
    (array("filter_sizes", np.int32([3, 3, 2])), "tensor filter_sizes must have the shape [4]"),
    (array("filter_sizes", np.float32([3, 3, 2, 3])), "tensor filter_sizes must be int32."),
    (array("input", np.zeros((5, 4, 2), np.float32)), "tensor input must have a rank in [4, 4]."),
    (array("out_backprop", np.zeros((1, 5, 4, 4), np.float32)), "tensor out_backprop must have"),
]


@pytest.mark.parametrize("place", range(len(BAD)))
def test_a_damaged_file_is_refused_by_the_names_of_the_operator_and_the_part(place, library):
    change, message = BAD[place]
    case = golden_named("Conv2DBackpropFilter_same")
    case = GradientCase(
        case.name, case.operator, dict(case.attributes), dict(case.inputs), case.output_shape
    )
    change(case)
    with pytest.raises((RuntimeError, ValueError)) as error:
        start_interpreter(library, model_of(case).write())
    assert message in str(error.value)
    assert "Conv2DBackpropFilter: " in str(error.value)


def test_a_shape_that_is_computed_is_refused(library):
    model = model_of(golden_named("Conv2DBackpropFilter_same"))
    model.tensors[1].data = None
    with pytest.raises((RuntimeError, ValueError), match="filter_sizes must be a constant"):
        start_interpreter(library, model.write())


@pytest.mark.parametrize("operator", ["MaxPoolGrad", "ReluGrad", "LeakyReluGrad"])
def test_other_gradients_refuse_what_does_not_fit(operator, library):
    case = draw(0, operator)
    name, message = {
        "MaxPoolGrad": ("ksize", "attribute ksize must be a list of 4 whole numbers."),
        "ReluGrad": (None, "tensors gradients and features must have the same shape."),
        "LeakyReluGrad": ("alpha", "attribute alpha must be a number."),
    }[operator]
    if name is None:
        case.inputs["features"] = np.zeros((1, 2, 3), np.float32)
    else:
        case.attributes[name] = "5"
    with pytest.raises((RuntimeError, ValueError)) as error:
        start_interpreter(library, model_of(case).write())
    assert f"{operator}: {message}" in str(error.value)


def test_bytes_that_are_no_flexbuffer_are_refused_and_never_read_outside(library):
    case = golden_named("Conv2DBackpropFilter_explicit")
    whole = gradient_cases.options_of(case.attributes)
    source = np.random.default_rng(0)
    refused = 0
    for place in range(300):
        damaged = bytearray(whole[: source.integers(len(whole) + 1)] if place % 3 == 0 else whole)
        for at in source.integers(0, max(len(damaged), 1), place % 5):
            if damaged:
                damaged[at] = source.integers(256)
        model = model_of(case)
        model.operators[0].custom_options = bytes(damaged)
        try:
            feed(start_interpreter(library, model.write()), case)
        except (RuntimeError, ValueError) as error:
            assert "Conv2DBackpropFilter: " in str(error)
            refused += 1
    assert refused > 100


def test_a_list_of_any_kind_of_vector_is_read(library):
    case = golden_named("Conv2DBackpropFilter_stride_2")
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.String("padding", "SAME")
        with builder.Vector("strides"):
            for value in (1, 2, 2, 1):
                builder.Int(value, 4)
    model = model_of(case)
    model.operators[0].custom_options = bytes(builder.Finish())
    found = feed(start_interpreter(library, model.write()), case)
    np.testing.assert_array_equal(found, case.expected)


def test_options_that_are_too_long_are_refused(library):
    model = model_of(golden_named("ReluGrad_both_sides"))
    model.operators[0].custom_options = bytes(5000)
    with pytest.raises((RuntimeError, ValueError), match="at most 4096 bytes. Received: 5000"):
        start_interpreter(library, model.write())


def test_an_operator_of_wrong_inputs_is_refused(library):
    model = model_of(golden_named("ReluGrad_both_sides"))
    model.operators[0].inputs = [0]
    with pytest.raises((RuntimeError, ValueError), match="ReluGrad: the operator must have 2"):
        start_interpreter(library, model.write())

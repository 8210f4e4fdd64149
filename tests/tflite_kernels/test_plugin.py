"""The plugin in stock interpreters: golden codes, neighbors, resizing, threads, and bad files."""

import dataclasses
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema

from tests.emulation import places, process
from tests.tflite_kernels import (
    float_cases,
    golden_folder,
    gradient_cases,
    models,
    native,
    oracle,
    random_cases,
    sign_cases,
)
from tflite_kernels import build_library

ENTRIES = [entry for entry in native.golden_entries() if entry["rounding"] == "single"]
FLOATS = len(float_cases.golden_cases()) + len(gradient_cases.golden_cases())
SIGNS = len(sign_cases.golden_cases()) + len(sign_cases.drawn())
FILES = len(ENTRIES) + FLOATS + SIGNS + 2  # of golden_folder
FOLDER = Path(__file__).resolve().parent
CONV, DEPTHWISE, DENSE, SPARSE_CONV, SPARSE_DENSE, BINARY_CONV, BINARY_DENSE = (
    random_cases.OPERATORS[:7]
)
GROUPED_CONV, GROUPED_DENSE, LOOKUP_CONV, LOOKUP_DENSE = random_cases.OPERATORS[-4:]
# Sizes of the C structs, the same in all releases from 2.14 on.
STRUCT_BYTES = {
    "TfLiteContext": 200,
    "TfLiteRegistration": 88,
    "TfLiteTensor": 112,
    "TfLiteNode": 80,
    "TfLiteDelegate": 56,
}


@pytest.fixture(scope="module")
def library() -> str:
    return native.load()._name


def golden_named(operator: str, name: str) -> native.Case:
    found = [e for e in ENTRIES if e["operator"] == operator and e["name"] == f"{name}_single"]
    return native.golden_case(found[0])


def start(library: str, content: bytes, isa: str = "auto", **settings: Any) -> litert.Interpreter:
    delegate = litert.load_delegate(library, {"isa": isa})
    interpreter = litert.Interpreter(
        model_content=content, experimental_delegates=[delegate], **settings
    )
    interpreter.allocate_tensors()
    return interpreter


def run(interpreter: litert.Interpreter, x: np.ndarray) -> np.ndarray:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


# Stock interpreters.


@pytest.fixture(scope="module")
def golden_models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    assert golden_folder.write(folder) == FILES
    return folder


@pytest.mark.parametrize(
    "module, isa",
    [*(("ai_edge_litert.interpreter", isa) for isa in native.isas()), ("tensorflow", "auto")],
)
def test_golden_models_run_bit_for_bit_in_the_interpreter(module, isa, library, golden_models):
    script = FOLDER / "run_plugin_check.py"
    done = subprocess.run(
        [sys.executable, script, module, library, golden_models, isa],
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.stdout == f"plugin: {FILES} files, 0 wrong\n", done.stdout + done.stderr
    assert done.returncode == 0


def test_the_check_of_golden_models_sees_a_wrong_code_and_a_wrong_message(library, tmp_path):
    case = golden_named("EdgeaxFullyConnected", "odd_depth")
    wrong = oracle.run(case)
    wrong[0, 0] += 1
    (tmp_path / "codes.tflite").write_bytes(models.model_of(case).write())
    np.savez(tmp_path / "codes.npz", x=case.input, y=wrong)
    (tmp_path / "message.tflite").write_bytes(models.model_of(case).write())
    np.savez(tmp_path / "message.npz", error="EdgeaxConv2D")
    script = FOLDER / "run_plugin_check.py"
    words = [sys.executable, script, "ai_edge_litert.interpreter", library, tmp_path]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.stdout == (
        "codes: as in the file: 1 of 15 codes are wrong\n"
        "message: was not refused\nplugin: 2 files, 2 wrong\n"
    )
    assert done.returncode == 1


# Neighbors and sequences.


def add_builtin_add(model: models.Model, source: int) -> int:
    """Adds y = x + x of the tensor's own quantization; returns the output."""
    tensor = model.tensors[source]
    output = model.add(models.Tensor("sum", tensor.shape, np.int8, tensor.scale, tensor.zero_point))
    model.operators.append(
        models.Operator(
            [source, source],
            [output],
            builtin=schema.BuiltinOperator.ADD,
            options=schema.AddOptionsT(),
            options_type=schema.BuiltinOptions.AddOptions,
            version=2,
        )
    )
    return output


def doubled(codes: np.ndarray, zero_point: int) -> np.ndarray:
    return np.clip(2 * (codes.astype(int) - zero_point) + zero_point, -128, 127).astype(np.int8)


def test_operators_in_sequence_and_built_in_neighbors_give_the_codes_of_each(library):
    """Conv, built-in add, depthwise, fully connected: each of ours in a partition of its own."""
    conv = golden_named("EdgeaxConv2D", "same")
    model = models.Model()
    first = models.add_case(model, conv)
    second = add_builtin_add(model, first)
    depthwise = random_cases.draw("EdgeaxDepthwiseConv2D", 3)
    depthwise.options |= {"kernel_height": 3, "kernel_width": 3, "padding": 0}
    depthwise.options |= {"stride_height": 1, "stride_width": 1, "depth_multiplier": 1}
    depthwise.options |= {"dilation_height": 1, "dilation_width": 1}
    channels = conv.output_shape[-1]
    depthwise.weights = np.random.default_rng(1).integers(0, 16, (9, channels), dtype=np.uint8)
    depthwise.bias, depthwise.scale = np.int32([5] * channels), np.float32([0.01] * channels)
    depthwise.kind, depthwise.output_shape = "single", conv.output_shape
    depthwise.input_scale, depthwise.input_zero_point = conv.output_scale, conv.output_zero_point
    depthwise.output_scale = conv.output_scale * 3
    third = models.add_case(model, depthwise, second)
    dense = golden_named("EdgeaxFullyConnected", "many_outputs")
    dense.weights, dense.kind = dense.weights[:, :channels], "single"
    dense.input_scale, dense.input_zero_point = (
        depthwise.output_scale,
        depthwise.output_zero_point,
    )
    dense.output_shape = (conv.output_shape[1] * conv.output_shape[2], len(dense.weights))
    model.outputs = [models.add_case(model, dense, third)]

    depthwise.input = doubled(oracle.run(conv), conv.output_zero_point)
    dense.input = oracle.run(depthwise)
    interpreter = start(library, model.write())
    np.testing.assert_array_equal(run(interpreter, conv.input), oracle.run(dense))
    operators = interpreter._get_ops_details()
    # Three nodes of ours and one of XNNPACK's, which still gets the built-in operator.
    delegated = [d for d in operators if d["op_name"] == "DELEGATE"]
    assert [list(d["outputs"]) for d in delegated] == [[first], [third], model.outputs, [second]]


@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")
def test_every_tensor_can_be_listed_and_kept(library):
    case = golden_named("EdgeaxConv2D", "same")
    model = models.model_of(case)
    interpreter = start(library, model.write(), experimental_preserve_all_tensors=True)
    np.testing.assert_array_equal(run(interpreter, case.input), oracle.run(case))
    names = [details["name"] for details in interpreter.get_tensor_details()]
    assert names[:6] == ["x", "weights", "bias", "scale", "codebook", "y"]


@pytest.mark.parametrize(
    "operator, name",
    [
        (CONV, "same"),
        (DEPTHWISE, "same"),
        (DENSE, "odd_depth"),
        (SPARSE_CONV, "same"),
        (SPARSE_DENSE, "odd_depth"),
    ],
)
def test_inputs_are_taken_in_the_order_of_the_operator_not_of_their_numbers(
    operator, name, library
):
    """A partition of a delegate lists its tensors sorted by number."""
    case = golden_named(operator, name)
    model = models.model_of(case)
    order = [5, 4, 3, 2, 1, 0]  # the output first, then the last input down to the first
    place = {old: new for new, old in enumerate(order)}
    model.tensors = [model.tensors[old] for old in order]
    for numbers in (model.inputs, model.outputs, *_tensor_lists(model)):
        numbers[:] = [place[number] for number in numbers]
    assert model.operators[0].inputs == [5, 4, 3, 2, 1]
    np.testing.assert_array_equal(run(start(library, model.write()), case.input), oracle.run(case))


def _tensor_lists(model: models.Model) -> list[list[int]]:
    return [part for o in model.operators for part in (o.inputs, o.outputs)]


def test_bits_go_from_one_binary_operator_to_the_next(library):
    conv = golden_named(BINARY_CONV, "same_bits_in_and_out")
    model = models.Model()
    bits = models.add_case(model, conv)
    second = golden_named(BINARY_CONV, "many_channels")
    pixels = (*conv.output_shape[:3], 1)
    second.input, second.weights = oracle.run(conv).reshape(pixels), second.weights[:, :8]
    second.options |= {"input_channels": 8}
    second.output_shape = (*pixels[:3], len(second.weights))
    model.outputs = [models.add_case(model, second, bits)]
    found = run(start(library, model.write()), conv.input.view(np.uint8))
    np.testing.assert_array_equal(found, oracle.run(second))


def test_every_signature_of_a_file_gets_the_operators(library):
    case = golden_named(CONV, "relu6")
    packed = schema.ModelT.InitFromPackedBuf(models.model_of(case).write(), 0)
    packed.subgraphs = packed.subgraphs * 2
    packed.signatureDefs = []
    for number, name in enumerate(("first", "second")):
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = name, number
        signature.inputs, signature.outputs = [schema.TensorMapT()], [schema.TensorMapT()]
        signature.inputs[0].name, signature.inputs[0].tensorIndex = "x", 0
        signature.outputs[0].name, signature.outputs[0].tensorIndex = "y", 5
        packed.signatureDefs.append(signature)
    builder = flatbuffers.Builder(1024)
    builder.Finish(packed.Pack(builder), b"TFL3")
    interpreter = start(library, bytes(builder.Output()))
    for name in ("first", "second"):
        output = interpreter.get_signature_runner(name)(x=case.input)["y"]
        np.testing.assert_array_equal(output, oracle.run(case))


# Shapes.


def test_the_input_can_be_resized_after_allocation_and_back(library):
    case = golden_named("EdgeaxConv2D", "same_stride_2_odd")
    interpreter = start(library, models.model_of(case).write())
    index = interpreter.get_input_details()[0]["index"]
    source = np.random.default_rng(0)
    for shape in (case.input.shape, (3, 9, 4, 1), (1, 2, 2, 1), (2, 31, 30, 1), case.input.shape):
        case.input = source.integers(-128, 128, shape, dtype=np.int8)
        case.output_shape = (shape[0], -(-shape[1] // 2), -(-shape[2] // 2), len(case.bias))
        interpreter.resize_tensor_input(index, shape)
        interpreter.allocate_tensors()
        np.testing.assert_array_equal(run(interpreter, case.input), oracle.run(case))


def test_the_input_of_a_sparse_operator_can_be_resized_to_many_pixels_and_to_one(library):
    """One pixel, a few and many take different forms of the kernels."""
    case = golden_named(SPARSE_CONV, "same_blocks_of_4")
    interpreter = start(library, models.model_of(case).write())
    index = interpreter.get_input_details()[0]["index"]
    source = np.random.default_rng(0)
    for shape in ((3, 9, 4, 4), (1, 1, 1, 4), (1, 31, 30, 4), case.input.shape):
        case.input = source.integers(-128, 128, shape, dtype=np.int8)
        case.output_shape = (*shape[:3], len(case.bias))
        interpreter.resize_tensor_input(index, shape)
        interpreter.allocate_tensors()
        np.testing.assert_array_equal(run(interpreter, case.input), oracle.run(case))


def test_a_size_that_does_not_fit_is_refused_and_the_next_one_works(library):
    case = golden_named("EdgeaxConv2D", "valid")
    interpreter = start(library, models.model_of(case).write())
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, (1, 2, 6, 2))
    with pytest.raises(RuntimeError, match="EdgeaxConv2D: tensor input of height 2 and width 6"):
        interpreter.allocate_tensors()
    interpreter.resize_tensor_input(index, case.input.shape)
    interpreter.allocate_tensors()
    np.testing.assert_array_equal(run(interpreter, case.input), oracle.run(case))


def test_a_shape_that_is_known_only_when_running_is_followed(library):
    """A built-in reshape whose shape is an input gives a dynamic tensor."""
    case = golden_named(CONV, "same")
    model = models.Model()
    flat = models.Tensor(
        "flat", (case.input.size,), np.int8, case.input_scale, case.input_zero_point
    )
    model.inputs = [model.add(flat), model.add(models.Tensor("shape", (4,), np.int32))]
    image = models.Tensor("image", (1, 1, 1, 3), np.int8, case.input_scale, case.input_zero_point)
    source = model.add(image)
    model.operators.append(
        models.Operator([0, 1], [source], builtin=schema.BuiltinOperator.RESHAPE)
    )
    model.outputs = [models.add_case(model, case, source)]
    interpreter = start(library, model.write())
    for height, width in ((5, 4), (4, 5), (2, 10)):
        case.input = case.input.reshape(1, height, width, 3)
        case.output_shape = (1, height, width, len(case.bias))
        interpreter.set_tensor(0, case.input.ravel())
        interpreter.set_tensor(1, np.int32(case.input.shape))
        interpreter.invoke()
        found = interpreter.get_tensor(model.outputs[0])
        np.testing.assert_array_equal(found, oracle.run(case))


# Several at once.


def test_what_an_interpreter_held_is_given_back_with_it(library):
    """60,000 output channels hold 720 kB beside the model: 300 interpreters would hold 216 MB."""
    code = """
import resource, sys
import numpy as np
from tests.tflite_kernels import models, native, test_plugin
case = test_plugin.golden_named("EdgeaxFullyConnected", "one_number")
channels = 60_000
case.weights = np.zeros((channels, 1), np.uint8)
case.bias, case.scale = np.zeros(channels, np.int32), np.ones(channels, np.float32)
case.output_shape = (1, channels)
content = models.model_of(case).write()
for number in range(320):
    test_plugin.run(test_plugin.start(sys.argv[1], content), case.input)
    if number == 20:
        start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, library],
        capture_output=True,
        text=True,
        cwd=places.REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(places.REPOSITORY)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) < 40_000  # kB


def test_two_interpreters_with_delegates_of_their_own_do_not_disturb_each_other(library):
    cases = [golden_named("EdgeaxConv2D", name) for name in ("same", "relu6")]
    interpreters = [start(library, models.model_of(case).write()) for case in cases]
    for _ in range(3):
        for case, interpreter in zip(cases, interpreters, strict=True):
            np.testing.assert_array_equal(run(interpreter, case.input), oracle.run(case))
    del interpreters[0]
    np.testing.assert_array_equal(run(interpreters[0], cases[1].input), oracle.run(cases[1]))


def test_one_delegate_serves_two_interpreters(library):
    delegate = litert.load_delegate(library)
    cases = [golden_named("EdgeaxConv2D", name) for name in ("same", "relu6")]
    made = [
        litert.Interpreter(
            model_content=models.model_of(case).write(), experimental_delegates=[delegate]
        )
        for case in cases
    ]
    for case, interpreter in zip(cases, made, strict=True):
        interpreter.allocate_tensors()
        np.testing.assert_array_equal(run(interpreter, case.input), oracle.run(case))


def test_interpreters_in_threads_give_the_codes_of_one(library):
    drawn = [random_cases.draw("EdgeaxConv2D", seed) for seed in range(6)]
    for case in drawn:
        case.kind = "single"
    expected = [oracle.run(case) for case in drawn]
    wrong: list[str] = []

    def work(seed: int) -> None:
        order = np.random.default_rng(seed).permutation(len(drawn))
        for i in order:
            interpreter = start(library, models.model_of(drawn[i]).write(), num_threads=2)
            for _ in range(20):
                if (run(interpreter, drawn[i].input) != expected[i]).any():
                    wrong.append(drawn[i].name)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def repeated(case: native.Case, least_products: int) -> tuple[native.Case, int]:
    """The same case with so many equal entries in its batch that several threads are worth it, and
    how many times they are there."""
    depth = case.weights.shape[0 if case.operator == DEPTHWISE else 1]
    times = -(-least_products // (int(np.prod(case.output_shape)) * depth))
    x = np.concatenate([case.input] * times)
    shape = (case.output_shape[0] * times, *case.output_shape[1:])
    return dataclasses.replace(case, input=x, output_shape=shape), times


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("operator", random_cases.OPERATORS)
def test_threads_share_an_operator_and_give_the_codes_of_one(operator, threads, library):
    drawn = [random_cases.draw(operator, seed) for seed in range(8)]
    plain = [one for one in drawn if one.input.ndim > 1 and not one.options.get("input_packed")]
    for case in plain:
        case.kind = "single"
        expected = oracle.run(case)
        case, times = repeated(case, 3 * 2**18)
        expected = np.concatenate([expected] * times)
        interpreter = start(library, models.model_of(case).write(), num_threads=threads)
        before = set(os.listdir("/proc/self/task"))
        for _ in range(3):
            output = run(interpreter, case.input).view(np.int8)  # packed bits are uint8
            np.testing.assert_array_equal(output, expected)
        more = set(os.listdir("/proc/self/task")) - before  # threads of former ones may end
        assert len(more) == threads - 1


# Bad delegate options.


@pytest.mark.parametrize(
    "options, message",
    [
        ({"isa": "sse9"}, "option isa must be auto, reference.*Received: sse9"),
        ({"isa": ""}, "option isa must be"),
        ({"threads": "2"}, "the options of the delegate are: isa. Received: threads"),
        ({"isa": "reference", "x": "y"}, "the options of the delegate are: isa. Received: x"),
    ],
)
def test_an_unknown_delegate_option_is_refused_by_name(options, message, library):
    with pytest.raises(ValueError, match=message):
        litert.load_delegate(library, options)


# Bad files. Each entry damages the model of one operator in one place.


def option(operator: str, name: str, value: int) -> Callable[[models.Model], None]:
    """Sets one option; "version" is the word before them."""
    names = ["version", *(o.name for o in models.OPERATORS[operator].options)]

    def change(model: models.Model) -> None:
        words = np.frombuffer(model.operators[0].custom_options, np.int32).copy()
        words[names.index(name)] = value
        model.operators[0].custom_options = words.tobytes()

    return change


def both(*changes: Callable[[models.Model], None]) -> Callable[[models.Model], None]:
    def change(model: models.Model) -> None:
        for each in changes:
            each(model)

    return change


def tensor(name: str, **changes: Any) -> Callable[[models.Model], None]:
    """Changes fields of the tensor of that name."""

    def change(model: models.Model) -> None:
        (found,) = (t for t in model.tensors if t.name == name)
        for key, value in changes.items():
            setattr(found, key, value)

    return change


def constant(name: str, data: np.ndarray) -> Callable[[models.Model], None]:
    """Replaces a constant, its shape and its type."""
    return tensor(name, shape=data.shape, dtype=data.dtype, data=data)


def inputs(*numbers: int) -> Callable[[models.Model], None]:
    def change(model: models.Model) -> None:
        model.operators[0].inputs = list(numbers)

    return change


def outputs(*numbers: int) -> Callable[[models.Model], None]:
    def change(model: models.Model) -> None:
        model.operators[0].outputs = list(numbers)

    return change


def options_cut(count: int) -> Callable[[models.Model], None]:
    def change(model: models.Model) -> None:
        model.operators[0].custom_options = (model.operators[0].custom_options + bytes(4))[:count]

    return change


# The input is [1, 5, 4, 3], weights [4, 14], kernel 3x3, for CONV; [1, 5, 4, 5] and [9, 3] for
# DEPTHWISE; [3, 7] and [5, 4] for DENSE. Of SPARSE_CONV it is [1, 5, 4, 3], with 4 rows of 27
# weights, places in 4 bits; of SPARSE_DENSE [3, 7], with 5 rows of 7 weights and a mask.
GOOD = {
    CONV: "same",
    DEPTHWISE: "same",
    DENSE: "odd_depth",
    SPARSE_CONV: "same",
    SPARSE_DENSE: "odd_depth",
}
BAD = [
    (CONV, options_cut(0), "the options must have 44 bytes. Received: 0."),
    (CONV, options_cut(40), "the options must have 44 bytes. Received: 40."),
    (CONV, options_cut(43), "the options must have 44 bytes. Received: 43."),
    (CONV, options_cut(48), "the options must have 44 bytes. Received: 48."),
    (DENSE, options_cut(12), "the options must have 16 bytes. Received: 12."),
    (CONV, option(CONV, "version", 2), "option version must be 1. Received: 2."),
    (DENSE, option(DENSE, "version", 0), "option version must be 1. Received: 0."),
    (
        DENSE,
        option(DENSE, "keep_num_dims", 2),
        "option keep_num_dims must lie in [0, 1]. Received: 2.",
    ),
    *(
        (operator, option(operator, name, value), f"option {name} must lie in [")
        for operator in (CONV, DEPTHWISE)
        for name in (
            "kernel_height kernel_width stride_height stride_width dilation_height dilation_width"
        ).split()
        for value in (0, -1, 4097, 2**31 - 1)
    ),
    (
        CONV,
        option(CONV, "stride_height", 0),
        "option stride_height must lie in [1, 4096]. Received: 0.",
    ),
    (CONV, option(CONV, "padding", 2), "option padding must lie in [0, 1]. Received: 2."),
    (CONV, option(CONV, "groups", 0), "option groups must lie in [1, 65536]. Received: 0."),
    (
        CONV,
        option(CONV, "groups", 2),
        "option groups must divide the 3 channels of tensor input "
        "and the 4 rows of tensor weights. Received: 2.",
    ),
    (DEPTHWISE, option(DEPTHWISE, "depth_multiplier", 0), "option depth_multiplier must lie in"),
    (
        DEPTHWISE,
        option(DEPTHWISE, "depth_multiplier", 2),
        "tensor weights must have the shape [9, 5]. Received: [9, 3].",
    ),
    (
        CONV,
        option(CONV, "output_min", -129),
        "option output_min must lie in [-128, 127], as the output is int8. Received: -129.",
    ),
    (CONV, option(CONV, "output_max", 128), "option output_max must lie in [-128, 127], as the"),
    (CONV, option(CONV, "output_max", 2**15), "option output_max must lie in [-32768, 32767]."),
    (
        CONV,
        both(option(CONV, "output_min", 5), option(CONV, "output_max", 4)),
        "option output_min must not be above output_max. Received: 5 and 4.",
    ),
    (DENSE, option(DENSE, "output_max", -128), None),  # equal to output_min: a constant output
    (
        CONV,
        both(option(CONV, "kernel_height", 4096), option(CONV, "kernel_width", 4096)),
        "a row of tensor weights (kernel_height x "
        "kernel_width x channels of a group) must have at most 65536 weights",
    ),
    (
        DEPTHWISE,
        option(DEPTHWISE, "kernel_width", 5),
        "tensor weights must have the shape [15, 3]. Received: [9, 3].",
    ),
    (CONV, inputs(0, 1, 2, 3), "the operator must have 5 inputs and 1 output. Received: 4 and 1."),
    (
        CONV,
        inputs(0, 1, 2, 3, 4, 4),
        "the operator must have 5 inputs and 1 output. Received: 6 and 1.",
    ),
    (
        CONV,
        inputs(0, 1, -1, 3, 4),
        "tensor bias must be a tensor of the model. Received: number -1.",
    ),
    (CONV, inputs(1, 0, 2, 3, 4), "tensor input must be int8. Received: uint8 (3)."),
    (CONV, tensor("weights", dtype=np.int8), "tensor weights must be uint8. Received: int8 (9)."),
    (CONV, tensor("x", dtype=np.float32), "tensor input must be int8. Received: float32 (1)."),
    (CONV, tensor("y", dtype=np.uint8), "tensor output must be int8. Received: uint8 (3)."),
    (CONV, tensor("bias", dtype=np.float32), "tensor bias must be int32. Received: float32 (1)."),
    (CONV, tensor("scale", dtype=np.int32), "tensor scale must be float32. Received: int32 (2)."),
    (CONV, tensor("codebook", dtype=np.uint8), "tensor codebook must be int8. Received: uint8"),
    (
        CONV,
        tensor("x", shape=(5, 4, 3)),
        "tensor input must have a rank in [4, 4]. Received: the shape [5, 4, 3].",
    ),
    (
        DENSE,
        tensor("x", shape=()),
        "tensor input must have a rank in [1, 8]. Received: the shape [].",
    ),
    (DENSE, tensor("x", shape=(1,) * 8 + (7,)), "tensor input must have a rank in [1, 8]."),
    (
        CONV,
        tensor("x", shape=(0, 5, 4, 3)),
        "tensor input must have from 1 to 2147418112 elements. Received: the shape [0, 5, 4, 3].",
    ),
    (DENSE, tensor("x", shape=(3, 8)), None),  # 4 bytes a row hold 8 weights too
    (
        DENSE,
        tensor("x", shape=(3, 9)),
        "tensor weights must have the shape [5, 5]. Received: [5, 4].",
    ),
    (
        DENSE,
        tensor("x", shape=(1, 65537)),
        "the last dimension of tensor input must be at most 65536. Received: 65537.",
    ),
    (
        CONV,
        constant("weights", np.zeros((4, 13), np.uint8)),
        "tensor weights must have the shape [4, 14]. Received: [4, 13].",
    ),
    (
        CONV,
        constant("weights", np.zeros((56,), np.uint8)),
        "tensor weights must have a rank in [2, 2].",
    ),
    (
        CONV,
        constant("weights", np.zeros((3, 14), np.uint8)),
        "tensor bias must have the shape [3]. Received: [4].",
    ),
    (
        CONV,
        constant("bias", np.zeros(3, np.int32)),
        "tensor bias must have the shape [4]. Received: [3].",
    ),
    (
        CONV,
        constant("scale", np.ones(5, np.float32)),
        "tensor scale must have the shape [4]. Received: [5].",
    ),
    (
        CONV,
        constant("scale", np.float32([1, np.nan, 1, 1])),
        "every number of tensor scale must be finite.",
    ),
    (
        CONV,
        constant("scale", np.float32([1, 1, 1, -np.inf])),
        "every number of tensor scale must be finite.",
    ),
    (CONV, constant("scale", np.float32([0, -1, 1e-30, 1e30])), None),
    *(
        (
            operator,
            constant("codebook", np.zeros(entries, np.int8)),
            f"tensor codebook must have 16, 4 or 2 entries. Received: {entries}.",
        )
        for operator in (CONV, DEPTHWISE, DENSE)
        for entries in (1, 3, 15, 256)
    ),
    # With fewer bits rows are shorter.
    *(
        (
            operator,
            constant("codebook", np.zeros(entries, np.int8)),
            f"tensor weights must have the shape {wanted}. Received: {received}.",
        )
        for operator, entries, wanted, received in (
            (CONV, 4, [4, 7], [4, 14]),
            (CONV, 2, [4, 4], [4, 14]),
            (DEPTHWISE, 4, [9, 2], [9, 3]),
            (DENSE, 2, [5, 1], [5, 4]),
        )
    ),
    (
        CONV,
        both(
            constant("codebook", np.zeros(4, np.int8)),
            constant("weights", np.zeros((4, 7), np.uint8)),
        ),
        None,
    ),
    (
        CONV,
        constant("codebook", np.zeros((4, 4), np.int8)),
        "tensor codebook must have a rank in [1, 1].",
    ),
    (
        DENSE,
        both(
            tensor("x", shape=(10**8, 1)),
            constant("weights", np.zeros((40, 1), np.uint8)),
            constant("bias", np.zeros(40, np.int32)),
            constant("scale", np.ones(40, np.float32)),
        ),
        "tensor output must have at most 2147418112 elements.",
    ),
    *(
        (CONV, tensor(name, data=None), f"tensor {name} must be a constant of the model.")
        for name in ("weights", "bias", "scale", "codebook")
    ),
    (
        CONV,
        tensor("x", scale=None),
        "tensor input must be quantized with one scale and one zero point.",
    ),
    (
        CONV,
        tensor("x", scale=[0.5, 0.25, 0.125], axis=3),
        "tensor input must be quantized with one scale and one zero point.",
    ),
    (CONV, tensor("y", scale=None), "tensor output must be quantized with one scale"),
    (
        CONV,
        tensor("x", scale=0.0),
        "the scale of tensor input must be positive and finite. Received: 0.",
    ),
    (
        CONV,
        tensor("x", scale=-0.5),
        "the scale of tensor input must be positive and finite. Received: -0.5.",
    ),
    (
        CONV,
        tensor("y", scale=float("inf")),
        "the scale of tensor output must be positive and finite. Received: inf.",
    ),
    (
        CONV,
        tensor("y", scale=float("nan")),
        "the scale of tensor output must be positive and finite.",
    ),
    (
        CONV,
        tensor("x", zero_point=128),
        "the zero point of tensor input must lie in [-128, 127]. Received: 128.",
    ),
    (
        CONV,
        tensor("y", zero_point=-129),
        "the zero point of tensor output must lie in [-128, 127]. Received: -129.",
    ),
]


def resized(name: str, change: int) -> Callable[[models.Model], None]:
    """Makes a vector of bytes so much longer, or shorter."""

    def edit(model: models.Model) -> None:
        (found,) = (t for t in model.tensors if t.name == name)
        found.data = np.resize(found.data, len(found.data) + change)
        found.shape = found.data.shape

    return edit


BAD += [
    (SPARSE_CONV, options_cut(48), "the options must have 52 bytes. Received: 48."),
    (SPARSE_DENSE, options_cut(28), "the options must have 24 bytes. Received: 28."),
    *(
        (operator, option(operator, name, value), f"option {name} must lie in [{ends}].")
        for operator in (SPARSE_CONV, SPARSE_DENSE)
        for name, ends, values in (("block", "1, 16", (-1, 0, 17)), ("places", "0, 2", (-1, 3)))
        for value in values
    ),
    *(
        (operator, option(operator, "block", value), "option block must be 1, 2, 4, 8 or 16.")
        for operator in (SPARSE_CONV, SPARSE_DENSE)
        for value in (3, 12, 15)
    ),
    (
        SPARSE_DENSE,
        option(SPARSE_DENSE, "block", 2),
        "tensors indices and weights must hold exactly the places and values of 5 rows of 4 blocks "
        "of 2. Received: 5 and ",
    ),
    (SPARSE_CONV, option(SPARSE_CONV, "places", 0), "tensors indices and weights must hold"),
    (SPARSE_CONV, option(SPARSE_CONV, "places", 2), "tensor"),
    (SPARSE_CONV, option(SPARSE_CONV, "kernel_height", 2), "tensor"),
    *(
        (operator, resized(name, change), "tensors indices and weights must hold exactly")
        for operator in (SPARSE_CONV, SPARSE_DENSE)
        for name in ("indices", "weights")
        for change in (-1, 1)
    ),
    (
        SPARSE_CONV,
        constant("indices", np.full(40, 0xEE, np.uint8)),  # the second block is number 29
        "tensor indices must place every block of a row before number 27.",
    ),
    (SPARSE_CONV, constant("indices", np.full(9, 0xFF, np.uint8)), "tensors indices and weights"),
    (
        SPARSE_CONV,
        option(SPARSE_CONV, "groups", 2),
        "option groups must divide the 3 channels of tensor input and the 4 numbers of tensor "
        "bias. Received: 2.",
    ),
    (
        SPARSE_CONV,
        both(option(SPARSE_CONV, "kernel_height", 4096), option(SPARSE_CONV, "kernel_width", 4096)),
        "a row of tensor weights (kernel_height x kernel_width x channels of a group) must have at "
        "most 65536 weights",
    ),
    (
        SPARSE_CONV,
        both(option(SPARSE_CONV, "padding", 1), tensor("x", shape=(1, 2, 6, 3))),
        "tensor input of height 2 and width 6 must hold the dilated kernel",
    ),
    (SPARSE_CONV, inputs(0, 1, 2, 3), "the operator must have 5 inputs and 1 output."),
    (SPARSE_CONV, inputs(0, 1, 2, 3, 1), "tensor indices must be uint8. Received: int8 (9)."),
    (SPARSE_CONV, tensor("weights", dtype=np.uint8), "tensor weights must be int8."),
    (SPARSE_CONV, tensor("indices", dtype=np.int8), "tensor indices must be uint8."),
    *(
        (
            SPARSE_CONV,
            constant(name, np.ones((1, 30), dtype)),
            f"tensor {name} must have a rank in [1, 1].",
        )
        for name, dtype in (("weights", np.int8), ("indices", np.uint8))
    ),
    (SPARSE_CONV, tensor("indices", shape=(0,)), "tensor indices must have from 1 to"),
    (SPARSE_CONV, constant("weights", np.zeros(0, np.int8)), "tensors indices and weights"),
    *(
        (SPARSE_CONV, tensor(name, data=None), f"tensor {name} must be a constant of the model.")
        for name in ("weights", "bias", "scale", "indices")
    ),
    (SPARSE_CONV, constant("bias", np.zeros(3, np.int32)), "tensors indices and weights"),
    (
        SPARSE_CONV,
        constant("scale", np.ones(5, np.float32)),
        "tensor scale must have the shape [4]. Received: [5].",
    ),
    (SPARSE_DENSE, tensor("x", shape=(3, 8)), None),  # a byte of a mask holds 8 places too
    (
        SPARSE_DENSE,
        tensor("x", shape=(3, 9)),
        "tensors indices and weights must hold exactly the places and values of 5 rows of 9 blocks "
        "of 1. Received: 5 and ",
    ),
    (
        SPARSE_DENSE,
        tensor("x", shape=(1, 65537)),
        "the last dimension of tensor input must be at most 65536. Received: 65537.",
    ),
    (
        SPARSE_DENSE,
        both(
            tensor("x", shape=(10**8, 1)),
            constant("weights", np.ones(40, np.int8)),
            constant("indices", np.ones(40, np.uint8)),
            constant("bias", np.zeros(40, np.int32)),
            constant("scale", np.ones(40, np.float32)),
        ),
        "tensor output must have at most 2147418112 elements.",
    ),
]


# The input of BINARY_CONV is [1, 3, 4, 2] of 11 numbers in bits, weights [3, 18], kernel 3x3; that
# of BINARY_DENSE [3, 7], weights [5, 1].
GOOD |= {BINARY_CONV: "same_bits_in", BINARY_DENSE: "odd_depth"}
BAD += [
    (BINARY_CONV, options_cut(56), "the options must have 60 bytes. Received: 56."),
    (BINARY_DENSE, options_cut(32), "the options must have 28 bytes. Received: 32."),
    *(
        (operator, option(operator, name, value), f"option {name} must lie in [{ends}].")
        for operator in (BINARY_CONV, BINARY_DENSE)
        for name, ends, values in (
            ("input_packed", "0, 1", (-1, 2)),
            ("output_packed", "0, 1", (-1, 2)),
            ("input_channels", "1, 65536", (0, 65537)),
        )
        for value in values
    ),
    (BINARY_CONV, option(BINARY_CONV, "pad_value", -1), "option pad_value must lie in [0, 1]."),
    (BINARY_CONV, option(BINARY_CONV, "input_packed", 0), "tensor input must be int8."),
    (BINARY_DENSE, option(BINARY_DENSE, "input_packed", 1), "tensor input must be uint8."),
    (BINARY_CONV, option(BINARY_CONV, "output_packed", 1), "tensor output must be uint8."),
    (BINARY_CONV, option(BINARY_CONV, "input_channels", 9), None),  # two bytes hold 9 numbers too
    (
        BINARY_CONV,
        option(BINARY_CONV, "input_channels", 17),
        "the last dimension of tensor input must be 3 for the options input_packed 1 and "
        "input_channels 17. Received: 2.",
    ),
    (
        BINARY_DENSE,
        option(BINARY_DENSE, "input_channels", 8),
        "the last dimension of tensor input must be 8 for the options input_packed 0 and "
        "input_channels 8. Received: 7.",
    ),
    (
        BINARY_CONV,
        option(BINARY_CONV, "groups", 2),
        "option groups must divide the 11 channels of tensor input and the 3 rows of tensor "
        "weights. Received: 2.",
    ),
    (
        BINARY_CONV,
        option(BINARY_CONV, "kernel_height", 2),
        "tensor weights must have the shape [3, 12]. Received: [3, 18].",
    ),
    (
        BINARY_CONV,
        both(option(BINARY_CONV, "kernel_height", 4096), option(BINARY_CONV, "kernel_width", 4096)),
        "a row of tensor weights (kernel_height x kernel_width x channels of a group) must have at "
        "most 65536 weights",
    ),
    (
        BINARY_CONV,
        both(option(BINARY_CONV, "padding", 1), tensor("x", shape=(1, 2, 6, 2))),
        "tensor input of height 2 and width 6 must hold the dilated kernel",
    ),
    (
        BINARY_DENSE,
        constant("weights", np.zeros((5, 2), np.uint8)),
        "tensor weights must have the shape [5, 1]. Received: [5, 2].",
    ),
    (BINARY_CONV, inputs(0, 1, 2, 3, 3), "the operator must have 4 inputs and 1 output."),
    (BINARY_CONV, tensor("weights", dtype=np.int8), "tensor weights must be uint8."),
    (BINARY_DENSE, tensor("x", scale=None), "tensor input must be quantized with one scale"),
    (BINARY_CONV, tensor("y", scale=0.0), "the scale of tensor output must be positive and finite"),
    *(
        (BINARY_CONV, tensor(name, data=None), f"tensor {name} must be a constant of the model.")
        for name in ("weights", "bias", "scale")
    ),
    (BINARY_CONV, constant("bias", np.int32([0, -(2**30), 2**30])), None),
    (
        BINARY_CONV,
        constant("bias", np.int32([0, 2**30 + 1, 0])),
        "every number of tensor bias must lie in [-1073741824, 1073741824]. Received: 1073741825.",
    ),
    (
        BINARY_CONV,
        constant("scale", np.float32([1, np.nan, 1])),
        "every number of tensor scale must be finite.",
    ),
]


def damaged(operator: str, change: Callable[[models.Model], None]) -> bytes:
    model = models.model_of(golden_named(operator, GOOD[operator]))
    change(model)
    return model.write()


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_damaged_file_is_refused_by_the_names_of_the_operator_and_the_part(number, library):
    operator, change, message = BAD[number]
    content = damaged(operator, change)
    if message is None:  # at the edge of what is allowed
        start(library, content).invoke()
        return
    with pytest.raises(RuntimeError) as error:
        start(library, content)
    assert f"{operator}: {message}" in str(error.value)


def test_an_operator_whose_output_is_its_input_is_refused_or_runs_but_never_steps_outside(library):
    model = models.model_of(golden_named(CONV, "same"))
    model.operators[0].outputs = [0]
    model.outputs = [0]
    with pytest.raises(RuntimeError):
        start(library, model.write()).invoke()


def test_no_damaged_model_crashes_the_interpreter(library):
    """Under sanitizers too: test_sanitizers.py runs this file with the sanitized library."""
    environment = os.environ | {"PYTHONPATH": str(places.REPOSITORY)}
    words = [sys.executable, "-m", "tests.tflite_kernels.fuzz_plugin", library, "11", "1200"]
    done = subprocess.run(
        words, capture_output=True, text=True, env=environment, cwd=places.REPOSITORY
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    _, ran, refused, by_us = (int(word) for word in done.stdout.split() if word.isdigit())
    assert ran > 50 and by_us > 300 and refused >= by_us  # damage of many kinds was seen


# The built-in operators as the oracle.


def builtin_model(case: native.Case) -> bytes:
    """The same case as a built-in int8 operator over the decoded weights."""
    weights = oracle.values(case).astype(np.int8)
    options = case.options
    model = models.Model()
    into = models.Tensor("x", case.input.shape, np.int8, case.input_scale, case.input_zero_point)
    model.inputs = [model.add(into)]
    if case.operator in (DENSE, SPARSE_DENSE, GROUPED_DENSE):
        code, axis = schema.BuiltinOperator.FULLY_CONNECTED, 0
        built, kind = schema.FullyConnectedOptionsT(), schema.BuiltinOptions.FullyConnectedOptions
    else:
        height, width = options["kernel_height"], options["kernel_width"]
        if case.operator != DEPTHWISE:
            code, axis = schema.BuiltinOperator.CONV_2D, 0
            built, kind = schema.Conv2DOptionsT(), schema.BuiltinOptions.Conv2DOptions
            weights = weights.reshape(len(weights), height, width, -1)
        else:
            code, axis = schema.BuiltinOperator.DEPTHWISE_CONV_2D, 3
            built = schema.DepthwiseConv2DOptionsT()
            kind = schema.BuiltinOptions.DepthwiseConv2DOptions
            built.depthMultiplier = options["depth_multiplier"]
            weights = weights.reshape(1, height, width, -1)
        built.strideH, built.strideW = options["stride_height"], options["stride_width"]
        built.dilationHFactor = options["dilation_height"]
        built.dilationWFactor = options["dilation_width"]
        built.padding = options["padding"]
    scale = [float(value) for value in case.scale]
    bias_scale = [float(np.float32(case.input_scale) * value) for value in case.scale]
    numbers = [
        0,
        model.add(models.Tensor("w", weights.shape, np.int8, scale, 0, weights, axis)),
        model.add(models.Tensor("b", case.bias.shape, np.int32, bias_scale, 0, case.bias)),
    ]
    out = models.Tensor("y", case.output_shape, np.int8, case.output_scale, case.output_zero_point)
    model.outputs = [model.add(out)]
    model.operators = [
        models.Operator(
            numbers, model.outputs, builtin=code, options=built, options_type=kind, version=5
        )
    ]
    return model.write()


@pytest.mark.parametrize(
    "operator, kind",
    [
        (CONV, "double"),
        (DEPTHWISE, "double"),
        (DENSE, "single"),
        (SPARSE_CONV, "double"),
        (SPARSE_DENSE, "single"),
        (GROUPED_CONV, "double"),
        (GROUPED_DENSE, "single"),
    ],
)
def test_codes_equal_those_of_the_reference_kernels_of_the_interpreter(operator, kind):
    """These round twice, but for the fully connected one, which rounds once."""
    checked = 0
    for seed in range(90):
        case = random_cases.draw(operator, seed)
        # What the built-in operators do not have: other clamps, scales of 0 and below, -128.
        case.options |= {"output_min": -128, "output_max": 127}
        case.codebook = np.maximum(case.codebook, -127)
        if case.is_sparse:
            case.weights = np.maximum(case.weights, -127)
            random_cases.store(case)
        case.scale = np.maximum(np.abs(case.scale), np.float32(1e-4))
        # Nor groups, sums that wrap, and factors whose shift to the left leaves int32.
        factor = case.input_scale * case.scale.max() / case.output_scale
        wraps = np.abs(case.bias).max() > 10**6 or factor > 100
        if case.options.get("groups", 1) != 1 or wraps:
            continue
        case.kind = kind
        interpreter = litert.Interpreter(
            model_content=builtin_model(case),
            experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
        )
        interpreter.allocate_tensors()
        for isa in native.isas():
            np.testing.assert_array_equal(
                native.run(isa, case), run(interpreter, case.input), f"{case.name} on {isa}"
            )
        checked += 1
    assert checked > 20


# The C structs.


def test_the_declared_structs_have_the_sizes_of_every_release_since_2_14(tmp_path):
    prints = "".join(f'  printf("{name} %zu\\n", sizeof({name}));\n' for name in STRUCT_BYTES)
    source = tmp_path / "sizes.cc"
    source.write_text(
        '#include <stdio.h>\n#include "tflite_kernels/adapters/tflite_abi.h"\n'
        f"int main() {{\n{prints}}}\n"
    )
    program = tmp_path / "sizes"
    compiler = build_library.find_compiler()
    process.compile_or_raise(
        [*compiler, "-std=c++17", f"-I{places.REPOSITORY}", source, "-o", program]
    )
    said = process.run([program], timeout_s=60).output.split()
    assert dict(zip(said[::2], map(int, said[1::2]), strict=True)) == STRUCT_BYTES

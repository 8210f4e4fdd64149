"""Coded rows in stock interpreters: the codes of the uncoded operators, resizing, and bad files."""

import os
import subprocess
import sys

import numpy as np
import pytest

from edgeax.formats import coded
from tests.emulation import places
from tests.tflite_kernels import coded_rows, models, native, oracle, random_cases, test_plugin
from tests.tflite_kernels.test_interpreters import CHECK, TFLITE_RUNTIME
from tests.tflite_kernels.test_plugin import (
    both,
    constant,
    inputs,
    option,
    options_cut,
    outputs,
    run,
    start,
    tensor,
)

CODINGS = {"raw": coded.RAW, "huffman": coded.HUFFMAN, "range": coded.RANGE}
CONV, _, DENSE, SPARSE_CONV, SPARSE_DENSE = random_cases.OPERATORS[:5]
OPERATORS = (CONV, DENSE, SPARSE_CONV, SPARSE_DENSE)
CODED_CONV, CODED_DENSE = "EdgeaxCodedConv2D", "EdgeaxCodedFullyConnected"
SEEDS = range(40)
MOST_CODES = 12_000  # that Python codes in a case


@pytest.fixture(scope="module")
def library() -> str:
    return native.load()._name


def draw(operator: str, seed: int) -> native.Case:
    """A random case as the plugin rounds it; every third one has the same scale in all rows."""
    case = random_cases.draw(operator, seed)
    case.kind = "single"
    if seed % 3 == 0:
        case.scale = np.full_like(case.scale, case.scale[0])
    return case


def drawn(operator: str) -> list[native.Case]:
    cases = [draw(operator, seed) for seed in SEEDS]
    return [case for case in cases if case.weights.size <= MOST_CODES]


def encoded(case: native.Case, coding: int | None = None) -> bytes:
    return coded.encode(models.coded_rows(case), coding)


# Stock interpreters.


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_codes_equal_those_of_the_uncoded_operator(operator, coding, library):
    for case in drawn(operator):
        content = models.coded_model_of(case, encoded(case, coding)).write()
        for isa in ("auto", "reference"):
            expected = run(start(library, models.model_of(case).write(), isa), case.input)
            found = run(start(library, content, isa), case.input)
            np.testing.assert_array_equal(found, expected, f"{case.name} on {isa}")


def test_the_cases_have_both_layouts_one_scale_and_many_and_groups():
    for operator in OPERATORS:
        cases = drawn(operator)
        rows = [models.coded_rows(case) for case in cases]
        layouts = {coded.run_time_layout(each.codes).layout for each in rows}
        assert layouts == ({coded.PACKED4, coded.SPARSE} if "Sparse" in operator else {0})
        many = [each for each in rows if len(each.bias) > 1]
        assert min(len(many), sum(each.scale.size == 1 for each in many)) > 5
        assert sum(each.scale.size > 1 for each in many) > 5
        if operator in (CONV, SPARSE_CONV):
            assert {case.options["groups"] for case in cases} == {1, 2, 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What run_plugin_check.py reads: coded cases with the codes of the oracle."""
    path = tmp_path_factory.mktemp("coded")
    for operator in OPERATORS:
        for case, coding in zip(drawn(operator), [*CODINGS.values()] * 10, strict=False):
            content = models.coded_model_of(case, encoded(case, coding)).write()
            (path / f"{case.name}.tflite").write_bytes(content)
            np.savez(path / f"{case.name}.npz", x=case.input, y=oracle.run(case))
    return path


@pytest.mark.parametrize(
    "module", ["ai_edge_litert.interpreter", "tensorflow", "tflite_runtime.interpreter"]
)
def test_every_interpreter_gives_the_codes_of_the_oracle(module, library, folder):
    """And at twice the batch, resized after allocation."""
    python = sys.executable
    if module.startswith("tflite_runtime"):
        if not TFLITE_RUNTIME.exists():
            pytest.skip("Missing: the environment build/tflite_runtime. Run: make test")
        python = str(TFLITE_RUNTIME)
    words = [python, str(CHECK), module, library, str(folder)]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    clean |= {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(words, capture_output=True, text=True, env=clean, timeout=300)
    count = len(list(folder.glob("*.tflite")))
    assert count > 80
    assert done.stdout == f"plugin: {count} files, 0 wrong\n", done.stdout + done.stderr[-3000:]


# Shapes and neighbors.


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS)
@pytest.mark.parametrize(
    "operator, name", [(CONV, "same_stride_2_odd"), (SPARSE_CONV, "same_blocks_of_4")]
)
def test_the_input_can_be_resized_after_allocation_and_back(operator, name, coding, library):
    case = test_plugin.golden_named(operator, name)
    channels, stride = case.input.shape[-1], case.options["stride_height"]
    interpreter = start(library, models.coded_model_of(case, encoded(case, coding)).write())
    index = interpreter.get_input_details()[0]["index"]
    source = np.random.default_rng(0)
    for sizes in (case.input.shape[:3], (3, 9, 4), (1, 2, 2), (1, 31, 30), case.input.shape[:3]):
        case.input = source.integers(-128, 128, (*sizes, channels), dtype=np.int8)
        out = [-(-size // stride) for size in sizes[1:]]
        case.output_shape = (sizes[0], *out, len(case.bias))
        interpreter.resize_tensor_input(index, case.input.shape)
        interpreter.allocate_tensors()
        np.testing.assert_array_equal(run(interpreter, case.input), oracle.run(case))


def test_a_size_that_does_not_fit_the_rows_is_refused_and_the_next_one_works(library):
    case = test_plugin.golden_named(DENSE, "odd_depth")
    interpreter = start(library, models.coded_model_of(case, encoded(case)).write())
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, (3, 8))
    with pytest.raises(RuntimeError, match=r"tensor coded must hold rows of 8 weights.*7\."):
        interpreter.allocate_tensors()
    interpreter.resize_tensor_input(index, case.input.shape)
    interpreter.allocate_tensors()
    np.testing.assert_array_equal(run(interpreter, case.input), oracle.run(case))


@pytest.mark.parametrize("keep_num_dims, shape", [(0, (6, 5)), (1, (2, 3, 5))])
def test_an_input_of_a_higher_rank_keeps_it_or_not(keep_num_dims, shape, library):
    case = test_plugin.golden_named(DENSE, "odd_depth")
    case.input = np.concatenate([case.input, case.input[::-1]]).reshape(2, 3, 7)
    case.options["keep_num_dims"], case.output_shape = keep_num_dims, shape
    found = run(start(library, models.coded_model_of(case, encoded(case)).write()), case.input)
    np.testing.assert_array_equal(found, oracle.run(case))


@pytest.mark.parametrize("operator, seed", [(CONV, 1), (SPARSE_CONV, 13), (SPARSE_DENSE, 8)])
def test_two_operators_share_one_coded_tensor(operator, seed, library):
    case = draw(operator, seed)
    model = models.Model()
    rows = model.add(models.coded_tensor(encoded(case)))
    expected = []
    for low in (case.options["output_min"], case.options["output_max"]):
        case.options["output_min"] = low
        model.outputs.append(models.add_coded_case(model, case, rows))
        expected.append(oracle.run(case))
    interpreter = start(library, model.write())
    for number in model.inputs:
        interpreter.set_tensor(number, case.input)
    interpreter.invoke()
    for number, codes in zip(model.outputs, expected, strict=True):
        np.testing.assert_array_equal(interpreter.get_tensor(number), codes)


@pytest.mark.parametrize("operator, name", [(CONV, "same"), (SPARSE_DENSE, "odd_depth")])
def test_inputs_are_taken_in_the_order_of_the_operator_not_of_their_numbers(
    operator, name, library
):
    case = test_plugin.golden_named(operator, name)
    model = models.coded_model_of(case, encoded(case))
    model.tensors = model.tensors[::-1]
    model.inputs, model.outputs = [2], [0]
    model.operators[0].inputs, model.operators[0].outputs = [2, 1], [0]
    np.testing.assert_array_equal(run(start(library, model.write()), case.input), oracle.run(case))


@pytest.mark.parametrize("is_resized", [False, True])
def test_what_was_decoded_is_given_back_at_a_resize_and_at_the_end(is_resized, library):
    """60,000 rows with scales of their own take 540 kB: 300 times they would take 160 MB."""
    code = """
import resource, sys
import numpy as np
from edgeax.formats import coded
from tests.tflite_kernels import models, test_plugin
case = test_plugin.golden_named("EdgeaxFullyConnected", "one_number")
channels = 60_000
case.output_shape = (1, channels)
scale = np.linspace(1, 2, channels, dtype=np.float32)
rows = coded.CodedRows(np.ones((channels, 1), np.int8), np.zeros(channels, np.int32), scale)
content = models.coded_model_of(case, coded.encode(rows, coded.RAW)).write()
interpreter = test_plugin.start(sys.argv[1], content)
for number in range(320):
    if sys.argv[2] == "True":
        index = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(index, (1 + number % 2, 1))
        interpreter.allocate_tensors()
    else:
        interpreter = test_plugin.start(sys.argv[1], content)
    if number == 20:
        start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, library, str(is_resized)],
        capture_output=True,
        text=True,
        cwd=places.REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(places.REPOSITORY)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) < 40_000  # kB


# Bad files. Each entry damages the model of one operator in one place.


def coded_bytes(change):
    """Changes the bytes of the rows; the shape follows."""

    def edit(model: models.Model) -> None:
        data = np.frombuffer(change(model.tensors[1].data.tobytes()), np.uint8)
        constant("coded", data)(model)

    return edit


def resealed(change):
    """Changes the bytes before the checksum, which is right again."""
    return coded_bytes(lambda data: coded_rows.seal(change(data[:-4])))


def replaced(place: int, value: int):
    return lambda data: data[:place] + bytes([value]) + data[place + 1 :]


# The input is [1, 5, 4, 3] with 4 rows of 27 weights for CODED_CONV, [3, 7] with 5 rows of 7 for
# CODED_DENSE; both are decoded to packed rows.
GOOD = {
    CODED_CONV: (CONV, "same"),
    CODED_DENSE: (DENSE, "odd_depth"),
    f"{CODED_CONV} of sparse rows": (SPARSE_CONV, "same"),
    f"{CODED_DENSE} of sparse rows": (SPARSE_DENSE, "odd_depth"),
}
SCALE = np.float32([1])
NOT_READ = "tensor coded must hold coded rows with their checksum. It is damaged."
BAD_CODED = [
    (CODED_CONV, options_cut(40), "the options must have 44 bytes. Received: 40."),
    (CODED_DENSE, options_cut(20), "the options must have 16 bytes. Received: 20."),
    (CODED_CONV, option(CODED_CONV, "version", 2), "option version must be 1. Received: 2."),
    *(
        (
            CODED_CONV,
            option(CODED_CONV, name, value),
            f"option {name} must lie in [{ends}]. Received: {value}.",
        )
        for name, ends, values in (
            ("kernel_height", "1, 4096", (-1, 0, 4097)),
            ("stride_width", "1, 4096", (0,)),
            ("dilation_height", "1, 4096", (0, 2**31 - 1)),
            ("padding", "0, 1", (-1, 2)),
            ("groups", "1, 65536", (0, 65537)),
            ("output_min", "-128, 127", (-129,)),
            ("output_max", "-128, 127", (128,)),
        )
        for value in values
    ),
    (
        CODED_DENSE,
        option(CODED_DENSE, "keep_num_dims", 2),
        "option keep_num_dims must lie in [0, 1]. Received: 2.",
    ),
    (
        CODED_DENSE,
        both(option(CODED_DENSE, "output_min", 5), option(CODED_DENSE, "output_max", 4)),
        "option output_min must not be above output_max. Received: 5 and 4.",
    ),
    *(
        (
            CODED_CONV,
            inputs(*numbers),
            f"the operator must have 2 inputs and 1 output. Received: {len(numbers)} and 1.",
        )
        for numbers in ((0,), (0, 1, 1), (0, 1, 1, 1, 1), (0, 1, 1, 1, 1, 1))
    ),
    (CODED_DENSE, outputs(2, 2), "the operator must have 2 inputs and 1 output. Received: 2 and 2"),
    (CODED_CONV, inputs(0, -1), "tensor coded must be a tensor of the model. Received: number -1."),
    (CODED_CONV, inputs(1, 0), "tensor input must be int8. Received: uint8 (3)."),
    (CODED_CONV, inputs(0, 0), "tensor coded must be uint8. Received: int8 (9)."),
    (
        CODED_CONV,
        tensor("coded", dtype=np.int8),
        "tensor coded must be uint8. Received: int8 (9).",
    ),
    (
        CODED_CONV,
        tensor("coded", shape=(4, 9), data=np.zeros((4, 9), np.uint8)),
        "tensor coded must have a rank in [1, 1]. Received: the shape [4, 9].",
    ),
    (CODED_CONV, tensor("coded", data=None), "tensor coded must be a constant of the model."),
    (CODED_DENSE, coded_bytes(lambda data: b""), "tensor coded must have from 1 to"),
    (
        CODED_CONV,
        tensor("x", shape=(5, 4, 3)),
        "tensor input must have a rank in [4, 4]. Received: the shape [5, 4, 3].",
    ),
    (CODED_CONV, tensor("x", scale=None), "tensor input must be quantized with one scale"),
    (CODED_CONV, tensor("y", dtype=np.uint8), "tensor output must be int8. Received: uint8 (3)."),
    (
        CODED_CONV,
        option(CODED_CONV, "groups", 2),
        "option groups must divide the 3 channels of tensor input and the 4 rows of tensor coded. "
        "Received: 2.",
    ),
    (
        CODED_CONV,
        option(CODED_CONV, "kernel_height", 2),
        "tensor coded must hold rows of 18 weights. Received: 27.",
    ),
    (
        CODED_CONV,
        both(option(CODED_CONV, "kernel_height", 4096), option(CODED_CONV, "kernel_width", 4096)),
        "a row of tensor coded (kernel_height x kernel_width x channels of a group) must have at "
        "most 65536 weights",
    ),
    (
        CODED_CONV,
        both(option(CODED_CONV, "padding", 1), tensor("x", shape=(1, 2, 6, 3))),
        "tensor input of height 2 and width 6 must hold the dilated kernel",
    ),
    *(
        (
            CODED_DENSE,
            tensor("x", shape=(3, depth)),
            f"tensor coded must hold rows of {depth} weights. Received: 7.",
        )
        for depth in (1, 6, 8, 65536)
    ),
    (
        CODED_DENSE,
        tensor("x", shape=(1, 65537)),
        "the last dimension of tensor input must be at most 65536. Received: 65537.",
    ),
    (
        CODED_DENSE,
        both(
            tensor("x", shape=(10**8, 1)),
            coded_bytes(
                lambda data: coded.encode(
                    coded.CodedRows(np.ones((40, 1), np.int8), np.zeros(40, np.int32), SCALE)
                )
            ),
        ),
        "tensor output must have at most 2147418112 elements.",
    ),
    *(
        entry
        for good in GOOD
        for entry in (
            (good, coded_bytes(lambda data: data[:-1] + bytes([data[-1] ^ 1])), NOT_READ),
            (good, coded_bytes(lambda data: data[:-1]), NOT_READ),
            (good, coded_bytes(lambda data: data[:6]), NOT_READ),
            (good, coded_bytes(lambda data: data[:1]), NOT_READ),
            (good, coded_bytes(lambda data: data + b"\0"), NOT_READ),
            (good, resealed(lambda data: data[:5]), NOT_READ),
            (good, resealed(replaced(0, 2)), NOT_READ),  # a version
            (good, resealed(replaced(1, 3)), NOT_READ),  # a coding
            (good, resealed(replaced(3, 0)), NOT_READ),  # rows
            (good, resealed(lambda data: data[:-1]), "tensor coded must hold exactly the weights"),
        )
    ),
]


def damaged(good: str, change) -> bytes:
    case = test_plugin.golden_named(*GOOD[good])
    model = models.coded_model_of(case, encoded(case, coded.RAW))
    change(model)
    return model.write()


@pytest.mark.parametrize("number", range(len(BAD_CODED)))
def test_a_damaged_file_is_refused_by_the_names_of_the_operator_and_the_part(number, library):
    good, change, message = BAD_CODED[number]
    content = damaged(good, change)
    with pytest.raises(RuntimeError) as error:
        start(library, content)
    assert f"{good.split()[0]}: {message}" in str(error.value)


def test_no_damaged_model_crashes_the_interpreter(library):
    """Under sanitizers too: test_sanitizers.py runs this file with the sanitized library."""
    words = [sys.executable, "-m", "tests.tflite_kernels.fuzz_plugin", library, "7", "900", "coded"]
    environment = os.environ | {"PYTHONPATH": str(places.REPOSITORY)}
    done = subprocess.run(
        words, capture_output=True, text=True, env=environment, cwd=places.REPOSITORY
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    _, ran, refused, by_us = (int(word) for word in done.stdout.split() if word.isdigit())
    assert ran > 50 and by_us > 300 and refused >= by_us  # damage of many kinds was seen

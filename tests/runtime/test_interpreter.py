import warnings

import numpy as np
import pytest

import edgeax
from edgeax.formats.flatbuffer import Model
from edgeax.runtime import interpreter as interpreter_module
from edgeax.runtime import plugin
from edgeax.runtime.interpreter import Interpreter
from tests.runtime import files

GOLDEN = files.golden_entries()


def opened(data: bytes, **arguments) -> Interpreter:
    return Interpreter(model_content=data, **arguments)


@pytest.fixture
def no_library(monkeypatch, tmp_path):
    monkeypatch.setattr(plugin, "_LIBRARY", tmp_path / "libedgeax.so")


@pytest.mark.parametrize("backend", ["ai_edge_litert", "tensorflow"])
@pytest.mark.parametrize("entry", GOLDEN, ids=lambda e: f"{e['operator']}-{e['name']}")
def test_our_operators_give_the_golden_codes_in_stock_interpreters(entry, backend):
    data, codes, expected = files.golden_file(entry)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow announces the end of its interpreter
        np.testing.assert_array_equal(opened(data, backend=backend).run(codes, raw=True), expected)


def test_run_quantizes_floats_and_dequantizes_codes():
    # x codes: 1.0 / 0.5 + 3 = 5, -0.5 / 0.5 + 3 = 2. y = [1, -1, 1.5].
    y = opened(files.int8_dense()).run(np.float32([[1.0, -0.5]]))
    assert y.dtype == np.float32
    assert y.tolist() == [[1.0, -1.0, 1.5]]


def test_run_raw_passes_codes_through():
    # y codes: 1 / 0.25 - 10 = -6, -1 / 0.25 - 10 = -14, 1.5 / 0.25 - 10 = -4.
    y = opened(files.int8_dense()).run(np.int8([[5, 2]]), raw=True)
    assert y.dtype == np.int8
    assert y.tolist() == [[-6, -14, -4]]


def test_run_takes_more_rows_than_the_file():
    x = np.float32([[1, 2], [3, 4], [-1, 0.5]])
    expected = [[1, 4, -1], [3, 8, -1], [-1, 1, -1.5]]
    assert opened(files.float_dense()).run(x).tolist() == expected
    assert opened(files.int8_dense()).run(x).tolist() == expected


def test_run_takes_python_lists_and_integers_as_real_values():
    assert opened(files.int8_dense()).run([[2, 1]]).tolist() == [[2.0, 2.0, 1.0]]


def test_several_outputs_come_as_a_list_in_the_order_of_the_file():
    outputs = opened(files.sum_and_difference()).run(
        np.float32([[5, 7], [1, 1]]), np.float32([[2, 3], [1, 0]])
    )
    assert [y.tolist() for y in outputs] == [[[7, 10], [2, 1]], [[3, 4], [0, 1]]]


def test_run_takes_a_dict_of_tensor_names():
    b, a = np.float32([[2, 3]]), np.float32([[5, 7]])
    total, difference = opened(files.sum_and_difference()).run({"b": b, "a": a})
    assert (total.tolist(), difference.tolist()) == ([[7, 10]], [[3, 4]])


def test_run_takes_a_dict_of_signature_names():
    data = files.with_signature(
        files.sum_and_difference(), {"left": 0, "right": 1}, {"sum": 2, "difference": 3}
    )
    one, two = np.float32([[1, 1]]), np.float32([[2, 2]])
    assert opened(data).run({"right": two, "left": one})[1].tolist() == [[-1, -1]]


def test_a_dict_with_a_wrong_name_is_answered_by_the_right_ones():
    with pytest.raises(ValueError, match=r"dict of \['a', 'b'\]. Received: \['a', 'c'\]"):
        opened(files.sum_and_difference()).run({"a": [[1, 1]], "c": [[1, 1]]})


def test_every_row_starts_from_cleared_state():
    interpreter = opened(files.running_sum())
    x = np.ones((2, 2, 1), np.float32)
    assert interpreter.run(x).squeeze().tolist() == [[1, 2], [1, 2]]
    assert interpreter.run(x[:1]).squeeze().tolist() == [1, 2]


@pytest.mark.parametrize(
    "x, message",
    [
        (np.zeros((1, 3)), r"Input 'x' must have shape \(batch, 2\). Received: shape \(1, 3\)"),
        (np.zeros(2), r"Input 'x' must have shape \(batch, 2\). Received: shape \(2,\)"),
        (np.zeros((0, 2)), r"Input 'x'.*at least 1. Received: shape \(0, 2\)"),
        ([[np.nan, 1]], r"Input 'x' must be finite.*\(batch, 2\).*Received: 1 NaN"),
        ([["a", "b"]], "Input 'x' must hold numbers"),
    ],
)
def test_bad_inputs_are_named(x, message):
    with pytest.raises(ValueError, match=message):
        opened(files.int8_dense()).run(x)


def test_raw_inputs_must_have_the_type_of_the_tensor():
    with pytest.raises(ValueError, match="'x' must have dtype int8 when raw=True.*float64"):
        opened(files.int8_dense()).run(np.zeros((1, 2)), raw=True)


def test_inputs_of_different_row_counts_are_refused():
    with pytest.raises(ValueError, match="as many rows as the other inputs"):
        opened(files.sum_and_difference()).run(np.zeros((2, 2)), np.zeros((3, 2)))


def test_a_missing_input_is_refused():
    with pytest.raises(ValueError, match=r"each of \['a', 'b'\]. Received: 1 arrays"):
        opened(files.sum_and_difference()).run(np.zeros((1, 2)))


def test_a_file_of_a_fixed_larger_batch_takes_exactly_that_many_rows():
    interpreter = opened(files.float_dense())
    interpreter.resize_tensor_input(0, [2, 2])
    interpreter.allocate_tensors()
    assert interpreter.run(np.float32([[1, 2], [3, 4]])).tolist() == [[1, 4, -1], [3, 8, -1]]
    with pytest.raises(ValueError, match=r"Input 'x' must have shape \(2, 2\)"):
        interpreter.run(np.zeros((3, 2)))


def test_the_stock_methods_are_there():
    data = files.with_signature(files.float_dense(), {"x": 0}, {"y": 2})
    interpreter = opened(data, num_threads=1, preserve_all_tensors=True)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.float32([[1, 2]]))
    interpreter.invoke()
    index = interpreter.get_output_details()[0]["index"]
    assert interpreter.get_tensor(index).tolist() == [[1, 4, -1]]
    assert len(interpreter.get_tensor_details()) == 3
    assert list(interpreter.get_signature_list()) == ["serving_default"]
    runner = interpreter.get_signature_runner("serving_default")
    assert runner(x=np.float32([[2, 0]]))["y"].tolist() == [[2, 0, 2]]
    with pytest.raises(AttributeError, match="no_such_method"):
        interpreter.no_such_method()


def test_a_path_works_like_the_bytes(tmp_path):
    path = tmp_path / "dense.tflite"
    path.write_bytes(files.int8_dense())
    interpreter = Interpreter(path)
    assert interpreter.run([[1.0, -0.5]]).tolist() == [[1.0, -1.0, 1.5]]
    assert interpreter.details.name == str(path)


def test_the_public_name_is_this_class():
    assert edgeax.Interpreter is Interpreter


@pytest.mark.parametrize("arguments", [{}, {"model_path": "x", "model_content": b""}])
def test_exactly_one_source_must_be_given(arguments):
    with pytest.raises(ValueError, match="Exactly one of `model_path` and `model_content`"):
        Interpreter(**arguments)


@pytest.mark.parametrize("given", [0, 1.5, "2", True, 1025])
def test_what_is_no_count_of_threads_is_refused(given):
    with pytest.raises(ValueError, match=f"`num_threads` must be an integer, at.*{given!r}. Leave"):
        opened(files.float_dense(), num_threads=given)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused_before_the_interpreter_sees_it(share, tmp_path, monkeypatch):
    monkeypatch.setattr(interpreter_module, "load_backend", lambda name: pytest.fail("loaded"))
    data = files.int8_dense()
    path = tmp_path / "cut.tflite"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match=r"cut\.tflite: `data` must be a.* TFLite model"):
        Interpreter(path)


@pytest.mark.parametrize("backend", ["ai_edge_litert", "tensorflow"])
def test_kernels_for_tensorflow_lite_micro_are_decoded_as_the_file_is_loaded(tmp_path, backend):
    path = tmp_path / "small.tflite"
    path.write_bytes(files.decoded_dense())
    x = np.int8([[5, 2], [-128, 127]])
    expected = opened(files.int8_dense()).run(x, raw=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow announces the end of its interpreter
        found = [Interpreter(path, backend=backend), opened(path.read_bytes(), backend=backend)]
    for interpreter in found:
        np.testing.assert_array_equal(interpreter.run(x, raw=True), expected)
        assert interpreter.details.custom_operators == ("TFLM_DECODE",)


def test_kernels_that_cannot_be_decoded_here_are_refused_with_the_file(tmp_path):
    path = tmp_path / "pruned.tflite"
    model = Model.from_bytes(files.decoded_dense())
    graph = model.subgraphs[0]
    tables = graph.tensors[graph.operators[0].inputs[1]]
    changed = tables.data.copy()
    changed[0] = 2
    tables.data = changed
    path.write_bytes(model.to_bytes())
    with pytest.raises(ValueError, match=r"pruned.tflite: .*type 2.* in TensorFlow Lite Micro"):
        Interpreter(path)


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "page.tflite"
    path.write_text("<html>404 Not Found</html>")
    with pytest.raises(ValueError, match=r"page\.tflite.*must be a TFLite model.*<html>40"):
        Interpreter(path)


def test_a_file_of_built_in_operators_needs_no_library(no_library):
    assert opened(files.int8_dense()).run([[1.0, -0.5]]).tolist() == [[1.0, -1.0, 1.5]]


def test_a_missing_plugin_is_said_with_operators_file_and_ways_out(no_library, tmp_path):
    path = tmp_path / "packed.tflite"
    path.write_bytes(files.packed_file())
    with pytest.raises(FileNotFoundError) as caught:
        Interpreter(path)
    message = str(caught.value)
    for part in ("packed.tflite", "EdgeaxFullyConnected", "pip install edgeax", 'runtime="stock"'):
        assert part in message


def test_an_unknown_custom_operator_is_named():
    data = files.renamed(files.packed_file(), "EdgeaxFullyConnected", "TheirOperator")
    with pytest.raises(ValueError, match="edgeax does not know: TheirOperator"):
        opened(data)


def test_an_operator_of_a_later_release_is_named_with_the_release():
    data = files.renamed(files.packed_file(), "EdgeaxFullyConnected", "EdgeaxFromTheFuture")
    data = files.with_metadata(data, edgeax=b'{"version": "9.9"}')
    with pytest.raises(ValueError, match="EdgeaxFromTheFuture, written by edgeax 9.9.*--upgrade"):
        opened(data)


def test_a_plugin_that_refuses_a_tensor_is_quoted():
    entry = next(e for e in GOLDEN if e["operator"] == "EdgeaxConv2D")
    case = files.native.golden_case(entry)
    model = files.models.model_of(case)
    model.tensors[2].data = np.zeros(1, np.int32)  # the bias
    model.tensors[2].shape = (1,)
    with pytest.raises(ValueError, match="ai_edge_litert: EdgeaxConv2D: tensor bias must have"):
        opened(model.write(), backend="ai_edge_litert")


def test_delegate_options_reach_the_plugin():
    data, codes, expected = files.golden_file(GOLDEN[0])
    reference = opened(data, delegate_options={"isa": "reference"})
    np.testing.assert_array_equal(reference.run(codes, raw=True), expected)
    with pytest.raises(ValueError, match="option isa must be auto, reference"):
        opened(data, delegate_options={"isa": "abacus"})


def test_feed_fills_the_inputs_and_computes_nothing():
    interpreter = opened(files.int8_dense())
    interpreter.feed([[1.0, -0.5], [0.0, 0.0]])
    assert interpreter.get_tensor(0).tolist() == [[5, 2]]
    interpreter.invoke()
    assert interpreter.get_tensor(2).tolist() == [[-6, -14, -4]]

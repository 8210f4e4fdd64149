import dataclasses
import json

import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.formats.layer_shape import conv, fully_connected
from edgeax.runtime.details import read_details
from edgeax.runtime.drawn_layers import as_options, signs
from edgeax.runtime.operator_files import custom_file
from tests.runtime import files


@pytest.mark.parametrize("entries, bits", [(16, 4), (4, 2), (2, 1)])
def test_a_packed_operator_has_bits_its_options_and_the_bytes_of_all_its_constants(entries, bits):
    convolutions = [e for e in files.golden_entries() if e["operator"] == "EdgeaxConv2D"]
    entry = next(e for e in convolutions if len(e["codebook"]) == entries)
    data, _, _ = files.golden_file(entry)
    details = read_details(data)
    (operator,) = details.operators
    rows, depth = entry["weights_index"]["shape"]
    # Packed rows, then int32 bias and float32 scale for each, then int8 entries.
    assert operator.constant_bytes == rows * -(-depth * bits // 8) + 8 * rows + entries
    assert operator.weight_bits == bits
    assert operator.options == entry["options"]
    assert details.weight_bytes == operator.constant_bytes
    assert details.plugin_operators == ("EdgeaxConv2D",)
    assert details.unknown_operators == ()
    assert details.size_bytes == len(data)


@pytest.mark.parametrize("shape", [conv(3, 12, 5, 3), fully_connected(12, 5)])
def test_weights_of_a_binary_operator_are_bits(shape):
    layer = signs(shape, np.random.default_rng(0))
    file = custom_file(shape, layer.weights, np.ones(5, np.float32), **as_options(layer, shape))
    operators = {operator.name: operator for operator in read_details(file).operators}
    assert operators[as_options(layer, shape)["operator"]].weight_bits == 1


def test_a_stock_int8_file_needs_no_plugin():
    details = read_details(files.int8_dense())
    assert details.custom_operators == ()
    (operator,) = details.operators
    assert (operator.name, operator.weight_bits, operator.constant_bytes) == (
        "FULLY_CONNECTED",
        8,
        6,
    )
    kinds = {tensor.name: tensor.kind for tensor in details.tensors}
    assert kinds == {"x": "input", "w": "constant", "y": "output"}
    x = details.tensors[0]
    assert (x.dtype, x.shape, x.scale, x.zero_point) == ("int8", (1, 2), (0.5,), (3,))
    assert details.peak_activation_bytes == 5  # 2 codes in, 3 codes out


def test_state_is_told_from_activations():
    kinds = {tensor.name: tensor.kind for tensor in read_details(files.running_sum()).tensors}
    assert kinds["state"] == "variable"


def test_metadata_comes_as_json_as_text_or_as_a_number_of_bytes():
    entries = {
        "edgeax": b'{"version": "1.2"}',
        "min_runtime_version": b"1.5.0\0\0\0",
        "blob": b"\xff\xfe\x00\x01",
    }
    details = read_details(files.with_metadata(files.int8_dense(), **entries))
    assert details.metadata["edgeax"] == {"version": "1.2"}
    assert details.metadata["min_runtime_version"] == "1.5.0"
    assert details.metadata["blob"] == "4 bytes"
    assert details.written_by == "1.2"


def test_a_foreign_custom_operator_is_told_from_ours():
    data = files.renamed(files.packed_file(), "EdgeaxFullyConnected", "TheirOperator")
    details = read_details(data)
    assert details.unknown_operators == ("TheirOperator",)
    assert details.plugin_operators == ()
    assert details.operators[0].options is None
    assert "foreign custom operators: TheirOperator" in str(details)


def test_a_gradient_under_tensorflow_s_name_is_known_as_the_plugin_s():
    data = files.renamed(files.packed_file(), "EdgeaxFullyConnected", "Conv2DBackpropFilter")
    details = read_details(data)
    assert details.plugin_operators == ("Conv2DBackpropFilter",)
    assert details.unknown_operators == ()
    assert details.operators[0].options is None


def test_decode_is_told_with_the_bits_of_its_indices_and_where_it_runs():
    details = read_details(files.decoded_dense())
    decode, dense = details.operators
    assert (decode.name, decode.weight_bits, decode.constant_bytes) == ("TFLM_DECODE", 2, 22)
    assert dense.constant_bytes == 0
    assert details.custom_operators == ("TFLM_DECODE",)
    assert details.unknown_operators == details.plugin_operators == ()
    assert "TFLM_DECODE is in TensorFlow Lite Micro" in str(details)


def test_the_dict_is_json_and_holds_every_field():
    details = read_details(files.packed_file())
    plain = json.loads(json.dumps(details.to_dict()))
    assert {field.name for field in dataclasses.fields(details)} <= set(plain)
    assert plain["plugin_operators"] == ["EdgeaxFullyConnected"]
    assert plain["operators"][0]["options"]["keep_num_dims"] in (0, 1)


def test_the_text_names_operators_bits_bytes_and_the_plugin():
    text = str(read_details(files.packed_file()))
    assert "needed for EdgeaxFullyConnected" in text
    (line,) = [line for line in text.splitlines() if line.startswith("0:0") and "keep" in line]
    assert line.split()[:2] == ["0:0", "EdgeaxFullyConnected"]
    assert "output_max=" in line


def test_damaged_options_of_our_operator_name_the_operator():
    entry = files.golden_entries()[0]
    model = files.models.model_of(files.native.golden_case(entry))
    model.operators[0].custom_options = b"\1\0\0\0"
    with pytest.raises(ValueError, match=f"bytes of the options of {entry['operator']}"):
        read_details(model.write())


@pytest.mark.parametrize(
    "note, stateful",
    [(None, False), (b'{"stateful": true}', True), (b'{"stateful": 1}', False), (b"[]", False)],
)
def test_a_file_says_whether_it_wants_to_keep_its_state(note, stateful):
    model = Model.from_bytes(files.int8_dense())
    if note is not None:
        model.metadata["edgeax"] = note
    assert read_details(model.to_bytes()).is_stateful is stateful

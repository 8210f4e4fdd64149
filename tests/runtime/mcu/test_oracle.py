import zlib

import numpy as np
import pytest

from edgeax.formats import rounding
from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu import oracle
from tests.data import data_file
from tests.runtime import files
from tests.runtime.mcu import networks
from tests.tflite_kernels import native

# crc32 of the outputs of TensorFlow Lite Micro for the bytes below, measured 2026-11-23.
OUTPUTS = {
    "vww_mobilenetv1_int8": 0xCCF8C6C3,
    "ic_resnet8_int8": 0x930F0C26,
    "ad_autoencoder_int8": 0x3D1A6596,
}


def stream(shape):
    state, codes = 1, []
    for _ in range(int(np.prod(shape))):
        state = (state * 1664525 + 1013904223) % 2**32
        codes.append(state >> 24)
    return np.uint8(codes).view(np.int8).reshape(shape)


@pytest.mark.parametrize("name", OUTPUTS)
def test_double_rounding_gives_what_tensorflow_lite_micro_gives(name):
    data = data_file(f"models/{name}.tflite").read_bytes()
    graph = Model.from_bytes(data).subgraphs[0]
    x = stream(graph.tensors[graph.inputs[0]].shape)
    (output,) = oracle.outputs_of(data, [x], "double")
    assert zlib.crc32(output.tobytes()) == OUTPUTS[name]


@pytest.mark.parametrize("kind", ["single", "double"])
def test_dense_layers_are_rounded_as_asked(kind):
    data = networks.dense_chain()
    graph = Model.from_bytes(data).subgraphs[0]
    codes = stream((1, 12))
    (output,) = oracle.outputs_of(data, [codes], kind)
    for operator in graph.operators:
        weights, bias = (graph.tensors[index].data for index in operator.inputs[1:])
        sums = (codes.astype(np.int32) - 3) @ weights.astype(np.int32).T + bias
        ratio = float(np.float32(0.5) * np.float32(0.0113)) / 0.5
        codes = rounding.requantize(sums, *rounding.quantize_multiplier(ratio), kind) + 3
        codes = np.clip(codes, -128, 127)
    assert (output == codes).all()


@pytest.mark.parametrize(
    "activation, low, high", [(1, 3, 127), (2, 1, 5), (3, 3, 15)], ids=["ReLU", "+-1", "ReLU6"]
)
def test_activations_of_dense_layers_are_applied(activation, low, high):
    model = Model.from_bytes(networks.dense_chain())
    operator = model.subgraphs[0].operators[1]
    operator.retarget(1, {"fusedActivationFunction": activation})
    (output,) = oracle.outputs_of(model.to_bytes(), [stream((1, 12))], "double")
    (plain,) = oracle.outputs_of(networks.dense_chain(), [stream((1, 12))], "double")
    assert (output == np.clip(plain, low, high)).all()


def test_graphs_without_dense_layers_and_of_dense_layers_only_run():
    x = stream((1, 6))
    (output,) = oracle.outputs_of(networks.reshaped(), [x], "double")
    assert (output == x.reshape(2, 3)).all()
    (image,) = oracle.outputs_of(networks.images(), [stream((1, 6, 6, 4))], "double")
    assert image.shape == (1, 6, 6, 8)


@pytest.mark.parametrize("kind, code", [("single", -127), ("double", -128)])
def test_a_logistic_is_in_fixed_point_where_rounding_is_double(kind, code):
    """1 / (1 + exp(6.14)) is 0.55 codes; TensorFlow Lite Micro gives 0, measured 2026-11-30."""
    model = Model.empty()
    graph = model.subgraphs[0]
    for name, scale, zero_point in (("x", 2.0468714, 0), ("y", 1 / 256, -128)):
        graph.add_state(name, "int8", (1, 3), [scale], [zero_point], is_variable=False)
    graph.inputs, graph.outputs = [0], [1]
    graph.insert(0, "LOGISTIC", (0,), (1,))
    x = np.int8([[-3, 0, 100]])
    (output,) = oracle.outputs_of(model.to_bytes(), [x], kind)
    assert output.tolist() == [[code, 0, 127]]


@pytest.mark.parametrize("kind", ["single", "double"])
def test_packed_operators_are_computed_in_either_rounding(kind):
    entries = [e for e in native.golden_entries() if e["operator"] == "EdgeaxConv2D"]
    entry = next(e for e in entries if e["rounding"] == kind and len(e["output"]["data"]) > 1)
    data, codes, expected = files.golden_file(entry)
    (output,) = oracle.outputs_of(data, [codes], kind)
    assert (output == expected).all()

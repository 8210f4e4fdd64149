import keras
import numpy as np
import pytest

import edgeax
from edgeax.export import assemble as assembling
from edgeax.export.assemble import assemble
from edgeax.runtime import Interpreter
from tests.export.networks import normal, sequential

layers = keras.layers

STEPS = 40
SAMPLES = np.cumsum(normal(16, STEPS, 3), axis=1) * 0.2


def slow_gru():
    """A GRU that remembers: its update gate is close to 1."""
    keras.utils.set_random_seed(0)
    model = sequential(keras.Input((STEPS, 3)), layers.GRU(5, name="memory"))
    bias = np.zeros((2, 15), np.float32)
    bias[0, :5] = 3.5
    model.layers[0].cell.bias.assign(bias)
    return model


@pytest.fixture(scope="module")
def model():
    return slow_gru()


@pytest.fixture(scope="module")
def made(model):
    return assemble(model, [SAMPLES], integer=True)


def difference(model, file):
    outputs = Interpreter(model_content=file.to_bytes()).run(SAMPLES)
    return np.abs(outputs - model.predict(SAMPLES, verbose=0)).max()


def test_a_state_that_changes_slowly_is_not_lost(model, made, monkeypatch):
    assert difference(model, made.file) < 0.02
    monkeypatch.setattr(assembling, "widen", lambda file, frozen: None)
    assert difference(model, assemble(model, [SAMPLES], integer=True).file) > 0.03


def test_steps_compute_in_16_bits_beside_8_bit_kernels(made):
    graph = made.file.subgraphs[0]
    for operator in graph.operators:
        ends = [graph.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
        moving = {end.dtype for end in ends if not end.is_constant}
        if operator.name in ("QUANTIZE", "DEQUANTIZE"):
            assert len(moving) == 2
        else:
            assert moving == {"int16"}, operator.name
        if operator.name == "FULLY_CONNECTED":
            assert graph.tensors[operator.inputs[1]].dtype == "int8"
            bias = operator.inputs[2] if len(operator.inputs) > 2 else -1
            assert bias < 0 or graph.tensors[bias].dtype == "int64"


def test_scales_are_powers_of_two_and_zero_is_zero(made):
    graph = made.file.subgraphs[0]
    wide = [tensor for tensor in graph.tensors if tensor.dtype == "int16"]
    assert len(wide) > 5 * STEPS
    for tensor in wide:
        assert np.log2(tensor.scale[0]) % 1 == 0.0 and tensor.zero_point.tolist() == [0]
    for operator in graph.operators:
        if operator.name in ("LOGISTIC", "TANH"):
            assert graph.tensors[operator.outputs[0]].scale[0] == 2.0**-15


def test_the_tensors_of_the_steps_have_the_short_name_of_their_layer(made):
    graph = made.file.subgraphs[0]
    names = {tensor.name for tensor in graph.tensors if tensor.dtype == "int16"}
    assert len(names) < 10 and all(name.startswith("memory") or "/int16" in name for name in names)


def test_values_cross_the_border_once(made):
    graph = made.file.subgraphs[0]
    names = [operator.name for operator in graph.operators]
    # float to int16 for the three kernels together, to int8 and to float
    assert names.count("QUANTIZE") == 2 and names.count("DEQUANTIZE") == 1


def test_what_comes_from_within_goes_by_way_of_float():
    # tflite-runtime 2.14 does not convert int8 to int16.
    model = sequential(keras.Input((6, 3)), layers.Dense(4), layers.SimpleRNN(4))
    graph = assemble(model, [normal(8, 6, 3)], integer=True).file.subgraphs[0]
    for operator in graph.operators:
        types = [graph.tensors[i].dtype for i in (operator.inputs[0], operator.outputs[0])]
        assert operator.name != "QUANTIZE" or types != ["int8", "int16"]


def test_sequences_leave_as_one():
    several = sequential(
        keras.Input((6, 3)),
        layers.GRU(4, return_sequences=True),
        layers.GRU(4, return_sequences=True),
        layers.Dense(2),
    )
    samples = normal(16, 6, 3)
    made = assemble(edgeax.compress(several, "static_wi8_ai8"), [samples], integer=True)
    names = [operator.name for operator in made.file.subgraphs[0].operators]
    assert (
        names.count("PACK") == 2 and names.count("QUANTIZE") == 2
    )  # one region: nothing is converted between
    outputs = Interpreter(model_content=made.file.to_bytes()).run(samples)
    wanted = several.predict(samples, verbose=0)
    assert np.abs(outputs - wanted).max() < 0.03 * max(1.0, np.ptp(wanted))


def test_the_receipt_says_why_the_kernels_are_not_packed():
    model = sequential(keras.Input((6, 3)), layers.GRU(5))
    small = edgeax.compress(model, "static_wc4_ai8")
    kernels = assemble(small, [normal(16, 6, 3)], integer=True, pack=True).kernels
    assert {kernel.why for kernel in kernels} == {"it computes from a state of 16 bits"}

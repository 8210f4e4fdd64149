import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import edgeax
from edgeax.export.assemble import assemble
from edgeax.export.lower_lstm import OPERATOR
from edgeax.formats.flatbuffer import Model
from edgeax.runtime import Interpreter
from tests.export.networks import normal, sequential

layers = keras.layers

UNITS, FEATURES, TIME = 6, 3, 5
SAMPLES = normal(32, TIME, FEATURES)
GATES = ("input", "forget", "cell", "output")


def plain(**options):
    model = sequential(keras.Input((TIME, FEATURES)), layers.LSTM(UNITS, name="memory", **options))
    cell = model.layers[0].cell
    cell.bias.assign(normal(4 * UNITS, seed=4) * 0.4)
    return model


@pytest.fixture(scope="module")
def trained():
    model = edgeax.compress(plain(return_sequences=True), "static_wi8_ai8")
    for start in range(0, 32, 8):
        model(SAMPLES[start : start + 8], training=True)
    return model


@pytest.fixture(scope="module")
def lowered(trained):
    """The integer file's content and its one operator, with its tensors by place."""
    content = assemble(trained, [SAMPLES], integer=True).file.to_bytes()
    graph = Model.from_bytes(content).subgraphs[0]
    (operator,) = [op for op in graph.operators if op.name == OPERATOR]
    return content, graph, operator


def test_the_operators_around_it_are_gone(lowered):
    _, graph, _ = lowered
    assert [op.name for op in graph.operators] == ["QUANTIZE", OPERATOR, "DEQUANTIZE"]


def test_the_kernels_are_the_codes_of_training_gate_by_gate(trained, lowered):
    _, graph, operator = lowered
    frozen = {v.name: code for v, _, code in trained.layers[0].freeze_weights()}
    for first, name in ((1, "kernel"), (5, "recurrent_kernel")):
        encoded = frozen[name]
        assert encoded.shape[-1] == 4
        for gate in range(4):
            tensor = graph.tensors[operator.inputs[first + gate]]
            assert tensor.dtype == "int8"
            assert np.array_equal(tensor.data, encoded.codes[..., gate].T)
            assert tensor.scale.tolist() == [encoded.params["scale"][gate]]
            assert tensor.zero_point.tolist() == [0]


def test_the_biases_stand_in_steps_of_input_times_kernel(trained, lowered):
    _, graph, operator = lowered
    source = graph.tensors[operator.inputs[0]]
    bias = np.split(np.asarray(trained.layers[0].layer.cell.bias), 4)
    for gate, values in enumerate(bias):
        step = float(source.scale[0]) * float(graph.tensors[operator.inputs[1 + gate]].scale[0])
        tensor = graph.tensors[operator.inputs[12 + gate]]
        assert tensor.name.endswith(f"{GATES[gate]}_bias") and tensor.dtype == "int32"
        assert np.abs(tensor.data * step - values).max() <= step / 2 * 1.001


def test_the_states_are_variables_in_eight_and_sixteen_bits(lowered):
    _, graph, operator = lowered
    hidden, cell = (graph.tensors[index] for index in operator.inputs[18:20])
    output = graph.tensors[operator.outputs[0]]
    assert hidden.is_variable and cell.is_variable
    assert (hidden.dtype, cell.dtype) == ("int8", "int16")
    assert hidden.shape == cell.shape == (1, UNITS)
    assert hidden.scale == output.scale and hidden.zero_point == output.zero_point
    assert np.log2(cell.scale[0]) in (-15.0, -14.0)  # a small network's cell stays below 2


def test_the_file_is_read_by_the_schema_as_the_fused_operator(lowered):
    content, _, _ = lowered
    raw = schema.ModelT.InitFromPackedBuf(content)
    number = schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM
    codes = {code.builtinCode: code for code in raw.operatorCodes}
    assert codes[number].deprecatedBuiltinCode == number and codes[number].version == 1
    (operator,) = [op for op in raw.subgraphs[0].operators if len(op.inputs) == 24]
    assert operator.builtinOptions.fusedActivationFunction == schema.ActivationFunctionType.TANH
    assert not operator.builtinOptions.timeMajor
    assert len(operator.intermediates) == 5


def test_the_file_computes_what_keras_computes_up_to_a_step_now_and_then(trained, lowered):
    # A step at one time reaches the next through the state: over ten seeds 3 steps at most.
    content, graph, operator = lowered
    step = graph.tensors[operator.outputs[0]].scale[0]
    outputs = Interpreter(model_content=content).run(SAMPLES)
    steps = np.abs(outputs - trained.predict(SAMPLES, verbose=0)) / step
    assert steps.mean() < 0.1 and steps.max() < 5.0


def test_a_float_lstm_is_keras_up_to_rounding():
    model = plain()
    content = assemble(model, [SAMPLES], integer=False).file.to_bytes()
    names = [op.name for op in Model.from_bytes(content).subgraphs[0].operators]
    assert names[0] == OPERATOR and "WHILE" not in names
    outputs = Interpreter(model_content=content).run(SAMPLES)
    assert np.abs(outputs - model.predict(SAMPLES, verbose=0)).max() < 1e-6


def test_a_layer_called_twice_holds_its_kernels_once():
    given = keras.Input((TIME, FEATURES))
    memory = layers.LSTM(UNITS, name="memory")
    double = keras.ops.multiply(given, 2.0)
    model = keras.Model(given, layers.Concatenate()([memory(given), memory(double)]))
    made = assemble(model, [SAMPLES], integer=True)
    operators = [op for op in made.file.subgraphs[0].operators if op.name == OPERATOR]
    assert len(operators) == 2
    assert operators[0].inputs[1:9] == operators[1].inputs[1:9]
    assert not set(operators[0].inputs[18:20]) & set(operators[1].inputs[18:20])
    outputs = Interpreter(model_content=made.file.to_bytes()).run(SAMPLES)
    assert np.abs(outputs - model.predict(SAMPLES, verbose=0)).max() < 0.03


def test_the_receipt_says_where_the_kernels_are(trained):
    stored = assemble(trained, [SAMPLES], integer=True, pack=True).kernels
    assert [(one.path, one.how, one.bits) for one in stored] == [
        ("memory/kernel", "int8", 8),
        ("memory/recurrent_kernel", "int8", 8),
    ]
    assert stored[0].why == "UNIDIRECTIONAL_SEQUENCE_LSTM has no packed kernel"

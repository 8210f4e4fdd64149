import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.rounding import Formatted, Signs, as_signs
from edgeax.export.signs import signs_of
from edgeax.formats.binary import Binary
from edgeax.formats.flatbuffer import Model
from edgeax.formats.names import format_of
from edgeax.runtime.interpreter import Interpreter
from tests.export.binary_networks import images

layers = keras.layers


def test_only_signs_of_one_positive_gain_are_signs():
    assert as_signs(Formatted(Binary("none"), {})) == Signs(1.0)
    assert as_signs(Formatted(Binary(), {"scale": np.float32(0.25)})) == Signs(0.25)
    assert as_signs(Formatted(Binary(axis=-1), {"scale": np.float32([1, 2])})) is None
    assert as_signs(Formatted(Binary(), {"scale": np.float32(0)})) is None
    assert as_signs(Formatted(format_of("log4"), {"scale": np.float32(1)})) is None
    assert as_signs(None) is None


def test_signs_are_the_codes_127_and_minus_127():
    grid = Signs(0.5).grid
    assert grid.step == pytest.approx(0.5 / 127)
    assert np.rint(-128 - grid.extremes[0] / grid.step) == 0  # the zero point


def test_signs_of_8_bit_integers_are_compared_as_such(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((9, 8, 3)),
            layers.Conv2D(8, 3, use_bias=False, name="first"),
            edgeax.layers.QuantConv2D(
                4, 3, input_quantizer="ste_sign", kernel_quantizer="int8", name="second"
            ),
        ]
    )
    path, samples = tmp_path / "m.tflite", images((9, 8, 3))
    result = edgeax.export(model, path, samples, measure=False, strict=True, runtime="stock")
    assert result.stays_float == ()
    graph = Model.read(path).subgraphs[0]
    (choice,) = [op for op in graph.operators if op.name == "SELECT_V2"]
    source = signs_of(graph, choice.outputs[0])
    first = graph.operators[graph.producer(source)]
    assert first.name == "CONV_2D" and signs_of(graph, source) is None
    # Half a step off the biases: below 0 is below 0, but for a fiftieth of half a step.
    step = float(graph.tensors[source].scale[0])
    bias = graph.tensors[first.inputs[2]]
    np.testing.assert_allclose(bias.data * bias.scale, -0.49 * step, rtol=0.01)
    close = np.abs(Interpreter(path).run(samples) - model.predict(samples, verbose=0)) < 0.1
    assert np.mean(close) > 0.8  # kernels are rounded to 8 bits


def test_a_result_that_training_rounds_keeps_its_bias(tmp_path):
    keras.utils.set_random_seed(0)
    plain = keras.Sequential(
        [keras.Input((12,)), layers.Dense(8, name="first"), layers.Dense(4, name="second")]
    )
    rules = [
        edgeax.Rule("first", kernel="int8", output="int8"),
        edgeax.Rule("second", kernel="int8", input="ste_sign"),
    ]
    model = edgeax.compress(plain, edgeax.Recipe(rules))
    samples = images((12,), count=32)
    model(samples, training=True)
    path = tmp_path / "m.tflite"
    edgeax.export(model, path, samples, measure=False, runtime="stock", strict=True)
    graph = Model.read(path).subgraphs[0]
    first = next(op for op in graph.operators if op.name == "FULLY_CONNECTED")
    assert first.inputs[2] < 0 or not graph.tensors[first.inputs[2]].data.any()

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.export import convert as module
from edgeax.export.convert import convert, output_names
from edgeax.export.rounding import FixedRange
from edgeax.runtime.interpreter import Interpreter
from tests.export.networks import normal

layers = keras.layers


def quantized_dense(name="x"):
    """A frozen dense layer whose result is its input."""
    given = keras.Input(batch_shape=(1, 4), name=name)
    dense = layers.Dense(4, kernel_initializer="identity")
    result = FixedRange(-4.0, 4.0)(dense(FixedRange(-4.0, 4.0)(given)))
    return keras.Model(given, result)


@pytest.fixture(scope="module")
def float_io():
    return convert(quantized_dense(), quantized=True)


def test_a_quantized_model_computes_in_int8_between_float_ends(float_io):
    graph = float_io.subgraphs[0]
    assert [o.name for o in graph.operators] == ["QUANTIZE", "FULLY_CONNECTED", "DEQUANTIZE"]
    x = np.float32([[-4.0, -0.5, 0.5, 3.9]])
    run = Interpreter(model_content=float_io.to_bytes()).run(x)
    np.testing.assert_allclose(run, x, atol=8.0 / 255)


def test_int8_ends_have_the_grid_of_the_first_and_last_rounding():
    file = convert(quantized_dense(), quantized=True, io="int8")
    graph = file.subgraphs[0]
    assert [o.name for o in graph.operators] == ["FULLY_CONNECTED"]
    for index in (*graph.inputs, *graph.outputs):
        assert graph.tensors[index].dtype == "int8"
        np.testing.assert_allclose(graph.tensors[index].scale, 8.0 / 255, rtol=1e-6)


def test_a_plain_model_stays_float_to_the_last_bit_of_noise():
    given, x = keras.Input(batch_shape=(1, 6)), normal(1, 6)
    model = keras.Model(given, layers.Dense(5, "tanh")(given))
    run = Interpreter(model_content=convert(model, quantized=False).to_bytes()).run(x)
    np.testing.assert_allclose(run, model(x), atol=1e-6)


def many_ends():
    """Inputs and outputs whose names sort otherwise; output i is i + 1 wide."""
    z, a = (keras.Input(batch_shape=(1, size), name=name) for size, name in ((3, "z"), (2, "a")))
    joined = layers.Concatenate()([z, a])
    return keras.Model([z, a], [layers.Dense(i + 1)(joined) for i in range(11)])


def test_inputs_and_outputs_come_in_the_order_of_the_model():
    file = convert(many_ends(), quantized=False)
    graph = file.subgraphs[0]
    assert [graph.tensors[i].shape for i in graph.inputs] == [(1, 3), (1, 2)]
    assert [graph.tensors[i].shape for i in graph.outputs] == [(1, i + 1) for i in range(11)]
    assert list(file.signatures[0].inputs) == ["a", "z"]  # by name, as ever


def test_outputs_given_as_a_dict_come_in_the_order_in_which_keras_flattens_them():
    given = keras.Input(batch_shape=(1, 2))
    model = keras.Model(given, {"z": layers.Dense(1)(given), "a b": layers.Dense(3)(given)})
    assert output_names(model.output) == ["a b", "z"]
    file = convert(model, quantized=False)
    graph = file.subgraphs[0]
    assert [graph.tensors[i].shape for i in graph.outputs] == [(1, 3), (1, 1)]
    assert set(file.signatures[0].outputs) == {"a b", "z"}


def test_nothing_that_the_converter_prints_reaches_the_terminal():
    # In a process of its own: TensorFlow prints most of it once. Output goes to a pipe, so that
    # what was printed before still waits in a buffer.
    script = (
        "import keras, sys\n"
        "from edgeax.export.convert import convert\n"
        "given = keras.Input(batch_shape=(1, 4))\n"
        "model = keras.Model(given, keras.layers.Dense(2)(given))\n"
        "print('before', end=' ')\n"
        "print('started', file=sys.stderr, flush=True)\n"
        "convert(model, quantized=False)\n"
        "print('after')\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "before after\n"
    assert run.stderr.partition("started\n")[2] == ""


class FakeConverter:
    """Stands in for TensorFlow's, to print or to fail."""

    def __init__(self, act):
        self.convert = act

    def from_keras_model(self, model):
        return self


def test_error_lines_that_the_converter_prints_are_passed_on(monkeypatch, capfd, float_io):
    def act():
        os.write(2, b"W0000 00:00:17 a.cc:1] noise\nE0000 00:00:17 a.cc:2] a real problem\n")
        os.write(1, b"noise\n")
        print("noise")
        return float_io.to_bytes()

    monkeypatch.setattr(tf.lite, "TFLiteConverter", FakeConverter(act))
    convert(quantized_dense(), quantized=False)
    assert capfd.readouterr() == ("", "E0000 00:00:17 a.cc:2] a real problem\n")


def test_the_terminal_is_given_back_when_the_converter_fails(monkeypatch, capfd):
    def act():
        raise RuntimeError("no luck")

    monkeypatch.setattr(tf.lite, "TFLiteConverter", FakeConverter(act))
    with pytest.raises(ValueError, match="the converter says: no luck. Replace that layer"):
        convert(quantized_dense(), quantized=False)
    os.write(1, b"native\n")
    print("python")
    assert capfd.readouterr().out == "native\npython\n"


def test_an_operator_that_tflite_lacks_is_named_with_its_layer():
    given = keras.Input(batch_shape=(1, 4))
    odd = layers.Lambda(lambda x: tf.math.igamma(tf.abs(x), x), name="odd")
    with pytest.raises(ValueError, match=r"'tf.Igamma' op .* \(in .*/odd_1/Igamma\)"):
        convert(keras.Model(given, odd(given)), quantized=False)


def test_converting_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    convert(quantized_dense(), quantized=True)
    assert list(tmp_path.iterdir()) == []

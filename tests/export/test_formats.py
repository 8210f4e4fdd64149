"""Every number format that has a name ends in a file that computes what training did."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.formats.names import names

X = np.random.default_rng(0).normal(size=(32, 12)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 32)

# Activations in these have integers in the file; in the others they are float.
INTEGERS = [name for name in names() if name.startswith("int")]
# They find their params in whole weight matrices only.
NOT_FOR_ACTIVATIONS = []


def trained(kernel, output):
    keras.utils.set_random_seed(0)
    given = keras.Input((12,))
    hidden = keras.layers.Dense(24, activation="relu", name="hidden")(given)
    plain = keras.Model(given, keras.layers.Dense(3, name="head")(hidden))
    rules = [edgeax.Rule(".*", kernel=kernel, input="int8", output="int8")]
    if output:
        rules.append(edgeax.Rule("hidden", output=output))
    model = edgeax.compress(plain, edgeax.Recipe(rules))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05), loss)
    model.fit(X, Y, epochs=2, batch_size=8, verbose=0)
    return model


@pytest.mark.parametrize("name", names())
def test_a_kernel_in_any_format_is_stored_and_its_cost_told(name, tmp_path):
    model = trained(name, None)
    result = edgeax.export(model, tmp_path / "m.tflite", X, measure=False)
    kernels = {kernel.path: kernel for kernel in result.kernels}
    assert set(kernels) == {"hidden", "head"}
    for kernel in kernels.values():
        assert kernel.how in ("packed", "int8")
        assert kernel.snr_db is None or kernel.snr_db > 35
    # Both round to 8 bits: a step of the output, and half one for each of two roundings before.
    last = model.get_layer("head").quantizer("output").extremes
    step = (last[1] - last[0]) / 255
    assert result.parity.most_output_difference <= 6 * step


@pytest.mark.parametrize("name", [name for name in names() if name not in INTEGERS])
def test_an_activation_in_any_format_is_computed_in_built_in_operators(name, tmp_path):
    if name in NOT_FOR_ACTIVATIONS:
        pytest.skip("not a format of activations")
    try:
        model = trained("int8", name)
    except ValueError as error:
        assert "activation" in str(error) or "axes" in str(error)  # said before training
        return
    path = tmp_path / "m.tflite"
    result = edgeax.export(model, path, X, measure=False, runtime="stock")
    assert any("hidden" in line for line in result.stays_float)
    assert not result.needs_plugin
    # The kernels are those of training; what is left is the rounding of the output.
    last = model.get_layer("head").quantizer("output").extremes
    assert result.parity.most_output_difference <= 1.01 * (last[1] - last[0]) / 255


@pytest.mark.parametrize("bits", range(2, 8))
def test_an_activation_of_few_bits_is_exact_in_integers(bits, tmp_path):
    model = trained("int8", f"int{bits}")
    result = edgeax.export(model, tmp_path / "m.tflite", X, measure=False, strict=True)
    (hidden,) = [layer for layer in result.parity.layers if layer.path == "hidden"]
    assert hidden.most_steps <= 1  # of 2**bits
    assert result.operators["MINIMUM"] == 1


@pytest.mark.parametrize("name", ["int4", "int16", "log4", "binary"])
def test_the_samples_calibrate_what_training_did_not(name, tmp_path):
    keras.utils.set_random_seed(0)
    plain = keras.Sequential(
        [keras.Input((12,)), keras.layers.Dense(8, name="hidden"), keras.layers.Dense(3)]
    )
    rule = edgeax.Rule(".*", input=name if name == "int16" else "int8", output=name)
    model = edgeax.compress(plain, edgeax.Recipe([rule]))
    path = tmp_path / "m.tflite"
    edgeax.export(model, path, X, measure=False, runtime="stock")
    answers = edgeax.Interpreter(path).run(X)
    assert len(np.unique(answers)) <= {"int4": 16, "log4": 16, "binary": 2, "int16": 96}[name]


@pytest.mark.parametrize(
    "quantizer, levels", [("ste_sign", 2), ("pact4", 16), ("dorefa", 16), ("lsq3", 8)]
)
def test_inputs_of_inner_layers_are_rounded_in_the_file_as_in_training(quantizer, levels, tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            edgeax.layers.QuantDense(16, input_quantizer="int8", kernel_quantizer="int8"),
            keras.layers.BatchNormalization(),
            edgeax.layers.QuantDense(
                3, input_quantizer=quantizer, kernel_quantizer="int8", name="last"
            ),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, Y, epochs=3, verbose=0)
    path = tmp_path / "m.tflite"
    result = edgeax.export(model, path, X, measure=False, runtime="stock")
    expected = model.predict(X, verbose=0)
    # A value beside the border of two levels may change sides; few do.
    close = np.abs(edgeax.Interpreter(path).run(X) - expected) < 0.02 * np.max(np.abs(expected))
    assert np.mean(close) > 0.9
    assert ("last/input" in [layer.path for layer in result.parity.layers]) == (levels > 2)

"""Every number format that has a name ends in a file that computes what training did."""

import re

import keras
import numpy as np
import pytest

import edgeax
from edgeax.formats.flatbuffer import Model
from edgeax.formats.names import names
from tests.rows import kept, soaked

X = np.random.default_rng(0).normal(size=(32, 12)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 32)

# Activations in these have integers in the file; in the others they are float.
INTEGERS = [name for name in names() if re.fullmatch(r"int\d+", name)] + ["binary", "ternary"]
# They find their params in whole weight matrices only.
NOT_FOR_ACTIVATIONS = []
# As bfloat16, as flex16_5, and between int4 and int7.
LIKE_ANOTHER = ("fp16", "fp16_e6m9", "dfp16", "int5", "int6")


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


def of_each_kind(chosen):
    """All these names; but for integers, one of each kind is for `make test`, the rest for soak."""
    kinds, found = set(), []
    for name in chosen:
        kind = name if re.fullmatch(r"int\d", name) else re.sub(r"\d+", "", name)
        found.append(soaked(name) if kind in kinds or name in LIKE_ANOTHER else name)
        kinds.add(kind)
    return found


@pytest.mark.parametrize("name", of_each_kind(names()))
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


@pytest.mark.parametrize("name", of_each_kind(n for n in names() if n not in INTEGERS))
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


@pytest.mark.parametrize("bits", kept(range(2, 8), 2, 7))
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


def compressed(*model_layers, rules, x, steps=3):
    keras.utils.set_random_seed(0)
    model = edgeax.compress(
        keras.Sequential([keras.Input(x.shape[1:]), *model_layers]), edgeax.Recipe(rules)
    )
    model.compile("sgd", "mse")
    for _ in range(steps):
        model.train_on_batch(x, np.zeros((len(x), *model.output_shape[1:])))
    return model


def steps_away(model, path, x, **settings):
    """Exports a model; returns the receipt, and how many steps of its output the file is away."""
    result = edgeax.export(model, path, x, measure=False, **settings)
    quantizers = [
        layer.quantizer("output") for layer in model.layers[-2:] if hasattr(layer, "quantizer")
    ]
    low, high = quantizers[-1].extremes
    away = np.abs(edgeax.Interpreter(path).run(x) - model.predict(x, verbose=0))
    return result, away / ((high - low) / 255)


INT8 = edgeax.Rule(".*", kernel="int8", input="int8", output="int8")
IMAGES = np.random.default_rng(0).normal(size=(32, 12, 12, 3)).astype(np.float32)
layers = keras.layers


@pytest.mark.parametrize(
    "activation, bits",
    [
        ("tanh", 4),
        ("sigmoid", 2),
        ("softmax", 8),
        *(soaked("tanh", bits) for bits in (2, 8)),
        *(soaked("sigmoid", bits) for bits in (4, 8)),
        *(soaked("softmax", bits) for bits in (2, 4)),
    ],
)
def test_few_bits_behind_an_activation_of_a_fixed_range(activation, bits, tmp_path):
    model = compressed(
        layers.Dense(24, activation, name="first"),
        layers.Dense(8),
        rules=[INT8, edgeax.Rule("first", output=f"int{bits}")],
        x=X,
    )
    _, away = steps_away(model, tmp_path / "m.tflite", X, strict=True)
    # The device rounds to 8 bits first: now and then a value comes to lie beside a border.
    assert np.mean(away > 1.01) < 0.06


@pytest.mark.parametrize(
    "averaging, name",
    [
        *(("pooling", name) for name in ("int2", "lsq4", "dorefa4")),
        *(("interpolation", name) for name in ("int8", "pact4", "wrpn4")),
        *(soaked("pooling", name) for name in ("int4", "int8", "pact4", "wrpn4")),
        *(soaked("interpolation", name) for name in ("int2", "int4", "lsq4", "dorefa4")),
    ],
)
def test_training_rounds_averages_as_the_file_does(averaging, name, tmp_path):
    model = compressed(
        layers.Conv2D(8, 3, activation="relu", name="conv"),
        layers.AveragePooling2D(2)
        if averaging == "pooling"
        else layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Flatten(),
        layers.Dense(4),
        rules=[INT8, edgeax.Rule("^conv$", output=name)],
        x=IMAGES,
    )
    _, away = steps_away(model, tmp_path / "m.tflite", IMAGES)
    assert away.max() < 1.01 + (averaging == "interpolation")


def test_training_rounds_the_sigmoid_in_a_swish_as_the_file_does(tmp_path):
    model = compressed(
        layers.Conv2D(8, 3),
        layers.BatchNormalization(),
        layers.Activation("swish"),
        layers.Conv2D(8, 3, activation="swish"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(4),
        rules=[INT8],
        x=IMAGES,
    )
    result, away = steps_away(model, tmp_path / "m.tflite", IMAGES, strict=True)
    assert away.max() < 1.01
    assert result.parity.worst.mean_steps < 0.02


def test_training_rounds_between_the_halves_of_a_separable_convolution(tmp_path):
    model = compressed(
        layers.SeparableConv2D(8, 3, activation="relu", name="both"),
        layers.SeparableConv2D(4, 3, use_bias=False, strides=2, padding="same"),
        layers.Flatten(),
        layers.Dense(4),
        rules=[INT8],
        x=IMAGES,
    )
    assert model.get_layer("both").quantizer("between").extremes is not None
    _, away = steps_away(model, tmp_path / "m.tflite", IMAGES)
    assert away.max() < 1.01 and away.mean() < 0.2


@pytest.mark.parametrize("kind", [layers.GRU, layers.LSTM, layers.SimpleRNN])
def test_the_range_of_a_last_state_does_not_limit_the_others(kind, tmp_path):
    x = np.random.default_rng(0).normal(size=(64, 12, 6)).astype(np.float32)
    x[:, 8:] = 0.0  # so that the last state is small
    model = compressed(kind(8), layers.Dense(4), rules=[INT8], x=x)
    _, away = steps_away(model, tmp_path / "m.tflite", x)
    assert away.mean() < 2.0


def test_strict_takes_an_operator_in_float_for_one_whatever_it_is_part_of(tmp_path):
    model = compressed(
        layers.Dense(24, name="hidden"),
        layers.Dense(4),
        rules=[INT8, edgeax.Rule("hidden", output="bfp8")],
        x=X,
    )
    with pytest.raises(ValueError, match="`strict` allows no operator.*FULLY_CONNECTED in hidden"):
        edgeax.export(model, tmp_path / "m.tflite", X, strict=True)
    result = edgeax.export(model, tmp_path / "m.tflite", X, measure=False)
    assert "rounding in hidden (to bfp8)" in result.stays_float


def test_a_float_file_keeps_the_signs_that_a_network_computes_with(tmp_path):
    model = compressed(
        layers.Conv2D(8, 3, name="first"),
        layers.BatchNormalization(),
        layers.Conv2D(8, 3, name="binary"),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dense(4),
        rules=[edgeax.Rule("binary", kernel="ste_sign", input="ste_sign")],
        x=IMAGES,
    )
    path = tmp_path / "m.tflite"
    edgeax.export(model, path, IMAGES, measure=False, activations="float32")
    away = edgeax.Interpreter(path).run(IMAGES) - model.predict(IMAGES, verbose=0)
    assert np.abs(away).max() < 1e-3


def test_between_layers_that_compute_in_float_nothing_is_rounded(tmp_path):
    model = compressed(
        layers.Conv2D(8, 3, name="first", padding="same"),
        layers.MaxPooling2D(2),
        layers.BatchNormalization(),
        layers.Conv2D(8, 3, name="second"),
        layers.Flatten(),
        layers.Dense(4),
        rules=[edgeax.Rule("first|second", kernel="ste_sign", input="log4")],
        x=IMAGES,
    )
    result = edgeax.export(model, tmp_path / "m.tflite", IMAGES, measure=False)
    points = {layer.path for layer in result.parity.layers}
    assert not points & {"first", "batch_normalization"}


def test_ends_in_a_format_or_of_16_bits_cannot_be_int8(tmp_path):
    path = tmp_path / "m.tflite"
    for rule, message in (
        (
            edgeax.Rule(".*", kernel="int8", input="int16", output="int16"),
            "activations have 8 bits",
        ),
        (edgeax.Rule(".*", kernel="int8", input="fp8_e4m3", output="int8"), "another format at"),
    ):
        model = compressed(layers.Dense(8), layers.Dense(4), rules=[rule], x=X)
        with pytest.raises(ValueError, match=f"`io` can be 'int8' only where.*{message}"):
            edgeax.export(model, path, X, io="int8")
    assert not path.exists()


@pytest.mark.parametrize("place", ["input", "output"])
def test_a_step_function_is_exported(place, tmp_path):
    rule = edgeax.Rule("^second$" if place == "input" else "^first$", **{place: "ste_heaviside"})
    rules = [edgeax.Rule(".*", kernel="int8", input="int8"), rule]
    model = compressed(
        layers.Dense(8, name="first"), layers.Dense(4, name="second"), rules=rules, x=X
    )
    path = tmp_path / "m.tflite"
    edgeax.export(model, path, X, measure=False)
    away = edgeax.Interpreter(path).run(X) - model.predict(X, verbose=0)
    assert np.mean(np.abs(away) < 0.05) > 0.9


@pytest.mark.parametrize("name", ["bfloat16", "fp16", "fp16_e6m9"])
def test_wide_floats_of_activations_take_no_tables(name, tmp_path):
    model = trained("int8", name)
    result = edgeax.export(model, tmp_path / "m.tflite", X, measure=False)
    assert result.size_bytes < 10_000


def test_an_lstm_has_no_16_bits_and_the_error_says_so(tmp_path):
    x = np.zeros((4, 5, 2), np.float32)
    model = keras.Sequential([keras.Input((5, 2)), layers.LSTM(3), layers.Dense(2)])
    with pytest.raises(ValueError, match="8 bits where it has an LSTM.*Use 'int8', or a GRU"):
        edgeax.export(model, tmp_path / "m.tflite", x, activations="int16")


def test_can_export_says_what_export_would_of_mixed_widths():
    plain = keras.Sequential([keras.Input((12,)), layers.Dense(8, name="a"), layers.Dense(3)])
    forecast = edgeax.can_export(plain, edgeax.Recipe([INT8, edgeax.Rule("^a$", output="int16")]))
    assert not forecast and "must round all activations to 'int16'" in str(forecast)


def test_the_receipt_tells_kernels_of_training_from_those_rounded_after_it(tmp_path):
    rules = [edgeax.Rule("^a$", kernel="int8", output="int8")]
    model = compressed(layers.Dense(8, name="a"), layers.Dense(4, name="b"), rules=rules, x=X)
    result = edgeax.export(model, tmp_path / "m.tflite", X, measure=False)
    lines = str(result).splitlines()
    (trained,) = [line for line in lines if line.startswith("  a:")]
    (rounded,) = [line for line in lines if line.startswith("  b:")]
    assert "after training" not in trained
    assert re.search(r"rounded after training, at \d\d\.\d dB$", rounded)


@pytest.mark.parametrize("kind", [layers.GRU, layers.LSTM])
def test_a_last_state_is_no_riddle_to_a_float_file(kind, tmp_path):
    x = np.random.default_rng(0).normal(size=(16, 5, 3)).astype(np.float32)
    model = compressed(kind(4), layers.Dense(2), rules=[INT8], x=x)
    path = tmp_path / "m.tflite"
    result = edgeax.export(model, path, x, activations="float32")
    assert result.float_size_bytes is not None
    assert edgeax.Interpreter(path).run(x).shape == (16, 2)


@pytest.mark.parametrize("outputs, kernel_type", [(63, "float32"), (64, "int8")])
def test_operators_of_floats_are_exact_beside_less_than_1024_weights(
    outputs, kernel_type, tmp_path
):
    """Larger kernels are stored in int8 by the converter, and their inputs rounded once more."""
    x = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    rules = [edgeax.Rule("dense", kernel="binary", input="fp8_e4m3")]
    model = compressed(layers.Dense(outputs, name="dense"), rules=rules, x=x)
    path = tmp_path / "m.tflite"
    edgeax.export(model, path, x, measure=False, runtime="stock")
    graph = Model.read(path).subgraphs[0]
    (product,) = (one for one in graph.operators if one.name == "FULLY_CONNECTED")
    assert graph.tensors[product.inputs[1]].dtype == kernel_type
    off = np.abs(edgeax.Interpreter(path).run(x) - np.asarray(model(x))).max()
    assert (off < 1e-5) == (kernel_type == "float32")

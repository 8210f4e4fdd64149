"""Quant* layers: those of Keras, fed with quantized tensors."""

import inspect
import sys

import keras
import numpy as np
import pytest

import edgeax
from edgeax import Compressed, Quantize
from edgeax.layers import (
    PaddedConv2D,
    QuantConv1D,
    QuantConv2D,
    QuantConv2DTranspose,
    QuantDense,
    QuantDepthwiseConv2D,
    QuantGRU,
    QuantLSTM,
    QuantSeparableConv2D,
)
from tests import environments, source_tree

layers = keras.layers

# Ours, that of Keras, settings, the quantizers of kernels, shape of an input, and for each kernel
# the axes that share a scale.
CASES = {
    "dense": (QuantDense, layers.Dense, {"units": 3}, ["kernel"], (4, 5), [(0,)]),
    "conv1d": (
        QuantConv1D,
        layers.Conv1D,
        {"filters": 3, "kernel_size": 2, "padding": "causal"},
        ["kernel"],
        (2, 6, 4),
        [(0, 1)],
    ),
    "conv2d": (
        QuantConv2D,
        layers.Conv2D,
        {"filters": 4, "kernel_size": 3, "strides": 2, "activation": "relu"},
        ["kernel"],
        (2, 6, 6, 2),
        [(0, 1, 2)],
    ),
    "depthwise": (
        QuantDepthwiseConv2D,
        layers.DepthwiseConv2D,
        {"kernel_size": 3, "depth_multiplier": 2, "padding": "same"},
        ["depthwise"],
        (2, 6, 6, 3),
        [(0, 1)],
    ),
    "separable": (
        QuantSeparableConv2D,
        layers.SeparableConv2D,
        {"filters": 4, "kernel_size": 3},
        ["depthwise", "pointwise"],
        (2, 6, 6, 3),
        [(0, 1), (0, 1, 2)],
    ),
    "transpose": (
        QuantConv2DTranspose,
        layers.Conv2DTranspose,
        {"filters": 4, "kernel_size": 3, "strides": 2},
        ["kernel"],
        (2, 4, 4, 3),
        [(0, 1, 3)],
    ),
    "lstm": (QuantLSTM, layers.LSTM, {"units": 3}, ["kernel", "recurrent"], (2, 4, 5), None),
    "gru": (
        QuantGRU,
        layers.GRU,
        {"units": 3, "return_sequences": True},
        ["kernel", "recurrent"],
        (2, 4, 5),
        [(0,), (0,)],
    ),
}
BITS = [3, 5]


def quantizers(names):
    return {
        f"{name}_quantizer": Quantize(f"int{bits}", axis=-1)
        for name, bits in zip(names, BITS, strict=False)
    }


def example(case, **more):
    """Returns our layer, in a model, and an input."""
    make, _, settings, names, shape, _ = CASES[case]
    keras.utils.set_random_seed(0)
    layer = make(
        **settings, **quantizers(names), bias_quantizer=Quantize("int8"), name="quantized", **more
    )
    model = keras.Sequential([keras.Input(shape[1:]), layer])
    generator = np.random.default_rng(0)
    for variable in layer.trainable_weights:
        variable.assign(generator.normal(size=variable.shape))
    return layer, model, generator.normal(size=shape).astype(np.float32)


def on_grid(weight, axes, bits):
    top = np.float32(2 ** (bits - 1) - 1)
    scale = np.max(np.abs(weight), axis=axes, keepdims=True) / top
    return scale * np.clip(np.rint(weight / scale), -top, top)


@pytest.mark.parametrize("case", [case for case in CASES if CASES[case][5]])
def test_it_computes_what_the_layer_of_keras_does_with_quantized_weights(case):
    layer, model, given = example(case)
    _, plain, settings, _, shape, axes = CASES[case]
    expected = plain(**settings)
    expected.build(shape)
    *kernels, bias = (np.asarray(variable) for variable in layer.trainable_weights)
    rounded = [on_grid(k, a, b) for k, a, b in zip(kernels, axes, BITS, strict=False)]
    expected.set_weights(
        [*rounded, on_grid(bias, None, 8)]
        + [np.asarray(v) for v in layer.layer.weights[len(kernels) + 1 :]]
    )
    np.testing.assert_allclose(model(given), expected(given), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_it_is_a_wrapper_of_the_layer_of_keras_with_its_attributes(case):
    layer, model, _ = example(case)
    assert type(layer) is Compressed and type(layer.layer) is CASES[case][1]
    assert layer.name == layer.layer.name == "quantized"
    for name, value in CASES[case][2].items():
        assert getattr(layer, name) is not None, (name, value)
    if case not in ("lstm", "gru", "separable"):
        assert layer.kernel is layer.layer.kernel and layer.bias is layer.layer.bias
    lines = []
    model.summary(print_fn=lines.append)
    assert "quantized (Compressed)" in "\n".join(map(str, lines))


@pytest.mark.parametrize("case", CASES)
def test_it_is_saved_loaded_cloned_trained_and_stripped(case, tmp_path):
    layer, model, given = example(case, input_quantizer="int8", output_quantizer="int8")
    model.compile("sgd", "mse")
    model.fit(given, np.zeros(model(given).shape), verbose=0)
    model.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(copy(given), model(given))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(given), model(given))
    stripped = edgeax.strip(model).layers[-1]
    assert type(stripped) is CASES[case][1]
    assert stripped.get_config()["activation"] == CASES[case][2].get("activation", "linear") or (
        case in ("lstm", "gru")
    )


def test_all_arguments_of_keras_are_taken_by_place_and_by_name():
    by_place = QuantConv2D(4, 3, (2, 2), "same", kernel_quantizer="int8").layer
    assert (by_place.filters, by_place.kernel_size, by_place.strides) == (4, (3, 3), (2, 2))
    assert by_place.padding == "same"
    assert QuantDense(4, "relu", False).layer.get_config()["use_bias"] is False
    with pytest.raises((TypeError, ValueError), match="unit"):
        QuantDense(unit=4)
    for make in (QuantDense, QuantConv1D, QuantConv2D, QuantDepthwiseConv2D, QuantLSTM):
        keyword_only = inspect.getfullargspec(make).kwonlyargs
        assert {"input_quantizer", "bias_quantizer", "output_quantizer"} <= set(keyword_only)


def test_an_output_quantizer_rounds_where_the_device_does():
    # tanh is an operator of its own: its input is rounded too, its range is prescribed.
    layer = QuantDense(2, activation="tanh", output_quantizer="int8", kernel_quantizer="int8")
    assert layer.slots.templates["output"][0].fixed_range == (-1.0, 127 / 128)
    assert len(layer.slots.templates["before_activation"]) == 1
    assert layer.activation is keras.activations.tanh
    fused = QuantDense(2, activation="relu", output_quantizer="int8")
    assert fused.slots.templates["output"][0].nonnegative
    assert fused.slots.templates["before_activation"] == []


def test_pad_values_make_a_padding_convolution_and_0_that_of_keras():
    layer = QuantConv2D(2, 3, padding="same", pad_values=1.0, kernel_quantizer="int8")
    assert type(layer.layer) is PaddedConv2D and layer.pad_values == 1.0
    assert type(QuantConv2D(2, 3, padding="same", pad_values=0).layer) is layers.Conv2D


def test_padding_comes_behind_the_input_quantizer():
    quantizer = Quantize("int2", range=(-1.0, 1.0))
    layer = QuantConv2D(
        1, 3, padding="same", pad_values=7.0, input_quantizer=quantizer, kernel_initializer="ones"
    )
    # A corner of zeros: 5 of 9 positions lie in the border, with 7 each, which int2 has not.
    assert float(layer(np.zeros((1, 3, 3, 1), np.float32))[0, 0, 0, 0]) == 35.0


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: QuantDense(2, kernel_quantizer=3), "`kernel_quantizer` must be.*=3"),
        (lambda: QuantDense(2, input_quantizer=[3]), r"`input_quantizer` must be.*=\[3\]"),
        (lambda: QuantDense(2, kernel_quantizer="ternery"), "ternery.*Did you mean"),
        (lambda: QuantLSTM(2, recurrent_quantizer={}), "`recurrent_quantizer` must be"),
        (lambda: QuantSeparableConv2D(2, 3, pointwise_quantizer=1.5), "`pointwise_quantizer`"),
        (lambda: QuantConv2D(2, 3, input_scaling=True), "`input_scaling` must come with an"),
        (
            lambda: QuantConv1D(2, 3, padding="causal", pad_values=1),
            "`padding` must be 'same'.*'causal'",
        ),
    ],
)
def test_what_is_no_quantizer_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_a_format_at_integer_inputs_is_refused_before_anything_is_built(dtype):
    layer = QuantDense(2, input_quantizer="int8", name="odd")
    with pytest.raises(ValueError, match=f"floating-point. Received: {dtype} at layer 'odd'"):
        layer(keras.Input((3,), dtype=dtype))
    assert not layer.built and not layer.layer.built
    assert layer(np.zeros((1, 3), np.float32)).shape == (1, 2)
    embedding = Compressed(layers.Embedding(5, 2), input="int8")
    with pytest.raises(ValueError, match="or the embedding's kernel"):
        embedding(np.zeros((1, 3), dtype))


@pytest.mark.parametrize(
    "inputs, kernel",
    [
        ("ste_sign", "ste_sign"),
        ("dorefa4", "dorefa"),
        ("pact4", "lsq4"),
        ("int8", "ternary"),
        (None, "int4"),
        ("fp8_e4m3", "fp8_e4m3"),
        (None, "log4"),
    ],
)
def test_names_of_quantizers_and_formats_train_and_load(inputs, kernel, tmp_path):
    keras.utils.set_random_seed(0)
    layer = QuantConv2D(2, 3, input_quantizer=inputs, kernel_quantizer=kernel)
    model = keras.Sequential([keras.Input((5, 5, 2)), layer])
    model.compile("sgd", "mse")
    given = np.random.default_rng(0).normal(size=(8, 5, 5, 2)).astype(np.float32)
    before = np.asarray(layer.kernel)
    model.fit(given, np.zeros((8, 3, 3, 2)), verbose=0)
    assert np.any(np.asarray(layer.kernel) != before)
    model.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(copy(given), model(given))


def test_signs_of_weights_and_inputs_make_integer_outputs():
    layer = QuantConv2D(
        3,
        3,
        padding="same",
        pad_values=1.0,
        input_quantizer="ste_sign",
        kernel_quantizer="ste_sign",
    )
    outputs = layer(np.random.default_rng(0).normal(size=(1, 6, 6, 4)).astype(np.float32))
    # 36 products of +1 or -1 in every place, also at the border: even, within [-36, 36]
    assert set(np.unique(outputs)) <= set(range(-36, 37, 2))


def test_a_weight_that_is_not_there_is_named():
    layer = Compressed(layers.Dense(2, name="dense"), weights={"kernle": "int8"})
    with pytest.raises(ValueError, match=r"'dense', which has \['bias', 'kernel'\].*kernle"):
        layer.build((None, 3))


def test_a_model_loads_in_a_process_that_imports_edgeax_alone(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            QuantConv2D(
                2, 3, padding="same", pad_values=1, input_scaling=True, input_quantizer="int8",
                kernel_quantizer="int4", kernel_constraint=edgeax.constraints.WeightClip(),
                kernel_regularizer=edgeax.regularizers.Bipolar(),
            ),
            QuantDepthwiseConv2D(3, padding="same", pad_values=1, depthwise_quantizer="int4"),
            layers.Reshape((6, 12)),
            QuantGRU(3, state_quantizer="int8"),
        ]
    )  # fmt: skip
    given = np.ones((1, 6, 6, 2), np.float32)
    model.save(tmp_path / "model.keras")
    program = (
        "import edgeax, keras, numpy as np; "
        f"model = keras.models.load_model({str(tmp_path / 'model.keras')!r}); "
        "print(model(np.ones((1, 6, 6, 2), np.float32)).numpy().tolist())"
    )
    done = environments.run([sys.executable, "-c", program], PYTHONPATH=str(source_tree.REPOSITORY))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(model(given).numpy().tolist())


def fitted(model, *shape, targets=1):
    model.compile("sgd", "mse")
    model.fit(np.zeros((64, *shape)), np.zeros((64, targets)), batch_size=16, verbose=0)


SCHEDULED = edgeax.Quantize("int4", axis=-1, bits=edgeax.BitSchedule([8, 4], [10]))


def test_a_layer_called_twice_counts_a_step_once():
    dense = QuantDense(6, kernel_quantizer=SCHEDULED)
    given = keras.Input((6,))
    model = keras.Model(given, layers.Dense(1)(dense(dense(given))))
    fitted(model, 6)
    assert dense.weight_chains[0].chain.step == 4
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(np.zeros((64, 6)), np.zeros((64, 1)), batch_size=16, verbose=0)
    assert dense.weight_chains[0].chain.step == 8


def test_every_time_step_of_a_layer_is_one_step_of_its_schedules():
    each = layers.TimeDistributed(QuantDense(4, kernel_quantizer=SCHEDULED))
    model = keras.Sequential([keras.Input((8, 6)), each, layers.Flatten()])
    fitted(model, 8, 6, targets=32)
    assert each.layer.weight_chains[0].chain.step == 4


def test_weights_drawn_at_random_are_the_same_in_all_calls_of_a_pass():
    dense = QuantDense(6, kernel_quantizer="binary_connect", use_bias=False)
    given = keras.Input((6,))
    model = keras.Model(given, [dense(given), dense(given)])
    first, second = model(np.eye(6, dtype=np.float32), training=True)
    np.testing.assert_array_equal(first, second)
    third, _ = model(np.eye(6, dtype=np.float32), training=True)
    assert np.any(third != first)


@pytest.mark.parametrize("state_quantizer", [None, "state4"])
@pytest.mark.parametrize("kind", [QuantLSTM, QuantGRU])
def test_a_recurrent_layer_stands_in_a_bidirectional_one(kind, state_quantizer, tmp_path):
    both = layers.Bidirectional(
        kind(3, kernel_quantizer="int8", state_quantizer=state_quantizer, return_sequences=True)
    )
    model = keras.Sequential([keras.Input((5, 2)), both, layers.Flatten(), layers.Dense(1)])
    ways = both.forward_layer, both.backward_layer
    assert [way.go_backwards for way in ways] == [False, True]
    x = np.random.default_rng(0).normal(size=(4, 5, 2)).astype(np.float32)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_the_first_layer_of_a_sequential_model_may_bring_the_shape():
    with pytest.warns(UserWarning, match="Do not pass an `input_shape`"):
        model = keras.Sequential([QuantDense(3, input_shape=(4,))])
    assert model.built


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: QuantDense(3, kernel_quantizer="itn4"), "`kernel_quantizer` cannot be 'itn4': .*"),
        (
            lambda: QuantDepthwiseConv2D(3, depthwise_quantizer="int1"),
            r"`depthwise_quantizer` cannot be 'int1': `bits` must be in 2\.\.16",
        ),
        (
            lambda: QuantSeparableConv2D(3, 3, pointwise_quantizer="terrnary"),
            "`pointwise_quantizer` cannot be 'terrnary': .*'ternary'",
        ),
        (
            lambda: QuantDense(3, use_bias=False, bias_quantizer="int8"),
            "`bias_quantizer` must come with use_bias=True",
        ),
        (lambda: QuantDense(3, kernel_quantizer="INT4"), "Did you mean one of .*'int4'"),
    ],
)
def test_an_error_names_the_argument_and_what_it_was_given(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind, shape", [("depthwise", (3, 3, 4)), ("gray", (8, 8, 1))])
def test_filters_of_one_input_channel_are_not_centered_away(kind, shape):
    layer = (
        QuantDepthwiseConv2D(3, depthwise_quantizer="xnor_weight")
        if kind == "depthwise"
        else QuantConv2D(4, 3, kernel_quantizer="xnor_weight")
    )
    layer.build((None, *shape))
    (weight,) = layer.weight_chains
    raw, made = weight.value(), weight.transformed(False)
    np.testing.assert_array_equal(np.sign(made), np.sign(weight.layout.from_canonical(raw)))


def test_a_filter_of_several_input_channels_is_centered_over_these():
    layer = QuantConv2D(4, 3, kernel_quantizer="xnor_weight")
    layer.build((None, 8, 8, 5))
    raw = np.asarray(layer.kernel)
    made = layer.weight_chains[0].transformed(False)
    np.testing.assert_array_equal(np.sign(made), np.sign(raw - raw.mean(axis=2, keepdims=True)))

import keras
import numpy as np
import pytest

import edgeax
from edgeax.formats import binary_rows
from tests.export.binary_networks import SIGNS, exported, images, network, steps_away
from tests.export.lowered import options_of

layers = keras.layers
QuantConv2D, QuantDense = edgeax.layers.QuantConv2D, edgeax.layers.QuantDense

WINDOWS = {
    "zeros around": {"padding": "same"},
    "ones around": {"padding": "same", "pad_values": 1.0},
    "strides": {"padding": "same", "pad_values": 1.0, "strides": (2, 3)},
    "zeros, strides and dilation": {"padding": "same", "strides": 1, "dilation_rate": 2},
    "none around": {"padding": "valid", "strides": 2},
    "groups": {"padding": "same", "groups": 2},
}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_every_bit_of_a_binary_network_is_that_of_keras(window, tmp_path):
    model = network(
        QuantConv2D(16, 3, name="first", **SIGNS, **window),
        layers.BatchNormalization(),
        QuantConv2D(24, 3, name="second", **SIGNS, **window),
        layers.BatchNormalization(),
        layers.Flatten(),
        QuantDense(5, name="third", **SIGNS),
    )
    path, samples = tmp_path / "m.tflite", images()
    result, graph = exported(model, samples, path)
    assert [(k.how, k.bits, k.snr_db) for k in result.kernels] == 3 * [("binary", 1, None)]
    assert result.operators["EdgeaxBinaryConv2D"] == 2
    assert not {"CONV_2D", "PAD", "PADV2"} & {*result.operators}
    assert result.stays_float == ()
    # Nothing is rounded but the output: a bit that differs would move it by whole numbers.
    assert steps_away(model, graph, path, samples).max() < 0.501


def test_gmc18_a_threshold_is_the_sign_of_the_batch_normalization(tmp_path):
    model = network(
        QuantConv2D(8, 3, name="first", **SIGNS),
        layers.BatchNormalization(name="norm"),
        QuantConv2D(4, 3, name="second", **SIGNS),
    )
    _, graph = exported(model, images(), tmp_path / "m.tflite")
    operator = next(op for op in graph.operators if options_of_binary(op))
    assert options_of(operator)["output_packed"] == 1
    bias, scale = (graph.tensors[index].data.astype(np.float64) for index in operator.inputs[2:])
    sums = np.arange(-144, 145, 2)[:, None]  # of 144 products
    gamma, beta, mean, variance = (w.astype(np.float64) for w in model.layers[1].get_weights())
    normal = gamma * (sums - mean) / np.sqrt(variance + model.layers[1].epsilon) + beta
    negative = scale * (bias + 2**binary_rows.FRACTION_BITS * sums) < 0
    np.testing.assert_array_equal(negative, normal < 0)
    assert 0.2 < negative.mean() < 0.8


def options_of_binary(operator):
    return operator.name.startswith("EdgeaxBinary") and options_of(operator)


def residual(**settings):
    """A network in which the signs of an 8-bit image are read, and so is the image."""
    keras.utils.set_random_seed(1)
    given = keras.Input((9, 8, 3))
    image = layers.Conv2D(16, 3, padding="same", name="first")(given)
    image = layers.BatchNormalization()(image)
    for name in ("second", "third"):
        quantized = QuantConv2D(16, 3, padding="same", name=name, **SIGNS | settings)
        image = layers.Add()([image, layers.BatchNormalization()(quantized(image))])
    image = layers.GlobalAveragePooling2D()(image)
    return keras.Model(given, layers.Dense(3, name="last")(image))


def test_signs_of_what_is_read_otherwise_too_come_of_8_bits(tmp_path):
    model, samples = residual(pad_values=1.0), images((9, 8, 3), count=24)
    path = tmp_path / "m.tflite"
    result, graph = exported(model, samples, path, strict=True)
    kinds = {kernel.path: kernel.how for kernel in result.kernels}
    assert kinds == {"first": "int8", "second": "binary", "third": "binary", "last": "int8"}
    ours = [options_of(op) for op in graph.operators if options_of_binary(op)]
    assert [(o["input_packed"], o["output_packed"], o["pad_value"]) for o in ours] == 2 * [
        (0, 0, 1)
    ]
    assert not {"SELECT_V2", "GREATER_EQUAL"} & {*result.operators}
    assert result.parity.worst.most_steps <= 1.0
    assert np.mean(steps_away(model, graph, path, samples)) < 8.0  # a sign flips beside 0


@pytest.mark.parametrize("runtime", ["stock", "tflm"])
def test_built_in_operators_compute_the_same_in_integers(runtime, tmp_path):
    model = network(
        QuantConv2D(16, 3, name="first", pad_values=1.0, padding="same", **SIGNS),
        layers.BatchNormalization(),
        QuantConv2D(24, 3, name="second", **SIGNS),
        layers.BatchNormalization(),
        layers.Flatten(),
        QuantDense(5, name="third", **SIGNS),
    )
    path, samples = tmp_path / "m.tflite", images()
    result, graph = exported(model, samples, path, runtime=runtime, strict=True)
    assert result.operators["GREATER_EQUAL"] == result.operators["SELECT_V2"] == 3
    # Biases are multiples of 1/127 of a sum here: few bits differ, of 1176 in each sum.
    assert steps_away(model, graph, path, samples).mean() < 2.0


def test_what_never_is_negative_gives_no_bits(tmp_path):
    model = network(
        QuantConv2D(8, 3, name="first", **SIGNS),
        layers.BatchNormalization(),
        layers.ReLU(),
        QuantConv2D(4, 3, name="second", **SIGNS),
    )
    path, samples = tmp_path / "m.tflite", images()
    _, graph = exported(model, samples, path)
    assert [options_of(op)["output_packed"] for op in graph.operators if options_of_binary(op)] == [
        0,
        0,
    ]
    assert steps_away(model, graph, path, samples).max() < 0.501


@pytest.mark.parametrize(
    "kernel, how",
    [
        ("binary", "binary"),
        ("bwn", "binary"),
        ("xnor_weight", "binary"),
        ("ternary", "packed"),
        ("int8", "int8"),
    ],
)
def test_a_kernel_of_two_opposite_values_is_binary_beside_signs(kernel, how, tmp_path):
    settings = {**SIGNS, "kernel_quantizer": kernel}
    model = network(
        QuantConv2D(16, 3, name="first", **SIGNS),
        layers.BatchNormalization(),
        QuantDense(24, name="second", **settings),
    )
    path, samples = tmp_path / "m.tflite", images()
    result, graph = exported(model, samples, path, strict=True)
    assert result.kernels[1].how == how
    assert steps_away(model, graph, path, samples).max() < 0.51


def test_signs_of_two_other_values_give_the_same_products(tmp_path):
    model = network(
        QuantConv2D(16, 3, name="first", **SIGNS),
        layers.BatchNormalization(),
        QuantDense(24, name="second", **{**SIGNS, "input_quantizer": "binary"}),
    )
    model.compile("sgd", "mse")
    samples = images()
    model.fit(samples, np.zeros((12, 7, 6, 24)), verbose=0)
    path = tmp_path / "m.tflite"
    result, graph = exported(model, samples, path, strict=True)
    assert [kernel.how for kernel in result.kernels] == ["binary", "binary"]
    assert steps_away(model, graph, path, samples).max() < 0.51


def test_a_gain_too_small_for_its_bias_keeps_the_built_in_operator(tmp_path):
    model = network(
        QuantConv2D(8, 3, name="first", **SIGNS),
        layers.BatchNormalization(name="norm"),
        QuantDense(4, name="second", **SIGNS),
    )
    gamma, *rest = model.layers[1].get_weights()
    model.layers[1].set_weights([np.where(np.arange(8) == 3, 1e-6, gamma), *rest])
    path, samples = tmp_path / "m.tflite", images()
    result, graph = exported(model, samples, path)
    assert [kernel.how for kernel in result.kernels] == ["packed", "binary"]
    assert steps_away(model, graph, path, samples).max() < 0.501


def test_a_convolution_of_signs_in_one_dimension_is_binary(tmp_path):
    model = network(
        edgeax.layers.QuantConv1D(16, 5, padding="same", pad_values=1.0, name="first", **SIGNS),
        layers.BatchNormalization(),
        edgeax.layers.QuantConv1D(24, 3, name="second", **SIGNS),
        shape=(20, 8),
    )
    path, samples = tmp_path / "m.tflite", images((20, 8))
    result, graph = exported(model, samples, path, strict=True)
    assert [kernel.how for kernel in result.kernels] == ["binary", "binary"]
    assert steps_away(model, graph, path, samples).max() < 0.501

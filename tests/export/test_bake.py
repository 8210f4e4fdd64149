import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.bake import bake
from edgeax.formats import Codebook, Integer
from edgeax.model import placement
from edgeax.model.graph import trace
from tests.export.networks import normal, sequential

layers = keras.layers


def parts_of(model, index=0, integer=True):
    """What call number `index` of a model is baked into, its normalization included."""
    graph = trace(model)
    call = graph.calls[index]
    return bake(call, placement.folded_normalization(graph, call), integer)


def run(parts, x):
    for part in parts:
        x = part.layer(x)
    return np.asarray(x)


def layer(*parts, shape=(6, 6, 4)):
    return sequential(keras.Input(shape), *parts)


def is_on_grid(values, grid):
    """Whether per-channel values are integers times their largest magnitude over the top code."""
    top = 2 ** (grid.bits - 1) - 1
    steps = values / (np.abs(values).reshape(-1, values.shape[-1]).max(0) / top)
    return np.allclose(steps, np.rint(steps), atol=1e-3)


def test_a_float_kernel_is_put_on_an_8_bit_grid_of_each_channel():
    model = layer(layers.Conv2D(5, 3))
    (part,) = parts_of(model)
    kernel = np.asarray(part.layer.kernel)
    assert part.kernel.format == Integer(8, axis=-1)
    np.testing.assert_array_equal(kernel, part.kernel.decode())
    assert is_on_grid(kernel, part.kernel.format)
    trained = np.asarray(model.layers[0].kernel)
    steps = np.abs(trained).max(axis=(0, 1, 2)) / 127
    assert (np.abs(kernel - trained) <= 0.5001 * steps).all()
    np.testing.assert_array_equal(part.layer.bias, model.layers[0].bias)


def test_without_integers_kernels_stay_as_they_are():
    model = layer(layers.Conv2D(5, 3))
    (part,) = parts_of(model, integer=False)
    assert part.kernel is None
    np.testing.assert_array_equal(part.layer.kernel, model.layers[0].kernel)


@pytest.mark.parametrize("preset, bits", [("static_wi4_ai8", 4), ("static_wc3_ai8", 3)])
def test_a_compressed_kernel_keeps_the_codes_of_training(preset, bits):
    model = edgeax.compress(layer(layers.Conv2D(5, 3)), preset)
    ((_, _, trained),) = model.layers[0].freeze_weights()
    (part,) = parts_of(model)
    assert part.kernel.bits == bits
    np.testing.assert_array_equal(part.kernel.codes, trained.codes)
    np.testing.assert_array_equal(part.layer.kernel, trained.decode())


@pytest.mark.parametrize(
    "chain",
    [[edgeax.Prune(0.5)], [edgeax.Cluster(4)], [edgeax.Prune(0.5), edgeax.Cluster(4)]],
    ids=["pruned", "clustered", "both"],
)
def test_a_kernel_that_training_left_float_is_rounded_too_and_keeps_its_zeros(chain):
    model = edgeax.compress(layer(layers.Conv2D(5, 3)), chain)
    ((_, _, trained),) = model.layers[0].freeze_weights()
    (part,) = parts_of(model)
    assert part.kernel.format == Integer(8, axis=-1)
    assert (part.kernel.decode()[trained.decode() == 0.0] == 0.0).all()
    np.testing.assert_allclose(part.kernel.decode(), trained.decode(), atol=0.01)


def test_folding_a_normalization_changes_scales_and_not_codes():
    plain = layer(layers.Conv2D(5, 3, use_bias=False), layers.BatchNormalization())
    model = edgeax.compress(plain, "static_wc4_ai8")
    ((_, _, trained),) = model.layers[0].freeze_weights()
    gamma, beta, mean, variance = plain.layers[1].get_weights()
    gain = gamma / np.sqrt(variance + plain.layers[1].epsilon)
    (part,) = parts_of(model)
    assert isinstance(part.kernel.format, Codebook)
    np.testing.assert_array_equal(part.kernel.codes, trained.codes)
    np.testing.assert_allclose(part.kernel.params["scale"], trained.params["scale"] * gain, 1e-6)
    np.testing.assert_allclose(part.layer.bias, beta - gain * mean, rtol=1e-5)


def test_a_separable_convolution_becomes_two_with_a_kernel_each():
    model = layer(layers.SeparableConv2D(7, 3, strides=2, depth_multiplier=2, activation="relu"))
    first, second = parts_of(model)
    assert isinstance(first.layer, layers.DepthwiseConv2D)
    assert isinstance(second.layer, layers.Conv2D)
    assert first.kernel.shape == (3, 3, 8) and second.kernel.shape == (1, 1, 8, 7)
    x = normal(2, 6, 6, 4)
    np.testing.assert_allclose(run([first, second], x), model(x), atol=0.05)


def test_the_halves_of_a_separable_convolution_are_exactly_the_whole():
    plain = layer(layers.SeparableConv2D(7, 3), layers.BatchNormalization())
    model, x = edgeax.compress(plain, "static_wi8_ai8"), normal(2, 6, 6, 4)
    np.testing.assert_allclose(run(parts_of(model), x), edgeax.strip(model)(x), atol=1e-5)


def test_layers_that_move_values_say_so_and_others_do_not():
    model = layer(layers.MaxPooling2D(), layers.Flatten(), layers.Dense(2), layers.Softmax())
    assert [parts_of(model, i)[0].moves for i in range(4)] == [True, True, False, False]


def adapted():
    normalization = layers.Normalization()
    normalization.adapt(normal(50, 4) * [1, 2, 3, 4] + 5)
    return normalization


@pytest.mark.parametrize(
    "make",
    [
        layers.BatchNormalization,
        lambda: layers.BatchNormalization(scale=False, center=False),
        lambda: layers.Rescaling(1 / 127.5, -1),
        lambda: layers.Rescaling([0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4]),
        lambda: layers.Normalization(axis=None, mean=3.0, variance=4.0),
        adapted,
    ],
    ids=["norm", "bare norm", "rescaling", "per channel", "one mean", "normalization"],
)
@pytest.mark.parametrize("shape", [(4,), (5, 4), (3, 5, 4), (2, 3, 5, 4)], ids=str)
def test_scaling_channels_becomes_a_convolution_that_computes_the_same(make, shape):
    model = layer(make(), shape=shape)
    x = normal(2, *shape)
    parts = parts_of(model)
    assert [type(part.layer).__name__ for part in parts if not part.moves] == ["DepthwiseConv2D"]
    np.testing.assert_allclose(run(parts, x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.BatchNormalization(axis=1),
        lambda: layers.Normalization(axis=1, mean=[1.0] * 6, variance=[1.0] * 6),
        lambda: layers.Normalization(axis=-1, mean=[1.0] * 4, variance=[1.0] * 4, invert=True),
    ],
    ids=["norm", "normalization", "inverted"],
)
def test_scaling_anything_but_channels_stays_as_it_is(make):
    given = keras.Input((6, 6, 4))
    model = keras.Model(given, make()(given))
    (part,) = parts_of(model)
    assert type(part.layer) is type(model.layers[1])
    x = normal(2, 6, 6, 4)
    np.testing.assert_allclose(part.layer(x), model(x), atol=1e-6)


def test_integer_images_are_not_handed_to_a_convolution():
    given = keras.Input((6, 6, 4), dtype="uint8")
    (part,) = parts_of(keras.Model(given, layers.Rescaling(1 / 255)(given)))
    assert isinstance(part.layer, layers.Rescaling)


def test_a_layer_trained_in_half_precision_is_baked_in_float32():
    half = "mixed_float16"
    model = layer(layers.Conv2D(5, 3, dtype=half), layers.ReLU(dtype=half))
    for index in range(2):
        (part,) = parts_of(model, index)
        assert part.layer.compute_dtype == "float32"
        assert run([part], normal(1, *part.layer.input.shape[1:])).dtype == np.float32


def test_an_operation_is_no_layer_and_stays():
    given = keras.Input((4,))
    (part,) = parts_of(keras.Model(given, given * 2.0 + 1.0))
    assert not isinstance(part.layer, keras.layers.Layer)

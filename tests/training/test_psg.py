"""Predictive layers: their product, their gradient against one by hand, and their counts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.training import psg
from edgeax.training.code_bits import coded, limit_of
from tests.training import replicas

layers = keras.layers

GENERATOR = np.random.default_rng(0)

KINDS = {
    "dense": (psg.PredictiveDense, (5,), {"units": 4}),
    "conv1d": (psg.PredictiveConv1D, (9, 3), {"filters": 4, "kernel_size": 3, "padding": "causal"}),
    "conv2d": (
        psg.PredictiveConv2D,
        (7, 6, 4),
        {"filters": 6, "kernel_size": 3, "strides": 2, "padding": "same", "groups": 2},
    ),
    "depthwise1d": (psg.PredictiveDepthwiseConv1D, (8, 3), {"kernel_size": 3}),
    "depthwise2d": (
        psg.PredictiveDepthwiseConv2D,
        (6, 6, 3),
        {"kernel_size": 3, "depth_multiplier": 2, "dilation_rate": 2},
    ),
    "transposed1d": (psg.PredictiveConv1DTranspose, (5, 3), {"filters": 4, "kernel_size": 3}),
    "transposed2d": (
        psg.PredictiveConv2DTranspose,
        (4, 4, 3),
        {"filters": 2, "kernel_size": 3, "strides": 2},
    ),
}


def made(kind, **settings):
    cls, shape, arguments = KINDS[kind]
    keras.utils.set_random_seed(1)
    layer = cls(**{"activation": "relu", **arguments, **settings})
    layer.build((None, *shape))
    plain = {made: plain for plain, made in psg.RULES.items()}[cls](**arguments)
    plain.build((None, *shape))
    layer.bias.assign(GENERATOR.normal(size=layer.bias.shape))
    return layer, plain, GENERATOR.normal(size=(4, *shape)).astype(np.float32)


def gradients(layer, x, upstream):
    """The gradients of input, kernel and bias of what comes before the activation."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True) if isinstance(layer, psg.Predictive) else layer(x)
    return tape.gradient(y, [x, layer.kernel.value, layer.bias.value], upstream)


def test_wjc19_signs_are_mixed_by_hand():
    predicted = tf.constant([4.0, -0.3, 0.1, -0.1, 0.0])
    full = tf.constant([-1.0, 2.0, -3.0, -4.0, 0.0])
    signs, decided = psg.mixed_signs(predicted, full, 0.05)
    assert signs.numpy().tolist() == [1.0, -1.0, -1.0, -1.0, 0.0]
    assert decided.numpy().tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("kind", KINDS)
def test_wjc19_the_gradient_of_a_kernel_is_the_mixed_sign(kind):
    beta = 0.3  # large, so that many are left to all bits
    layer, plain, x = made(kind, beta=beta, predicted_gradient_bits=10, activation="linear")
    upstream = tf.constant(GENERATOR.normal(size=layer(x).shape), tf.float32)
    to_input, signs, to_bias = gradients(layer, x, upstream)

    # The same with the plain layer, on what the codes stand for.
    kernel = coded(layer.kernel.value, limit_of(layer.kernel.value, "kernel"), 8)
    plain.kernel.assign(kernel)
    limit, top = limit_of(tf.constant(x), "batch"), limit_of(upstream, "gradient")
    full = gradients(plain, coded(x, limit, 8), coded(upstream, top, 16))
    predicted = gradients(plain, coded(x, limit, 8, 4), coded(upstream, top, 16, 10, carry=True))[1]
    np.testing.assert_allclose(to_input, full[0], atol=1e-5)
    np.testing.assert_allclose(to_bias, full[2], rtol=1e-5)
    decided = np.abs(predicted) >= beta * np.abs(predicted).max()
    np.testing.assert_array_equal(signs, np.sign(np.where(decided, predicted, full[1])))

    wrong = np.sign(predicted) != np.sign(full[1])
    shares = [1.0, decided.mean(), (decided & wrong).mean(), wrong.mean()]
    np.testing.assert_allclose(np.array(layer.signs), shares, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_wjc19_forward_is_the_plain_layer_on_codes(kind):
    layer, plain, x = made(kind)
    plain.kernel.assign(coded(layer.kernel.value, limit_of(layer.kernel.value, "kernel"), 8))
    plain.bias.assign(layer.bias)
    rounded = coded(tf.constant(x), limit_of(tf.constant(x), "sample"), 8)
    np.testing.assert_allclose(layer(x), np.maximum(plain(rounded), 0.0), atol=1e-5)
    # A sample's result does not depend on the others where nothing is trained.
    np.testing.assert_allclose(layer(x)[:1], layer(x[:1]), atol=1e-5)
    assert layer.activation is keras.activations.relu


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_its_types(policy):
    layer, _, x = made("conv2d", dtype=policy)
    with tf.GradientTape() as tape:
        y = layer(x, training=True)
    assert y.dtype.name == policy.removeprefix("mixed_")
    gradient = tape.gradient(y, layer.kernel.value)
    assert gradient.dtype == tf.float32 and set(np.unique(gradient)) <= {-1.0, 0.0, 1.0}


@pytest.mark.parametrize("kind", KINDS)
def test_it_serializes(kind, tmp_path):
    layer, _, x = made(kind, beta=0.1, predicted_gradient_bits=12)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))


def test_a_frozen_layer_is_only_passed_through():
    layer, _, x = made("dense")
    layer.trainable = False
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    assert tape.gradient(y, x) is not None


def test_bwaa18_two_replicas_train_together_and_vote():
    replicas.run("psg")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"beta": 1.5}, "beta=1.5"),
        ({"bits": 17}, "bits=17"),
        ({"predicted_bits": 9}, "predicted_bits=9"),
        ({"gradient_bits": 8, "predicted_gradient_bits": 10}, "predicted_gradient_bits=10"),
    ],
)
def test_bad_arguments_are_told(settings, message):
    with pytest.raises(ValueError, match=message):
        edgeax.layers.PredictiveDense(4, **settings)

"""XnorConv2D: the convolution of signs times K."""

import keras
import numpy as np
import pytest

from edgeax import Quantize
from edgeax.layers import QuantConv2D, XnorConv2D

SIGN = Quantize("int8", range=(-4.0, 3.96875))  # any quantizer does; its step is 1 / 32


def box_means(given, kernel_size, strides, same):
    """Returns K window by window: the mean over the channels, then the sum over w * h."""
    height, width = kernel_size
    magnitude = np.abs(given.astype(np.float64)).mean(axis=-1)
    if same:  # Keras adds less before than behind
        size = magnitude.shape[1:]
        out = [-(-n // s) for n, s in zip(size, strides, strict=True)]
        total = [
            max((o - 1) * s + k - n, 0)
            for o, s, k, n in zip(out, strides, kernel_size, size, strict=True)
        ]
        magnitude = np.pad(magnitude, [(0, 0), *((t // 2, t - t // 2) for t in total)])
    rows = range(0, magnitude.shape[1] - height + 1, strides[0])
    columns = range(0, magnitude.shape[2] - width + 1, strides[1])
    return np.stack(
        [
            np.stack(
                [
                    magnitude[:, r : r + height, c : c + width].sum(axis=(1, 2)) / (height * width)
                    for c in columns
                ],
                axis=-1,
            )
            for r in rows
        ],
        axis=1,
    )[..., None]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    "kernel_size, strides", [((3, 3), (1, 1)), ((2, 3), (2, 1)), ((1, 1), (2, 2))]
)
def test_rorf16_k_is_the_box_mean_of_mean_abs(kernel_size, strides, padding):
    given = np.random.default_rng(0).normal(size=(2, 6, 7, 3)).astype(np.float32)
    layer = XnorConv2D(4, kernel_size, strides, padding=padding, input_quantizer=SIGN)
    outputs = layer(given)
    expected = box_means(given, kernel_size, strides, padding == "same")
    np.testing.assert_allclose(layer.scales(given), expected, rtol=1e-5)
    plain = keras.layers.Conv2D(4, kernel_size, strides, padding=padding)
    plain.build(given.shape)
    plain.set_weights(layer.get_weights()[:2])
    quantized = np.clip(np.rint(given * 32), -128, 127) / 32
    np.testing.assert_allclose(outputs, expected * plain(quantized), rtol=1e-3, atol=1e-4)


def test_the_bias_and_the_activation_come_behind_k():
    layer = XnorConv2D(1, 1, input_quantizer=SIGN, activation="relu", bias_initializer="ones")
    layer.build((None, 1, 1, 2))
    layer.kernel.assign([[[[0.0], [0.0]]]])
    assert float(layer(np.float32([[[[3.0, -1.0]]]]))[0, 0, 0, 0]) == 1.0
    layer.bias.assign([-1.0])
    assert float(layer(np.float32([[[[3.0, -1.0]]]]))[0, 0, 0, 0]) == 0.0


def test_the_border_of_the_signs_is_pad_values_and_that_of_k_is_0():
    layer = XnorConv2D(
        1, 3, padding="same", pad_values=1.0, input_quantizer=SIGN, kernel_initializer="ones"
    )
    given = np.zeros((1, 3, 3, 1), np.float32)
    given[0, 1, 1, 0] = 9.0
    # The corner: 5 ones in the border, 9 clipped to the end of the range; K = 9 / 9.
    assert float(layer(given)[0, 0, 0, 0]) == pytest.approx(5 + 3.96875, rel=1e-6)


def test_training_reaches_the_kernel_and_the_inputs_also_through_k():
    import tensorflow as tf

    layer = XnorConv2D(1, 1, input_quantizer=SIGN, use_bias=False)
    layer.build((None, 1, 1, 1))
    layer.kernel.assign([[[[0.5]]]])
    given = tf.constant([[[[2.0]]]])
    with tf.GradientTape() as tape:
        tape.watch(given)
        outputs = layer(given)
    # y = |x| * q(x) * w: dy/dx = q(x) * w + |x| * w
    assert float(tape.gradient(outputs, given)[0, 0, 0, 0]) == 2.0 * 0.5 + 2.0 * 0.5


def test_it_is_what_input_scaling_makes_and_goes_round(tmp_path):
    keras.utils.set_random_seed(1)
    layer = QuantConv2D(
        2, 3, padding="same", pad_values=1, input_scaling=True,
        input_quantizer=SIGN, kernel_quantizer="int4",
    )  # fmt: skip
    model = keras.Sequential([keras.Input((5, 5, 3)), layer])
    assert isinstance(layer.layer, XnorConv2D)
    assert layer.slots.templates["input"] == []  # K must see the inputs as they are
    given = np.random.default_rng(0).normal(size=(2, 5, 5, 3)).astype(np.float32)
    model.save(tmp_path / "xnor.keras")
    copy = keras.models.load_model(tmp_path / "xnor.keras")
    np.testing.assert_array_equal(copy(given), model(given))


def test_a_followed_range_is_followed_within_a_wrapped_layer():
    layer = QuantConv2D(2, 1, input_scaling=True, input_quantizer="int8", kernel_quantizer="int8")
    model = keras.Sequential([keras.Input((1, 1, 2)), layer])
    model.compile("sgd", "mse")
    model.fit(np.float32([[[[-3.0, 5.0]]]]), np.zeros((1, 1, 1, 2)), verbose=0)
    low, high = layer.layer._quantizer.transforms[-1].extremes
    assert (low, high) == (-3.0, 5.0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"groups": 2, "input_quantizer": SIGN}, "`groups` must be 1.*groups=2"),
        ({"input_quantizer": 3}, "`input` must be a transform"),
    ],
)
def test_what_it_cannot_do_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        XnorConv2D(4, 3, **arguments)

"""Convolutions that pad with other values than 0."""

import keras
import numpy as np
import pytest

from edgeax.layers import PaddedConv1D, PaddedConv2D, PaddedDepthwiseConv2D

layers = keras.layers

CASES = {
    "conv1d": (layers.Conv1D, PaddedConv1D, {"filters": 3, "kernel_size": 4}, (2, 7, 2)),
    "conv2d": (layers.Conv2D, PaddedConv2D, {"filters": 3, "kernel_size": (3, 2)}, (2, 6, 7, 2)),
    "stride": (
        layers.Conv2D,
        PaddedConv2D,
        {"filters": 3, "kernel_size": 3, "strides": (2, 3)},
        (2, 6, 7, 2),
    ),
    "wide stride": (
        layers.Conv2D,
        PaddedConv2D,
        {"filters": 2, "kernel_size": 1, "strides": 3},
        (1, 7, 8, 2),
    ),
    "dilation": (
        layers.Conv2D,
        PaddedConv2D,
        {"filters": 3, "kernel_size": 3, "dilation_rate": 2},
        (2, 6, 7, 2),
    ),
    "depthwise": (
        layers.DepthwiseConv2D,
        PaddedDepthwiseConv2D,
        {"kernel_size": 3, "strides": 2, "depth_multiplier": 2},
        (2, 6, 7, 2),
    ),
}


def pair(case, pad_values, padding="same"):
    """Returns the layer of Keras, ours with the same weights, and an input."""
    plain, padded, settings, shape = CASES[case]
    given = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    ours = padded(**settings, padding=padding, pad_values=pad_values)
    theirs = plain(**settings, padding=padding)
    expected = theirs(given)
    assert ours.compute_output_shape(shape) == expected.shape
    ours.build(shape)
    ours.set_weights(theirs.get_weights())
    return theirs, ours, given


@pytest.mark.parametrize("case", CASES)
def test_padding_with_zero_is_that_of_keras(case):
    theirs, ours, given = pair(case, 0.0)
    np.testing.assert_allclose(ours(given), theirs(given), atol=1e-5)


@pytest.mark.parametrize("value", [1.0, -2.5])
@pytest.mark.parametrize("case", CASES)
def test_padding_with_a_value_is_that_of_keras_moved_by_it(case, value):
    # conv(x) = conv(x - value) + value * sum of the kernel, and x - value is padded with 0.
    theirs, ours, given = pair(case, value)
    kernel = np.asarray(theirs.kernel)
    sums = kernel.sum(axis=(0, 1)).reshape(-1) if case == "depthwise" else None
    if sums is None:
        sums = kernel.sum(axis=tuple(range(kernel.ndim - 1)))
    np.testing.assert_allclose(ours(given), theirs(given - value) + value * sums, atol=1e-5)


def test_without_padding_a_value_is_refused():
    with pytest.raises(ValueError, match="`padding` must be 'same'.*padding='valid'"):
        PaddedConv2D(2, 3, pad_values=1.0)
    theirs, ours, given = pair("conv2d", 0.0, padding="valid")
    np.testing.assert_array_equal(ours(given), theirs(given))


@pytest.mark.parametrize("value", [None, "one", float("nan")])
def test_a_value_must_be_a_finite_number(value):
    with pytest.raises(ValueError, match="`pad_values` must be a finite number"):
        PaddedConv2D(2, 3, padding="same", pad_values=value)


def test_channels_first_pads_the_spatial_axes():
    layer = PaddedConv2D(2, 3, padding="same", pad_values=1.0, data_format="channels_first")
    assert layer.compute_output_shape((None, 5, 6, 7)) == (None, 2, 6, 7)


@pytest.mark.parametrize("padding, value", [("same", -1.0), ("valid", 0.0)])
def test_the_settings_go_round(padding, value):
    layer = PaddedConv2D(2, 3, padding=padding, pad_values=value, name="mine")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.get_config() == layer.get_config()
    assert (copy.get_config()["padding"], copy.pad_values) == (padding, value)


def test_sizes_that_vary_are_padded_where_nothing_depends_on_them():
    given = keras.Input((None, None, 2))
    layer = PaddedConv2D(1, 3, padding="same", pad_values=1.0, kernel_initializer="ones")
    model = keras.Model(given, layer(given))
    assert model.output_shape == (None, None, None, 1)
    # A corner of zeros sees 5 of 9 positions in the border, of 2 channels: 10 ones.
    assert model(np.zeros((1, 4, 4, 2)))[0, 0, 0, 0] == 10.0
    layer = PaddedConv2D(1, 3, strides=2, padding="same", pad_values=1.0, name="odd")
    with pytest.raises(ValueError, match="must have known sizes.*layer 'odd'"):
        layer(given)


def test_causal_padding_is_refused():
    with pytest.raises(ValueError, match="`padding` must be 'same'.*padding='causal'"):
        PaddedConv1D(2, 3, padding="causal", pad_values=1.0)

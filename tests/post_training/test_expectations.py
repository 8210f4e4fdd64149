"""Mean inputs without samples."""

import keras
import numpy as np
import pytest

from edgeax.post_training.equalization import Normal
from edgeax.post_training.expectations import expected_inputs, mean_of_clipped

layers = keras.layers


@pytest.mark.parametrize("low, high", [(0.0, np.inf), (0.0, 6.0), (-1.0, 2.0)])
def test_nbbw19_the_mean_of_clipped_normal_values_is_that_of_draws(low, high):
    mean, deviation = np.float64([-2, 0, 1, 7]), np.float64([1, 2, 0.5, 3])
    draws = np.random.default_rng(0).normal(mean, deviation, size=(400000, 4))
    expected = np.clip(draws, low, high).mean(0)
    np.testing.assert_allclose(mean_of_clipped(mean, deviation, low, high), expected, atol=0.01)


def test_a_deviation_of_zero_clips_the_mean():
    found = mean_of_clipped(np.float64([-1, 3]), np.zeros(2), 0.0, np.inf)
    np.testing.assert_allclose(found, [0.0, 3.0], atol=1e-9)


def chain():
    given = x = keras.Input((8, 8, 2))
    x = layers.Conv2D(3, 1, name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    y = layers.ReLU(name="relu")(x)
    z = layers.AveragePooling2D(2, name="pool")(y)
    z = layers.Conv2D(3, 1, activation="relu", name="folded")(z)
    z = layers.Flatten(name="flatten")(z)
    z = layers.Dense(4, name="dense")(z)
    m = layers.Conv2D(2, 1, name="behind_max")(layers.MaxPooling2D()(y))
    s = layers.Conv2D(2, 1, name="behind_sum")(layers.Add()([x, y]))
    return keras.Model(given, [z, m, s])


def test_means_are_followed_through_the_graph():
    model = chain()
    norm = model.get_layer("norm")
    norm.beta.assign([0.0, 1.0, -1.0])
    norm.gamma.assign([1.0, -2.0, 0.5])
    folded = Normal(np.float64([5, 0, -5]), np.float64([1e-9, 1, 1e-9]))
    found = expected_inputs(model, {"folded": folded})
    rectified = mean_of_clipped(np.float64([0, 1, -1]), np.float64([1, 2, 0.5]), 0.0, np.inf)
    assert rectified[0] == pytest.approx(1 / np.sqrt(2 * np.pi))
    np.testing.assert_allclose(found["relu"], [0, 1, -1])
    np.testing.assert_allclose(found["folded"], rectified)
    behind = [5.0, 1 / np.sqrt(2 * np.pi), 0.0]
    np.testing.assert_allclose(found["dense"], np.tile(behind, 16), atol=1e-6)
    np.testing.assert_allclose(found["behind_sum"], rectified + [0, 1, -1])
    assert found["conv"] is None and found["behind_max"] is None


def test_a_channel_without_variance_is_its_beta():
    given = keras.Input((4, 4, 2))
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(given))
    model = keras.Model(given, layers.Conv2D(2, 1, name="conv")(x))
    model.get_layer("norm").set_weights(np.float32([[2, 2], [0, 0], [0, 0], [0, 1]]))
    found = expected_inputs(model, {})["conv"]
    np.testing.assert_allclose(found, [0.0, 2 / np.sqrt(2 * np.pi)], atol=1e-6)

"""spread_channels: the function stays, folded ranges move apart, and equalization undoes it."""

import keras
import numpy as np
import pytest

import edgeax
from benchmarks.spread import spread_channels
from edgeax.post_training.equalization import equalize, normal_statistics
from tests.model import small_models

layers = keras.layers


def opened():
    given = keras.Input((6, 6, 2))
    x = small_models.block("inner")(layers.Conv2D(4, 1)(given))
    return keras.Model(given, layers.Dense(2)(x))


def ratio(model):
    """The largest ratio of two channels' ranges in the first convolution, once it is folded."""
    made = np.abs(edgeax.fold_batch_norm(model).layers[1].kernel).max((0, 1, 2))
    return made.max() / made.min()


@pytest.mark.parametrize("make", [small_models.convolutional, opened])
def test_the_function_stays(make):
    model, given = make(), small_models.images()
    spread = spread_channels(model)
    np.testing.assert_allclose(spread(given), model(given), rtol=1e-4, atol=1e-6)
    assert not all(map(np.allclose, spread.get_weights(), model.get_weights()))


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(32, 3, name="one"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.Conv2D(3, 3, name="two"),
        ]
    )


def test_ranges_move_apart_by_the_factor_and_back():
    model = network()
    spread = spread_channels(model, factor=100.0)
    assert ratio(model) < 2.0 and 40.0 < ratio(spread) < 200.0
    assert ratio(equalize(spread, absorb_biases=False).model) < 3.0
    np.testing.assert_array_equal(spread.get_layer("one").kernel, model.get_layer("one").kernel)
    assert np.ptp(normal_statistics(spread)["one"].deviation) > 5.0
    assert ratio(spread_channels(model, seed=1)) != ratio(spread)

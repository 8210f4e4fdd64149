"""Ranges: of training, of samples, with zero in them."""

import keras
import numpy as np
import pytest

from edgeax.export.freeze import freeze
from tests.export import networks
from tests.export.networks import images, normal, roundings, sequential

layers = keras.layers


def test_ranges_are_those_that_training_followed(compressed, frozen):
    found = roundings(frozen)
    ends = {"stem": "stem_relu", "left": "left_relu6"}
    for name in ("stem", "left", "add", "channels", "global_pool"):
        quantizer = compressed.get_layer(ends.get(name, name)).quantizer("output")
        assert found[name].grid.extremes == quantizer.extremes
    first = compressed.get_layer("stem").quantizer("input").extremes
    assert found["image"].grid.extremes == first
    logits = compressed.get_layer("head").quantizer("before_activation").extremes
    assert frozen.points[-2].grid.extremes == logits


def test_ranges_of_an_untrained_model_are_those_of_the_samples():
    model = networks.convolutional()
    x = images(100)  # more than one batch of the calibration
    found = roundings(freeze(model, [x], integer=True))
    for name, path in (("stem_relu", "stem"), ("add", "add"), ("global_pool", "global_pool")):
        values = np.asarray(keras.Model(model.input, model.get_layer(name).output)(x))
        low, high = min(values.min(), 0.0), values.max()
        np.testing.assert_allclose(found[path].grid.extremes, (low, high), atol=0.02 * (high - low))
    assert found["image"].grid.extremes == (float(x.min()), float(x.max()))
    assert found["head"].grid.extremes == (0.0, 255 / 256)  # what TFLite demands of a softmax


@pytest.mark.parametrize("shift, ends", [(5.0, (0.0, None)), (-5.0, (None, 1e-6))])
def test_a_range_contains_zero(shift, ends):
    model = sequential(keras.Input((3,)), layers.Dense(2))
    x = normal(8, 3) * 0.1 + shift
    low, high = freeze(model, [x], integer=True).points[0].grid.extremes
    expected = [float(x.min()), float(x.max())]
    assert (low, high) == tuple(
        e if e is not None else v for e, v in zip(ends, expected, strict=True)
    )


def test_values_too_large_for_a_grid_are_refused_and_the_layer_is_named():
    sums = layers.Dense(2, kernel_initializer="ones", name="sums")
    model = keras.Sequential([keras.Input((4,)), sums, layers.Dense(2)])
    x = np.float32([[6e37] * 4, [-6e37] * 4])
    with pytest.raises(ValueError, match="finite values .* from -2.4e.38 to 2.4e.38 behind 'sums'"):
        freeze(model, [x], integer=True)

"""Weights of a training step as variables: floats, int8 codes, and parts of either."""

import keras
import numpy as np
import pytest

from edgeax.export.held_weights import hold
from edgeax.model.trained_weights import TrainedWeight

STEPS = np.float32([[0.5, 0.25]])


@pytest.fixture
def layer():
    layer = keras.layers.Dense(2, kernel_constraint=keras.constraints.NonNeg())
    layer.build((None, 3))
    layer.kernel.assign([[1.0, -1.0], [0.3, 0.3], [100.0, 0.0]])
    layer.bias.assign([1.5, -2.5])
    return layer


def test_a_float_weight_is_a_variable_of_its_own(layer):
    held = hold("dense/kernel", TrainedWeight("dense", layer, layer.kernel), None)
    assert held.variable is held.reference and held.codes is None
    assert held.variable is not layer.kernel and held.variable.name == "dense_kernel"
    assert held.variable.constraint is layer.kernel.constraint
    np.testing.assert_array_equal(held.value(), layer.kernel)


def test_a_kernel_in_codes_has_the_nearest_ones_and_their_values(layer):
    held = hold("dense/kernel", TrainedWeight("dense", layer, layer.kernel), STEPS)
    assert held.variable is held.codes and held.codes.dtype == "int8"
    np.testing.assert_array_equal(held.codes, [[2, -4], [1, 1], [127, 0]])
    np.testing.assert_array_equal(held.value(), [[1.0, -1.0], [0.5, 0.25], [63.5, 0.0]])


def test_a_bias_stays_float_beside_codes(layer):
    held = hold("dense/bias", TrainedWeight("dense", layer, layer.bias), STEPS)
    assert held.codes is None
    np.testing.assert_array_equal(held.value(), [1.5, -2.5])


@pytest.mark.parametrize("steps", [STEPS, np.float32([[0.5], [0.1], [1.0]])])
def test_of_a_part_only_that_is_held(layer, steps):
    weight = TrainedWeight("dense", layer, layer.kernel, channels=2, axis=0)
    np.testing.assert_array_equal(hold("k", weight, None).value(), layer.kernel[:2])
    expected = np.rint(np.asarray(layer.kernel) / steps)[:2]
    np.testing.assert_array_equal(hold("k", weight, steps).codes, expected)

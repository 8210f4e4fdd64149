"""Constraints behind the update."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.constraints import WeightClip
from edgeax.layers import QuantDense

layers = keras.layers


def trained(layer, kernel, gradient):
    """Returns the kernel of a layer with one input after one step of SGD with rate 1."""
    model = keras.Sequential([keras.Input((1,)), layer])
    layer.trainable_weights[0].assign([kernel])
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y, x: keras.ops.sum(y * x, axis=-1))
    model.fit(np.ones((1, 1)), np.float32([gradient]), verbose=0)
    return np.asarray(layer.trainable_weights[0])[0].tolist()


def test_cbd15_chs16_clips_the_update():
    # 0.5 - (-1), -0.75 - 0.5, 0.25 - 0.5 and 1 - 0.25, the first two beyond [-1, 1]
    plain = layers.Dense(4, use_bias=False, kernel_constraint=WeightClip())
    steps = ([0.5, -0.75, 0.25, 1.0], [-1.0, 0.5, 0.5, 0.25])
    assert trained(plain, *steps) == [1.0, -1.0, -0.25, 0.75]


def test_it_stays_with_the_weight_that_is_quantized():
    # The update and the clip act on the real weight, whatever the layer computes with.
    layer = QuantDense(
        4, use_bias=False, kernel_quantizer="int3", kernel_constraint=WeightClip(0.5)
    )
    steps = ([0.5, -0.25, 0.25, 0.5], [-1.0, 0.5, 0.5, 0.25])
    assert trained(layer, *steps) == [0.5, -0.5, -0.25, 0.25]


def test_it_goes_with_the_layer_through_compress_and_a_file(tmp_path):
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, kernel_constraint=WeightClip(0.25))]
    )
    compressed = edgeax.compress(model, ["int8"])
    compressed.save(tmp_path / "model.keras")
    for one in (compressed, keras.models.load_model(tmp_path / "model.keras")):
        constraint = one.layers[0].kernel.constraint
        assert isinstance(constraint, WeightClip) and constraint.clip_value == 0.25


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_the_largest_magnitude_is_above_0(value):
    with pytest.raises(ValueError, match="`clip_value` must be above 0"):
        WeightClip(value)

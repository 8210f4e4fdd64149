import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import LearnedInterval
from tests.transforms.bound import activation_chain, weight_chain

WEIGHT = np.random.default_rng(0).normal(0, 0.5, size=(4, 6)).astype(np.float32)


def reference(weight, center, distance, gamma):
    """The row's formula in float64."""
    slope, offset = 0.5 / distance, 0.5 - 0.5 * center / distance
    size = np.clip(slope * np.abs(weight.astype(np.float64)) + offset, 0, 1)
    return np.sign(weight) * size**gamma


def test_jsl19_gradients_equal_finite_differences():
    chain = weight_chain(LearnedInterval(4, train_gamma=True), WEIGHT)
    quantizer = chain.transforms[0]
    at = {"center": 0.4, "distance": 0.25, "gamma": 1.3}
    variables = [getattr(quantizer, name) for name in at]
    for variable, value in zip(variables, at.values(), strict=True):
        variable.assign(value)
    upstream = np.random.default_rng(1).normal(size=WEIGHT.shape)
    with tf.GradientTape() as tape:
        value = chain.call(tf.constant(WEIGHT))
    found = tape.gradient(
        value, [variable.value for variable in variables], upstream.astype(np.float32)
    )
    for name, gradient in zip(at, found, strict=True):
        above, below = {**at, name: at[name] + 1e-6}, {**at, name: at[name] - 1e-6}
        rise = reference(WEIGHT, **above) - reference(WEIGHT, **below)
        assert gradient.numpy() == pytest.approx(np.sum(upstream * rise) / 2e-6, rel=1e-3)
    # And of the weights themselves.
    weight = tf.constant(WEIGHT)
    with tf.GradientTape() as tape:
        tape.watch(weight)
        value = chain.call(weight)
    gradient = tape.gradient(value, weight, upstream.astype(np.float32))
    wide = WEIGHT.astype(np.float64)
    rise = reference(wide + 1e-6, **at) - reference(wide - 1e-6, **at)
    assert np.allclose(gradient, upstream * rise / 2e-6, rtol=1e-3, atol=1e-5)


def test_jsl19_prunes_below_the_interval_clips_above_and_rounds_between():
    chain = weight_chain(LearnedInterval(3), WEIGHT)
    chain.transforms[0].center.assign(1.0)
    chain.transforms[0].distance.assign(0.5)
    # Within [0.5, 1.5] magnitudes grow from 0 to 1 in 3 steps.
    weight = np.float32([0.4, -0.6, 0.7, -1.1, 1.6])
    expected = np.float32([0.0, 0.0, 1 / 3, -2 / 3, 1.0])
    assert np.allclose(chain.call(tf.constant(weight)), expected, atol=1e-6)


def test_nothing_is_pruned_or_clipped_at_the_start():
    quantizer = weight_chain(LearnedInterval(4), WEIGHT).transforms[0]
    center, distance = quantizer.center.numpy(), quantizer.distance.numpy()
    assert center - distance == 0.0
    assert center + distance == np.max(np.abs(WEIGHT))


def test_an_activation_has_all_its_steps_above_zero():
    chain = activation_chain(LearnedInterval(2), np.float32([[3.0, -9.0]]))
    batch = np.float32([[-1.0, 0.4, 0.9, 2.0, 5.0]])
    expected = np.float32([[0.0, 0.0, 1 / 3, 2 / 3, 1.0]])
    assert np.allclose(chain.call(tf.constant(batch)), expected, atol=1e-6)

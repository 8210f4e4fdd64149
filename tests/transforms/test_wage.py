import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import WAGE, WAGEError, WAGEInitializer, WAGEUpdate
from tests.transforms.bound import activation_chain, value_and_gradients, weight_chain


def test_wlcs18_weights_and_activations_lie_on_powers_of_two():
    # 2 bits: sigma 1/2, clipped to 1/2; 6 weights per channel: the limit 1 needs no scale.
    weight = np.float32([[-3.0], [-0.3], [-0.2], [0.1], [0.26], [0.9]])
    value, gradient = value_and_gradients(weight_chain(WAGE(2), weight), weight, weight)
    assert value.ravel().tolist() == [-0.5, -0.5, 0.0, 0.0, 0.5, 0.5]
    assert np.array_equal(gradient, weight)  # the gradient of a weight passes the clip
    # 8 bits: sigma 1/128.
    batch = np.float32([[-2.0, 1 / 300, 0.5, 2.0]])
    value, gradient = value_and_gradients(activation_chain(WAGE(8)), batch, np.ones_like(batch))
    assert value.tolist() == [[-127 / 128, 0.0, 0.5, 127 / 128]]
    assert gradient.tolist() == [[0.0, 1.0, 1.0, 0.0]]


@pytest.mark.parametrize(
    "fan_in, scale",
    # sqrt(6 / n): 1, 0.5, 0.1; three quarters over it: 0.75, 1.5, 7.5; nearest powers of two.
    [(6, 1.0), (24, 2.0), (600, 8.0)],
)
def test_wlcs18_a_layers_scale_is_a_power_of_two(fan_in, scale):
    weight = np.full((fan_in, 1), 0.75, np.float32)
    value = weight_chain(WAGE(2), weight).call(tf.constant(weight))
    assert np.unique(value).tolist() == [0.5 / scale]
    drawn = np.asarray(WAGEInitializer(2)((fan_in, 400)))
    limit = max(np.sqrt(6 / fan_in), 0.75)
    assert np.abs(drawn).max() == pytest.approx(limit, rel=0.02)


def test_wlcs18_errors_are_scaled_by_a_power_of_two():
    # max 12: log2 is 3.58, nearest power 16. 3 bits: sigma 1/4, clipped to 3/4.
    upstream = np.float32([[12.0, -12.0, 5.0, 1.0]])
    chain = activation_chain(WAGEError(3))
    value, gradient = value_and_gradients(chain, upstream, upstream)
    assert np.array_equal(value, upstream)
    assert gradient.tolist() == [[0.75, -0.75, 0.25, 0.0]]
    # max 11: log2 is 3.46, nearest power 8; 11 / 8 is clipped.
    upstream = np.float32([[11.0, 5.0]])
    assert value_and_gradients(chain, upstream, upstream)[1].tolist() == [[0.75, 0.5]]


def test_wlcs18_updates_are_whole_steps_and_unbiased():
    weight = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    chain = weight_chain(WAGEUpdate(8, rate=2.0, seed=1), weight)
    found = []
    for step in range(500):
        chain.calls.assign(step)
        found.append(value_and_gradients(chain, weight, weight, training=True)[1])
    steps = np.stack(found) * 128
    assert np.array_equal(steps, np.round(steps))
    shift = 2.0 ** np.round(np.log2(np.abs(weight).max()))
    assert np.allclose(steps.mean(axis=0), 2.0 * weight / shift, atol=5 * 0.5 / np.sqrt(500))

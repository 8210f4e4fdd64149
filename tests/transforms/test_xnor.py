import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import XNORWeight
from tests.transforms.bound import value_and_gradients, weight_chain


def test_rorf16_the_gradient_is_the_one_worked_out_by_hand():
    # Filters (3, -0.5) and (0.2, -0.6); means 1.25 and -0.2.
    weight = np.float32([[3.0, 0.2], [-0.5, -0.6]])
    upstream = np.float32([[1.0, 10.0], [100.0, 1000.0]])
    chain = weight_chain(XNORWeight(center=False), weight)
    value, gradient = value_and_gradients(chain, weight, upstream)
    assert np.allclose(value, [[1.75, 0.4], [-1.75, -0.4]])
    # 1/n is 1/2; the 3 lies beyond 1 and has nothing else.
    assert np.allclose(gradient, [[0.5, 10 * 0.9], [100 * (0.5 + 1.75), 1000 * 0.9]])
    # Centered: +-1.75 clipped to +-1, and +-0.4.
    chain = weight_chain(XNORWeight(), weight)
    value, gradient = value_and_gradients(chain, weight, upstream)
    assert np.allclose(value, [[1.0, 0.4], [-1.0, -0.4]])
    assert np.allclose(gradient, [[0.5, 10 * 0.9], [100 * 0.5, 1000 * 0.9]])


def test_rorf16_no_other_scale_of_the_signs_is_nearer():
    weight = np.random.default_rng(0).normal(size=(3, 3, 4, 6)).astype(np.float32)
    value = weight_chain(XNORWeight(center=False), weight).call(tf.constant(weight)).numpy()
    best = np.square(value - weight).sum()
    for gain in (0.98, 0.999, 1.001, 1.02):
        assert np.square(gain * value - weight).sum() > best


def test_rorf16_a_kernel_is_centered_over_its_input_channels():
    weight = np.zeros((1, 2, 2, 1), np.float32)
    weight[0, 0, :, 0] = [0.5, 0.1]  # mean 0.3: -> 0.2, -0.2
    weight[0, 1, :, 0] = [-0.5, -0.1]  # mean -0.3: -> -0.2, 0.2
    value = weight_chain(XNORWeight(), weight).call(tf.constant(weight)).numpy()
    assert value.ravel() == pytest.approx([0.2, -0.2, -0.2, 0.2])


def test_a_filter_of_zeros_stays_zero_in_codes_too():
    weight = np.float32([[0.0, 1.0], [0.0, -3.0]])
    chain = weight_chain(XNORWeight(center=False), weight)
    assert chain.freeze(weight).decode().tolist() == [[0.0, 2.0], [0.0, -2.0]]

import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import Heaviside, Sign, Ternary
from tests.transforms.bound import activation_chain, value_and_gradients, weight_chain

WEIGHT = np.float32([[0.0, -3.0], [2.0, 1.0]])


def test_the_sign_of_zero_is_one():
    value = activation_chain(Sign()).call(tf.constant([[0.0, -0.0, -1e-30, 3.0]]))
    assert value.numpy().tolist() == [[1.0, 1.0, -1.0, 1.0]]


def test_a_magnitude_aware_sign_has_the_mean_magnitude_of_its_channel():
    chain = weight_chain(Sign(scale="mean_magnitude"), WEIGHT)
    value, gradient = value_and_gradients(chain, WEIGHT, np.ones_like(WEIGHT))
    assert value.tolist() == [[1.0, -2.0], [1.0, 2.0]]
    assert gradient.tolist() == [[1.0, 0.0], [0.0, 2.0]]


def test_without_a_threshold_it_is_a_part_of_the_mean():
    # 0.7 * 1.5 = 1.05
    value = weight_chain(Ternary(None), WEIGHT).call(tf.constant(WEIGHT))
    assert value.numpy().tolist() == [[0.0, -1.0], [1.0, 0.0]]


@pytest.mark.parametrize("make", [lambda: Sign(scale="mean_magnitude"), lambda: Ternary(None)])
def test_what_follows_the_mean_of_a_tensor_is_refused_at_an_activation(make):
    with pytest.raises(ValueError, match="must be .* for an activation"):
        activation_chain(make())


def test_larqs_tern_and_heaviside_have_larqs_values():
    batch = np.float32([[-1.2, -0.06, -0.04, 0.0, 0.06]])
    chain = activation_chain(Ternary())
    value, gradient = value_and_gradients(chain, batch, np.ones_like(batch))
    assert value.tolist() == [[-1.0, -1.0, 0.0, 0.0, 1.0]]
    assert gradient.tolist() == [[0.0, 1.0, 1.0, 1.0, 1.0]]
    chain = activation_chain(Heaviside())
    value, _ = value_and_gradients(chain, batch, np.ones_like(batch))
    assert value.tolist() == [[0.0, 0.0, 0.0, 0.0, 1.0]]

import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import WRPN
from tests.transforms.bound import activation_chain, value_and_gradients, weight_chain


@pytest.mark.parametrize("bits, levels", [(2, 3), (3, 7), (4, 15)])
def test_mncm17_weights_have_an_odd_number_of_levels(bits, levels):
    weight = np.linspace(-2, 2, 401, dtype=np.float32).reshape(1, -1)
    value = weight_chain(WRPN(bits), weight).call(tf.constant(weight)).numpy()
    steps = (levels - 1) // 2
    assert np.unique(value).size == levels
    assert np.allclose(value, np.round(np.clip(weight, -1, 1) * steps) / steps, atol=1e-6)


def test_mncm17_activations_are_clipped_to_zero_and_one():
    batch = np.float32([[-1.0, 0.2, 0.6, 2.0]])
    value, gradient = value_and_gradients(activation_chain(WRPN(2)), batch, np.ones_like(batch))
    assert np.allclose(value, [[0.0, 1 / 3, 2 / 3, 1.0]])
    assert gradient.tolist() == [[0.0, 1.0, 1.0, 0.0]]


def test_mncm17_a_weights_gradient_stops_beyond_one():
    weight = np.float32([[-1.5, -0.5, 0.9, 1.5]])
    _, gradient = value_and_gradients(weight_chain(WRPN(4), weight), weight, np.ones_like(weight))
    assert gradient.tolist() == [[0.0, 1.0, 1.0, 0.0]]

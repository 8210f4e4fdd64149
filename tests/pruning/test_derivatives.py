import numpy as np
import pytest
import tensorflow as tf

from edgeax.pruning.api import case_of
from edgeax.pruning.criteria import Gradient
from edgeax.pruning.derivatives import Curvature, mean_gradients
from edgeax.pruning.weights import weights_of
from tests.pruning import nets


def case(model, x, y, batch_size=64):
    small = nets.masked(model)
    found = case_of(small, weights_of(small), Gradient(), x, y)
    found.batch_size = batch_size
    return found, [weight.variable for weight in found.weights]


@pytest.mark.parametrize("batch_size", [64, 7])
def test_the_mean_gradient_is_that_of_all_samples_at_once(batch_size):
    model = nets.dense(5, 3)
    x, y = nets.data()
    found = mean_gradients(*case(model, x, y, batch_size))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x) - y) ** 2)
    wanted = tape.gradient(loss, [layer.kernel.value for layer in model.layers])
    for one, other in zip(found, wanted, strict=True):
        assert np.allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("batch_size", [64, 7])
def test_the_vectors_of_the_curvature_make_the_gauss_newton_matrix(batch_size):
    model = nets.dense(5, 3)
    x, y = nets.data(12)
    chunks = [*Curvature(*case(model, x, y, batch_size)).vectors()]
    vectors = np.concatenate([chunk[0].reshape(len(chunk[0]), -1) for chunk in chunks])
    with tf.GradientTape() as tape:
        outputs = model(x)
    jacobian = tape.jacobian(outputs, model.layers[0].kernel.value).numpy().reshape(12 * 3, -1)
    # The loss of a sample is the mean of three squares: its Hessian in them is 2/3.
    wanted = 2 / 3 * jacobian.T @ jacobian / 12
    assert vectors.shape == (36, 30)
    assert np.allclose(vectors.T @ vectors / 12, wanted, rtol=1e-4, atol=1e-6)

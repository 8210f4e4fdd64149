import numpy as np
import pytest
import tensorflow as tf

from edgeax.model.case import case_for
from edgeax.model.derivatives import Curvature, gauss_newton_diagonal, mean_gradients
from tests.pruning import nets


def case(model, x, y, batch_size=64):
    found = case_for(model, [], ("samples", "labels", "loss"), "a test", x, y)
    found.batch_size = batch_size
    return found, [layer.kernel for layer in model.layers]


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


def test_the_diagonal_is_that_of_the_matrix_that_the_vectors_make():
    given = case(nets.dense(5, 3), *nets.data(12), 7)
    chunks = [*Curvature(*given).vectors()]
    for place, found in enumerate(gauss_newton_diagonal(*given)):
        vectors = np.concatenate([chunk[place] for chunk in chunks])
        assert found.dtype == np.float64
        assert np.allclose(found, np.sum(vectors**2, axis=0) / 12, rtol=1e-5)

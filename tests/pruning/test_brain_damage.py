import keras
import numpy as np
import tensorflow as tf

import edgeax
from edgeax.pruning.api import case_of, prune
from edgeax.pruning.brain_damage import BrainDamage, gauss_newton_diagonal
from edgeax.pruning.weights import weights_of
from tests.model import small_models
from tests.pruning import nets


def hessian_diagonal(model, variable, x, y):
    """The diagonal of the Hessian of the model's loss, by differentiating twice."""
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = model.compute_loss(x, y, model(x))
        slope = inner.gradient(loss, variable.value)
    size = int(np.prod(variable.shape))
    full = outer.jacobian(slope, variable.value).numpy().reshape(size, size)
    return np.diag(full).reshape(variable.shape)


def diagonal(model, x, mask=None):
    small = nets.masked(model)
    small.compile("sgd", model.loss)
    if mask is not None:
        weights_of(small)[0].set_mask(mask)
    return gauss_newton_diagonal(case_of(small, weights_of(small), BrainDamage(), x)), small


def test_cds90_the_diagonal_is_that_of_the_hessian_of_a_quadratic_net():
    model = nets.dense(4, 3, activation="linear")
    x, y = nets.data(30)
    found, _ = diagonal(model, x)
    for one, layer in zip(found, model.layers, strict=True):
        assert np.allclose(one, hessian_diagonal(model, layer.kernel, x, y), rtol=1e-4)


def test_it_is_exact_for_softmax_and_rectifiers_too():
    model = nets.dense(5, 3, last="softmax", loss="sparse_categorical_crossentropy")
    x, _ = nets.data(30)
    found, _ = diagonal(model, x)
    for one, layer in zip(found, model.layers, strict=True):
        wanted = hessian_diagonal(model, layer.kernel, x, nets.classes(30))
        assert np.allclose(one, wanted, rtol=1e-3, atol=1e-6)


def test_convolutions_sum_over_places_before_they_square():
    model = small_models.convolutional()
    model.compile("sgd", "sparse_categorical_crossentropy")
    images, labels = small_models.images(5), small_models.labels(5)
    found, small = diagonal(model, images)
    conv, depthwise, _ = found
    wanted = hessian_diagonal(model, model.get_layer("conv").kernel, images, labels)
    assert np.allclose(conv, wanted, rtol=1e-3, atol=1e-7)
    wanted = hessian_diagonal(model, model.get_layer("depthwise").kernel, images, labels)
    assert np.allclose(depthwise, wanted.reshape(3, 3, 4), rtol=1e-3, atol=1e-7)


def test_saliency_is_half_the_curvature_times_the_square_and_the_smallest_go():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    model.layers[0].kernel.assign([[1.0], [2.0], [3.0]])
    # Inputs 4, 1, 0.5: h = 2 x**2 is 32, 2, 0.5; saliencies are 16, 4 and 2.25.
    x = np.float32([[4.0, 1.0, 0.5]])
    small = nets.masked(model)
    case = case_of(small, weights_of(small), BrainDamage(), x, loss="mse")
    assert np.allclose(BrainDamage().scores(case)[0].ravel(), [16.0, 4.0, 2.25])
    (mask,) = nets.masks(prune(model, 2 / 3, "brain_damage", samples=x)).values()
    assert mask.ravel().tolist() == [True, False, False]
    (mask,) = nets.masks(prune(model, 2 / 3, "magnitude")).values()  # it would keep the other end
    assert mask.ravel().tolist() == [False, False, True]


def test_what_is_masked_has_its_curvature_at_zero():
    model = nets.dense(4, 3, activation="linear")
    x, y = nets.data(30)
    mask = np.ones((6, 4), bool)
    mask[:, 0] = mask[0] = False
    found, small = diagonal(model, x, mask)
    twin = edgeax.strip(small)
    wanted = hessian_diagonal(twin, twin.layers[0].kernel, x, y)
    assert np.allclose(found[0], wanted, rtol=1e-4) and (wanted[mask == 0] > 0).all()

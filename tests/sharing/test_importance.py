import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.model.case import case_for
from edgeax.sharing.importance import Hessian, SecondMoment, importance_of
from edgeax.sharing.weights import clustered_copy
from edgeax.transforms.cluster import Cluster
from tests.post_training import cases
from tests.pruning import nets

layers = keras.layers


def case_of(model, importance, samples=None, labels=None):
    """Returns the case of a clustered copy."""
    copy, weights = clustered_copy(model, Cluster(4))
    return case_for(copy, weights, importance.needs, "a test", samples, labels)


def test_cel16_the_hessian_says_what_the_loss_gains():
    """Of a net that is linear in each weight, half of it times the square of a small change, once
    the part that is linear in the change is taken off."""
    model = nets.dense(4, 3, activation="linear")
    x, y = nets.data(30)
    found = Hessian().of(case_of(model, Hessian(), x, y), model)
    for layer, diagonal in zip(model.layers, found, strict=True):
        assert diagonal.shape == tuple(layer.kernel.shape) and (diagonal > 0).all()
        before, kernel = nets.loss_of(model, x, y), np.asarray(layer.kernel)
        for place in [(0, 0), (2, 1), (3, 2)]:
            losses = []
            for change in (-0.5, 0.5):
                moved = kernel.copy()
                moved[place] += change
                layer.kernel.assign(moved)
                losses.append(nets.loss_of(model, x, y))
            layer.kernel.assign(kernel)
            gain = np.mean(losses) - before  # what is linear in the change falls out
            assert gain == pytest.approx(0.5 * diagonal[place] * 0.25, rel=1e-3)


def test_cel16_the_optimizer_gives_the_root_of_its_second_moment():
    model = nets.dense(4, 3)
    model.compile(keras.optimizers.Adam(1e-3, beta_2=0.75), "mse")
    x, y = nets.data(20)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x) - y) ** 2)
    gradients = tape.gradient(loss, [layer.kernel.value for layer in model.layers])
    model.fit(x, y, batch_size=20, epochs=1, verbose=0)
    found = SecondMoment().of(case_of(model, SecondMoment()), model)
    for importance, gradient in zip(found, gradients, strict=True):
        # After one step it is a quarter of the squared gradient.
        assert np.allclose(importance, 0.5 * np.abs(gradient), rtol=1e-4, atol=1e-7)


def test_the_optimizer_of_a_compressed_model_knows_its_kernels_too():
    small = edgeax.compress(nets.dense(4, 3), [edgeax.Prune(0.5)])
    small.compile("adam", "mse")
    x, y = nets.data(20)
    small.fit(x, y, epochs=1, verbose=0)
    case = case_of(small, SecondMoment())
    for weight, importance in zip(case.weights, SecondMoment().of(case, small), strict=True):
        assert importance.shape == weight.value.shape
        assert np.array_equal(importance > 0, weight.value != 0)  # what is pruned has no gradient


def test_kernels_come_in_canonical_layout():
    keras.utils.set_random_seed(0)
    up = layers.Conv2DTranspose(3, 2, name="up")
    model = keras.Sequential([keras.Input((2, 2, 5)), up, layers.Flatten(), layers.Dense(2)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(8, 2, 2, 5)).astype(np.float32)
    model.fit(x, np.zeros((8, 2)), epochs=1, verbose=0)
    for importance in (Hessian(), SecondMoment()):
        found = importance.of(case_of(model, importance, x), model)
        assert found[0].shape == (2, 2, 5, 3)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", None])
def test_an_optimizer_without_a_second_moment_is_refused(optimizer):
    model = nets.dense(4, 3)
    if optimizer is None:
        model = keras.Model(model.inputs, model.outputs)
    else:
        model.compile(optimizer, "mse")
    said = f"`importance` can be 'optimizer'.*Received: {optimizer}.*first/kernel"
    with pytest.raises(ValueError, match=said):
        SecondMoment().of(case_of(model, SecondMoment()), model)


def test_layers_of_a_subclassed_model_are_found_by_place():
    model, samples = cases.subclassed()
    model.compile("adam", "mse")
    model.fit(samples, np.zeros((120, 3)), epochs=1, verbose=0)
    small = edgeax.compress(model, [edgeax.Prune(0.5)])
    for given, importance in ((model, SecondMoment()), (model, Hessian()), (small, Hessian())):
        case = case_of(given, importance, samples)
        found = importance.of(case, given)
        assert [part.shape for part in found] == [(5, 8), (8, 3)]
        assert all(part.any() for part in found)


def test_rounded_activations_do_not_stand_in_the_way():
    model = nets.dense(4, 3)
    x, _ = nets.data()
    small = edgeax.compress(model, edgeax.Recipe([edgeax.Rule(".*", output="int8")]))
    found, plain = (Hessian().of(case_of(m, Hessian(), x), m) for m in (small, model))
    for one, other in zip(found, plain, strict=True):
        assert np.allclose(one, other)


def test_words_stand_for_importances():
    assert isinstance(importance_of("hessian"), Hessian)
    assert isinstance(importance_of("optimizer"), SecondMoment)
    own = Hessian()
    assert importance_of(own) is own and importance_of(None) is None
    with pytest.raises(ValueError, match="`importance` must be one of.*'fisher'"):
        importance_of("fisher")

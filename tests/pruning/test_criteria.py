import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.pruning.api import case_of
from edgeax.pruning.criteria import CRITERIA, Criterion, criterion_of
from edgeax.pruning.weights import weights_of
from tests.model import small_models
from tests.pruning import nets


def scores(name, model, x=None, y=None, **settings):
    criterion = criterion_of(name)
    small = nets.masked(model)
    case = case_of(small, weights_of(small), criterion, x, y)
    for setting, value in settings.items():
        setattr(case, setting, value)
    return criterion.scores(case)


def gradients(model, x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x) - y) ** 2)
    return [g.numpy() for g in tape.gradient(loss, [layer.kernel.value for layer in model.layers])]


def test_magnitudes_and_squares():
    model = nets.dense(2, inputs=2)
    model.layers[0].kernel.assign([[1.0, -2.0], [0.5, 3.0]])
    assert scores("magnitude", model)[0].tolist() == [[1, 2], [0.5, 3]]
    assert scores("l2", model)[0].tolist() == [[1, 4], [0.25, 9]]


def test_gradient_is_that_of_all_samples():
    model = nets.dense(5, 3)
    x, y = nets.data()
    found = scores("gradient", model, x, y, batch_size=7)
    for one, wanted in zip(found, gradients(model, x, y), strict=True):
        assert np.allclose(one, np.abs(wanted), atol=1e-6)


def test_taylor_is_the_weight_times_its_gradient_batch_by_batch():
    model = nets.dense(5, 3)
    x, y = nets.data(30)
    found = scores("taylor", model, x, y, batch_size=20)
    first, second = gradients(model, x[:20], y[:20]), gradients(model, x[20:], y[20:])
    for one, a, b, layer in zip(found, first, second, model.layers, strict=True):
        kernel = np.asarray(layer.kernel)
        assert np.allclose(one, (2 * np.abs(kernel * a) + np.abs(kernel * b)) / 3, atol=1e-6)


def test_taylor_foretells_what_the_loss_changes_by():
    model = nets.dense(5, 3)
    x, y = nets.data()
    found = scores("taylor", model, x, y)[0]
    kernel, before = np.asarray(model.layers[0].kernel), nets.loss_of(model, x, y)
    for place in np.ndindex(kernel.shape):
        shrunk = kernel.copy()
        shrunk[place] *= 0.99
        model.layers[0].kernel.assign(shrunk)
        change = abs(nets.loss_of(model, x, y) - before)
        assert 100 * change == pytest.approx(found[place], rel=0.1, abs=2e-4)


def test_folded_magnitude_is_that_of_the_kernel_behind_its_normalization():
    import edgeax

    model = small_models.convolutional()
    found = scores("folded_magnitude", model)
    folded = edgeax.fold_batch_norm(model)
    assert np.allclose(found[0], np.abs(folded.get_layer("conv").kernel), rtol=1e-5)
    assert np.allclose(found[2], np.abs(model.get_layer("head").kernel))


def test_random_follows_its_seed():
    model = nets.dense(4, 3)
    one, same, other = (scores("random", model, seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert one.min() > 0


def test_transposed_kernels_are_scored_in_canonical_layout():
    keras.utils.set_random_seed(0)
    layer = keras.layers.Conv2DTranspose(3, 2)
    model = keras.Sequential([keras.Input((3, 3, 5)), layer])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(4, 3, 3, 5)).astype(np.float32)
    y = np.zeros((4, *model.output_shape[1:]), np.float32)
    for name in ("gradient", "taylor", "brain_damage"):
        (found,) = scores(name, model, x, y)
        assert found.shape == (2, 2, 5, 3)
    wanted = np.swapaxes(gradients(model, x, y)[0], 2, 3)
    assert np.allclose(scores("gradient", model, x, y)[0], np.abs(wanted), atol=1e-6)


@pytest.mark.parametrize("name", CRITERIA)
def test_every_word_stands_for_a_documented_criterion(name):
    made = criterion_of(name)
    assert isinstance(made, Criterion) and type(made).__doc__
    assert criterion_of(made) is made


def test_an_unknown_criterion_is_refused_and_a_near_one_named():
    with pytest.raises(
        ValueError, match="`criterion` must be one of.*brain_surgery.*brain_surgeon"
    ):
        criterion_of("brain_surgery")

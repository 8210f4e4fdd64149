import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.model.objective import Objective
from tests.pruning import nets

losses = keras.losses


def hessian_by_autodiff(numbers, loss):
    """The Hessian of the loss of one sample in what it is convex in."""
    numbers = tf.constant(numbers)
    with tf.GradientTape() as outer:
        outer.watch(numbers)
        with tf.GradientTape() as inner:
            inner.watch(numbers)
            value = loss(numbers[None])
        slope = inner.gradient(value, numbers)
    size = int(np.prod(numbers.shape))
    return outer.jacobian(slope, numbers).numpy().reshape(size, size)


LOGITS = np.float32([0.3, -1.2, 2.0])
CASES = {
    "mse": ("mse", lambda z: z, lambda z: losses.mean_squared_error([[1.0, 2, 3]], z)),
    "softmax": (
        "sparse_categorical_crossentropy",
        tf.nn.softmax,
        lambda z: losses.sparse_categorical_crossentropy(tf.constant([1]), z, from_logits=True),
    ),
    "one-hot logits": (
        losses.CategoricalCrossentropy(from_logits=True),
        lambda z: z,
        lambda z: losses.categorical_crossentropy([[0.0, 1, 0]], z, from_logits=True),
    ),
    "sigmoid": (
        "binary_crossentropy",
        tf.sigmoid,
        lambda z: losses.binary_crossentropy([[0.0, 1, 0]], z, from_logits=True),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_factors_make_the_hessian_of_the_loss(name):
    loss, link, plain = CASES[name]
    objective = Objective(nets.dense(3), loss)
    numbers, factors = objective.curvature(link(tf.constant(LOGITS[None])))
    expected = hessian_by_autodiff(LOGITS, lambda z: tf.reduce_mean(plain(z)))
    assert np.allclose(factors[0] @ tf.transpose(factors[0]), expected, atol=1e-6)
    differences = (numbers[0] - LOGITS).numpy()  # logits up to a number that all share
    assert np.ptp(differences) == pytest.approx(0.0, abs=1e-5)


def test_several_places_share_the_loss():
    outputs = tf.constant(np.random.default_rng(0).normal(size=(1, 2, 3)).astype(np.float32))
    objective = Objective(nets.dense(3), losses.CategoricalCrossentropy(from_logits=True))
    _, factors = objective.curvature(outputs)
    labels = tf.one_hot([[0, 2]], 3)
    expected = hessian_by_autodiff(
        outputs[0],
        lambda z: tf.reduce_mean(losses.categorical_crossentropy(labels, z, from_logits=True)),
    )
    assert np.allclose(factors[0] @ tf.transpose(factors[0]), expected, atol=1e-6)


def test_the_loss_is_that_of_the_model_or_the_one_given():
    model = nets.dense(3, loss="mae")
    x, y = nets.data()
    outputs = model(x)
    assert float(Objective(model)(x, y, outputs)) == pytest.approx(np.mean(np.abs(outputs - y)))
    own = lambda labels, given: tf.reduce_sum((labels - given) ** 2, -1)  # noqa: E731
    found = float(Objective(model, own)(x, y, outputs))
    assert found == pytest.approx(3 * nets.loss_of(model, x, y), rel=1e-5)


def test_what_is_missing_or_unknown_is_said():
    model = nets.dense(3)
    plain = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="`loss` must be given.*not compiled.*compile the model"):
        Objective(plain)
    with pytest.raises(ValueError, match="`loss` must be a mean squared error.*'mae'.*taylor"):
        Objective(model, "mae").curvature(model(np.zeros((1, 6), np.float32)))


@pytest.mark.parametrize(
    "loss", ["sparse_categorical_crossentropy", losses.SparseCategoricalCrossentropy()]
)
@pytest.mark.parametrize("labels, found", [([0, 3], "0 to 3"), ([-1, 2], "-1 to 2")])
def test_the_number_of_no_class_is_refused(loss, labels, found):
    objective = Objective(nets.dense(3), loss)
    with pytest.raises(ValueError, match=f"`labels` must be .*3 classes, 0 to 2.*: {found}"):
        objective.check(np.array(labels))
    objective.check(np.array([0, 2]))
    objective.check(None)


@pytest.mark.parametrize(
    "loss", ["mse", losses.SparseCategoricalCrossentropy(ignore_class=-1), lambda y, out: out]
)
def test_labels_that_are_no_numbers_of_classes_are_left_alone(loss):
    Objective(nets.dense(3), loss).check(np.array([-1, 7]))

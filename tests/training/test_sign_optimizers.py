"""Sign optimizers: steps by hand, votes, and the order of sign, decay and momentum."""

import keras
import numpy as np
import pytest

from edgeax.optimizers import PredictiveSignSGD, SignSGD, Signum, majority_vote
from tests.training import small_models
from tests.training.optimizer_checks import (
    check_modes_of_fit,
    check_resuming,
    check_serialization,
    steps,
)

ALL = [
    lambda: SignSGD(0.01, weight_decay=0.001),
    lambda: Signum(0.01, momentum=0.8, weight_decay=0.001),
    lambda: PredictiveSignSGD(0.01, momentum=0.5),
]


def test_bwaa18_the_vote_is_the_sign_of_the_sum_of_signs():
    vote = majority_vote([[1.0, -2.0, 0.5], [0.1, 3.0, -9.0], [5.0, 4.0, 0.0]])
    assert vote.numpy().tolist() == [1.0, 1.0, 0.0]
    with pytest.raises(ValueError, match="none"):
        majority_vote([])


def test_bwaa18_the_length_of_a_gradient_does_not_count():
    gradient = np.float32([[3.0, -0.001], [0.0, -7.0]])
    for scale in (1.0, 1e-6, 1e6):
        (found,) = steps(SignSGD(0.5), np.ones((2, 2)), [scale * gradient])
        assert found.tolist() == [[0.5, 1.5], [1.0, 1.5]]


def test_weight_decay_stands_behind_the_sign():
    (found,) = steps(SignSGD(0.5, weight_decay=0.1), [2.0, -2.0], [[0.01, 0.01]])
    np.testing.assert_allclose(found, [2.0 - 0.5 * 1.2, -2.0 - 0.5 * 0.8], rtol=1e-6)


def test_bwaa18_signum_follows_the_sign_of_the_momentum():
    # By hand, momentum 0.5: m is 0.5, then 0.25 - 0.1 = 0.15, then 0.075 - 0.5 = -0.425.
    found = steps(Signum(1.0, momentum=0.5), [0.0], [[1.0], [-0.2], [-1.0]])
    assert np.concatenate(found).tolist() == [-1.0, -2.0, -1.0]


def test_wjc19_the_sign_comes_first_then_decay_then_momentum():
    optimizer = PredictiveSignSGD(0.1, momentum=0.5, weight_decay=0.01)
    found = steps(optimizer, [1.0, 1.0], [[5.0, -0.1], [0.02, -40.0]])
    # By hand: m = s + 0.01 w, w -= 0.1 m; then m = 0.5 m + s + 0.01 w.
    first = np.array([1.01, -0.99])
    after = 1.0 - 0.1 * first
    second = 0.5 * first + np.array([1.0, -1.0]) + 0.01 * after
    np.testing.assert_allclose(found, [after, after - 0.1 * second], rtol=1e-6)


def test_excluded_variables_do_not_decay():
    optimizer = SignSGD(0.5, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    (found,) = steps(optimizer, [2.0], [[1.0]])
    assert found.tolist() == [1.5]


@pytest.mark.parametrize("make", ALL)
def test_it_serializes(make):
    check_serialization(make())
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    check_serialization(type(make())(learning_rate=schedule, use_ema=True, vote=True))


@pytest.mark.parametrize("make", ALL)
def test_all_modes_of_fit_give_the_same_weights(make):
    check_modes_of_fit(make)


@pytest.mark.parametrize("make", ALL[1:])
def test_an_interrupted_run_ends_as_a_whole_one(make, tmp_path):
    check_resuming(make, tmp_path / "backup")


def test_a_table_of_embeddings_is_moved():
    model = keras.Sequential(
        [keras.Input((2,), dtype="int32"), keras.layers.Embedding(4, 2), keras.layers.Flatten()]
    )
    model.compile(SignSGD(0.5), "mse")
    before = model.get_weights()[0]
    model.fit(np.int32([[1, 2]]), np.full((1, 4), 9.0), verbose=0)
    moved = np.abs(model.get_weights()[0] - before)
    np.testing.assert_allclose(moved, [[0, 0], [0.5, 0.5], [0.5, 0.5], [0, 0]], atol=1e-6)


def test_it_learns_a_small_task():
    x, y = small_models.points(512)
    for make in (lambda: SignSGD(0.003), lambda: Signum(0.003), lambda: PredictiveSignSGD(0.0005)):
        model = small_models.mlp(units=16)
        model.compile(make(), "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, batch_size=32, epochs=12, verbose=0).history
        assert history["accuracy"][-1] > 0.9


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SignSGD(clipnorm=1.0), "clipnorm=1.0"),
        (lambda: SignSGD(weight_decay=-1.0), "weight_decay=-1.0"),
        (lambda: Signum(momentum=1.0), "momentum=1.0"),
        (lambda: PredictiveSignSGD(momentum=-0.1), "momentum=-0.1"),
    ],
)
def test_bad_arguments_are_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()

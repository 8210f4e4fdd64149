import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.transforms.admm_prune import ADMMPrune
from edgeax.transforms.base import now
from tests.transforms.bound import weight_chain

WEIGHT = np.float32([[4, -3, 2, -1]])


def penalty(chain):
    return float(sum(chain.losses[-1:]))


def test_zzy18_is_the_loss_with_the_augmented_term():
    chain = weight_chain(ADMMPrune(0.5, admm_steps=6, rho=0.5, frequency=2), WEIGHT)
    prune = chain.transforms[0]
    losses, copies, duals = [], [], []
    moved = [np.float32(w) for w in ([[4, -3, 2, -1]], [[4, -3, 1, -1]], [[4, -3, 1, -0.5]])]
    for weight in np.repeat(moved, 2, axis=0):
        chain.call(tf.constant(weight), training=True)
        losses.append(penalty(chain))
        copies.append(now(prune.copy).tolist())
        duals.append(now(prune.dual).tolist())
    # Round begins: U = 0, Z = the two largest of W. W - Z = (0, 0, 2, -1).
    assert duals[0] == [[0, 0, 0, 0]] and copies[0] == [[4, -3, 0, 0]]
    assert losses[0] == pytest.approx(0.25 * (4 + 1))
    # Third call: U += W - Z = (0, 0, 1, -1), Z = the two largest of W + U = (4, -3, 2, -2).
    assert duals[2] == [[0, 0, 1, -1]] and copies[2] == [[4, -3, 0, 0]]
    # W - Z + U = (0, 0, 2, -2).
    assert losses[2] == losses[3] == pytest.approx(0.25 * 8)
    # Fifth: U += (0, 0, 1, -0.5) = (0, 0, 2, -1.5).
    assert duals[4] == [[0, 0, 2, -1.5]]
    chain.call(tf.constant(moved[-1]), training=True)
    assert penalty(chain) == 0.0
    assert now(prune.mask).tolist() == [[True, True, False, False]]


def test_yzz18_each_round_prunes_what_the_former_left():
    prune = ADMMPrune([0.25, 0.5, 0.75], admm_steps=2, retrain_steps=1, frequency=1)
    chain = weight_chain(prune, WEIGHT)
    left = []
    for _ in range(10):
        chain.call(tf.constant(WEIGHT), training=True)
        left.append(int(now(prune.mask).sum()))
    # Rounds of 3 steps; each mask comes at the third.
    assert left == [4, 4, 3, 3, 3, 2, 2, 2, 1, 1]
    assert prune.settled_step == 9
    # What was pruned stays so, however large it would be.
    chain.call(tf.constant(WEIGHT[:, ::-1].copy()), training=True)
    assert now(prune.mask).tolist() == [[True, False, False, False]]


def test_rounds_without_retraining_follow_each_other():
    prune = ADMMPrune([0.25, 0.5], admm_steps=2, frequency=1)
    chain = weight_chain(prune, WEIGHT)
    left = []
    for _ in range(6):
        chain.call(tf.constant(WEIGHT), training=True)
        left.append(int(now(prune.mask).sum()))
    assert left == [4, 4, 3, 3, 2, 2]


def test_fit_draws_weights_to_their_pruned_copy_and_shows_the_term():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, use_bias=False)])
    copy = edgeax.compress(model, [ADMMPrune(0.5, admm_steps=60, rho=10.0, frequency=10)])
    copy.compile(keras.optimizers.SGD(0.01), "mse")
    x = np.random.default_rng(0).normal(size=(32, 8)).astype(np.float32)
    target = model.predict(x, verbose=0)
    history = copy.fit(x, target, batch_size=32, epochs=59, shuffle=False, verbose=0)
    assert history.history["loss"][0] > 1.0  # 10 / 2 * the squares of half of the weights
    small = np.sort(np.abs(np.asarray(copy.layers[-1].kernel)), axis=None)[:16]
    before = np.sort(np.abs(np.asarray(model.layers[-1].kernel)), axis=None)[:16]
    assert small.max() < 0.4 * before.max()
    copy.fit(x, target, batch_size=32, epochs=2, verbose=0)
    assert (edgeax.strip(copy).layers[-1].kernel.numpy() == 0).mean() == 0.5


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"sparsity": 1.0, "admm_steps": 1}, r"`sparsity` must lie in \[0, 1\)"),
        ({"sparsity": [0.5, 0.5], "admm_steps": 1}, "`sparsity` must rise"),
        ({"sparsity": [], "admm_steps": 1}, "`sparsity` must hold at least one"),
        ({"sparsity": "0.5", "admm_steps": 1}, "`sparsity` must lie in.*'0.5'"),
        ({"sparsity": None, "admm_steps": 1}, "`sparsity` must lie in.*None"),
        ({"sparsity": 0.5, "admm_steps": 0}, "`admm_steps` must be an integer, at least 1"),
        ({"sparsity": 0.5, "admm_steps": 1, "retrain_steps": -1}, "`retrain_steps` must"),
        ({"sparsity": 0.5, "admm_steps": 1, "rho": 0.0}, "`rho` must be above 0"),
        ({"sparsity": 0.5, "admm_steps": 1, "structure": "fliter"}, "`structure` must be one of"),
    ],
)
def test_bad_arguments_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ADMMPrune(**settings)


def test_settings_survive():
    prune = ADMMPrune([0.5, 0.9], 3, 2, 0.1, 7, "filter")
    assert ADMMPrune.from_config(prune.get_config()).get_config() == prune.get_config()


def test_a_layer_that_is_called_twice_has_the_term_once():
    shared = keras.layers.Dense(4, use_bias=False)
    given = keras.Input((4,))
    model = keras.Model(given, shared(shared(given)))
    copy = edgeax.compress(model, [ADMMPrune(0.5, admm_steps=9, rho=2.0)])
    prune = copy.layers[-1].chains[0].transforms[0]
    copy(np.ones((1, 4), np.float32), training=True)
    away = np.asarray(shared.kernel) - now(prune.copy)
    assert float(sum(copy.losses)) == pytest.approx(float(np.square(away).sum()), rel=1e-5)


def test_a_list_in_an_array_is_a_list():
    assert ADMMPrune(np.array([0.25, 0.5]), 4).sparsities == [0.25, 0.5]


def test_at_once_is_the_last_sparsity_without_training():
    chain = weight_chain(ADMMPrune([0.25, 0.5], admm_steps=9).at_once(), WEIGHT)
    assert chain.freeze(WEIGHT).sparsity == 0.5

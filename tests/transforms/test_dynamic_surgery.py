import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import Chain
from edgeax.transforms.base import now
from edgeax.transforms.dynamic_surgery import DynamicSurgery
from tests.transforms.bound import value_and_gradients, weight_chain

# Magnitudes 0, 1, 2, 3, 4, 5, 6, 7: mean 3.5, standard deviation sqrt(5.25) = 2.2913.
WEIGHT = np.float32([[0, -1, 2, -3, 4, -5, 6, -7]])


def test_gyc16_cuts_below_one_threshold_and_splices_above_another():
    chain = weight_chain(DynamicSurgery(c=0.0, stop_step=10, gamma=0.0), WEIGHT)
    mask = chain.transforms[0].mask
    # 0.9 * 3.5 = 3.15 and 1.1 * 3.5 = 3.85.
    assert now(mask).astype(int).tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]]
    # -3 becomes -3.5 and stays cut, 4 becomes 3.5 and stays, 2 grows to 3.9, -7 shrinks to 3.1.
    moved = np.float32([[0, -1, 3.9, -3.5, 3.5, -5, 6, -3.1]])
    chain.call(tf.constant(moved), training=True)
    assert now(mask).astype(int).tolist() == [[0, 0, 1, 0, 1, 1, 1, 0]]


def test_thresholds_are_those_of_the_first_weight_and_c():
    chain = weight_chain(DynamicSurgery(c=1.0, stop_step=10), WEIGHT)
    chain.call(tf.constant(100 * WEIGHT), training=True)
    threshold = now(chain.transforms[0].threshold)
    assert threshold == pytest.approx(3.5 + 5.25**0.5)


def test_cut_weights_go_on_being_trained():
    chain = weight_chain(DynamicSurgery(c=0.0, stop_step=10), WEIGHT)
    _, gradient = value_and_gradients(chain, WEIGHT, np.full_like(WEIGHT, 2.0), training=True)
    assert np.all(gradient == 2.0)


def test_choices_become_rare_and_end():
    surgery = DynamicSurgery(c=0.0, stop_step=300, gamma=0.01, power=2.0, begin_step=100)
    at = {step: float(surgery.probability(tf.constant(step))) for step in (99, 100, 200, 299, 300)}
    # (1 + 0.01 * 100) ** -2 = 1 / 4.
    assert at[99] == at[300] == 0.0 and at[100] == 1.0 and at[200] == 0.25
    assert at[299] == pytest.approx(2.99**-2)
    steps = tf.range(100, 300)
    taken = np.mean([bool(surgery.due(step)) for step in steps])
    expected = np.mean([float(surgery.probability(step)) for step in steps])
    assert abs(taken - expected) < 0.1


def test_at_once_cuts_without_training():
    surgery = DynamicSurgery(c=0.0, stop_step=300, begin_step=100).at_once()
    assert surgery.settled_step == 0
    chain = weight_chain(surgery, WEIGHT)
    assert chain.freeze(WEIGHT).sparsity == 0.5


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"c": float("nan"), "stop_step": 1}, "`c` must be finite"),
        ({"c": 0, "stop_step": 5, "begin_step": 5}, "`stop_step` must lie above `begin_step`"),
        ({"c": 0, "stop_step": 5, "gamma": -1}, "`gamma` must be at least 0"),
        ({"c": 0, "stop_step": 5, "power": 0}, "`power` must be above 0"),
    ],
)
def test_bad_arguments_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        DynamicSurgery(**settings)


def test_settings_survive():
    surgery = DynamicSurgery(2.0, 9, 0.5, 3.0, 1, 4)
    assert DynamicSurgery.from_config(surgery.get_config()).get_config() == surgery.get_config()
    assert Chain([surgery]).transforms[0].settled_step == 9


def test_new_weights_that_are_all_but_cut_are_warned_of_and_the_largest_stays():
    weight = np.linspace(-1.0, 1.0, 500, dtype=np.float32)[None]
    with pytest.warns(UserWarning, match=r"leaves 0.40%.*trained weights"):
        chain = weight_chain(DynamicSurgery(c=3.0, stop_step=10), weight)
    assert now(chain.transforms[0].mask).sum() == 2  # 1 and -1


def test_a_weight_that_begins_at_zero_gets_its_threshold_later():
    chain = weight_chain(DynamicSurgery(c=0.0, stop_step=10, gamma=0.0), np.zeros((1, 8), "f"))
    surgery = chain.transforms[0]
    assert now(surgery.threshold) == -1.0 and now(surgery.mask).all()
    chain.call(tf.constant(WEIGHT), training=True)
    assert now(surgery.threshold) == pytest.approx(3.5)

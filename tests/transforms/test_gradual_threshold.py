import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms.base import now
from edgeax.transforms.gradual_threshold import GradualThreshold
from tests.transforms.bound import weight_chain


def test_ndse17_thresholds_are_those_worked_out_by_hand():
    # s=0, r=1000, e=2000, f=100, q=1: theta = 2 * 100 / (2 * 1000 + 3 * 1000) = 0.04.
    ramp = GradualThreshold(0, 1000, 2000, threshold=1.0, frequency=100)
    at = {step: float(ramp.factor(tf.constant(step))) for step in (0, 500, 1000, 1500, 2000)}
    wanted = {
        0: 0.04 * 1 / 100,
        500: 0.04 * 501 / 100,
        1000: (0.04 * 1001 + 1.5 * 0.04 * 1) / 100,
        1500: (0.04 * 1001 + 1.5 * 0.04 * 501) / 100,
        2000: (0.04 * 1001 + 1.5 * 0.04 * 1001) / 100,  # 1.001: q
    }
    assert at == pytest.approx(wanted, rel=1e-5)


def test_weights_below_the_threshold_go_for_good():
    weight = np.float32([[0.1, -0.5, 0.9, -2.0]])
    chain = weight_chain(GradualThreshold(0, 1, 2, threshold=1.0, frequency=1), weight)
    mask = chain.transforms[0].mask
    chain.call(tf.constant(weight), training=True)
    chain.call(tf.constant(weight), training=True)
    # Step 1: (1 + 1 + 1.5) * 2 / 5 = 1.4.
    assert now(mask).tolist() == [[False, False, False, True]]
    chain.call(tf.constant(10 * weight), training=True)
    assert now(mask).tolist() == [[False, False, False, True]]


def test_without_a_threshold_it_comes_to_the_percentile_of_the_first_weight():
    weight = np.arange(1.0, 101.0, dtype=np.float32)[None]
    chain = weight_chain(GradualThreshold(0, 10, 20, percentile=90.0), weight)
    chain.call(tf.constant(weight), training=True)
    assert now(chain.transforms[0].last_threshold) == 91.0


def test_it_acts_every_so_many_steps_and_at_the_end():
    ramp = GradualThreshold(5, 10, 22, frequency=10)
    assert [step for step in range(40) if ramp.due(tf.constant(step))] == [5, 15, 22]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"begin_step": 5, "ramp_step": 4, "end_step": 9}, "must not fall"),
        ({"begin_step": -1, "ramp_step": 4, "end_step": 9}, "`begin_step` must be.*at least 0"),
        ({"begin_step": 0, "ramp_step": 5, "end_step": 9, "threshold": 0.0}, "`threshold` must"),
        ({"begin_step": 0, "ramp_step": 5, "end_step": 9, "percentile": 100}, "`percentile` must"),
        ({"begin_step": 0, "ramp_step": 5, "end_step": 9, "frequency": 0}, "`frequency` must"),
    ],
)
def test_bad_arguments_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        GradualThreshold(**settings)


def test_settings_survive():
    ramp = GradualThreshold(1, 5, 9, 0.5, 80.0, 3)
    assert GradualThreshold.from_config(ramp.get_config()).get_config() == ramp.get_config()
    assert ramp.settled_step == 10


def test_the_largest_weight_always_stays():
    weight = np.float32([[0.1, -0.5]])
    chain = weight_chain(GradualThreshold(0, 0, 1, threshold=9.0, frequency=1), weight)
    chain.call(tf.constant(weight), training=True)
    chain.call(tf.constant(weight), training=True)
    assert now(chain.transforms[0].mask).tolist() == [[False, True]]


@pytest.mark.parametrize("threshold, sparsity", [(0.6, 0.5), (None, 0.75)])
def test_at_once_is_the_last_threshold_without_training(threshold, sparsity):
    weight = np.float32([[0.1, -0.5, 0.9, -2.0]])
    ramp = GradualThreshold(5, 10, 20, threshold=threshold, percentile=75.0).at_once()
    chain = weight_chain(ramp, weight)
    assert chain.freeze(weight).sparsity == sparsity and ramp.settled_step == 0

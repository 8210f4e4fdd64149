import numpy as np
import tensorflow as tf

from edgeax.formats import Float32
from edgeax.transforms import Chain, LearnedStep
from edgeax.transforms.learned import positive
from tests.transforms.bound import activation_chain


def test_a_batch_that_is_not_finite_does_not_start_the_step():
    chain = activation_chain(LearnedStep(4), np.float32([[np.nan, 1.0]]))
    assert chain.transforms[0].extremes is None
    assert chain.call(np.float32([[0.3]])).numpy() == np.float32(0.3)


def test_values_pass_unchanged_until_the_first_are_found():
    weight = np.float32([[0.3, -0.7]])
    chain = Chain([LearnedStep(4)])
    chain.bind("weight", weight.shape)
    assert np.array_equal(chain.call(tf.constant(weight)), weight)
    assert isinstance(chain.freeze(weight).format, Float32)
    chain.call(tf.constant(weight), training=True)
    assert chain.freeze(weight).bits == 4


def test_only_the_first_batch_starts_what_is_learned():
    chain = activation_chain(LearnedStep(4), np.float32([[1.0]]))
    before = chain.transforms[0].extremes
    chain.call(np.float32([[50.0]]), training=True)
    assert chain.transforms[0].extremes == before


def test_a_scale_below_zero_is_kept_above_it_and_still_gets_a_gradient():
    step = activation_chain(LearnedStep(4)).transforms[0].step_size
    step.assign(-1.0)
    with tf.GradientTape() as tape:
        value = positive(step)
    assert value > 0.0
    assert tape.gradient(value, step.value) == 1.0

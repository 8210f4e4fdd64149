import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import Autoflex, FollowedExponent
from edgeax.transforms.followed_exponent import last_exponent
from tests.transforms.bound import activation_chain

FULL = 2**15 - 1


def bound(**settings):
    rule = Autoflex(**settings)
    rule.bind("activation", ())
    return rule


def predicted(maxima, first, window=16, alpha=2.0, beta=3.0, gamma=100.0):
    """The exponents by the row's formulas, in float64."""
    exponent, exponents, record = first, [first], []
    for largest in maxima:
        step = 2.0**exponent
        record.append(min(round(largest / step), FULL) * step)
        last = record[-window:]
        needed = alpha * (max(last) + beta * np.std(last) + gamma * step)
        exponent = min(max(math.ceil(math.log2(needed)) - 15, -31), 0)
        exponents.append(exponent)
    return exponents


def test_kww17_exponents_are_those_of_the_formula():
    maxima = np.random.default_rng(0).uniform(0.5, 1.5, 40) * np.linspace(1.0, 9.0, 40)
    rule = bound()
    seen = []
    for largest in maxima:
        x = tf.constant([largest, -0.1], tf.float32)
        seen.append(int(rule.current(x)))
        rule.rounded(x, None, learns=True)
    assert [*seen, last_exponent(rule)] == predicted(maxima, seen[0])
    assert len(set(seen)) > 2


def test_kww17_a_slowly_drifting_tensor_never_overflows_and_keeps_a_bit_free():
    rule = bound()
    for step in range(200):
        x = tf.constant([1.02**step], tf.float32)
        exponent = int(rule.current(x))
        assert 1.02**step / 2.0**exponent <= 2**14
        assert rule.rounded(x, None, learns=True).numpy()[0] == pytest.approx(1.02**step, rel=1e-3)


@pytest.mark.parametrize("largest, exponent", [(0.7, -14), (1.0, -14), (3.0, -12), (1e-3, -23)])
def test_the_first_exponent_leaves_one_bit_free(largest, exponent):
    # ceil(log2(largest)) - 14: the mantissa lies between 2**13 and 2**14.
    assert int(bound().first(tf.constant([0.0, -largest], tf.float32))) == exponent


def test_a_tensor_of_zeros_and_one_that_is_huge_end_at_the_limits_of_five_bits():
    rule = bound()
    assert int(rule.first(tf.zeros(3))) == -31
    assert int(rule.first(tf.constant([1e9]))) == 0
    assert rule.rounded(tf.constant([1e9]), None, learns=False).numpy()[0] == FULL


def test_nothing_is_learned_outside_of_training():
    chain = activation_chain(FollowedExponent(Autoflex()), np.float32([1.0]))
    before = chain.get_weights()
    chain.call(tf.constant([100.0]))
    for old, new in zip(before, chain.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_its_settings_are_saved_and_checked():
    made = Autoflex(8, 1.5, 2.0, 50.0)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert again.get_config() == {"window": 8, "alpha": 1.5, "beta": 2.0, "gamma": 50.0}
    with pytest.raises(ValueError, match="`window` must be an integer, at least 1"):
        Autoflex(0)
    with pytest.raises(ValueError, match="`alpha` must be above 0"):
        Autoflex(alpha=0.0)

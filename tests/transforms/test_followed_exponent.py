import numpy as np
import pytest

from edgeax.transforms import Autoflex, Chain, FollowedExponent, FollowedGradient, OverflowScale
from edgeax.transforms.base import fresh
from edgeax.transforms.followed_exponent import last_exponent
from tests.transforms.bound import activation_chain, value_and_gradients, weight_chain


@pytest.mark.parametrize("rule", [Autoflex(), OverflowScale(6)])
def test_a_weight_is_stored_as_training_saw_it(rule):
    w = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    chain = weight_chain(FollowedExponent(rule), w)
    upstream = np.ones_like(w)
    for _ in range(3):
        _, gradient = value_and_gradients(chain, w, upstream, training=True)
    value, _ = value_and_gradients(chain, w, upstream)
    np.testing.assert_array_equal(chain.freeze(w).decode(), value)
    np.testing.assert_array_equal(gradient, upstream)
    assert np.max(np.abs(value - w)) <= 2.0 ** last_exponent(chain.transforms[0].rule)


def test_a_gradient_is_rounded_and_its_exponent_followed():
    x = np.zeros((1, 3), np.float32)
    upstream = np.float32([[1.0, 0.3, -0.1]])
    chain = activation_chain(FollowedGradient(OverflowScale(4)))
    value, gradient = value_and_gradients(chain, x, upstream)
    assert value.tolist() == x.tolist() and gradient.tolist() == [[1.0, 0.25, 0.0]]
    rule = chain.transforms[0].rule
    assert (int(rule.seen.value), last_exponent(rule)) == (1, -2)


def test_a_gradient_that_is_not_finite_passes_and_teaches_nothing():
    chain = activation_chain(FollowedGradient(Autoflex()))
    upstream = np.float32([[1.0, np.inf, np.nan]])
    _, gradient = value_and_gradients(chain, np.zeros((1, 3), np.float32), upstream)
    np.testing.assert_array_equal(gradient, upstream)
    assert int(chain.transforms[0].rule.seen.value) == 0


@pytest.mark.parametrize("kind", [FollowedExponent, FollowedGradient])
def test_a_copy_has_the_settings_and_no_state(kind):
    made = kind(OverflowScale(12), "stochastic", 3)
    Chain([made]).bind("weight", (2, 2))
    again = fresh(made)
    assert (again.rule.width, again.rounding, again.seed) == (12, "stochastic", 3)
    assert again.rule is not made.rule and not again.rule.built
    with pytest.raises(ValueError, match="`rounding` must be one of"):
        kind(Autoflex(), "up")

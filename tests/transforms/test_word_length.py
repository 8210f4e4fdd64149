"""Word lengths: the width in force, and the gradient that is kept."""

import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import MuppetFloat
from edgeax.transforms import KeptGradient, SwitchedGradient, SwitchedWidth
from edgeax.transforms.base import fresh
from tests.transforms.bound import activation_chain, value_and_gradients, weight_chain

WEIGHT = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)


def stored(x, width):
    format = MuppetFloat(width)
    params = format.fit(x)
    return format.decode(format.encode(x, params), params)


def test_rvvb20_values_are_in_the_width_in_force():
    chain = weight_chain(SwitchedWidth(), WEIGHT)
    switched = chain.transforms[0]
    for place, width in enumerate((8, 12, 14, 16, 32)):
        switched.place.assign(place)
        value, gradient = value_and_gradients(chain, WEIGHT, np.ones_like(WEIGHT))
        expected = WEIGHT if width == 32 else stored(WEIGHT, width)
        np.testing.assert_array_equal(value, expected)
        np.testing.assert_array_equal(chain.freeze(WEIGHT).decode(), expected)
        assert np.all(gradient == 1.0)
    assert chain.freeze(WEIGHT).format.bits == 32


@pytest.mark.parametrize("compiled", [False, True])
def test_training_rounds_stochastically(compiled):
    x = np.full(4000, 0.3, np.float32)
    x[0] = 127.0  # steps of 1
    chain = activation_chain(SwitchedWidth(seed=1))
    call = tf.function(lambda: chain.call(tf.constant(x), training=True), jit_compile=compiled)
    value = call().numpy()
    assert {*value[1:]} == {0.0, 1.0} and value[1:].mean() == pytest.approx(0.3, abs=0.03)


def test_rvvb20_an_error_is_rounded_stochastically_until_float32():
    upstream = np.full((1, 4000), 0.3, np.float32)
    upstream[0, 0] = 127.0
    chain = activation_chain(SwitchedGradient())
    zeros = np.zeros_like(upstream)
    value, gradient = value_and_gradients(chain, zeros, upstream)
    assert not value.any() and {*gradient[0, 1:]} == {0.0, 1.0}
    assert gradient[0, 1:].mean() == pytest.approx(0.3, abs=0.03)
    chain.transforms[0].place.assign(4)
    np.testing.assert_array_equal(value_and_gradients(chain, zeros, upstream)[1], upstream)


def test_what_is_not_finite_stays_as_it_is():
    x = np.float32([[1.0, np.inf, np.nan, 0.3]])
    value, _ = value_and_gradients(activation_chain(SwitchedWidth()), x, np.ones_like(x))
    np.testing.assert_array_equal(
        value, [[1.0, np.inf, np.nan, stored(np.float32([1, 0.3]), 8)[1]]]
    )


def test_the_last_gradient_of_a_weight_is_kept():
    chain = weight_chain(KeptGradient(), WEIGHT)
    for scale in (1.0, 2.0):
        value, gradient = value_and_gradients(chain, WEIGHT, scale * WEIGHT, training=True)
        np.testing.assert_array_equal(gradient, scale * WEIGHT)
        np.testing.assert_array_equal(chain.transforms[0].last.numpy(), scale * WEIGHT)
    np.testing.assert_array_equal(value, WEIGHT)
    with pytest.raises(ValueError, match="`KeptGradient` must stand in the chain of a weight"):
        activation_chain(KeptGradient())


@pytest.mark.parametrize("kind", [SwitchedWidth, SwitchedGradient])
def test_settings_are_kept_and_checked(kind):
    again = fresh(kind((6, 10), seed=3))
    assert (again.widths, again.seed) == ([6, 10], 3)
    for widths in ((), (8, 8), (12, 8), (8, 17)):
        with pytest.raises(ValueError, match="width"):
            kind(widths)

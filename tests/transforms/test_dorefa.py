import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import DoReFa, DoReFaGradient
from tests.transforms.bound import activation_chain, value_and_gradients, weight_chain
from tests.transforms.modes import in_every_mode

WEIGHT = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_zwn16_weights_and_activations_follow_the_formulas(bits):
    top = 2**bits - 1
    squashed = np.tanh(WEIGHT.astype(np.float64))
    unit = squashed / (2 * np.abs(squashed).max()) + 0.5
    value = weight_chain(DoReFa(bits), WEIGHT).call(tf.constant(WEIGHT))
    assert np.allclose(value, 2 * np.round(unit * top) / top - 1, atol=1e-6)
    value = activation_chain(DoReFa(bits)).call(tf.constant(WEIGHT))
    assert np.allclose(value, np.round(np.clip(WEIGHT, 0, 1) * top) / top, atol=1e-6)


def test_zwn16_one_bit_has_one_scale_for_the_layer_and_the_sign_of_zero_is_one():
    weight = np.float32([[0.0, -2.0], [1.0, 5.0]])
    chain = weight_chain(DoReFa(1), weight)
    value, gradient = value_and_gradients(chain, weight, np.float32([[1, 2], [3, 4]]))
    assert value.tolist() == [[2.0, -2.0], [2.0, 2.0]]
    assert gradient.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_zwn16_a_weights_gradient_is_that_of_its_squashed_value():
    chain = weight_chain(DoReFa(2), WEIGHT)
    upstream = np.random.default_rng(1).normal(size=WEIGHT.shape).astype(np.float32)
    _, gradient = value_and_gradients(chain, WEIGHT, upstream)

    def real(weight):
        squashed = np.tanh(weight)
        return np.sum(upstream * squashed / np.abs(squashed).max())

    wide, expected = WEIGHT.astype(np.float64), np.zeros(WEIGHT.shape)
    for place in np.ndindex(WEIGHT.shape):
        away = np.zeros(WEIGHT.shape)
        away[place] = 1e-6
        expected[place] = (real(wide + away) - real(wide - away)) / 2e-6
    assert np.allclose(gradient, expected, rtol=1e-3, atol=1e-5)


def test_zwn16_an_activations_gradient_passes_within_zero_and_one():
    batch = np.float32([[-0.1, 0.2, 0.9, 1.1]])
    _, gradient = value_and_gradients(activation_chain(DoReFa(2)), batch, np.ones_like(batch))
    assert gradient.tolist() == [[0.0, 1.0, 1.0, 0.0]]


def gradients_of(chain, upstream, steps):
    found = []
    for step in range(steps):
        chain.calls.assign(step)
        found.append(value_and_gradients(chain, upstream, upstream, training=True)[1])
    return np.stack(found)


def test_zwn16_the_gradient_quantizer_is_unbiased():
    rng = np.random.default_rng(2)
    upstream = (rng.normal(size=(3, 40)) * [[1e-3], [1.0], [50.0]]).astype(np.float32)
    found = gradients_of(activation_chain(DoReFaGradient(2, seed=5)), upstream, 600)
    largest = np.abs(upstream).max(axis=1, keepdims=True)
    levels = np.unique(np.round(found / largest, 4))
    assert np.allclose(levels, [-1, -1 / 3, 1 / 3, 1], atol=1e-3)  # each sample has its own range
    # The standard error is below a third of the range over the root of 600; five of these.
    assert np.all(np.abs(found.mean(axis=0) - upstream) < 5 * largest / 3 / np.sqrt(600))


@in_every_mode
def test_zwn16_the_gradient_quantizer_changes_no_value_and_repeats_itself(mode):
    chain = activation_chain(DoReFaGradient(4))
    batch = tf.constant(WEIGHT)

    @mode
    def run():
        with tf.GradientTape() as tape:
            tape.watch(batch)
            value = chain.call(batch)
        return value, tape.gradient(value, batch, batch)

    value, gradient = run()
    assert np.array_equal(value, WEIGHT)
    assert np.array_equal(gradient, run()[1])
    assert not np.array_equal(gradient, WEIGHT)


def test_a_gradient_of_zeros_stays_zero():
    chain = activation_chain(DoReFaGradient(4))
    zeros = np.zeros((2, 3), np.float32)
    assert not value_and_gradients(chain, zeros, zeros)[1].any()

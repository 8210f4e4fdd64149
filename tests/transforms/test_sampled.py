import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import Float32
from edgeax.transforms import SampledWeight
from tests.transforms.bound import value_and_gradients, weight_chain

WEIGHT = np.float32([[-1.5, -0.6, -0.1], [0.0, 0.3, 0.9]])
DRAWS = 600
# Five standard errors of the mean of values within [-1, 1].
CLOSE = 5 / np.sqrt(DRAWS)


def drawn(transform):
    chain = weight_chain(transform, WEIGHT)
    found = []
    for step in range(DRAWS):
        chain.calls.assign(step)
        found.append(chain.call(tf.constant(WEIGHT), training=True).numpy())
    return np.stack(found)


def test_cbd15_draws_by_the_hard_sigmoid_and_tests_with_reals():
    found = drawn(SampledWeight("binary", seed=1))
    assert np.unique(found).tolist() == [-1.0, 1.0]
    assert np.allclose((found > 0).mean(axis=0), np.clip((WEIGHT + 1) / 2, 0, 1), atol=CLOSE / 2)
    chain = weight_chain(SampledWeight("binary"), WEIGHT)
    assert np.array_equal(chain.call(tf.constant(WEIGHT)), WEIGHT)
    assert isinstance(chain.freeze(WEIGHT).format, Float32)
    _, gradient = value_and_gradients(chain, WEIGHT, WEIGHT + 1, training=True)
    assert np.array_equal(gradient, WEIGHT + 1)


def test_cbd15_without_chance_is_the_sign_and_tests_with_it():
    chain = weight_chain(SampledWeight("binary", stochastic=False), WEIGHT)
    assert chain.call(tf.constant(WEIGHT)).numpy().tolist() == [[-1, -1, -1], [1, 1, 1]]
    assert chain.freeze(WEIGHT).bits == 1


@pytest.mark.parametrize("kind", ["ternary", "exponential"])
def test_olz16_samplers_are_right_on_average(kind):
    found = drawn(SampledWeight(kind, seed=2))
    assert np.allclose(found.mean(axis=0), np.clip(WEIGHT, -1, 1), atol=CLOSE)
    sizes = np.unique(np.abs(found))
    if kind == "ternary":
        assert sizes.tolist() == [0.0, 1.0]
    else:
        assert np.array_equal(np.exp2(np.round(np.log2(sizes[sizes > 0]))), sizes[sizes > 0])


def test_olz16_without_chance_each_goes_to_the_nearest():
    chain = weight_chain(SampledWeight("ternary", stochastic=False), WEIGHT)
    assert chain.call(tf.constant(WEIGHT)).numpy().tolist() == [[-1, -1, 0], [0, 0, 1]]
    chain = weight_chain(SampledWeight("exponential", stochastic=False), WEIGHT)
    expected = np.float32([[-1, -0.5, -0.125], [0, 0.25, 1]])
    assert np.array_equal(chain.call(tf.constant(WEIGHT)), expected)

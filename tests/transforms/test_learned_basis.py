import numpy as np
import pytest
import tensorflow as tf

from edgeax.transforms import LearnedBasisQuantize
from tests.transforms.bound import activation_chain, value_and_gradients, weight_chain

WEIGHT = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


def solved(column, basis):
    """One step in float64: nearest levels, then least squares by numpy."""
    digits = np.array([[1 if code >> bit & 1 else -1 for bit in range(2)] for code in range(4)])
    nearest = np.argmin(np.abs(column[:, None] - digits @ basis), axis=1)
    return np.linalg.lstsq(digits[nearest].astype(float), column, rcond=None)[0]


def test_zyyh18_the_basis_is_the_average_of_what_suits_each_step():
    chain = weight_chain(LearnedBasisQuantize(2, momentum=0.9), WEIGHT)
    basis = chain.transforms[0].basis.mean
    for channel in range(3):
        column = WEIGHT[:, channel].astype(np.float64)
        rms = np.sqrt(np.mean(column**2))
        first = solved(column, 0.6745 * rms * np.array([0.5, 1.0]))
        assert basis.numpy()[:, channel] == pytest.approx(first, rel=1e-5)
    before = basis.numpy()
    chain.call(tf.constant(WEIGHT), training=True)
    for channel in range(3):
        step = solved(WEIGHT[:, channel].astype(np.float64), before[:, channel])
        expected = 0.9 * before[:, channel] + 0.1 * step
        assert basis.numpy()[:, channel] == pytest.approx(expected, rel=1e-5)


def test_zyyh18_the_error_never_rises():
    chain = weight_chain(LearnedBasisQuantize(3, momentum=0.0), WEIGHT)
    errors = [
        float(np.square(chain.call(tf.constant(WEIGHT), training=True) - WEIGHT).sum())
        for _ in range(12)
    ]
    assert all(
        after <= before * (1 + 1e-6) for before, after in zip(errors, errors[1:], strict=False)
    )
    assert errors[-1] < errors[0]


def test_zyyh18_one_bit_is_the_binary_weight_network():
    chain = weight_chain(LearnedBasisQuantize(1), WEIGHT)
    expected = np.abs(WEIGHT).mean(axis=0) * np.where(WEIGHT >= 0, 1, -1)
    assert np.allclose(chain.call(tf.constant(WEIGHT)), expected, rtol=1e-6)


def test_an_activation_has_zero_among_its_levels_and_no_gradient_beyond():
    batch = np.abs(WEIGHT).reshape(1, -1)
    chain = activation_chain(LearnedBasisQuantize(2), batch)
    chain.transforms[0].basis.mean.assign([1.0, 2.0])
    sample = np.float32([[-1.0, 0.3, 1.2, 2.4, 9.0]])
    value, gradient = value_and_gradients(chain, sample, np.ones_like(sample))
    assert value.tolist() == [[0.0, 0.0, 1.0, 2.0, 3.0]]
    assert gradient.tolist() == [[0.0, 1.0, 1.0, 1.0, 0.0]]
    assert chain.transforms[0].extremes == (0.0, 3.0)

import math

import numpy as np
import pytest

from edgeax.runtime.mcu import oracle_gradients as gradients
from edgeax.runtime.mcu.oracle_gradients import Gradient, Random

EXPONENTIALS = np.round(np.exp(-0.1 * np.arange(256)) * 2**15).astype(np.uint16)


@pytest.mark.parametrize("x", [1 << 15, 40_000, 65_535, 65_536, 1_234_567, (1 << 27) - 1])
def test_a_logarithm_is_that_of_real_numbers(x):
    assert gradients.log2(x) == pytest.approx(math.log2(x) * 2**16, abs=1.01)


@pytest.mark.parametrize(
    "sums, codes, exponent",
    [
        ([1, -2, 0], [8192, -16384, 0], 3 - 13),  # 2 becomes 2**14
        ([32767, 1], [32767, 1], 3),
        ([32768, 3, -3], [16384, 2, -1], 4),  # halves up
        ([65535, 0], [32767, 0], 4),  # 32767.5 rounds to what no code holds
        ([-(2**30), 2**15], [-16384, 1], 3 + 16),  # a half, up
        ([0, 0], [0, 0], -1_000_000),
    ],
)
def test_the_largest_sum_gets_15_bits(sums, codes, exponent):
    found = gradients.narrowed(Gradient(np.int64(sums), 3))
    assert found.codes.tolist() == codes and found.exponent == exponent


@pytest.mark.parametrize("apart", [0, 1, 9, 15, 17, 40])
def test_a_sum_of_gradients_is_that_of_real_numbers(apart):
    rng = np.random.default_rng(apart)
    a, b = (Gradient(rng.integers(-32767, 32768, 50), e) for e in (apart - 5, -5))
    wanted = sum(np.ldexp(g.codes.astype(float), g.exponent) for g in (a, b))
    for found in (gradients.joined(a, b), gradients.joined(b, a)):
        real = np.ldexp(found.codes.astype(float), found.exponent)
        # Half a unit of the result, and of the smaller one where it is shifted.
        np.testing.assert_allclose(real, wanted, atol=1.01 * 2.0**found.exponent)


def test_a_gradient_of_zeros_changes_no_other():
    nothing = gradients.narrowed(Gradient(np.zeros(2, np.int64), 7))
    found = gradients.joined(nothing, Gradient(np.int64([20000, -3]), -4))
    assert found.codes.tolist() == [20000, -3] and found.exponent == -4


def test_errors_and_loss_are_those_of_a_softmax():
    scores = np.int8([-60, 3, 40, 41, 12, -128, 0, 7, 127, 100])
    real = 0.1 * scores.astype(float)
    p = np.exp(real) / np.exp(real).sum()
    for label in range(10):
        errors, loss = gradients.cross_entropy(scores, label, EXPONENTIALS, 6554, 0)
        wanted = p - (np.arange(10) == label)
        # Half a unit from each of 10 exponentials, and from the quotient.
        real = np.ldexp(errors.codes.astype(float), errors.exponent)
        np.testing.assert_allclose(real, wanted, atol=5.5 / 2**15)
        # The step of a code is off by up to half a unit, and there are up to 255.
        assert loss / 2**16 == pytest.approx(-math.log(p[label]), abs=128 / 2**16)


def test_a_mean_square_is_that_of_real_numbers():
    factor = round(0.8 * 2**31), 11
    errors, loss = gradients.mean_square(np.int8([3, -5]), np.int8([1, 5]), factor, 0)
    assert errors.codes.tolist() == [2 * 128, -10 * 128]
    assert loss == round(104 * 0.8 * 2**11)


@pytest.mark.parametrize("least, rests", [(2 * 128, False), (2 * 128 + 1, True)])
def test_nothing_learns_where_no_output_is_off_by_the_least_error(least, rests):
    errors, _ = gradients.mean_square(np.int8([3, 4]), np.int8([1, 5]), (2**30, 0), least)
    assert np.all(errors.codes == 0) == rests


def test_weights_move_against_their_gradients_and_stay_in_their_range():
    weights, found = np.int8([[5, 127, -127, 0]]), np.int64([[9, -9, 9, 4]])
    moved = gradients.moved_weights(weights, found, 5, 0, Random(1))
    assert moved.tolist() == [[4, 127, -127, 0]]


def test_a_dead_zone_is_a_share_of_the_largest():
    assert gradients.least_gradient(64, 1000) == 250
    assert gradients.least_gradient(64, 1001) == 251  # 250.25
    assert gradients.least_gradient(0, 1000) == 1  # 0 has no sign


def test_biases_move_by_their_step_however_small_their_gradients():
    bias, sums = np.int32([0, 2**30 - 5, 7, 7]), np.int64([100, -80, 1, 0])
    moved = gradients.moved_bias(bias, sums, 0, 0, 50, Random(1))
    assert moved.tolist() == [-50, 2**30, -43, 7]
    moved = gradients.moved_bias(bias, sums, 90, 0, 50, Random(1))
    assert moved.tolist() == [-50, *bias.tolist()[1:]]


def test_a_share_is_drawn():
    assert Random(1).drawn(4000, 3).mean() == pytest.approx(1 / 8, abs=0.02)
    assert Random(1).drawn(5, 0).all()


def test_xorshift_is_that_of_the_literature():
    random, drawn = Random(1), []
    for _ in range(3):
        random.drawn(1, 1)
        drawn.append(random.state)
    assert drawn == [270369, 67634689, 2647435461]  # Marsaglia's 13, 17, 5 from 1

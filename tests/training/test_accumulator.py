import numpy as np
import pytest

from edgeax.training import accumulator_bits, variance_retained


def test_swc19_a_bit_more_serves_sums_four_times_as_long():
    shares = [variance_retained(n, m) for m, n in ((3, 256), (4, 1024), (5, 4096), (6, 16384))]
    assert max(shares) - min(shares) < 0.01
    bits = np.array([accumulator_bits(4**power) for power in range(3, 9)])
    assert np.all(np.diff(bits) >= 1) and bits[-1] - bits[0] <= 6


def test_the_lemma_is_the_formula_by_hand():
    # n = 2, m = 1: q_2 = 2Q(2/sqrt 2) (1 - 2Q(2)), q = 1 - 2Q(2/sqrt 2); 2Q(z) = erfc(z/sqrt 2).
    beyond_sqrt2, beyond_2 = 0.15729920705, 0.04550026390
    first, never = beyond_sqrt2 * (1 - beyond_2), 1 - beyond_sqrt2
    expected = (2 * first + 2 * never) / (2 * (first + never))
    assert variance_retained(2, 1) == pytest.approx(expected, rel=1e-9)
    assert variance_retained(1024, 5) == pytest.approx(0.68, abs=0.006)


def test_chunks_need_fewer_bits():
    assert accumulator_bits(65536, chunk=64) < accumulator_bits(65536)
    alone = accumulator_bits(64)
    assert accumulator_bits(64, chunk=64) == accumulator_bits(64, chunk=1000) == alone
    assert accumulator_bits(1) == 1


@pytest.mark.parametrize("arguments", [(0,), (4, 0)])
def test_lengths_below_one_are_rejected(arguments):
    with pytest.raises(ValueError, match="must be at least 1. Received"):
        accumulator_bits(*arguments)

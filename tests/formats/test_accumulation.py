import numpy as np
import pytest

from edgeax.formats.accumulation import narrow_sum
from edgeax.formats.minifloat import Minifloat

HALF = Minifloat(6, 9)
N = 65536


def ones_and_uniform():
    """Ones, and uniform values of mean 1 and standard deviation 1 whose sum is 65683."""
    half = np.sqrt(3.0)
    uniform = np.random.default_rng(127).uniform(1 - half, 1 + half, N)
    return np.stack([np.ones(N), uniform], axis=1).astype(np.float32)


def test_wcb18_sums_of_65536_stall_unless_they_are_chunked():
    # Half a step of 1-6-9 at 1024 is 1: ties go back to the even 1024. The uniform values reach
    # 2.73, which moves no sum from 4096 on, where half a step is 4.
    terms = ones_and_uniform()
    assert narrow_sum(terms, HALF).tolist() == [1024.0, 4096.0]
    exact = terms.astype(np.float64).sum(axis=0)
    chunked = narrow_sum(terms, HALF, chunk=64)
    assert chunked.tolist() == [65536.0, 65664.0]
    assert np.all(np.abs(chunked / exact - 1) < 1e-3)


def test_wcb18_stochastic_rounding_does_not_stall():
    terms = np.repeat(ones_and_uniform(), 8, axis=1)
    drawn = narrow_sum(terms, HALF, noise=np.random.default_rng(1))
    error = drawn / terms.sum(axis=0, dtype=np.float64) - 1
    assert abs(np.mean(error)) < 0.015


def test_swc19_a_bit_more_serves_sums_four_times_as_long():
    # How much of the variance of a sum of n products is left with m bits of mantissa.
    def left(m, n):
        first, second = np.random.default_rng(0).normal(size=(2, n, 3000))
        return np.var(narrow_sum(first * second, Minifloat(8, m))) / n

    ratios = [left(3, 256), left(4, 1024), left(5, 4096)]
    assert ratios == pytest.approx([0.94, 0.89, 0.85], abs=0.08)
    assert max(ratios) - min(ratios) < 0.05
    assert left(5, 1024) > 0.97 and left(3, 1024) < 0.75


def test_chunks_that_do_not_come_out_even_are_filled_with_zeros():
    terms = np.float32([1, 2, 3, 4, 5])
    assert narrow_sum(terms, HALF, chunk=2) == narrow_sum(terms, HALF, chunk=100) == 15.0
    assert narrow_sum(np.zeros((0, 3), np.float32), HALF, chunk=4).tolist() == [0.0, 0.0, 0.0]


def test_a_chunk_of_no_terms_is_rejected():
    with pytest.raises(ValueError, match="`chunk` must be at least 1. Received: chunk=0"):
        narrow_sum(np.ones(3), HALF, chunk=0)

"""Ranges of the best signal-to-noise ratio."""

import numpy as np
import pytest

from edgeax.formats import Integer
from edgeax.formats.fixed_point import gaussian_step
from edgeax.post_training.seen import Seen
from edgeax.post_training.sqnr import SignalToNoise

STEPS = [1.596, 0.996, 0.586, 0.335, 0.188, 0.104, 0.057, 0.031]


def test_lta16_the_step_is_that_of_the_table():
    values = np.concatenate([np.float32([-1, 1] * 500), [-9.0, 9.0]])
    seen = Seen.of_weight(values.astype(np.float32).reshape(-1, 1), per_channel=True)
    sigma = float(np.sqrt(np.mean(values**2)))
    for bits, step in zip(range(2, 9), STEPS[1:], strict=True):
        _, high = SignalToNoise().ends(seen, Integer(bits))
        assert high[0] == pytest.approx(sigma * step * (2 ** (bits - 1) - 1), rel=0.02)


def test_lta16_a_rectified_range_is_half_of_that_of_a_bit_more():
    values = np.concatenate([np.zeros(700), np.full(700, 2.0), [50.0]]).astype(np.float32)
    seen = Seen.of_weight(values.reshape(-1, 1), per_channel=True)
    sigma = np.sqrt((700 * 4.0 + 2500.0) / 701)
    low, high = SignalToNoise().ends(seen, Integer(4, symmetric=False))
    assert low[0] == 0.0
    assert high[0] == pytest.approx(sigma * gaussian_step(5) * 15, rel=1e-6)


def test_sixteen_bits_take_everything():
    seen = Seen.of_weight(np.float32([[-1.0], [5.0]]), per_channel=True)
    low, high = SignalToNoise().ends(seen, Integer(16, symmetric=False))
    assert (low[0], high[0]) == (-1.0, 5.0)

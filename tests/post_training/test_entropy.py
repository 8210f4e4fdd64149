"""TensorRT's calibration."""

import math

import numpy as np
import pytest

from edgeax.formats import Integer
from edgeax.post_training.entropy import Entropy, kl_when_clipped
from edgeax.post_training.seen import Seen


def seen(values):
    return Seen.of_weight(np.asarray(values, np.float32).reshape(-1, 1), per_channel=True)


@pytest.mark.parametrize("sign", [1, -1])
def test_tensorrt_finds_the_threshold_beyond_which_are_outliers(sign):
    values = np.abs(np.random.default_rng(0).normal(size=1_000_000)).clip(0, 3)
    tensor = seen(sign * np.concatenate([values, [30.0, 29.0]]))
    low, high = Entropy().ends(tensor, Integer(8))
    near, far = (low, high) if sign > 0 else (high, low)
    assert near[0] == 0.0 and 2.5 < abs(far[0]) < 4.0  # 3, not 30


def test_tensorrt_the_divergence_is_that_worked_out_by_hand():
    # clipped to 4 bins: P = 4 2 0 (2 + 2); in 2 levels: (4 + 2) / 2 = 3, 3 and 0 and 2 in one bin
    found = kl_when_clipped(np.float64([4, 2, 0, 2, 1, 1]), 4, 2)
    p, q = np.array([4, 2, 4]) / 10, np.array([3, 3, 2]) / 8
    assert found == pytest.approx(float(np.sum(p * np.log(p / q))))


def test_nothing_is_lost_where_every_bin_has_a_level():
    assert kl_when_clipped(np.float64([4, 2, 1, 2]), 4, 4) == pytest.approx(0.0)
    assert kl_when_clipped(np.zeros(4), 4, 2) == math.inf


def test_evenly_spread_values_keep_their_whole_range():
    values = np.linspace(0, 1, 200001)
    _, high = Entropy().ends(seen(values), Integer(4, symmetric=False))
    assert high[0] > 0.9


def test_too_few_bins_are_refused():
    with pytest.raises(ValueError, match="`bins` must be at least 64.*bins=8"):
        Entropy(8)


def test_few_values_keep_their_whole_range():
    """The noise of a sparse histogram must not be taken for information that rounding loses."""
    for count in (300, 100_000):
        values = np.random.default_rng(0).exponential(size=count)
        _, high = Entropy().ends(seen(values), Integer(8, symmetric=False))
        assert high[0] == pytest.approx(values.max(), rel=1e-6)
    values = np.random.default_rng(0).exponential(size=200_000)
    _, high = Entropy().ends(seen(values), Integer(4, symmetric=False))
    assert 0.3 * values.max() < high[0] <= values.max()

"""Ranges of least error."""

import numpy as np
import pytest

from edgeax.formats import Integer, PowerOfTwo
from edgeax.post_training.calibration import squared_error
from edgeax.post_training.search import HessianWeighted, MeanSquaredError
from edgeax.post_training.seen import Seen


def kernel(seed=0):
    return np.random.default_rng(seed).standard_t(4, size=(3, 3, 8, 5)).astype(np.float32)


@pytest.mark.parametrize("format", [Integer(2), Integer(4), PowerOfTwo(3)], ids=str)
def test_ckyk19_the_scale_is_that_of_brute_force(format):
    seen = Seen.of_weight(kernel(), per_channel=isinstance(format, Integer))
    _, high = MeanSquaredError().ends(seen, format)
    widest = np.maximum(-seen.low, seen.high)

    def error(limit):
        return squared_error(seen, -limit, limit, format, seen.counts)

    fine = np.stack([error(part * widest) for part in np.linspace(0.02, 1.0, 1000)])
    assert np.all(error(high) <= 1.02 * fine.min(0))
    assert np.all(error(high) < error(widest))


def test_an_activation_of_both_signs_gets_both_ends():
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(size=40000), [30.0]])
    seen = Seen.of_weight(values.astype(np.float32).reshape(-1, 1), per_channel=True)
    low, high = MeanSquaredError().ends(seen, Integer(4, symmetric=False))
    assert 2.0 < high[0] < 8.0 and -4.0 < low[0] < -1.5


def test_errors_that_matter_more_count_more():
    # 2 bits hold 0 and one magnitude: small or large, whichever matters
    value = np.float32([[0.5], [0.5], [0.5], [4.0]])
    for importance, expected in (([1, 1, 1, 1e-6], 0.5), ([1e-6, 1e-6, 1e-6, 1], 4.0)):
        seen = Seen.of_weight(value, True, np.float32(importance).reshape(-1, 1))
        _, high = HessianWeighted(400).ends(seen, Integer(2))
        assert high[0] == pytest.approx(expected, rel=0.1)


def test_without_importance_it_is_the_squared_error():
    seen = Seen.of_weight(kernel(), True)
    for one, other in zip(
        HessianWeighted().ends(seen, Integer(3)),
        MeanSquaredError().ends(seen, Integer(3)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_too_few_steps_are_refused():
    with pytest.raises(ValueError, match="`steps` must be at least 2.*steps=1"):
        MeanSquaredError(1)

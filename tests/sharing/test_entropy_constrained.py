import numpy as np
import pytest

from edgeax.sharing.entropy_constrained import EntropyConstrained
from edgeax.sharing.kmeans import KMeans
from tests.sharing.drawn import heavy_tailed

VALUES = heavy_tailed(3000)
IMPORTANCE = np.random.default_rng(5).gamma(0.5, size=3000)


def cost(groups, strength, importance):
    """What is made small: the error, and the bits at their price."""
    weights = np.ones(VALUES.size) if importance is None else importance / importance.mean()
    variance = np.cov(VALUES, aweights=weights, bias=True)
    return groups.error(VALUES, weights) / VALUES.size + strength * variance * groups.entropy_bits


@pytest.mark.parametrize("importance", [None, IMPORTANCE], ids=["alike", "weighted"])
def test_cel16_entropy_falls_as_a_bit_costs_more(importance):
    found = [
        EntropyConstrained(strength).group(VALUES, importance, 64)
        for strength in (0.0, 0.005, 0.02, 0.05, 0.2)
    ]
    bits = [groups.entropy_bits for groups in found]
    errors = [groups.error(VALUES, importance) for groups in found]
    assert (np.diff(bits) < -0.05).all() and (np.diff(errors) > 0).all()
    assert bits[-1] < bits[0] - 2


@pytest.mark.parametrize("importance", [None, IMPORTANCE], ids=["alike", "weighted"])
def test_cel16_a_bit_that_costs_nothing_gives_the_fixed_point_of_k_means(importance):
    groups = EntropyConstrained(0.0).group(VALUES, importance, 16)
    plain = KMeans().group(VALUES, importance, 16)
    assert np.array_equal(groups.codes, plain.codes)
    assert groups.centroids == pytest.approx(plain.centroids, rel=1e-9)


@pytest.mark.parametrize("importance", [None, IMPORTANCE], ids=["alike", "weighted"])
def test_it_costs_less_than_k_means_of_any_number_of_clusters(importance):
    for strength in (0.003, 0.03):
        groups = EntropyConstrained(strength).group(VALUES, importance, 64)
        found = cost(groups, strength, importance)
        for count in (2, 4, 8, 16, 32, 64):
            plain = KMeans().group(VALUES, importance, count)
            assert found < cost(plain, strength, importance)


def test_equal_importance_is_none():
    one, other = (
        EntropyConstrained(0.02).group(VALUES, given, 32) for given in (None, np.full(3000, 7.0))
    )
    assert np.array_equal(one.codes, other.codes)


def test_the_price_goes_with_the_scale_of_the_values():
    one, other = (EntropyConstrained(0.02).group(v, None, 32) for v in (VALUES, 1e4 * VALUES))
    assert np.array_equal(one.codes, other.codes)


def test_a_negative_price_is_refused():
    with pytest.raises(ValueError, match="`strength` must be at least 0.*-1"):
        EntropyConstrained(-1)

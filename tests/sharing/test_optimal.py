import itertools

import numpy as np
import pytest

from edgeax.sharing.kmeans import INITIALIZATIONS, KMeans
from edgeax.sharing.optimal import Optimal
from tests.sharing.drawn import heavy_tailed


def least_error(values, weights, count):
    """The error of the best of all partitions of the sorted values into intervals."""
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    cuts = itertools.combinations(range(1, values.size), count - 1)

    def error(cut):
        parts = zip(np.split(values, cut), np.split(weights, cut), strict=True)
        return sum(w @ (v - np.average(v, weights=w)) ** 2 for v, w in parts)

    return min(error(cut) for cut in cuts)


@pytest.mark.parametrize("seed", range(8))
def test_yyz20_it_is_as_good_as_the_best_of_all_partitions(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(-3, 4, 12).astype(float) if seed % 2 else rng.normal(size=11)
    weights = rng.random(values.size) + 0.1
    for count in range(1, np.unique(values).size + 1):
        for given in (None, weights):
            found = Optimal().group(values, given, count).error(values, given)
            counted = np.ones(values.size) if given is None else given
            assert found == pytest.approx(least_error(values, counted, count), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("count", [3, 16, 60])
def test_yyz20_no_start_of_k_means_ends_better(count):
    values, weights = heavy_tailed(3000), np.random.default_rng(7).gamma(0.5, size=3000)
    for given in (None, weights):
        least = Optimal().group(values, given, count).error(values, given)
        for start in INITIALIZATIONS:
            for seed in range(4):
                groups = KMeans(start).group(values, given, count, seed)
                assert least <= groups.error(values, given) * (1 + 1e-12)


def test_a_large_mean_does_not_blur_a_tiny_spread():
    values = heavy_tailed(800)
    near, far = (Optimal().group(v, None, 16) for v in (values * 2.0**-20, values * 2.0**-20 + 8))
    # Adding 8 rounds the values to 2**-50, a millionth of their distances.
    assert np.array_equal(near.codes, far.codes)
    assert far.centroids - 8 == pytest.approx(near.centroids, abs=2.0**-48)


def test_values_of_any_size_are_grouped():
    for factor in (1e-40, 1e38):
        values = np.array([0.0, 1.0, 5.0, 6.0, 6.5]) * factor
        assert Optimal().group(values, None, 2).codes.tolist() == [0, 0, 1, 1, 1]


def test_all_values_may_have_no_importance():
    groups = Optimal().group([0.0, 1.0, 9.0], [0.0, 0.0, 0.0], 2)
    assert groups.codes.tolist() == [0, 0, 1]
    assert groups.centroids == pytest.approx([0.5, 9.0])
